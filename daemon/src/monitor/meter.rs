//! How often a peer may ask: a token bucket, with the time given.

use std::time::Duration;

/// Lets `rate` acts a second pass, and as many at once after a quiet second.
#[derive(Debug)]
pub(super) struct Meter {
    rate: u32,
    thousandths: u64,
    last: Duration,
}

impl Meter {
    pub(super) fn new(rate: u32, now: Duration) -> Self {
        Self { rate, thousandths: u64::from(rate).saturating_mul(1000), last: now }
    }

    /// Whether one more act may pass now.
    pub(super) fn admits(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.last).as_millis();
        let earned = u64::try_from(passed).unwrap_or(u64::MAX).saturating_mul(self.rate.into());
        self.last = self.last.max(now);
        let full = u64::from(self.rate).saturating_mul(1000);
        self.thousandths = self.thousandths.saturating_add(earned).min(full);
        match self.thousandths.checked_sub(1000) {
            Some(left) => self.thousandths = left,
            None => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_the_rate_passes_and_one_more_does_not() {
        let mut meter = Meter::new(3, Duration::ZERO);
        let burst: Vec<bool> = (0..4).map(|_| meter.admits(Duration::ZERO)).collect();
        assert_eq!(burst, [true, true, true, false]);
    }

    #[test]
    fn time_earns_it_back_and_never_more_than_the_rate() {
        let mut meter = Meter::new(2, Duration::ZERO);
        while meter.admits(Duration::ZERO) {}
        assert!(!meter.admits(Duration::from_millis(499)));
        assert!(meter.admits(Duration::from_millis(500)));
        let passed = (0..10).filter(|_| meter.admits(Duration::from_hours(1))).count();
        assert_eq!(passed, 2);
    }

    #[test]
    fn a_clock_that_goes_back_earns_nothing() {
        let mut meter = Meter::new(1, Duration::from_secs(10));
        assert!(meter.admits(Duration::from_secs(10)));
        assert!(!meter.admits(Duration::from_secs(5)));
        assert!(!meter.admits(Duration::from_secs(10)));
    }
}
