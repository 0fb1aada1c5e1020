//! The patterns that a passport's blocks mention, each compiled once and within bounds.

use std::collections::BTreeMap;

use super::claim::Unreadable;
use super::{MAX_HOLDER_PATTERNS, MAX_PATTERNS};
use crate::pattern::{Anchored, Budget};

pub(super) struct Patterns {
    known: BTreeMap<String, Anchored>,
    fresh_left: usize,
    budget: Budget,
}

impl Patterns {
    /// For the authority's block: its patterns are root's.
    pub(super) fn of_authority() -> Self {
        Self { known: BTreeMap::new(), fresh_left: MAX_PATTERNS, budget: Budget::ROOT }
    }

    /// For the blocks after it: what they inherit is compiled already, what they add is a stranger's.
    pub(super) fn of_holders(self) -> Self {
        Self { fresh_left: MAX_HOLDER_PATTERNS, budget: Budget::HOLDER, ..self }
    }

    pub(super) fn compiled(&mut self, source: String) -> Result<Anchored, Unreadable> {
        if let Some(known) = self.known.get(&source) {
            return Ok(known.clone());
        }
        self.fresh_left = self.fresh_left.checked_sub(1).ok_or(Unreadable)?;
        let fresh = Anchored::within(&source, self.budget).map_err(|_| Unreadable)?;
        self.known.insert(source, fresh.clone());
        Ok(fresh)
    }
}
