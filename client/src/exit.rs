//! What the program's exit status says.

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use wire::call::Ending;
use wire::frame::Refusal;

/// An exit status of ours, or the one that the verb's program gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exit(pub(crate) u8);

impl Exit {
    /// All is well.
    pub(crate) const DONE: Self = Self(0);
    /// It was done, and not as it should be.
    pub(crate) const FAILED: Self = Self(1);
    /// The command line, or what it names, is wrong; nothing was sent.
    pub(crate) const USAGE: Self = Self(2);
    /// The verb ran longer than it may.
    pub(crate) const TIMED_OUT: Self = Self(124);
    /// It failed before the verb ran.
    pub(crate) const NOT_RUN: Self = Self(125);
    /// The daemon refused.
    pub(crate) const REFUSED: Self = Self(126);
    /// The share lists no such verb.
    pub(crate) const UNKNOWN_VERB: Self = Self(127);
    /// Ctrl+C, as a shell tells it.
    pub(crate) const INTERRUPTED: Self = Self(130);
    /// The verb wrote or was given what it may not and was killed (SIGKILL), as a shell tells it.
    pub(crate) const KILLED: Self = Self(137);
    /// Standard output was closed (SIGPIPE), as a shell tells it.
    pub(crate) const PIPE: Self = Self(141);
    /// SIGTERM, as a shell tells it.
    pub(crate) const TERMINATED: Self = Self(143);
    /// No session, or it is over.
    pub(crate) const GONE: Self = Self(255);

    /// For a call that ended so.
    pub(crate) fn of_ending(ending: &Ending) -> Self {
        match ending {
            Ending::Exited(status) => Self(*status),
            Ending::Signaled(signal) => Self(128_u8.saturating_add(*signal)),
            Ending::TimedOut => Self::TIMED_OUT,
            Ending::OutputLimit | Ending::InputLimit | Ending::BadInput => Self::KILLED,
            Ending::Cancelled => Self::INTERRUPTED,
            Ending::Withdrawn => Self::REFUSED,
            Ending::NotStarted(_) => Self::NOT_RUN,
            Ending::TargetLost(_) | Ending::Revoked | Ending::Expired | Ending::Interrupted => {
                Self::GONE
            }
        }
    }

    /// For a call that was refused so.
    pub(crate) fn of_refusal(refusal: &Refusal) -> Self {
        match refusal {
            Refusal::Denied(_) => Self::REFUSED,
            Refusal::NoSeat => Self::GONE,
            Refusal::BadCall
            | Refusal::Reused
            | Refusal::Running
            | Refusal::Busy { .. }
            | Refusal::Unrecorded
            | Refusal::Failed => Self::NOT_RUN,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remote_status_is_passed_through_and_a_signal_is_told_as_a_shell_does() {
        assert_eq!(Exit::of_ending(&Ending::Exited(0)), Exit::DONE);
        assert_eq!(Exit::of_ending(&Ending::Exited(124)), Exit(124));
        assert_eq!(Exit::of_ending(&Ending::Signaled(9)), Exit(137));
        assert_eq!(Exit::of_ending(&Ending::Signaled(255)), Exit(255));
    }

    #[test]
    fn a_limit_is_told_as_the_kill_that_it_is() {
        for ending in [Ending::OutputLimit, Ending::InputLimit, Ending::BadInput] {
            assert_eq!(Exit::of_ending(&ending), Exit::KILLED);
        }
    }

    #[test]
    fn only_a_denial_is_told_as_refused() {
        assert_eq!(Exit::of_refusal(&Refusal::Unrecorded), Exit::NOT_RUN);
        assert_eq!(Exit::of_refusal(&Refusal::NoSeat), Exit::GONE);
        assert_eq!(Exit::of_ending(&Ending::Withdrawn), Exit::REFUSED);
    }
}
