//! Secrets in a verb's output are replaced by a mark, whatever pieces it comes in.
//!
//! What is held back is at most the line that is being written, and of a long line its end. How long, is for whoever
//! feeds a [`Redactor`] to say: after [`Redactor::flush`] nothing is held.

mod built_in;
mod entropy;
mod form;
mod literal;
mod rules;
mod secret;
mod set;
mod verdict;
mod words;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use built_in::Body;
pub use literal::{Seal, VALUE_MAX, VALUE_MIN};
pub use rules::{Known, Rules};
use secret::Secret;

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
    Key(usize, Body),
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
        if self.line.is_empty() {
            let used = self.look(piece, out);
            self.line.extend_from_slice(piece.get(used..).unwrap_or_default());
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        line.extend_from_slice(piece);
        let used = self.look(&line, out);
        line.drain(..used);
        self.line = line;
    }

    /// Passes on what is held: its time is over. What follows in the same line is still looked at together with it.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        if !self.holds() {
            return;
        }
        let line = std::mem::take(&mut self.line);
        let (mut secrets, _) = self.find(&line);
        let known = secrets.last().map_or(0, |last| last.to);
        secrets.extend(self.rules.unfinished(&line, known.max(self.passed)));
        self.replace(&line, &secrets, out);
        self.passed = line.len();
        self.masked_last = secrets.last().is_some_and(|last| last.to == line.len());
        self.line = line;
    }

    /// Passes on what is left: nothing follows.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        self.pass(&line, line.len(), out);
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

    /// Passes on the whole lines, and of a long one the beginning. How much that was.
    fn look(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> usize {
        let lines = memchr::memrchr(b'\n', bytes).map_or(0, |end| end.saturating_add(1));
        let (whole, last) = bytes.split_at_checked(lines).unwrap_or((bytes, &[]));
        if !whole.is_empty() {
            self.pass(whole, lines, out);
        }
        if last.len() <= LINE_MAX {
            return lines;
        }
        let passed = self.pass(last, last.len().saturating_sub(SECRET_MAX), out);
        // Its last byte is kept: whether a word begins after it depends on it.
        let kept = passed.min(1);
        self.passed = self.passed.saturating_add(kept);
        lines.saturating_add(passed.saturating_sub(kept))
    }

    /// Looks at all of `bytes`, and passes on the first `end` of them, or fewer where a secret lies across. How many.
    fn pass(&mut self, bytes: &[u8], end: usize, out: &mut Vec<u8>) -> usize {
        let (secrets, going) = self.find(bytes);
        let across = secrets.iter().find(|secret| secret.word < end && end < secret.to);
        // One that fills all that is looked at, but for the byte before it, is masked as it comes.
        let end =
            across.map_or(end, |secret| if secret.word <= 1 { secret.to } else { secret.word });
        let is_all = end == bytes.len();
        self.replace(bytes.get(..end).unwrap_or_default(), &secrets, out);
        self.going = going.filter(|_| is_all);
        self.masked_last = is_all && secrets.last().is_some_and(|last| last.to == end);
        self.passed = self.passed.saturating_sub(end);
        end
    }

    /// The secrets, in order and apart; and whether the last of them goes on.
    fn find(&self, bytes: &[u8]) -> (Vec<Secret>, Option<Going>) {
        let mut secrets = Vec::new();
        let (at, goes_on) = match self.going {
            None => (0, None),
            Some(Going::Key(masked, mut body)) => {
                let at = body.end(bytes);
                (at, Some(Going::Key(masked.saturating_add(at), body)))
            }
            Some(Going::Token) => (secret::token_end(bytes, 0), Some(Going::Token)),
        };
        if let Some(goes_on) = goes_on {
            secrets.push(Secret { word: 0, from: 0, to: at, label: None });
            let is_endless = matches!(goes_on, Going::Key(masked, _) if masked >= BLOCK_MAX);
            if at == bytes.len() && !is_endless {
                return (secrets, Some(goes_on));
            }
        }
        let key = self.rules.find(bytes, at, &mut secrets);
        let key = key.map(|(masked, body)| Going::Key(masked, body));
        let token = secrets.last().filter(|last| last.to == bytes.len() && last.is_long());
        let going = key.or(token.map(|_| Going::Token));
        (secrets, going)
    }

    /// Passes on what was not passed on before, with marks in the place of secrets.
    fn replace(&mut self, bytes: &[u8], secrets: &[Secret], out: &mut Vec<u8>) {
        let begin = self.passed.min(bytes.len());
        let mut at = begin;
        let meant = |secret: &&Secret| secret.to > begin && secret.from < bytes.len();
        for secret in secrets.iter().filter(meant) {
            out.extend_from_slice(bytes.get(at..secret.from).unwrap_or_default());
            let goes_on = secret.from < begin && self.masked_last;
            if let Some(label) = secret.label.as_ref().filter(|_| !goes_on) {
                out.extend_from_slice(b"[redacted:");
                out.extend_from_slice(label.as_bytes());
                out.push(b']');
                self.masked = self.masked.saturating_add(1);
            }
            at = secret.to.min(bytes.len());
        }
        out.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }
}
