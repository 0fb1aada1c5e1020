//! The daemon's only reader of time, and the clock by which shares end.

use std::fmt;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use policy::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instants {
    /// What people call the time. May be set, forward and back.
    pub wall: Timestamp,
    /// Time since boot, suspended time included. Only ever grows, and begins anew at a boot.
    pub boot: Duration,
}

impl Instants {
    /// Reads both clocks.
    #[must_use]
    pub fn now() -> Self {
        Self { wall: wall(), boot: read(ClockId::Boottime) }
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
fn wall() -> Timestamp {
    // By the standard library, so that a test can move it with libfaketime. Before 1970 is 1970.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(millis(since))
}

/// Time since boot that this machine was awake: what a suspend takes is nobody's delay.
#[must_use]
pub(crate) fn awake() -> Duration {
    read(ClockId::Monotonic)
}

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Which boot this is. Boot times of two boots cannot be compared.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootId(String);

impl BootId {
    /// Asks the kernel.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn read() -> io::Result<Self> {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self(id.trim().to_owned()))
    }

    /// Takes a text for a boot's name.
    #[must_use]
    pub fn named(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The time that counts for one share: the later of the wall clock and of the opening plus the
/// boot time that has gone by since, and never earlier than it once was. Setting a clock, or
/// suspending the machine, can only end a share sooner.
#[derive(Clone, Debug)]
pub struct ShareClock {
    opened: Instants,
    latest: Timestamp,
}

impl ShareClock {
    /// The clock of a share that was opened at `opened`, in this boot.
    #[must_use]
    pub fn opened(opened: Instants) -> Self {
        Self { opened, latest: opened.wall }
    }

    /// The share's time now.
    pub fn read(&mut self, now: Instants) -> Timestamp {
        self.latest = self.at(now);
        self.latest
    }

    /// How long after `now` the share's clock reaches `deadline`, if nobody moves the wall clock.
    #[must_use]
    pub fn wait_until(&self, deadline: Timestamp, now: Instants) -> Duration {
        Duration::from_millis(deadline.0.saturating_sub(self.at(now).0))
    }

    fn at(&self, now: Instants) -> Timestamp {
        let elapsed = millis(now.boot.saturating_sub(self.opened.boot));
        let counted = Timestamp(self.opened.wall.0.saturating_add(elapsed));
        counted.max(now.wall).max(self.latest)
    }
}

/// A time as RFC 3339 in UTC, to the millisecond.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    let time = i64::try_from(time.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", time.unwrap_or(jiff::Timestamp::MAX))
}

/// The time that [`rfc3339`] wrote.
#[must_use]
pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok().map(Timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(wall: u64, boot_ms: u64) -> Instants {
        Instants { wall: Timestamp(wall), boot: Duration::from_millis(boot_ms) }
    }

    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_wall_clock_set_back_does_not_lengthen_a_share() {
        let mut clock = ShareClock::opened(at(10 * HOUR, 500));
        assert_eq!(clock.read(at(9 * HOUR, 60_500)), Timestamp(10 * HOUR + 60_000));
    }

    #[test]
    fn a_wall_clock_set_forward_and_back_again_stays_forward() {
        let mut clock = ShareClock::opened(at(10 * HOUR, 500));
        assert_eq!(clock.read(at(12 * HOUR, 501)), Timestamp(12 * HOUR));
        assert_eq!(clock.read(at(10 * HOUR, 502)), Timestamp(12 * HOUR));
    }

    #[test]
    fn suspended_time_counts() {
        let mut clock = ShareClock::opened(at(10 * HOUR, 0));
        assert_eq!(clock.read(at(10 * HOUR + 1, 2 * HOUR)), Timestamp(12 * HOUR));
    }

    #[test]
    fn the_wait_is_what_is_left_and_nothing_afterwards() {
        let clock = ShareClock::opened(at(HOUR, 0));
        let deadline = Timestamp(HOUR + 1_000);
        assert_eq!(clock.wait_until(deadline, at(HOUR, 400)), Duration::from_millis(600));
        assert_eq!(clock.wait_until(deadline, at(HOUR, 1_000)), Duration::ZERO);
        assert_eq!(clock.wait_until(deadline, at(HOUR, 1_001)), Duration::ZERO);
    }

    #[test]
    fn the_boot_clock_runs_and_the_boot_has_a_name() {
        let (first, second) = (Instants::now(), Instants::now());
        assert!(second.boot >= first.boot && first.boot > Duration::ZERO);
        assert_eq!(BootId::read().unwrap(), BootId::read().unwrap());
    }

    #[test]
    fn times_are_written_in_utc_and_read_back() {
        let text = rfc3339(Timestamp(1_700_000_000_042));
        assert_eq!(text, "2023-11-14T22:13:20.042Z");
        assert_eq!(from_rfc3339(&text), Some(Timestamp(1_700_000_000_042)));
        assert_eq!(rfc3339(Timestamp(0)), "1970-01-01T00:00:00.000Z");
    }

    proptest! {
        /// Whatever is done to the wall clock: never earlier than real time since the opening,
        /// never back.
        #[test]
        fn p05_no_wall_clock_lengthens_a_share(
            opened in 0..u64::MAX / 4,
            turns in proptest::collection::vec((0..u64::MAX / 4, 0..10 * HOUR), 1..40),
        ) {
            let mut clock = ShareClock::opened(at(opened, 1_000));
            let (mut boot, mut before) = (1_000, Timestamp(0));
            for (wall, slept) in turns {
                boot += slept;
                let now = clock.read(at(wall, boot));
                prop_assert!(now >= Timestamp(opened + boot - 1_000));
                prop_assert!(now >= Timestamp(wall));
                prop_assert!(now >= before);
                before = now;
            }
        }
    }
}
