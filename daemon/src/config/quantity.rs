//! Numbers with units and bounds, as they are written: `30m`, `64MiB`, `16`.

use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Deserializer, de};

/// A duration between two bounds, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<const MIN_MS: u64, const MAX_MS: u64>(pub(super) Duration);

impl<'de, const MIN_MS: u64, const MAX_MS: u64> Deserialize<'de> for Span<MIN_MS, MAX_MS> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let span = humantime::parse_duration(&text).map_err(|_| {
            de::Error::custom(format!("`{text}` is not a duration such as `20s` or `30m`"))
        })?;
        let (min, max) = (Duration::from_millis(MIN_MS), Duration::from_millis(MAX_MS));
        within(span, min, max, |bound| humantime::format_duration(bound).to_string()).map(Self)
    }
}

/// A size in bytes between two bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Size<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let size: ByteSize = text.parse().map_err(|_| {
            de::Error::custom(format!("`{text}` is not a size such as `512KiB` or `64MiB`"))
        })?;
        let shown = |bound| ByteSize(bound).display().iec().to_string();
        within(size.as_u64(), MIN, MAX, shown).map(Self)
    }
}

/// A number between two bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count<const MIN: u64, const MAX: u64>(pub(super) u64);

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Count<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let count = i64::deserialize(from)?;
        // A negative number is under every bound.
        let count = u64::try_from(count).unwrap_or(0);
        within(count, MIN, MAX, |bound| bound.to_string()).map(Self)
    }
}

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// The same as another kind of number; none of the bounds in use is over it.
    pub(super) fn narrow<N: TryFrom<u64>>(self) -> Option<N> {
        N::try_from(self.0).ok()
    }
}

fn within<T: PartialOrd + Copy, E: de::Error>(
    value: T,
    min: T,
    max: T,
    shown: impl Fn(T) -> String,
) -> Result<T, E> {
    if value < min {
        return Err(E::custom(format!("must be at least {}", shown(min))));
    }
    if value > max {
        return Err(E::custom(format!("must be at most {}", shown(max))));
    }
    Ok(value)
}
