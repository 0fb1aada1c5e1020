//! Durations and sizes as people write them: `10s`, `90d`, `256MiB`.

use std::time::Duration;

use serde::Deserialize;

/// Something with a unit.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// Why a text is not a quantity.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum QuantityFault {
    /// Not a duration.
    #[error(
        "`{0}` is not a duration: write a whole number and a unit, as in `500ms`, `10s`, `5m`, `2h`, `90d`"
    )]
    Duration(String),
    /// Not a size.
    #[error(
        "`{0}` is not a size: write a whole number of bytes, or with a unit, as in `512KiB`, `256MiB`, `1GiB`"
    )]
    Size(String),
}

impl Quantity {
    /// As a duration.
    ///
    /// # Errors
    /// When it is none.
    pub fn duration(&self) -> Result<Duration, QuantityFault> {
        let millis = match self.split() {
            Some((number, "ms")) => Some(number),
            Some((number, "s")) => number.checked_mul(1000),
            Some((number, "m")) => number.checked_mul(60_000),
            Some((number, "h")) => number.checked_mul(3_600_000),
            Some((number, "d")) => number.checked_mul(86_400_000),
            Some(_) | None => None,
        };
        millis.map(Duration::from_millis).ok_or_else(|| QuantityFault::Duration(self.0.clone()))
    }

    /// As a number of bytes.
    ///
    /// # Errors
    /// When it is none.
    pub fn size(&self) -> Result<u64, QuantityFault> {
        let bytes = match self.split() {
            Some((number, "" | "B")) => Some(number),
            Some((number, "KiB")) => number.checked_mul(1 << 10),
            Some((number, "MiB")) => number.checked_mul(1 << 20),
            Some((number, "GiB")) => number.checked_mul(1 << 30),
            Some(_) | None => None,
        };
        bytes.ok_or_else(|| QuantityFault::Size(self.0.clone()))
    }

    fn split(&self) -> Option<(u64, &str)> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (number, unit) = self.0.split_at_checked(end)?;
        Some((number.parse().ok()?, unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantity(text: &str) -> Quantity {
        Quantity(text.to_owned())
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, millis) in [
            ("0s", 0),
            ("500ms", 500),
            ("10s", 10_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("90d", 7_776_000_000),
        ] {
            assert_eq!(quantity(text).duration(), Ok(Duration::from_millis(millis)));
        }
        for text in [
            "",
            "10",
            "s",
            "-5s",
            "1.5s",
            "10 s",
            "ten",
            "18446744073709551615d",
            "99999999999999999999s",
        ] {
            assert!(quantity(text).duration().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_may_have_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("2KiB", 2048),
            ("3MiB", 3 << 20),
            ("1GiB", 1 << 30),
        ] {
            assert_eq!(quantity(text).size(), Ok(bytes));
        }
        for text in ["", "MiB", "1MB", "-1", "1.5GiB", "18446744073709551615KiB"] {
            assert!(quantity(text).size().is_err(), "{text}");
        }
    }
}
