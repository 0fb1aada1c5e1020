//! What was looked at, how it is, and what to do about it.

use std::fmt;

use serde_json::{Value, json};

use crate::failure::Failure;
use crate::neutral::one_line;

/// The most characters of a finding that are shown.
const MOST: usize = 2000;

/// How it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// It works, and is not as it should be.
    Warning,
    /// What it is needed for would fail.
    Fails,
}

impl Level {
    /// The word for programs.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Fails => "fails",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Ok | Self::Note | Self::Warning => self.word(),
            Self::Fails => "FAILS",
        })
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) level: Level,
    what: String,
    /// What to do; none where all is well.
    remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(what: impl AsRef<str>) -> Self {
        Self { level: Level::Ok, what: one_line(what.as_ref(), MOST), remedy: None }
    }

    /// Something else, with what to do.
    pub(crate) fn new(level: Level, what: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        let remedy = Some(one_line(remedy.as_ref(), MOST));
        Self { level, remedy, ..Self::ok(what) }
    }

    /// What another command would fail with. `remedy` is for a failure that names none.
    pub(crate) fn of(failure: &Failure, remedy: &str) -> Self {
        Self::new(Level::Fails, failure.what(), failure.remedy().unwrap_or(remedy))
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        json!({ "level": self.level.word(), "what": self.what, "remedy": self.remedy })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:<9}{}", self.level, self.what)?;
        self.remedy.iter().try_for_each(|remedy| write!(out, "\n   = {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_what_to_do_is_another() {
        assert_eq!(Finding::ok("a key").to_string(), "ok       a key");
        let fails = Finding::new(Level::Fails, "a\nrelay\u{1b}[2J", "see to it");
        assert_eq!(fails.to_string(), "FAILS    a relay\n   = see to it");
        assert_eq!(fails.json()["level"], "fails");
        assert!(Finding::ok("a key").json()["remedy"].is_null());
    }
}
