//! Forms of secrets that a catalog declares: regular expressions whose matches are short and within a line.

use std::error::Error;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::meta::{Config, Regex};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, Match};
use wire::privsep::RedactForm;

/// What the engine may keep of tables that it makes as it goes, for all forms of a set.
const CACHE_MAX: usize = 1 << 20;
/// How far back a form may have begun that is not all there: as long as its longest match.
const BACK: usize = 1024;
/// How much of a form must be there, besides half of its least length, to be taken for its beginning.
const BEGUN: usize = 8;

/// The forms of one set.
pub(super) struct Forms {
    regex: Regex,
    /// For each form its group `secret`, if it has one.
    groups: Vec<Option<usize>>,
    begun: Vec<Begun>,
}

/// What knows whether a form may go on.
struct Begun {
    table: DFA,
    least: usize,
}

impl Forms {
    pub(super) fn new(told: &[RedactForm]) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let forms: Vec<&str> = told.iter().map(|one| one.form.as_str()).collect();
        let regex = Regex::builder()
            .syntax(syntax())
            .configure(Config::new().utf8_empty(false).hybrid_cache_capacity(CACHE_MAX))
            .build_many(&forms)?;
        let named = |pattern| regex.group_info().to_index(pattern, "secret");
        let patterns = regex.group_info().all_names().map(|(pattern, ..)| pattern);
        let mut patterns: Vec<_> = patterns.collect();
        patterns.dedup();
        let groups = patterns.into_iter().map(named).collect();
        let begun = told.iter().map(Begun::new).collect::<Result<_, _>>()?;
        Ok(Self { regex, groups, begun })
    }

    /// Tells of each secret from `at` on: where its form begins, where it begins itself, and where it ends.
    pub(super) fn find(&self, bytes: &[u8], at: usize, add: &mut impl FnMut(usize, usize, usize)) {
        let mut input = Input::new(bytes).range(at..);
        while let Some(found) = self.regex.search(&input) {
            let (from, to) = self.secret(bytes, &found);
            if from < to {
                add(found.start(), from, to);
            }
            input.set_start(found.end());
        }
    }

    /// What of the match is masked.
    fn secret(&self, bytes: &[u8], found: &Match) -> (usize, usize) {
        let pattern = found.pattern();
        let whole = (found.start(), found.end());
        let Some(group) = self.groups.get(pattern.as_usize()).copied().flatten() else {
            return whole;
        };
        let mut groups = self.regex.create_captures();
        let input = Input::new(bytes).range(found.range()).anchored(Anchored::Pattern(pattern));
        self.regex.search_captures(&input, &mut groups);
        groups.get_group(group).map_or(whole, |span| (span.start, span.end))
    }

    /// Where a form has begun of which the end is not there.
    pub(super) fn unfinished(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let from = from.max(bytes.len().saturating_sub(BACK));
        self.begun.iter().filter_map(|form| form.begins(bytes, from)).min()
    }
}

impl Begun {
    fn new(told: &RedactForm) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let table = DFA::builder().syntax(syntax()).build(&told.form)?;
        Ok(Self { table, least: usize::from(told.least) })
    }

    fn begins(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let needed = BEGUN.max(self.least.div_ceil(2));
        let mut cache = self.table.create_cache();
        let last = bytes.len().checked_sub(needed)?;
        (from..=last).find(|at| self.goes_on(&mut cache, bytes, *at))
    }

    /// Whether a match may begin there and go on after the end.
    fn goes_on(&self, cache: &mut Cache, bytes: &[u8], at: usize) -> bool {
        let input = Input::new(bytes).range(at..).anchored(Anchored::Yes);
        let Ok(mut state) = self.table.start_state_forward(cache, &input) else { return false };
        for byte in bytes.get(at..).unwrap_or_default() {
            match self.table.next_state(cache, state, *byte) {
                Ok(next) if !next.is_dead() && !next.is_quit() => state = next,
                Ok(_) | Err(_) => return false,
            }
        }
        true
    }
}

fn syntax() -> syntax::Config {
    syntax::Config::new().unicode(false).utf8(false)
}
