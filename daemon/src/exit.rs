//! How our programs end. A remote verb's own exit status is passed through beside these.

use std::process::{ExitCode, Termination};

use wire::control::FailureKind;

/// Why a program ends, told by its exit status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It did what it was asked to do.
    Done,
    /// It could not, for a reason that has no status of its own.
    Failed,
    /// It was asked wrongly.
    Usage,
    /// Time ran out.
    TimedOut,
    /// What it needs cannot be had now, so nothing was begun.
    Unavailable,
    /// Policy, or a limit, says no.
    Refused,
    /// A person ended it with Ctrl+C.
    Interrupted,
    /// The daemon cannot be reached, or went away.
    Gone,
}

impl Exit {
    /// The exit status.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::TimedOut => 124,
            Self::Unavailable => 125,
            Self::Refused => 126,
            Self::Interrupted => 130,
            Self::Gone => 255,
        }
    }
}

impl From<FailureKind> for Exit {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Usage => Self::Usage,
            FailureKind::Refused => Self::Refused,
            FailureKind::NotFound => Self::Failed,
            FailureKind::Unavailable => Self::Unavailable,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_no_has_the_status_that_is_documented() {
        let told = [
            FailureKind::Usage,
            FailureKind::Refused,
            FailureKind::NotFound,
            FailureKind::Unavailable,
        ];
        assert_eq!(told.map(|kind| Exit::from(kind).code()), [2, 126, 1, 125]);
        assert_eq!(
            [Exit::Done, Exit::TimedOut, Exit::Interrupted, Exit::Gone].map(Exit::code),
            [0, 124, 130, 255]
        );
    }
}
