//! Waiting for something to become true, with an end.

use std::time::{Duration, Instant};

/// The longest that anything may take on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `condition` gives something.
///
/// # Panics
/// When that takes longer than [`PATIENCE`].
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
