//! Where one of many words stands in a text, in whatever case.

use std::cell::Cell;
use std::cmp::Reverse;

use aho_corasick::packed::{self, MatchKind as PackedKind};
use aho_corasick::{AhoCorasick, AhoCorasickKind, BuildError, Input, Match, MatchKind, PatternID};

/// Words of fewer letters than this are looked for apart from longer ones, and so on. A search looks at as many letters of each
/// word as the shortest of them has, up to four, and stops the more often in vain the more words it looks for.
const LENGTHS: [usize; 3] = [4, 6, usize::MAX];

/// Words, each in small letters.
pub(super) enum Words {
    /// Looked for many bytes at once.
    Packed(Vec<Group>),
    /// Looked for byte by byte, where the processor cannot.
    Table(AhoCorasick),
}

/// Words that are looked for together.
pub(super) struct Group {
    searcher: packed::Searcher,
    /// For each of them which one it is of all words.
    of_all: Vec<PatternID>,
}

/// A text in which they are looked for.
pub(super) enum Search<'w> {
    /// The text in small letters.
    Packed(Vec<Ahead<'w>>, Vec<u8>),
    Table(&'w AhoCorasick, &'w [u8]),
}

/// What of a group comes next in a text.
pub(super) struct Ahead<'w> {
    group: &'w Group,
    /// From where on it was looked for last, and what was found.
    seen: Cell<Option<(usize, Option<Match>)>>,
}

impl Words {
    pub(super) fn new(words: &[&str]) -> Result<Self, BuildError> {
        packed(words).map_or_else(|| table(words), |groups| Ok(Self::Packed(groups)))
    }

    pub(super) fn search<'w>(&'w self, text: &'w [u8]) -> Search<'w> {
        match self {
            Self::Packed(groups) => {
                let ahead = groups.iter().map(|group| Ahead { group, seen: Cell::new(None) });
                Search::Packed(ahead.collect(), text.to_ascii_lowercase())
            }
            Self::Table(words) => Search::Table(words, text),
        }
    }
}

/// The words in groups, by their lengths.
fn packed(words: &[&str]) -> Option<Vec<Group>> {
    let mut least = 0;
    let mut groups = Vec::new();
    for end in LENGTHS {
        let lengths = least..end;
        let of_all = words.iter().enumerate().filter(|(_, word)| lengths.contains(&word.len()));
        let of_all: Vec<_> = of_all.collect();
        if !of_all.is_empty() {
            groups.push(Group::new(&of_all)?);
        }
        least = end;
    }
    Some(groups)
}

impl Group {
    fn new(words: &[(usize, &&str)]) -> Option<Self> {
        let mut config = packed::Config::new();
        config.match_kind(PackedKind::LeftmostLongest);
        let searcher = config.builder().extend(words.iter().map(|(_, word)| word)).build()?;
        let of_all = words.iter().map(|(of_all, _)| PatternID::new(*of_all).ok());
        Some(Self { searcher, of_all: of_all.collect::<Option<_>>()? })
    }

    fn find(&self, text: &[u8], at: usize) -> Option<Match> {
        let found = self.searcher.find_in(text, (at..text.len()).into())?;
        Some(Match::new(*self.of_all.get(found.pattern().as_usize())?, found.span()))
    }
}

impl Ahead<'_> {
    /// The first word of the group from `at` on. Those that are rare are looked for no more often than they are there.
    fn next(&self, text: &[u8], at: usize) -> Option<Match> {
        if let Some((from, found)) = self.seen.get()
            && from <= at
            && found.is_none_or(|found| at <= found.start())
        {
            return found;
        }
        let found = self.group.find(text, at);
        self.seen.set(Some((at, found)));
        found
    }
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
            Self::Packed(groups, text) => {
                let next = groups.iter().filter_map(|group| group.next(text, at));
                next.min_by_key(|found| (found.start(), Reverse(found.end())))
            }
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
