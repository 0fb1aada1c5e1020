//! The relay's two clocks: the only place that reads them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For durations.
#[expect(clippy::disallowed_methods, reason = "this is the process's clock module")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// For expiry: milliseconds since the Unix epoch. A clock before the epoch is at the epoch's end: nothing is valid.
#[expect(clippy::disallowed_methods, reason = "this is the process's clock module")]
pub(crate) fn wall() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::MAX);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
