//! What a person is told about what the daemon said.

use policy::{ParameterProblem, PublicRefusal};
use wire::call::Ending;
use wire::frame::{Refusal, ShareEnd};

use crate::neutral::one_line;

/// An owner's reason or a daemon's word, at most so many characters.
const MOST: usize = 300;

/// Why the daemon said no.
pub(crate) fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Denied(PublicRefusal::NotPermitted) => "refused: not permitted".to_owned(),
        Refusal::Denied(why) => format!("refused: {}", one_line(&why.to_string(), MOST)),
        Refusal::NoSeat => {
            "there is no such share, or it is over, or this seat is held by another key".to_owned()
        }
        Refusal::BadCall => {
            "the daemon does not accept the call's signature or its time".to_owned()
        }
        Refusal::Reused => "this call id was used for another call".to_owned(),
        Refusal::Running => "this call is running already".to_owned(),
        Refusal::Busy { limit } => {
            format!("a limit of the daemon's is reached: `{}`", one_line(limit, 80))
        }
        Refusal::Unrecorded => {
            "the daemon could not put it on record, so it was not done".to_owned()
        }
        Refusal::Failed => "the daemon could not do it; nothing ran".to_owned(),
    }
}

/// What to do about it.
pub(crate) fn remedy(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied(PublicRefusal::Parameter { problem, .. }) => match problem {
            ParameterProblem::Value { .. }
            | ParameterProblem::Kind { .. }
            | ParameterProblem::Option
            | ParameterProblem::Control
            | ParameterProblem::Segment
            | ParameterProblem::Spelling
            | ParameterProblem::Unlisted => "give another value, or ask the owner to share more",
            ParameterProblem::Undeclared | ParameterProblem::Missing => {
                "`list` shows what each verb takes"
            }
        },
        Refusal::Denied(PublicRefusal::Spent) => "ask the owner for another share",
        Refusal::Denied(PublicRefusal::Declined | PublicRefusal::Unanswered) => {
            "talk to the owner, then call again: each call asks anew"
        }
        Refusal::Denied(_) => "`list` shows what may be called; ask the owner to share more",
        Refusal::NoSeat => "ask the owner for a new handle",
        Refusal::BadCall => {
            "try again; if it stays so, the owner should look at `openscope status`"
        }
        Refusal::Reused | Refusal::Running => "leave out `--id` to make a new call",
        Refusal::Busy { .. } => {
            "wait until a call of yours has ended, or ask the owner to raise the limit"
        }
        Refusal::Unrecorded | Refusal::Failed => {
            "tell the owner: the daemon's machine needs attention"
        }
    }
}

/// What to do about it, where more of the share was asked for.
pub(crate) fn remedy_of_asking(why: &Refusal) -> &'static str {
    match why {
        Refusal::Denied(PublicRefusal::Declined | PublicRefusal::Unanswered) => "talk to the owner",
        Refusal::Denied(_) => "the owner cannot add it to this share: talk to them",
        Refusal::Busy { .. } => "wait until something that you asked for is answered",
        Refusal::NoSeat
        | Refusal::BadCall
        | Refusal::Reused
        | Refusal::Running
        | Refusal::Unrecorded
        | Refusal::Failed => remedy(why),
    }
}

/// The class of a refusal, for programs.
pub(crate) fn refusal_kind(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Denied(PublicRefusal::Spent) => "spent",
        Refusal::Denied(PublicRefusal::Declined) => "declined",
        Refusal::Denied(PublicRefusal::Unanswered) => "unanswered",
        Refusal::Denied(_) => "refused",
        Refusal::NoSeat => "no_seat",
        Refusal::BadCall => "bad_call",
        Refusal::Reused => "reused",
        Refusal::Running => "running",
        Refusal::Busy { .. } => "busy",
        Refusal::Unrecorded => "unrecorded",
        Refusal::Failed => "failed",
    }
}

/// Why the share is over.
pub(crate) fn share_end(end: &ShareEnd) -> String {
    match end {
        ShareEnd::Expired => "the share has expired".to_owned(),
        ShareEnd::Revoked { reason: None } => "the share was revoked".to_owned(),
        ShareEnd::Revoked { reason: Some(reason) } => {
            format!("the share was revoked: {}", one_line(reason, MOST))
        }
        ShareEnd::Stopped => "the share is over: its daemon has stopped".to_owned(),
    }
}

/// The class of an end, for programs.
pub(crate) fn share_end_kind(end: &ShareEnd) -> &'static str {
    match end {
        ShareEnd::Expired => "expired",
        ShareEnd::Revoked { .. } => "revoked",
        ShareEnd::Stopped => "stopped",
    }
}

/// How a call ended, where there is more to say than its status.
pub(crate) fn ending(ending: &Ending) -> Option<String> {
    Some(match ending {
        Ending::Exited(_) => return None,
        Ending::Signaled(signal) => format!("the verb was ended by signal {signal}"),
        Ending::TimedOut => "the verb ran longer than it may and was ended".to_owned(),
        Ending::OutputLimit => "the verb wrote more than it may and was ended".to_owned(),
        Ending::InputLimit => "you gave the verb more than it takes, and it was ended".to_owned(),
        Ending::BadInput => {
            "you gave the verb what is no text, and it takes nothing else: it was ended".to_owned()
        }
        Ending::Cancelled => "cancelled: everything that it started there is gone".to_owned(),
        Ending::Revoked => "the owner revoked the share: the verb was ended".to_owned(),
        Ending::Expired => "the share has expired: the verb was ended".to_owned(),
        Ending::Withdrawn => "policy no longer permits it: the verb was ended".to_owned(),
        Ending::Interrupted => {
            "interrupted: the daemon went down meanwhile, and whether the verb finished is not known".to_owned()
        }
        Ending::NotStarted(why) => format!("the verb could not be started: {}", one_line(why, MOST)),
        Ending::TargetLost(why) => {
            format!("{}; whether the verb ran there is not known", one_line(why, MOST))
        }
    })
}

/// The class of an ending, for programs.
pub(crate) fn ending_kind(ending: &Ending) -> &'static str {
    match ending {
        Ending::Exited(_) => "exited",
        Ending::Signaled(_) => "signaled",
        Ending::TimedOut => "timed_out",
        Ending::OutputLimit => "output_limit",
        Ending::InputLimit => "input_limit",
        Ending::BadInput => "bad_input",
        Ending::Cancelled => "cancelled",
        Ending::Revoked => "revoked",
        Ending::Expired => "expired",
        Ending::Withdrawn => "withdrawn",
        Ending::Interrupted => "interrupted",
        Ending::NotStarted(_) => "not_started",
        Ending::TargetLost(_) => "target_lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owners_reason_cannot_write_to_the_terminal() {
        let end = ShareEnd::Revoked { reason: Some("bye\u{1b}]0;x\u{7}\nerror: y".to_owned()) };
        assert_eq!(share_end(&end), "the share was revoked: bye error: y");
    }

    #[test]
    fn a_reason_is_cut_at_its_limit() {
        let told =
            |length: usize| share_end(&ShareEnd::Revoked { reason: Some("x".repeat(length)) });
        assert!(told(MOST).ends_with('x'));
        assert!(told(MOST + 1).ends_with('…'));
    }
}
