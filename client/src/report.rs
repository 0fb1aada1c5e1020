//! How a call went, for a person, for a program, and as an exit status.

use policy::RequestId;
use serde_json::{Value, json};
use wire::call::{CallId, Ending};

use crate::call::{Call, CallFault, Reached, Receipt};
use crate::clock::told as told_time;
use crate::conduct::Went;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::request::AskWent;
use crate::session::Over;
use crate::told;

/// The form of what is said of an asking.
const ASKING: &str = "openscope.request/1";

/// What is said of a call.
#[derive(Debug)]
pub(crate) struct Report {
    /// The exit status.
    pub(crate) exit: Exit,
    /// The class: `outcome.kind` in JSON.
    pub(crate) kind: &'static str,
    /// What a person is told, when there is something to tell.
    pub(crate) words: Option<String>,
    receipt: Option<Box<Receipt>>,
}

impl Report {
    /// For a call that went so.
    pub(crate) fn of(went: Went) -> Self {
        match went {
            Went::Ended(receipt) => Self::ended(receipt),
            Went::Refused(refusal) => {
                let words = format!("{}\n   = {}", told::refusal(&refusal), told::remedy(&refusal));
                Self::plain(Exit::of_refusal(&refusal), told::refusal_kind(&refusal), words)
            }
            Went::Stopped(exit, Some(receipt)) => {
                // What had ended before the daemon heard of the cancelling has its own outcome.
                let report = Self::ended(receipt);
                Self { exit, ..report }
            }
            Went::Stopped(exit, None) => {
                let words = "cancelled; the daemon has not yet said that everything is ended there";
                Self::plain(exit, "cancelled", words.to_owned())
            }
            Went::Fault(fault) => Self::fault(&fault),
        }
    }

    /// For an asking that went so.
    pub(crate) fn of_asking(went: &AskWent) -> Self {
        match went {
            AskWent::Granted => {
                Self::plain(Exit::DONE, "granted", "granted: the share has it now".to_owned())
            }
            AskWent::Refused(refusal) => {
                let remedy = told::remedy_of_asking(refusal);
                let words = format!("{}\n   = {remedy}", told::refusal(refusal));
                Self::plain(Exit::of_refusal(refusal), told::refusal_kind(refusal), words)
            }
            AskWent::Withdrawn(exit) => Self::plain(*exit, "cancelled", "withdrawn".to_owned()),
            AskWent::Fault(CallFault::Over(over, _)) => {
                Self::plain(Exit::GONE, over_kind(over), over_words(over))
            }
            AskWent::Fault(fault) => Self::fault(fault),
        }
    }

    /// The same, where a share that ended took the call with it: with the owner's reason.
    #[must_use]
    pub(crate) fn under(mut self, over: Option<&Over>) -> Self {
        let ending = self.receipt.as_ref().map(|receipt| &receipt.outcome.ending);
        if let (Some(Over::Ended(end)), Some(Ending::Revoked | Ending::Expired)) = (over, ending) {
            self.words = Some(format!("{}; the verb was ended", told::share_end(end)));
        }
        self
    }

    /// The same, told otherwise.
    #[must_use]
    pub(crate) fn judged(self, exit: Exit, kind: &'static str, words: Option<String>) -> Self {
        Self { exit, kind, words, ..self }
    }

    pub(crate) fn plain(exit: Exit, kind: &'static str, words: String) -> Self {
        Self { exit, kind, words: Some(words), receipt: None }
    }

    fn ended(receipt: Box<Receipt>) -> Self {
        let ending = &receipt.outcome.ending;
        let words = match (told::ending(ending), receipt.is_complete()) {
            (Some(words), _) => Some(words),
            (None, false) => Some(missing(&receipt)),
            (None, true) => None,
        };
        let masked = masked(receipt.outcome.redactions);
        let words = match (words, masked) {
            (Some(words), Some(masked)) => Some(format!("{words}\n{masked}")),
            (words, masked) => words.or(masked),
        };
        Self {
            exit: Exit::of_ending(ending),
            kind: told::ending_kind(ending),
            words,
            receipt: Some(receipt),
        }
    }

    fn fault(fault: &CallFault) -> Self {
        match fault {
            CallFault::Over(over, reached) => {
                let words = format!("{}; {}", over_words(over), known(*reached));
                Self::plain(Exit::GONE, over_kind(over), words)
            }
            CallFault::Cancelled(reached) => Self::plain(
                Exit::INTERRUPTED,
                "cancelled",
                format!("cancelled; {}", known(*reached)),
            ),
            CallFault::Receipt(_) => Self::plain(Exit::GONE, "bad_receipt", chain(fault)),
            CallFault::Protocol(_) | CallFault::Unanswered => {
                Self::plain(Exit::GONE, "protocol", chain(fault))
            }
            CallFault::TooLarge(_) | CallFault::Random(_) => {
                Self::plain(Exit::NOT_RUN, "not_sent", chain(fault))
            }
        }
    }

    /// For a program, of an asking.
    pub(crate) fn asking_json(&self, id: CallId) -> Value {
        json!({
            "schema": ASKING,
            "event": "outcome",
            "id": id.to_string(),
            "outcome": { "kind": self.kind, "exit": self.exit.0, "message": self.words },
        })
    }

    /// For a program.
    pub(crate) fn json(&self, call: &Call) -> Value {
        let outcome = self.receipt.as_ref().map(|receipt| &receipt.outcome);
        let (exited, signaled) = match outcome.map(|outcome| &outcome.ending) {
            Some(Ending::Exited(status)) => (Some(*status), None),
            Some(Ending::Signaled(signal)) => (None, Some(*signal)),
            _ => (None, None),
        };
        json!({
            "schema": "openscope.call/1",
            "event": "outcome",
            "id": call.id().to_string(),
            "outcome": {
                "kind": self.kind,
                "exit": self.exit.0,
                "status": exited,
                "signal": signaled,
                "message": self.words,
                "stdout_bytes": outcome.map(|outcome| outcome.stdout),
                "stderr_bytes": outcome.map(|outcome| outcome.stderr),
                "stdin_bytes": outcome.map(|outcome| outcome.stdin),
                "redactions": outcome.map(|outcome| outcome.redactions),
                "complete": self.receipt.as_ref().map(|receipt| receipt.is_complete()),
                "started": outcome.map(|outcome| told_time(outcome.started)),
                "ended": outcome.map(|outcome| told_time(outcome.ended)),
                "signed": self.receipt.is_some(),
            },
        })
    }
}

/// That an asking waits, for a program.
pub(crate) fn asking_pending(id: CallId, request: RequestId) -> Value {
    json!({
        "schema": ASKING,
        "event": "pending",
        "id": id.to_string(),
        "request": request.to_string(),
    })
}

/// That a call waits, for a program.
pub(crate) fn pending(call: CallId, request: RequestId) -> Value {
    json!({
        "schema": "openscope.call/1",
        "event": "pending",
        "id": call.to_string(),
        "request": request.to_string(),
    })
}

/// That something in the output is not what the program wrote.
fn masked(redactions: u64) -> Option<String> {
    match redactions {
        0 => None,
        1 => Some("1 secret in the output was masked on the owner's side".to_owned()),
        many => Some(format!("{many} secrets in the output were masked on the owner's side")),
    }
}

fn missing(receipt: &Receipt) -> String {
    let lost = (receipt.outcome.stdout + receipt.outcome.stderr)
        .saturating_sub(receipt.stdout + receipt.stderr);
    format!("the verb ended, and {lost} bytes of its output were lost on the way")
}

fn known(reached: Reached) -> &'static str {
    match reached {
        Reached::Nothing => "the call was not sent",
        Reached::Sent => "whether the call ran is not known",
        Reached::Started => "the call had started, and whether it finished is not known",
    }
}

/// Why a session is over, for a person.
pub(crate) fn over_words(over: &Over) -> String {
    match over {
        Over::Ended(end) => told::share_end(end),
        Over::Gone(fault) => chain(&**fault),
        Over::Replaced => "another session of yours has taken this seat".to_owned(),
        Over::Closed => "the session was closed".to_owned(),
    }
}

/// Why a session is over, for a program.
pub(crate) fn over_kind(over: &Over) -> &'static str {
    match over {
        Over::Ended(end) => told::share_end_kind(end),
        Over::Gone(_) => "gone",
        Over::Replaced => "replaced",
        Over::Closed => "closed",
    }
}

/// That a session is over, as what ends the program.
pub(crate) fn is_over(over: &Over) -> Failure {
    match over {
        Over::Ended(end) => {
            Failure::new(Exit::GONE, told::share_end_kind(end), told::share_end(end))
        }
        Over::Gone(fault) => Failure::of(Exit::GONE, "unreachable", &**fault),
        Over::Replaced => {
            Failure::new(Exit::GONE, "replaced", "the same key has come back on newer channels")
        }
        Over::Closed => Failure::new(Exit::GONE, "closed", "the session is over"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::frame::{Refusal, ShareEnd};

    #[test]
    fn a_refusal_says_what_to_do_and_is_126() {
        let report =
            Report::of(Went::Refused(Refusal::Denied(policy::PublicRefusal::NotPermitted)));
        assert_eq!((report.exit, report.kind), (Exit::REFUSED, "refused"));
        assert!(report.words.unwrap().starts_with("refused: not permitted\n   = "));
    }

    #[test]
    fn what_comes_of_an_asking_has_a_status_and_a_kind_of_its_own() {
        let denied = |why| AskWent::Refused(Refusal::Denied(why));
        let over = Over::Ended(ShareEnd::Revoked { reason: None });
        for (went, exit, kind) in [
            (AskWent::Granted, Exit::DONE, "granted"),
            (denied(policy::PublicRefusal::NotPermitted), Exit::REFUSED, "refused"),
            (denied(policy::PublicRefusal::Declined), Exit::REFUSED, "declined"),
            (AskWent::Withdrawn(Exit::INTERRUPTED), Exit::INTERRUPTED, "cancelled"),
            (AskWent::Fault(CallFault::Over(over, Reached::Sent)), Exit::GONE, "revoked"),
            (AskWent::Fault(CallFault::Unanswered), Exit::GONE, "protocol"),
        ] {
            let report = Report::of_asking(&went);
            assert_eq!((report.exit, report.kind), (exit, kind), "{went:?}");
        }
    }

    #[test]
    fn a_share_that_ends_under_a_call_says_what_is_known_of_the_call() {
        let over = Over::Ended(ShareEnd::Revoked { reason: None });
        let report = Report::of(Went::Fault(CallFault::Over(over, Reached::Started)));
        assert_eq!((report.exit, report.kind), (Exit::GONE, "revoked"));
        let words = report.words.unwrap();
        assert_eq!(
            words,
            "the share was revoked; the call had started, and whether it finished is not known"
        );
    }
}
