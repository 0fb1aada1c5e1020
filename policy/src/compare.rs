//! Rules compared: which lets nothing be done that another does not.
//!
//! Nothing here decides a call. `covers` never says yes when the truth is no, `meets` never says no when
//! the truth is yes.

use std::collections::BTreeSet;

use crate::consent::{Approve, Approvers};
use crate::name::VerbName;
use crate::rule::{Bearer, Budget, Delegate, Recipients};
use crate::scope::Capability;
use crate::verb::Catalog;

/// A capability without what the catalog never takes.
pub(crate) fn taken(catalog: &Catalog, capability: &Capability) -> Option<Capability> {
    let verb = catalog.verb(capability.verb())?;
    let declared = verb.parameters.iter().map(|(name, one)| (name.clone(), one.constraint.clone()));
    capability.intersect(&Capability::new(verb.name.clone(), declared))
}

impl Recipients {
    pub(crate) fn covers(&self, narrower: &Self) -> bool {
        let bearer = narrower.bearer == Bearer::Refused || self.bearer == Bearer::Allowed;
        bearer && (!narrower.name_contacts() || self.covers_contacts(narrower))
    }

    fn name_contacts(&self) -> bool {
        self.aliases.is_some() || self.keys.is_some()
    }

    fn covers_contacts(&self, narrower: &Self) -> bool {
        let aliased = self.aliases.as_ref().is_none_or(|wide| {
            let narrow = narrower.aliases.as_ref();
            narrow.is_some_and(|all| all.iter().all(|one| wide.iter().any(|w| w.covers(one))))
        });
        let keyed = self
            .keys
            .as_ref()
            .is_none_or(|wide| narrower.keys.as_ref().is_some_and(|narrow| narrow.is_subset(wide)));
        self.name_contacts() && aliased && keyed
    }

    pub(crate) fn meets(&self, other: &Self) -> bool {
        if self.bearer == Bearer::Allowed && other.bearer == Bearer::Allowed {
            return true;
        }
        let aliased = match (&self.aliases, &other.aliases) {
            (Some(one), Some(two)) => one.iter().any(|a| two.iter().any(|b| a.meets(b))),
            _ => true,
        };
        let keyed = match (&self.keys, &other.keys) {
            (Some(one), Some(two)) => !one.is_disjoint(two),
            _ => true,
        };
        self.name_contacts() && other.name_contacts() && aliased && keyed
    }
}

impl Delegate {
    /// Whether whoever may share a verb under `narrower` may share it under this rule too, as widely, as
    /// long, as deep, as much, and is asked for no more. Whom the rules select, and what, is not looked at.
    pub(crate) fn grants_no_less(&self, narrower: &Self, verb: &VerbName) -> bool {
        self.to.covers(&narrower.to)
            && self.max_ttl >= narrower.max_ttl
            && self.redelegate >= narrower.redelegate
            && self.budget.covers(narrower.budget)
            && no_less(self.max_shares, narrower.max_shares)
            && self.asks_no_more(narrower, verb)
    }

    fn asks_no_more(&self, stricter: &Self, verb: &VerbName) -> bool {
        let (mine, theirs) = (self.approve(verb), stricter.approve(verb));
        let asks = self.approve_open || mine != Approve::Never;
        mine <= theirs
            && (stricter.approve_open || !self.approve_open)
            && (!asks || self.approvers.asked_no_more(&stricter.approvers))
    }
}

impl Budget {
    fn covers(self, narrower: Self) -> bool {
        no_less(self.calls, narrower.calls) && no_less(self.bytes, narrower.bytes)
    }
}

/// Of two bounds, whether the first is no tighter; no bound is the widest.
fn no_less<N: Ord>(wide: Option<N>, narrow: Option<N>) -> bool {
    wide.is_none_or(|wide| narrow.is_some_and(|narrow| narrow <= wide))
}

impl Approvers {
    /// Whether every yes that satisfies `stricter` satisfies these.
    fn asked_no_more(&self, stricter: &Self) -> bool {
        let subset = |narrow: &BTreeSet<String>, wide: &BTreeSet<String>| narrow.is_subset(wide);
        self.named.is_empty() == stricter.named.is_empty()
            && self.needs <= stricter.needs
            && subset(&stricter.users, &self.users)
            && subset(&stricter.groups, &self.groups)
    }
}
