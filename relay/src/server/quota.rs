//! Rates and memory: what one token, one flow and all legs together may use.

use std::time::{Duration, Instant};

/// A burst is this long at full rate: a sender that was silent may catch up so much.
const BURST: Duration = Duration::from_millis(250);

/// No burst is smaller than a few packets, or nothing would ever pass at a low rate.
const BURST_MIN: u64 = 16 << 10;

/// A token bucket: so many per second, with bursts of a quarter of a second.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    rate: u64,
    level: u64,
    at: Instant,
}

impl Bucket {
    /// A full bucket of `rate` per second.
    pub(crate) fn new(rate: u64, now: Instant) -> Self {
        Self { rate, level: burst(rate), at: now }
    }

    /// A new rate from now on.
    pub(crate) fn set_rate(&mut self, rate: u64) {
        self.rate = rate;
        self.level = self.level.min(burst(rate));
    }

    /// Whether there is `amount`.
    pub(crate) fn holds(&mut self, amount: usize, now: Instant) -> bool {
        self.fill(now);
        self.level >= amount as u64
    }

    /// Takes `amount`, which [`Bucket::holds`].
    pub(crate) fn take(&mut self, amount: usize) {
        self.level = self.level.saturating_sub(amount as u64);
    }

    /// What a span too short to have earned anything would earn is left for later, so that a busy sender is not starved.
    fn fill(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.at).as_nanos();
        let earned = nanos.saturating_mul(u128::from(self.rate)) / 1_000_000_000;
        if earned > 0 {
            let earned = u64::try_from(earned).unwrap_or(u64::MAX);
            self.level = self.level.saturating_add(earned).min(burst(self.rate));
            self.at = now;
        }
    }
}

fn burst(rate: u64) -> u64 {
    let millis = u64::try_from(BURST.as_millis()).unwrap_or(u64::MAX);
    (rate / 1000).saturating_mul(millis).max(BURST_MIN)
}

/// Bytes that wait in the legs' queues, all together. Each leg's part is as it was last seen.
#[derive(Debug)]
pub(crate) struct Ledger {
    max: u64,
    total: u64,
}

impl Ledger {
    /// Nothing waits; `max` bytes may.
    pub(crate) fn new(max: u64) -> Self {
        Self { max, total: 0 }
    }

    /// A leg's queue, last seen at `seen`, is at `held` now.
    pub(crate) fn update(&mut self, seen: &mut u64, held: u64) {
        self.total = self.total.saturating_sub(*seen).saturating_add(held);
        *seen = held;
    }

    /// Whether `amount` more may wait.
    pub(crate) fn has_room(&self, amount: usize) -> bool {
        self.total.saturating_add(amount as u64) <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        super::super::clock::now()
    }

    #[test]
    fn re7_a_bucket_gives_its_burst_and_then_its_rate() {
        let now = start();
        let mut bucket = Bucket::new(1 << 20, now);
        let first = usize::try_from(burst(1 << 20)).unwrap();
        assert!(!bucket.holds(first + 1, now));
        assert!(bucket.holds(first, now));
        bucket.take(first);
        assert!(!bucket.holds(1, now));
        let later = now + Duration::from_millis(10);
        assert!(bucket.holds(10_000, later));
        assert!(!bucket.holds(11_000, later));
    }

    #[test]
    fn a_busy_sender_earns_as_much_as_a_patient_one() {
        let now = start();
        let mut bucket = Bucket::new(1_000_000, now);
        bucket.take(usize::MAX);
        for micros in 0..=9_990 {
            bucket.holds(usize::MAX, now + Duration::from_nanos(micros * 1000 + 500));
        }
        assert!(bucket.holds(9_900, now + Duration::from_millis(10)));
    }

    #[test]
    fn a_lower_rate_takes_hold_at_once() {
        let now = start();
        let mut bucket = Bucket::new(1 << 30, now);
        bucket.set_rate(1 << 10);
        assert!(!bucket.holds(usize::try_from(BURST_MIN).unwrap() + 1, now));
    }

    #[test]
    fn re3_the_ledger_is_bounded_and_forgets_what_has_left() {
        let mut ledger = Ledger::new(1000);
        let (mut one, mut two) = (0, 0);
        ledger.update(&mut one, 600);
        assert!(ledger.has_room(400));
        assert!(!ledger.has_room(401));
        ledger.update(&mut two, 400);
        assert!(!ledger.has_room(1));
        ledger.update(&mut one, 0);
        assert!(ledger.has_room(600));
    }
}
