//! What becomes possible from one policy to another, and what stops.
//!
//! Sound in the direction that matters: whatever the new policy permits and the old one did not lies in
//! something that is told. Where it cannot be shown that nothing becomes possible, it is told as well.

mod catalog;
mod terms;

use std::collections::BTreeSet;

use crate::compare::taken;
use crate::policy::Policy;
use crate::rule::{Delegate, Grant, RuleSite};
use crate::scope::Capability;

/// Which way something changes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Direction {
    /// It becomes possible, or may do so: `+`.
    Opens,
    /// It stops: `-`.
    Closes,
    /// It goes on, otherwise than before: `~`.
    Differs,
}

impl Direction {
    /// The sign for it.
    #[must_use]
    pub const fn sign(self) -> char {
        match self {
            Self::Opens => '+',
            Self::Closes => '-',
            Self::Differs => '~',
        }
    }
}

/// One change.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Change {
    /// Whom it is about: principals, or the catalog.
    pub about: String,
    /// Of what sort: `may do`, `may share`, `is denied now`, `is no longer denied`, `agent`, `verb`, `order`.
    pub sort: &'static str,
    /// What, as capability text.
    pub what: String,
    /// Which way.
    pub direction: Direction,
    /// With whom, for how long, by whose yes; for `~` from what to what.
    pub terms: String,
    /// The rule that says it, in the policy that has it.
    pub site: Option<RuleSite>,
}

/// Everything that changes from `old` to `new`, sorted.
#[must_use]
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = BTreeSet::new();
    changes.extend(catalog::agents(old, new));
    changes.extend(catalog::verbs(old, new));
    changes.extend(allows(old, new, Direction::Opens));
    changes.extend(allows(new, old, Direction::Closes));
    changes.extend(denies(old, new, Direction::Opens));
    changes.extend(denies(new, old, Direction::Closes));
    changes.extend(delegates(old, new, Direction::Opens));
    changes.extend(delegates(new, old, Direction::Closes));
    changes.extend(terms::order(old, new));
    let mut changes = terms::paired(changes);
    for change in &mut changes {
        terms::compared(change, old, new);
    }
    changes
}

/// What `to` allows and `from` does not; told as `direction` says.
fn allows(from: &Policy, to: &Policy, direction: Direction) -> Vec<Change> {
    let rules = to.rulebook().allows.all().iter();
    let beyond = rules.flat_map(|rule| {
        let capabilities = rule.scope.capabilities().iter();
        let taken = capabilities.filter_map(|one| taken(to.catalog(), one));
        taken.filter(|one| !allowed(from, to, rule, one)).map(|one| told(to, rule, &one, "may do"))
    });
    beyond.map(|change| Change { direction, ..change }).collect()
}

/// Whether one rule of `from` allows it to all whom the rule of `to` selects.
fn allowed(from: &Policy, to: &Policy, rule: &Grant, capability: &Capability) -> bool {
    let narrow = rule.selector.resolved(&to.rulebook().agents);
    from.rulebook().allows.all().iter().any(|wide| {
        let selects = wide.selector.resolved(&from.rulebook().agents).covers(&narrow);
        let taken = wide.scope.of(capability.verb()).filter_map(|one| taken(from.catalog(), one));
        selects && taken.collect::<Vec<_>>().iter().any(|wide| wide.covers(capability))
    })
}

/// What `from` denies and `to` does not.
fn denies(from: &Policy, to: &Policy, direction: Direction) -> Vec<Change> {
    let sort = if direction == Direction::Opens { "is no longer denied" } else { "is denied now" };
    let rules = from.rulebook().denies.all().iter();
    let beyond = rules.flat_map(|rule| {
        let capabilities = rule.scope.capabilities().iter();
        let taken = capabilities.filter_map(|one| taken(from.catalog(), one));
        taken.filter(|one| !denied(from, to, rule, one)).map(|one| told(from, rule, &one, sort))
    });
    beyond.map(|change| Change { direction, ..change }).collect()
}

fn denied(from: &Policy, to: &Policy, rule: &Grant, capability: &Capability) -> bool {
    let narrow = rule.selector.resolved(&from.rulebook().agents);
    to.rulebook().denies.all().iter().any(|wide| {
        wide.selector.resolved(&to.rulebook().agents).covers(&narrow)
            && wide.scope.covers(capability)
    })
}

/// What `to` lets be shared and `from` does not, or not so widely.
fn delegates(from: &Policy, to: &Policy, direction: Direction) -> Vec<Change> {
    let rules = to.rulebook().delegates.all().iter();
    let beyond = rules.flat_map(|rule| {
        let capabilities = rule.scope.capabilities().iter();
        let taken = capabilities.filter_map(|one| taken(to.catalog(), one));
        taken.filter(|one| !delegated(from, to, rule, one)).map(|one| shared(to, rule, &one))
    });
    beyond.map(|change| Change { direction, ..change }).collect()
}

fn delegated(from: &Policy, to: &Policy, rule: &Delegate, capability: &Capability) -> bool {
    let narrow = rule.selector.resolved(&to.rulebook().agents);
    from.rulebook().delegates.all().iter().any(|wide| {
        let selects = wide.selector.resolved(&from.rulebook().agents).covers(&narrow);
        let taken = wide.scope.of(capability.verb()).filter_map(|one| taken(from.catalog(), one));
        selects
            && wide.grants_no_less(rule, capability.verb())
            && taken.collect::<Vec<_>>().iter().any(|wide| wide.covers(capability))
    })
}

fn told(policy: &Policy, rule: &Grant, capability: &Capability, sort: &'static str) -> Change {
    let owners = &policy.rulebook().agents;
    Change {
        about: rule.selector.resolved(owners).told(owners),
        sort,
        what: capability.to_string(),
        direction: Direction::Opens,
        terms: String::new(),
        site: Some(rule.site.clone()),
    }
}

fn shared(policy: &Policy, rule: &Delegate, capability: &Capability) -> Change {
    let owners = &policy.rulebook().agents;
    Change {
        about: rule.selector.resolved(owners).told(owners),
        sort: "may share",
        what: capability.to_string(),
        direction: Direction::Opens,
        terms: terms::of(rule, capability.verb()),
        site: Some(rule.site.clone()),
    }
}
