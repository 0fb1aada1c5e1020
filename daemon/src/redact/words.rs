//! Where one of many words stands in a text, in whatever case.

use aho_corasick::packed::{self, MatchKind as PackedKind};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, Input, Match, MatchKind};

/// Words, each in small letters.
pub(super) enum Words {
    /// Looked for many bytes at once.
    Packed(packed::Searcher),
    /// Looked for byte by byte, where the processor cannot.
    Table(AhoCorasick),
}

/// A text in which they are looked for.
pub(super) enum Search<'w> {
    /// The text in small letters.
    Packed(&'w packed::Searcher, Vec<u8>),
    Table(&'w AhoCorasick, &'w [u8]),
}

impl Words {
    pub(super) fn new(words: &[&str]) -> Result<Self, BuildError> {
        packed(words).map_or_else(|| table(words), |packed| Ok(Self::Packed(packed)))
    }

    pub(super) fn search<'w>(&'w self, text: &'w [u8]) -> Search<'w> {
        match self {
            Self::Packed(words) => Search::Packed(words, text.to_ascii_lowercase()),
            Self::Table(words) => Search::Table(words, text),
        }
    }
}

fn packed(words: &[&str]) -> Option<packed::Searcher> {
    let mut config = packed::Config::new();
    // The library's bound on how many words pay is for processors with half of that width.
    config.match_kind(PackedKind::LeftmostLongest).heuristic_pattern_limits(!is_wide());
    config.builder().extend(words).build()
}

#[cfg(target_arch = "x86_64")]
fn is_wide() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_wide() -> bool {
    false
}

fn table(words: &[&str]) -> Result<Words, BuildError> {
    let table = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)?;
    Ok(Words::Table(table))
}

impl Search<'_> {
    /// The first word from `at` on, and of those that begin there the longest.
    pub(super) fn next(&self, at: usize) -> Option<Match> {
        match self {
            Self::Packed(words, text) => words.find_in(text, (at..text.len()).into()),
            Self::Table(words, text) => words.find(Input::new(text).range(at..)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORDS: [&str; 6] = ["--token", "token", "to", "sk-", "secret", "-----begin"];

    proptest! {
        #[test]
        fn both_searches_find_the_same(
            text in "([a-zA-Z -]{0,6}|--|-----BEGIN|tOken|TO|Sk-|secre|secret){0,40}",
        ) {
            let (fast, slow) = (Words::new(&WORDS).unwrap(), table(&WORDS).unwrap());
            let (fast, slow) = (fast.search(text.as_bytes()), slow.search(text.as_bytes()));
            for at in 0..=text.len() {
                prop_assert_eq!(fast.next(at), slow.next(at), "from {}", at);
            }
        }
    }
}
