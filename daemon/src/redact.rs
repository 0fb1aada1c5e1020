//! Secrets in a verb's output are replaced by a mark, whatever pieces it comes in.
//!
//! What is held back is at most the line that is being written, and of a long line its end. How long, is for whoever
//! feeds a [`Redactor`] to say: after [`Redactor::flush`] nothing is held.

mod rules;
mod verdict;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use rules::Rules;
use rules::Secret;

/// How much of a line is looked at at once.
const LINE_MAX: usize = 16 * 1024;
/// How long a secret within a line may be that is found wherever the line is cut.
const SECRET_MAX: usize = 4 * 1024;
/// How much is masked of a private key that never ends.
const BLOCK_MAX: usize = 64 * 1024;

/// One stream of output on its way.
pub struct Redactor {
    rules: Arc<Rules>,
    /// What has not been passed on, and before it what of the same line has.
    line: Vec<u8>,
    /// How much of `line` was passed on.
    passed: usize,
    /// What was passed on last was masked.
    masked_last: bool,
    /// What is being masked goes on.
    going: Option<Going>,
    masked: u64,
}

/// A secret of which the beginning is past.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Going {
    /// A private key of several lines, of which so much was masked.
    Key(usize),
    /// A token that is longer than what is looked at at once.
    Token,
}

impl Redactor {
    /// A stream of which nothing has come.
    #[must_use]
    pub fn new(rules: Arc<Rules>) -> Self {
        let (line, passed, masked_last) = (Vec::new(), 0, false);
        Self { rules, line, passed, masked_last, going: None, masked: 0 }
    }

    /// Takes a piece of output. What may go on is appended to `out`.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let before = self.line.len();
        self.line.extend_from_slice(piece);
        if let Some(end) = memchr::memrchr(b'\n', piece) {
            let end = before.saturating_add(end).saturating_add(1);
            self.pass(end, end, out);
        }
        if self.line.len() > LINE_MAX {
            let all = self.line.len();
            self.pass(all, all.saturating_sub(SECRET_MAX), out);
        }
    }

    /// Passes on what is held: its time is over. What follows in the same line is still looked at together with it.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.holds() {
            return;
        }
        let all = self.line.len();
        let (mut secrets, _) = self.find(all);
        let known = secrets.last().map_or(0, |last| last.to);
        secrets.extend(self.rules.unfinished(&self.line, known.max(self.passed)));
        self.replace(all, &secrets, out);
        self.passed = all;
        self.masked_last = secrets.last().is_some_and(|last| last.to == all);
    }

    /// Passes on what is left: nothing follows.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let all = self.line.len();
        self.pass(all, all, out);
    }

    /// Whether something is held back.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.passed < self.line.len()
    }

    /// How many secrets were masked so far.
    #[must_use]
    pub fn masked(&self) -> u64 {
        self.masked
    }

    /// Looks at the first `seen` bytes, passes on and forgets `end` of them, or fewer where a secret lies across.
    fn pass(&mut self, seen: usize, end: usize, out: &mut Vec<u8>) {
        let (secrets, going) = self.find(seen);
        let across = secrets.iter().find(|secret| secret.word < end && end < secret.to);
        // One that fills all that is looked at is masked as it comes.
        let end =
            across.map_or(end, |secret| if secret.word == 0 { secret.to } else { secret.word });
        self.replace(end, &secrets, out);
        self.going = going.filter(|_| end == seen);
        self.masked_last = end == seen && secrets.last().is_some_and(|last| last.to == end);
        self.line.drain(..end.min(self.line.len()));
        self.passed = self.passed.saturating_sub(end);
    }

    /// The secrets in the first `seen` bytes, in order and apart; and whether the last of them goes on.
    fn find(&self, seen: usize) -> (Vec<Secret>, Option<Going>) {
        let bytes = self.line.get(..seen).unwrap_or_default();
        let mut secrets = Vec::new();
        let at = match self.going {
            None => 0,
            Some(Going::Key(_)) => rules::block_end(bytes),
            Some(Going::Token) => rules::token_end(bytes, 0),
        };
        if let Some(going) = self.going {
            secrets.push(Secret { word: 0, from: 0, to: at, label: None });
            let goes_on = match going {
                Going::Key(masked) => Going::Key(masked.saturating_add(at)),
                Going::Token => Going::Token,
            };
            let is_endless = matches!(goes_on, Going::Key(masked) if masked >= BLOCK_MAX);
            if at == bytes.len() && !is_endless {
                return (secrets, Some(goes_on));
            }
        }
        let key = self.rules.find(bytes, at, &mut secrets).map(Going::Key);
        let token = secrets.last().filter(|last| last.to == bytes.len() && last.is_long());
        let going = key.or(token.map(|_| Going::Token));
        (secrets, going)
    }

    fn replace(&mut self, end: usize, secrets: &[Secret], out: &mut Vec<u8>) {
        let begin = self.passed.min(end);
        let mut at = begin;
        for secret in secrets.iter().filter(|secret| secret.to > begin && secret.from < end) {
            out.extend_from_slice(self.line.get(at..secret.from).unwrap_or_default());
            let goes_on = secret.from < begin && self.masked_last;
            if let Some(label) = secret.label.filter(|_| !goes_on) {
                out.extend_from_slice(b"[redacted:");
                out.extend_from_slice(label.as_bytes());
                out.push(b']');
                self.masked = self.masked.saturating_add(1);
            }
            at = secret.to.min(end);
        }
        out.extend_from_slice(self.line.get(at..end).unwrap_or_default());
    }
}
