//! The menu: what a recipient is shown of what they may call.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::authorize::Standing;
use crate::consent::Approve;
use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::{ParameterName, VerbName};
use crate::passport::Passport;
use crate::policy::Policy;
use crate::principal::Subject;
use crate::scope::{Capability, Scope};
use crate::time::Timestamp;
use crate::value::Value;
use crate::verb::{Effect, Verb};

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
    /// What it takes.
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
        let subject = standing.subject(now);
        let stated: Scope = passport.scope().of(&verb.name).cloned().collect();
        if stated.is_empty() {
            return None;
        }
        let scope = self.callable(standing, &subject, &verb.name, &stated);
        entry(verb, &scope, self.approve(standing, &subject, &verb.name))
    }

    fn callable(
        &self,
        standing: &Standing,
        subject: &Subject,
        verb: &VerbName,
        stated: &Scope,
    ) -> Scope {
        let Standing { owner, recipient, scope, .. } = standing;
        if self.principal(&owner.user, Some(&owner.agent)).is_err() {
            return Scope::default();
        }
        let held = self.surface_of(subject, verb).scope();
        let delegable = self.rulebook().delegable_to(subject, recipient, verb);
        stated.intersect(scope).intersect(&held).intersect(&delegable)
    }

    /// The least that any rule asks for a call of the verb.
    fn approve(&self, standing: &Standing, subject: &Subject, verb: &VerbName) -> Approve {
        let rules = self.rulebook().delegates.about(subject, verb);
        let reaching = rules.filter(|rule| rule.to.include(&standing.recipient));
        let asked = reaching.map(|rule| rule.approve(verb)).min().unwrap_or_default();
        asked.max(standing.approve)
    }
}

fn entry(verb: &Verb, scope: &Scope, approve: Approve) -> Option<MenuEntry> {
    let declared = verb.parameters.iter().map(|(name, one)| (name.clone(), one.constraint.clone()));
    let accepted = Capability::new(verb.name.clone(), declared);
    let callable: Vec<_> =
        scope.of(&verb.name).filter_map(|one| one.intersect(&accepted)).collect();
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
        parameters: parameters.collect(),
    })
}
