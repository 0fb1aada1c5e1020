//! Why a command was not done, told to the person who asked: what happened, then what to do.

use serde_json::{Value, json};
use wire::control::{Failure, FailureKind};

use super::shown;
use crate::exit::Exit;

/// A failure with its exit status.
#[derive(Debug)]
pub(super) struct Fault {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Fault {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(super) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// The reader of our output has gone; it has what it wanted, and there is no one to tell.
    pub(super) fn unread() -> Self {
        Self::new(Exit::Done, "")
    }

    /// An answer to another question than the one asked.
    pub(super) fn unfitting() -> Self {
        Self::new(Exit::Gone, "the daemon's answer does not fit the question")
            .hint("the daemon may be of another version: compare `openscope --version` with `openscope status`")
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether there is anything to say.
    pub(super) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// What to do, one line each.
    pub(super) fn hints(&self) -> impl Iterator<Item = &str> {
        self.hint.iter().flat_map(|hint| hint.lines())
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "schema": "openscope.error/1",
            "exit": self.exit.code(),
            "message": self.message,
            "hint": self.hint,
        })
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        let hint = failure.hint.as_deref().map(shown::lines).or_else(|| usual_hint(failure.kind));
        Self { exit: failure.kind.into(), message: shown::lines(&failure.message), hint }
    }
}

fn usual_hint(kind: FailureKind) -> Option<String> {
    match kind {
        FailureKind::Refused => {
            Some("see what you could share with `openscope capabilities`".to_owned())
        }
        FailureKind::NotFound => {
            Some("see your live shares with `openscope share list`".to_owned())
        }
        FailureKind::Unavailable => Some("see what is wrong with `openscope status`".to_owned()),
        FailureKind::Usage => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_daemons_keeps_its_own_hint_and_status() {
        let failure = Failure {
            kind: FailureKind::Refused,
            message: "`31m` is more than `limits.max_ttl`".to_owned(),
            hint: Some("ask for 30m".to_owned()),
        };
        let fault = Fault::from(failure);
        assert_eq!(fault.exit(), Exit::Refused);
        assert_eq!(fault.hints().collect::<Vec<_>>(), ["ask for 30m"]);
    }

    #[test]
    fn a_failure_cannot_draw_on_the_terminal() {
        let failure = Failure {
            kind: FailureKind::NotFound,
            message: "no \u{1b}[2Jshare".to_owned(),
            hint: None,
        };
        let fault = Fault::from(failure);
        assert_eq!(fault.message(), "no \\u{1b}[2Jshare");
        assert!(fault.hints().next().is_some());
    }
}
