//! The menu: what a recipient is shown of what they may call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::authorize::Standing;
use crate::consent::Approve;
use crate::constraint::Constraint;
use crate::file::Transfer;
use crate::http::Reflects;
use crate::index::Ruled;
use crate::input::Input;
use crate::kind::Kind;
use crate::name::{ParameterName, VerbName};
use crate::passport::Passport;
use crate::policy::Policy;
use crate::principal::Subject;
use crate::rule::Delegate;
use crate::scope::{Capability, Scope};
use crate::surface::subtract;
use crate::time::Timestamp;
use crate::value::Value;
use crate::verb::{Effect, Run, Verb};

/// How many capabilities, two by two, are compared for one verb's entry. It is made for every call that
/// names a value outside, on the one thread that decides: where passport, share and rules are so long
/// that nobody reads what they leave, the entry says only what the shorter of them say.
const MAX_PAIRS: usize = 512;
/// Of how many capabilities those are left out that lie within another.
const MAX_COMPARED: usize = 64;

/// One verb that may be called.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MenuEntry {
    /// The verb.
    pub verb: VerbName,
    /// What it does, in one line.
    pub summary: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// Whether a call waits for somebody's consent.
    pub approve: Approve,
    /// What it takes while it runs.
    pub input: Input,
    /// What it opens on the recipient's machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflects: Option<Reflects>,
    /// How a file is carried by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfers: Option<Transfer>,
    /// Whether it leaves its owner a note; whoever may do that hears the owner's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub notes: bool,
    /// What it takes as arguments.
    pub parameters: BTreeMap<ParameterName, MenuParameter>,
}

/// One parameter of a verb that may be called.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MenuParameter {
    /// What sort of value it takes.
    pub kind: Kind,
    /// Whether a call must give it: it has no default, or its default is not accepted.
    pub required: bool,
    /// What an absent argument becomes, when that is accepted.
    pub default: Option<Value>,
    /// Any of these is accepted.
    pub accepts: Vec<Constraint>,
    /// What it is for, in one line; may be empty.
    pub summary: String,
}

impl Policy {
    /// What a call under this passport could be now, by verb. A help, not a promise: `authorize` decides.
    #[must_use]
    pub fn menu(&self, standing: &Standing, passport: &Passport, now: Timestamp) -> Vec<MenuEntry> {
        let verbs = self.catalog().verbs();
        verbs.filter_map(|verb| self.menu_entry(standing, passport, verb, now)).collect()
    }

    /// The menu's entry for one verb.
    pub(crate) fn menu_entry(
        &self,
        standing: &Standing,
        passport: &Passport,
        verb: &Verb,
        now: Timestamp,
    ) -> Option<MenuEntry> {
        let stated: Vec<Capability> = passport.scope().of(&verb.name).cloned().collect();
        let owner = &standing.owner;
        if stated.is_empty() || self.principal(&owner.user, Some(&owner.agent)).is_err() {
            return None;
        }
        let shared: Vec<&Capability> = standing.scope.of(&verb.name).collect();
        let shared = both(stated, &shared);
        let subject = standing.subject(now);
        let by = self.delegating(standing, &subject, &verb.name, &shared);
        let least = by.iter().flatten().map(|rule| rule.approve(&verb.name)).min();
        let approve = least.unwrap_or_default().max(standing.approve);
        let held = self.held(&subject, verb, shared);
        entry(verb, &narrowed(held, by.as_deref()), approve)
    }

    /// The rules that let something of this be shared; `None` when they are too many to look at.
    fn delegating(
        &self,
        standing: &Standing,
        subject: &Subject,
        verb: &VerbName,
        shared: &[Capability],
    ) -> Option<Vec<&Delegate>> {
        let rules = self.rulebook().delegates.meeting(subject, verb, shared, MAX_PAIRS)?;
        Some(rules.into_iter().filter(|rule| rule.to.include(&standing.recipient)).collect())
    }

    /// What rules allow of this, without what they deny as far as that can be taken out.
    fn held(&self, subject: &Subject, verb: &Verb, shared: Vec<Capability>) -> Vec<Capability> {
        let rules = self.rulebook();
        let giving = rules.allows.meeting(subject, &verb.name, &shared, MAX_PAIRS);
        let left = narrowed(shared, giving.as_deref());
        let taking =
            rules.denies.meeting(subject, &verb.name, &left, MAX_PAIRS).unwrap_or_default();
        let denied: Vec<&Capability> =
            taking.iter().flat_map(|rule| rule.scope.of(&verb.name)).collect();
        if too_many(&left, &denied) {
            return left;
        }
        let without = |one: Capability| {
            denied.iter().try_fold(one, |one, denied| subtract(verb, one, denied))
        };
        left.into_iter().filter_map(without).collect()
    }
}

/// What is left of it by these rules; all of it, when they are too many to look at.
fn narrowed<R: Ruled>(whole: Vec<Capability>, rules: Option<&[&R]>) -> Vec<Capability> {
    let Some(rules) = rules else { return whole };
    let scopes = rules.iter().map(|rule| rule.scope().capabilities());
    let of_verb: Vec<&Capability> = scopes
        .flatten()
        .filter(|one| whole.first().is_some_and(|first| first.verb() == one.verb()))
        .collect();
    both(whole, &of_verb)
}

/// What both permit; `one` alone, when they are too many to compare.
fn both(one: Vec<Capability>, other: &[&Capability]) -> Vec<Capability> {
    if too_many(&one, other) {
        return one;
    }
    one.iter().flat_map(|one| other.iter().filter_map(|two| one.intersect(two))).collect()
}

fn too_many(one: &[Capability], other: &[&Capability]) -> bool {
    one.len().saturating_mul(other.len()) > MAX_PAIRS
}

fn entry(verb: &Verb, left: &[Capability], approve: Approve) -> Option<MenuEntry> {
    let declared = verb.parameters.iter().map(|(name, one)| (name.clone(), one.constraint.clone()));
    let accepted = Capability::new(verb.name.clone(), declared);
    let callable = left.iter().filter_map(|one| one.intersect(&accepted)).collect();
    let callable = shortened(callable);
    if callable.is_empty() {
        return None;
    }
    let parameter = |name: &ParameterName| {
        let mut accepts: Vec<_> = callable.iter().map(|one| one.constraint(name).clone()).collect();
        accepts.sort();
        accepts.dedup();
        let declared = verb.parameters.get(name)?;
        let fits = |value: &&Value| accepts.iter().any(|limit| limit.permits(value));
        let default = declared.default.as_ref().filter(fits).cloned();
        Some(MenuParameter {
            kind: declared.kind,
            required: declared.required || default.is_none(),
            default,
            accepts,
            summary: declared.summary.clone(),
        })
    };
    let parameters =
        verb.parameters.keys().filter_map(|name| Some((name.clone(), parameter(name)?)));
    Some(MenuEntry {
        verb: verb.name.clone(),
        summary: verb.summary.clone(),
        effect: verb.effect,
        approve,
        input: verb.input(),
        reflects: verb.run.reflects(),
        transfers: verb.run.transfers(),
        notes: matches!(verb.run, Run::Note),
        parameters: parameters.collect(),
    })
}

/// Without what lies within another, where that is soon seen.
fn shortened(capabilities: Vec<Capability>) -> Vec<Capability> {
    match capabilities.len() {
        0..=MAX_COMPARED => Scope::new(capabilities).capabilities().to_vec(),
        _ => capabilities,
    }
}
