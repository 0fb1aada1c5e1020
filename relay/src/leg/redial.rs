//! How long to wait before dialling again, as plain data: whoever dials keeps one per relay.

use std::time::Duration;

use super::fault::DialFault;

/// A relay that has restarted is back at once; so is a host that dials it again.
const SOON: Duration = Duration::from_millis(100);

/// A relay that stays away is asked this often.
const LONGEST: Duration = Duration::from_secs(15);

/// What a person has to mend is asked for no more often than this.
const MENDED_BY_HAND: Duration = Duration::from_mins(1);

/// A leg that lived this long was a good one: its loss is no reason to wait.
const STABLE: Duration = Duration::from_secs(10);

/// Exponential back-off with jitter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Redial {
    failures: u32,
}

impl Redial {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long to wait after a dial that failed. `random` is any random number: it spreads a crowd that lost the same
    /// relay at the same time.
    pub fn after_fault(&mut self, fault: &DialFault, random: u32) -> Duration {
        self.failures = self.failures.saturating_add(1);
        match fault {
            // The host may be on its way, too: ask soon, and not ever more seldom.
            DialFault::NotHere => spread(SOON.saturating_mul(2), random),
            DialFault::TokenInvalid
            | DialFault::TokenUnbound
            | DialFault::TokenExpired
            | DialFault::Pin { .. }
            | DialFault::Certificate { .. }
            | DialFault::NotRelay { .. } => spread(MENDED_BY_HAND, random),
            DialFault::Resolve { .. }
            | DialFault::Unreachable { .. }
            | DialFault::Socket(_)
            | DialFault::Full
            | DialFault::Draining
            | DialFault::Narrow { .. }
            | DialFault::Lost(_) => spread(self.step(), random),
        }
    }

    /// How long to wait after the loss of a leg that lived for `lived`.
    pub fn after_loss(&mut self, lived: Duration, random: u32) -> Duration {
        if lived >= STABLE {
            self.failures = 0;
            return Duration::ZERO;
        }
        self.failures = self.failures.saturating_add(1);
        spread(self.step(), random)
    }

    fn step(self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(16);
        SOON.saturating_mul(1 << doublings).min(LONGEST)
    }
}

/// Between a half and the whole of `longest`.
fn spread(longest: Duration, random: u32) -> Duration {
    let half = longest / 2;
    half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> DialFault {
        DialFault::Unreachable { address: "relay:1".parse().unwrap() }
    }

    #[test]
    fn a_relay_that_stays_away_is_asked_ever_more_seldom_up_to_a_bound() {
        let mut redial = Redial::new();
        let waits: Vec<_> = (0..20).map(|_| redial.after_fault(&away(), u32::MAX)).collect();
        assert_eq!(waits[0], SOON);
        assert!(waits.is_sorted());
        assert_eq!(waits[19], LONGEST);
    }

    #[test]
    fn jitter_takes_at_most_half() {
        assert_eq!(Redial::new().after_fault(&away(), 0), SOON / 2);
        assert_eq!(Redial::new().after_fault(&away(), u32::MAX), SOON);
    }

    #[test]
    fn a_host_that_is_not_there_is_asked_for_soon_however_often() {
        let mut redial = Redial::new();
        for _ in 0..50 {
            assert!(redial.after_fault(&DialFault::NotHere, u32::MAX) <= SOON * 2);
        }
    }

    #[test]
    fn the_loss_of_a_leg_that_lived_long_is_no_reason_to_wait_and_of_a_short_one_is() {
        let mut redial = Redial::new();
        assert_eq!(redial.after_loss(STABLE, 7), Duration::ZERO);
        let first = redial.after_loss(STABLE / 2, u32::MAX);
        assert!(redial.after_loss(STABLE / 2, u32::MAX) > first);
    }

    #[test]
    fn what_a_person_must_mend_is_not_hammered() {
        let wait = Redial::new().after_fault(&DialFault::TokenExpired, 0);
        assert!(wait >= MENDED_BY_HAND / 2);
    }
}
