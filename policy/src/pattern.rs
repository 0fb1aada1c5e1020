//! A regular expression that must match the whole of a text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use regex_automata::dfa::{Automaton, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;
use regex_automata::{Anchored as AnchoredAt, Input};
use serde::{Deserialize, Serialize};

use crate::name::shown;

/// The most bytes that a pattern's source may have.
pub const MAX_PATTERN_BYTES: usize = 256;

const MAX_NESTING: u32 = 16;

/// How large a pattern's automaton may become while it is made. What does not fit is refused, never
/// run another way: matching is one table look-up a byte for every pattern that exists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    nfa: usize,
    dfa: usize,
    determinize: usize,
}

impl Budget {
    /// For what root wrote: at worst some 25 ms, when the policy is loaded.
    pub(crate) const ROOT: Self = Self { nfa: 128 << 10, dfa: 256 << 10, determinize: 512 << 10 };
    /// For what a holder chose: at worst some 400 µs of the one thread that decides.
    pub(crate) const HOLDER: Self = Self { nfa: 8 << 10, dfa: 16 << 10, determinize: 16 << 10 };
}

/// A regular expression, compiled once, that a text matches only as a whole and in linear time.
///
/// It works on bytes: `\d`, `\w` and `\s` mean ASCII, and `.` is any one byte, line ends included, so
/// that a newline in a value never slips past a rule that denies.
#[derive(Clone)]
pub struct Anchored {
    source: String,
    automaton: Arc<dense::DFA<Vec<u32>>>,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PatternFault {
    /// More than [`MAX_PATTERN_BYTES`].
    #[error("a pattern of {0} bytes is longer than the {MAX_PATTERN_BYTES} allowed")]
    TooLong(usize),
    /// Not a regular expression.
    #[error("`{0}` is not a regular expression: {1}")]
    Malformed(String, String),
    /// Its automaton does not fit the limits.
    #[error("the pattern `{0}` is too complex: shorten its repetitions, or list the values")]
    TooComplex(String),
}

impl Anchored {
    /// Compiles a pattern, within limits on its size and its automaton's.
    ///
    /// # Errors
    /// When it is no regular expression, too long, or too complex.
    pub fn new(source: &str) -> Result<Self, PatternFault> {
        Self::within(source, Budget::ROOT)
    }

    pub(crate) fn within(source: &str, budget: Budget) -> Result<Self, PatternFault> {
        if source.len() > MAX_PATTERN_BYTES {
            return Err(PatternFault::TooLong(source.len()));
        }
        // Alone first, so that `a)|(b` or an open comment cannot escape the group put around it.
        syntax::parse_with(source, &syntax()).map_err(|fault| malformed(source, &fault))?;
        let whole = format!(r"(?:{source})\z");
        syntax::parse_with(&whole, &syntax()).map_err(|fault| malformed(source, &fault))?;
        let automaton = dense::Builder::new()
            .syntax(syntax())
            .thompson(thompson::Config::new().nfa_size_limit(Some(budget.nfa)).utf8(false))
            .configure(limits(budget))
            .build(&whole)
            .map_err(|_| PatternFault::TooComplex(shown(source)))?;
        Ok(Self { source: source.to_owned(), automaton: Arc::new(automaton) })
    }

    /// Whether the whole text matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let whole = Input::new(text).anchored(AnchoredAt::Yes).earliest(true);
        matches!(self.automaton.try_search_fwd(&whole), Ok(Some(_)))
    }

    /// Whether some text that matches may begin with this byte; yes where it cannot be told.
    pub(crate) fn may_begin_with(&self, byte: u8) -> bool {
        let start = self.automaton.start_state_forward(&Input::new("").anchored(AnchoredAt::Yes));
        start.map_or(true, |start| {
            !self.automaton.is_dead_state(self.automaton.next_state(start, byte))
        })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

fn syntax() -> syntax::Config {
    syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true)
        .nest_limit(MAX_NESTING)
}

fn limits(budget: Budget) -> dense::Config {
    dense::Config::new()
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(budget.dfa))
        .determinize_size_limit(Some(budget.determinize))
}

fn malformed(source: &str, fault: &impl fmt::Display) -> PatternFault {
    // The parser draws the pattern over several lines; its last line says what is wrong.
    let drawn = fault.to_string();
    let last = drawn.lines().last().unwrap_or_default();
    PatternFault::Malformed(shown(source), shown(last.trim_start_matches("error: ")))
}

impl FromStr for Anchored {
    type Err = PatternFault;

    fn from_str(source: &str) -> Result<Self, PatternFault> {
        Self::new(source)
    }
}

impl PartialEq for Anchored {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Anchored {}

impl PartialOrd for Anchored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Anchored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}

impl Hash for Anchored {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source.hash(state);
    }
}

impl fmt::Debug for Anchored {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "/{}/", self.source)
    }
}

impl Serialize for Anchored {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Anchored {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let source = String::deserialize(from)?;
        Self::new(&source).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        Anchored::new(pattern).unwrap().matches(text)
    }

    #[test]
    fn a_pattern_matches_only_the_whole_text() {
        assert!(matches("[a-z][a-z0-9-]*", "web-1"));
        assert!(!matches("[a-z][a-z0-9-]*", "web-1\n"));
        assert!(!matches("[a-z][a-z0-9-]*", "web 1"));
        assert!(!matches("[a-z]+", "9abc"));
        assert!(matches("a|ab", "ab"));
        assert!(!matches("a|ab", "abc"));
        assert!(matches("", ""));
        assert!(!matches("", "x"));
    }

    #[test]
    fn a_pattern_knows_how_its_texts_may_begin() {
        for (pattern, dash) in [
            ("[a-z][a-z0-9-]*", false),
            ("-?[a-z]+", true),
            (".*", true),
            ("[^-].*", false),
            ("a|-b", true),
            ("", false),
        ] {
            assert_eq!(Anchored::new(pattern).unwrap().may_begin_with(b'-'), dash, "{pattern}");
        }
    }

    #[test]
    fn a_group_put_around_a_pattern_cannot_be_left() {
        for escape in ["a)|(?:b", "a)(", "(?x)a # comment (", "a\\"] {
            assert!(Anchored::new(escape).is_err(), "{escape}");
        }
        assert!(!matches("(?x)a", "ab"));
        assert!(!matches("(?m)a$", "a\nb"));
        assert!(!matches("a|b", "ax"));
    }

    #[test]
    fn a_dot_is_any_byte_and_classes_are_ascii() {
        assert!(matches(".*secret.*", "a\nsecret\nb"));
        assert!(matches(".*secret.*", "é secret"));
        assert!(!matches(r"\d+", "٣"));
        assert!(!matches(r"\w+", "é"));
        assert!(matches("é+", "éé"));
    }

    #[test]
    fn a_pattern_has_at_most_256_bytes() {
        assert!(Anchored::new(&"a".repeat(255)).is_ok());
        assert!(Anchored::new(&"a".repeat(256)).is_ok());
        assert_eq!(Anchored::new(&"a".repeat(257)), Err(PatternFault::TooLong(257)));
    }

    #[test]
    fn ordinary_patterns_fit_the_limits() {
        for pattern in [
            "[a-z][a-z0-9-]{0,62}",
            r"(\d{1,3}\.){3}\d{1,3}",
            r"[A-Za-z0-9._-]{1,128}\.log",
            r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            r"[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}",
            ".{0,200}",
            r"(?i)(web|db|cache)-\d+\.(eu|us|ap)-(north|south|east|west)-\d\.example\.com",
        ] {
            assert!(Anchored::new(pattern).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_would_explode_is_refused() {
        for pattern in [
            r"(a|b)*a(a|b){20}",
            r"((a{0,9}){0,9}){0,9}{9}b",
            r"((a{9}){9}){9}{9}",
            r"\w{1000}{1000}",
            r"(?u:\w{50})",
            r"(?u:a\b)",
        ] {
            assert!(Anchored::new(pattern).is_err(), "{pattern}");
        }
        assert!(Anchored::new(&"(".repeat(100)).is_err());
        assert!(Anchored::new(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).is_err());
    }

    #[test]
    fn a_fault_names_what_is_wrong_on_one_line() {
        let fault = Anchored::new("[a-").unwrap_err().to_string();
        assert!(fault.starts_with("`[a-` is not a regular expression: "), "{fault}");
        assert!(!fault.contains('\n'), "{fault}");
    }
}
