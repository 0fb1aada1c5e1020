//! A secret where it stands.

use std::sync::Arc;

use super::verdict;

/// From which length on what goes on is of the same secret.
pub(super) const LONG: usize = 1000;

/// What is to be replaced.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Secret {
    /// Where the word is by which it was found.
    pub(super) word: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    /// By the mark of this name; by nothing where it goes on from an earlier line.
    pub(super) label: Option<Arc<str>>,
}

impl Secret {
    /// Whether what follows at once is of it as well.
    pub(super) fn is_long(&self) -> bool {
        self.to.saturating_sub(self.from) >= LONG
    }

    /// As long as it says, and longer where it is so long that it may go on.
    pub(super) fn extended(self, bytes: &[u8]) -> Self {
        let to = if self.is_long() { token_end(bytes, self.to) } else { self.to };
        Self { to, ..self }
    }
}

/// Where the token ends that is longer than a form says.
pub(super) fn token_end(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let length = rest.iter().position(|byte| !verdict::is_of_token(*byte));
    from.saturating_add(length.unwrap_or(rest.len()))
}

/// Puts them in order and apart: where several rules find one, it has one mark, of the one that begins first.
pub(super) fn settle(secrets: &mut Vec<Secret>) {
    secrets.sort_by_key(|secret| (secret.from, std::cmp::Reverse(secret.to)));
    secrets.dedup_by(|next, last| {
        let overlap = next.from < last.to;
        if overlap {
            last.to = last.to.max(next.to);
            last.word = last.word.min(next.word);
        }
        overlap
    });
}
