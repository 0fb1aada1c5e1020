//! The terms under which something may be shared, and what changes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, Direction};
use crate::compare::taken;
use crate::consent::Approve;
use crate::delegation::whole;
use crate::explain::checks::{demand, reached};
use crate::name::VerbName;
use crate::policy::Policy;
use crate::rule::Delegate;

/// With whom, for how long, how deep, how much, by whose yes.
pub(crate) fn of(rule: &Delegate, verb: &VerbName) -> String {
    let mut terms = vec![
        format!("to {}", reached(&rule.to)),
        format!("at most {}", whole(rule.max_ttl)),
        demand(rule, verb),
    ];
    if rule.redelegate > 0 {
        terms.push(format!("handed on {} deep", rule.redelegate));
    }
    terms.extend(rule.budget.calls.map(|calls| format!("{calls} calls")));
    terms.extend(rule.budget.bytes.map(|bytes| format!("{bytes} bytes")));
    terms.extend(rule.max_shares.map(|shares| format!("{shares} shares at a time")));
    terms.join("; ")
}

/// One `~` for each pair of `+` and `-` that differ in their terms alone.
pub(super) fn paired(changes: BTreeSet<Change>) -> Vec<Change> {
    let mut alike: BTreeMap<_, Vec<Change>> = BTreeMap::new();
    for change in changes {
        let key = (change.about.clone(), change.sort, change.what.clone());
        alike.entry(key).or_default().push(change);
    }
    alike.into_values().flat_map(joined).collect()
}

fn joined(same: Vec<Change>) -> Vec<Change> {
    let [one, two] = same.as_slice() else { return same };
    let (Direction::Opens, Direction::Closes) = (one.direction, two.direction) else { return same };
    let terms = match (one.terms.is_empty(), two.terms.is_empty()) {
        (true, true) => String::new(),
        _ => format!("{} → {}", two.terms, one.terms),
    };
    vec![Change { direction: Direction::Differs, terms, ..one.clone() }]
}

/// A rule that gives more or less than one of the same people and verbs did: from what to what.
pub(super) fn compared(change: &mut Change, old: &Policy, new: &Policy) {
    let now = std::mem::take(&mut change.terms);
    let of_same = |policy| same(policy, change);
    change.terms = match change.direction {
        Direction::Opens => of_same(old).map_or(now.clone(), |was| format!("{was} → {now}")),
        Direction::Closes => of_same(new).map_or(now.clone(), |will| format!("{now} → {will}")),
        Direction::Differs => now,
    };
}

/// The terms of what the change is about in another policy, where there is one such rule.
fn same(policy: &Policy, change: &Change) -> Option<String> {
    let owners = &policy.rulebook().agents;
    let rules = policy.rulebook().delegates.all().iter();
    let about = rules.filter(|rule| rule.selector.resolved(owners).told(owners) == change.about);
    let terms = about.flat_map(|rule| {
        let taken = rule.scope.capabilities().iter().filter_map(|one| taken(policy.catalog(), one));
        let alike = taken.filter(|one| one.to_string() == change.what);
        alike.map(|one| of(rule, one.verb())).collect::<Vec<_>>()
    });
    let terms: Vec<String> = terms.collect();
    let [one] = terms.as_slice() else { return None };
    (change.sort == "may share").then(|| one.clone())
}

/// Of rules that ask equally much the first counts: in another order they ask others.
pub(super) fn order(old: &Policy, new: &Policy) -> Option<Change> {
    let (before, after) = (asking(old), asking(new));
    let sorted = |rules: &[String]| BTreeSet::from_iter(rules.to_vec());
    (before != after && sorted(&before) == sorted(&after)).then(|| Change {
        about: "the rules".to_owned(),
        sort: "order",
        what: "rules that ask for a yes".to_owned(),
        direction: Direction::Differs,
        terms: "of rules that ask equally much the first counts, and they stand in another order"
            .to_owned(),
        site: None,
    })
}

fn asking(policy: &Policy) -> Vec<String> {
    let owners = &policy.rulebook().agents;
    let told = |rule: &Delegate| {
        let whom = rule.selector.resolved(owners).told(owners);
        let verbs = rule.scope.capabilities().iter();
        let asked =
            verbs.filter(|one| rule.approve_open || rule.approve(one.verb()) != Approve::Never);
        let lines = asked.map(|one| format!("{whom} {one} {}", of(rule, one.verb())));
        lines.collect::<Vec<_>>()
    };
    policy.rulebook().delegates.all().iter().flat_map(told).collect()
}
