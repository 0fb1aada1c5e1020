//! How much output a call may pass on: both of its streams together, as plain data.

/// What is left of a call's output limit.
#[derive(Debug)]
pub(super) struct Budget {
    left: u64,
    state: State,
}

#[derive(Debug, Eq, PartialEq)]
enum State {
    Within,
    Over,
}

/// What happens to a piece of output.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict {
    /// All of it goes on.
    Pass,
    /// So many bytes go on; the rest is over the limit, for the first time.
    Overflow(usize),
    /// None of it goes on: the limit was passed before.
    Discard,
}

impl Budget {
    /// `max` bytes may be passed on.
    pub(super) fn new(max: u64) -> Self {
        Self { left: max, state: State::Within }
    }

    /// Decides on the next `length` bytes, and counts what goes on.
    pub(super) fn admit(&mut self, length: usize) -> Verdict {
        if self.state == State::Over {
            return Verdict::Discard;
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let passed = length.min(left);
        self.left = self.left.saturating_sub(u64::try_from(passed).unwrap_or(u64::MAX));
        if passed == length {
            return Verdict::Pass;
        }
        self.state = State::Over;
        Verdict::Overflow(passed)
    }

    /// Whether the limit was passed.
    pub(super) fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ru3_the_limit_is_exact_and_told_once() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.admit(9), Verdict::Pass);
        assert_eq!(budget.admit(1), Verdict::Pass);
        assert!(!budget.is_over());
        assert_eq!(budget.admit(1), Verdict::Overflow(0));
        assert_eq!(budget.admit(1), Verdict::Discard);
        assert!(budget.is_over());
    }

    #[test]
    fn a_piece_that_straddles_the_limit_is_cut_there() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.admit(64), Verdict::Overflow(10));
        assert_eq!(budget.admit(64), Verdict::Discard);
    }

    #[test]
    fn a_verb_that_may_say_nothing_may_end_in_silence() {
        let mut budget = Budget::new(0);
        assert_eq!(budget.admit(0), Verdict::Pass);
        assert_eq!(budget.admit(1), Verdict::Overflow(0));
    }

    proptest! {
        #[test]
        fn what_is_passed_on_is_the_first_bytes_up_to_the_limit(max in 0u64..5000, pieces: Vec<u8>) {
            let mut budget = Budget::new(max);
            let passed: u64 = pieces.iter().map(|length| match budget.admit(usize::from(*length)) {
                Verdict::Pass => u64::from(*length),
                Verdict::Overflow(passed) => passed as u64,
                Verdict::Discard => 0,
            }).sum();
            let said: u64 = pieces.iter().map(|length| u64::from(*length)).sum();
            prop_assert_eq!(passed, said.min(max));
            prop_assert_eq!(budget.is_over(), said > max);
        }
    }
}
