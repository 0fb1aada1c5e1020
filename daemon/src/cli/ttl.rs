//! How long, as a person types it. What is not a length of time is refused, never replaced.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time above zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ttl(Duration);

impl Ttl {
    /// As the owner socket takes it.
    pub(super) fn millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

impl From<Duration> for Ttl {
    fn from(ttl: Duration) -> Self {
        Self(ttl)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs() {
            seconds if seconds % 60 == 0 => write!(out, "{}m", seconds / 60),
            seconds => write!(out, "{seconds}s"),
        }
    }
}

/// Why a text is not a time to live.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum TtlFault {
    #[error("that is no time at all; give a length such as 30m")]
    Zero,
    #[error("a share cannot end before it begins; give a length such as 30m")]
    Negative,
    #[error("a number needs its unit: `{0}s`, `{0}m` or `{0}h`")]
    NoUnit(String),
    #[error("that is not a length of time; give one such as 90s, 30m or 1h")]
    NotTime,
}

impl FromStr for Ttl {
    type Err = TtlFault;

    fn from_str(text: &str) -> Result<Self, TtlFault> {
        if let Some(positive) = text.strip_prefix('-') {
            return Err(if starts_with_digit(positive) {
                TtlFault::Negative
            } else {
                TtlFault::NotTime
            });
        }
        match parts(text)? {
            0 => Err(TtlFault::Zero),
            seconds => Ok(Self(Duration::from_secs(seconds))),
        }
    }
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// The seconds of `1h30m`, each unit once and the larger first.
fn parts(text: &str) -> Result<u64, TtlFault> {
    let (mut rest, mut total, mut largest) = (text, 0_u64, u64::MAX);
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits).ok_or(TtlFault::NotTime)?;
        let count = number.parse::<u64>().map_err(|_| TtlFault::NotTime)?;
        let unit = unit(after, count)?;
        if unit >= largest {
            return Err(TtlFault::NotTime);
        }
        let more = count.checked_mul(unit).and_then(|seconds| total.checked_add(seconds));
        (total, largest) = (more.ok_or(TtlFault::NotTime)?, unit);
        rest = after.get(1..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

/// The seconds in the unit that `after` begins with.
fn unit(after: &str, count: u64) -> Result<u64, TtlFault> {
    match after.chars().next() {
        Some('s') => Ok(1),
        Some('m') => Ok(60),
        Some('h') => Ok(3600),
        None if count == 0 => Err(TtlFault::Zero),
        None => Err(TtlFault::NoUnit(count.to_string())),
        Some(_) => Err(TtlFault::NotTime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<u64, TtlFault> {
        text.parse::<Ttl>().map(|ttl| ttl.millis() / 1000)
    }

    #[test]
    fn a_length_is_numbers_with_units() {
        let cases =
            [("1s", 1), ("90s", 90), ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("1m1s", 61)];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn se4_zero_negative_and_garbage_are_refused_by_name() {
        for zero in ["0", "0s", "0m", "0h0m0s"] {
            assert_eq!(seconds(zero), Err(TtlFault::Zero), "{zero}");
        }
        for negative in ["-5", "-5m", "-0"] {
            assert_eq!(seconds(negative), Err(TtlFault::Negative), "{negative}");
        }
        assert_eq!(seconds("30"), Err(TtlFault::NoUnit("30".to_owned())));
        for garbage in [
            "soon", "", "-", "m", "5x", "5 m", "5m5", "5m5m", "1s1m", "1.5m", "+5m", "٣m", "5µ",
            "1e9h",
        ] {
            assert!(seconds(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn se4_a_length_past_all_counting_is_refused_not_cut() {
        assert_eq!(seconds("99999999999999999999s"), Err(TtlFault::NotTime));
        assert_eq!(seconds("18446744073709551615h"), Err(TtlFault::NotTime));
    }

    #[test]
    fn se4_more_than_the_cap_is_for_the_daemon_to_refuse_with_its_limit() {
        assert_eq!(seconds("31m"), Ok(1860));
    }
}
