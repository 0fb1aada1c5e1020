//! What a person, or a program that asked for JSON, is told when something cannot be done.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::exit::Exit;
use crate::neutral::one_line;

/// The most characters that an error and its causes take.
const MOST: usize = 2000;

/// A failure as it is shown: its class, what happened, and what to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Failure {
    /// The exit status.
    pub(crate) exit: Exit,
    /// The class, for programs: `outcome.kind` in JSON.
    pub(crate) kind: Cow<'static, str>,
    pub(crate) what: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure of this class.
    pub(crate) fn new(exit: Exit, kind: &'static str, what: impl Into<String>) -> Self {
        Self { exit, kind: Cow::Borrowed(kind), what: what.into(), hint: None }
    }

    /// A failure that an error describes, with its causes.
    pub(crate) fn of(exit: Exit, kind: &'static str, error: &dyn Error) -> Self {
        Self::new(exit, kind, chain(error))
    }

    /// The same, with what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened.
    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it, where that is not said with what happened.
    pub(crate) fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The failure as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "schema": "openscope.failure/1",
            "event": "outcome",
            "outcome": { "kind": self.kind, "exit": self.exit.0 },
            "error": self.what,
            "hint": self.hint,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "error: {}", self.what)?;
        self.hint.iter().try_for_each(|hint| write!(out, "\n   = {hint}"))
    }
}

/// An error and its causes on one line; a peer's words in it are made harmless.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !told.ends_with(&words) {
            told = format!("{told}: {words}");
        }
        next = cause.source();
    }
    one_line(&told, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_then_what_to_do() {
        let failure =
            Failure::new(Exit::USAGE, "usage", "no passport is given").hint("use `--passport`");
        assert_eq!(failure.to_string(), "error: no passport is given\n   = use `--passport`");
        assert_eq!(failure.json()["outcome"]["exit"], 2);
    }

    #[test]
    fn causes_follow_on_the_same_line_without_repetition() {
        let cause = std::io::Error::other("disk\nfull");
        assert_eq!(chain(&cause), "disk full");
    }
}
