//! The one place where this program reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use policy::Timestamp;

/// This machine's time.
pub(crate) fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the program's one reader of the wall clock")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A time as a person reads it, in UTC to the second.
pub(crate) fn told(time: Timestamp) -> String {
    let known =
        i64::try_from(time.0 / 1000).ok().and_then(|s| jiff::Timestamp::from_second(s).ok());
    known.map_or_else(|| "the end of time".to_owned(), |known| known.to_string())
}

/// How long from `now` until `then`, in the two largest units.
pub(crate) fn until(now: Timestamp, then: Timestamp) -> String {
    let seconds = then.since(now).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_utc_and_a_wait_in_its_two_largest_units() {
        assert_eq!(told(Timestamp(1_763_700_000_999)), "2025-11-21T04:40:00Z");
        assert_eq!(told(Timestamp(u64::MAX)), "the end of time");
        assert_eq!(until(Timestamp(0), Timestamp(59_999)), "59 s");
        assert_eq!(until(Timestamp(0), Timestamp(60_000)), "1 min 0 s");
        assert_eq!(until(Timestamp(0), Timestamp(5_400_000)), "1 h 30 min");
        assert_eq!(until(Timestamp(9), Timestamp(3)), "0 s");
    }
}
