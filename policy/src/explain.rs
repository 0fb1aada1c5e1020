//! Why something would be permitted or refused, rule by rule, for people who read policy.

pub(crate) mod checks;

use std::sync::Arc;

use crate::authorize::{Call, complete};
use crate::principal::Subject;
use crate::rehearsal::{Rehearsal, Verdict};
use crate::rule::{Delegate, Grant, RuleSite};
use crate::scope::Scope;
use crate::selector::{Doubt, Selector};
use crate::verb::Verb;

/// What each rule says of one call, and what follows.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The call with defaults filled in, as far as it can be.
    pub call: Call,
    /// The verb, if there is one.
    pub verb: Option<Arc<Verb>>,
    /// The catalog and every rule that speaks of the verb, in the order in which they count.
    pub steps: Vec<Step>,
    /// What would be decided.
    pub verdict: Verdict,
}

/// What the catalog or one rule says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// What it is.
    pub kind: StepKind,
    /// Where it stands.
    pub site: RuleSite,
    /// Whom it is about.
    pub about: String,
    /// What it depends on; it applies when all of them hold.
    pub checks: Vec<Check>,
}

/// What a step is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StepKind {
    /// The verb in the catalog.
    Verb,
    /// `[[deny]]`.
    Deny,
    /// `[[allow]]`, or a `[[role]]` that grants.
    Allow,
    /// `[[delegate]]`.
    Delegate,
}

impl StepKind {
    /// As policy writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Verb => "verb",
            Self::Deny => "deny",
            Self::Allow => "allow",
            Self::Delegate => "delegate",
        }
    }
}

/// One thing that a rule depends on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Check {
    /// Whether it is so.
    pub holds: bool,
    /// In a sentence.
    pub sentence: String,
    /// Whether it is about the share that is opened, and not about the call: a rule under which such a share
    /// could not be opened may still be one by which a call in it is shared.
    pub of_opening: bool,
}

impl Check {
    fn new(holds: bool, sentence: impl Into<String>) -> Self {
        Self { holds, sentence: sentence.into(), of_opening: false }
    }

    fn of_opening(holds: bool, sentence: impl Into<String>) -> Self {
        Self { of_opening: true, ..Self::new(holds, sentence) }
    }
}

impl Step {
    /// Whether it counts for the call: the catalog takes it, the rule matches.
    #[must_use]
    pub fn applies(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    /// Whether it counts for a call in a share that another rule has let be opened.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.checks.iter().all(|check| check.holds || check.of_opening)
    }
}

impl Rehearsal<'_> {
    /// Why a call would be permitted or refused.
    #[must_use]
    pub fn explain(&self, call: &Call) -> Explanation {
        let verdict = self.call(call);
        let verb = self.policy.catalog().verb(&call.verb).cloned();
        let known = verb.as_ref().and_then(|verb| complete(verb, call.clone()).ok());
        let call = known.clone().unwrap_or_else(|| call.clone());
        let steps = verb.as_deref().map_or(vec![], |verb| self.steps(verb, &call));
        Explanation { call, verb, steps, verdict }
    }

    /// What is said of the verb by rules that do not apply as well as by those that do.
    fn steps(&self, verb: &Verb, call: &Call) -> Vec<Step> {
        let rules = self.policy.rulebook();
        let site = self.policy.site_of(&verb.name).cloned();
        let catalog = site.map(|site| Step {
            kind: StepKind::Verb,
            site,
            about: verb.name.to_string(),
            checks: checks::of_catalog(verb, call),
        });
        let speaks = |scope: &Scope| scope.of(&verb.name).next().is_some();
        let denies = rules.denies.all().iter().filter(|rule| speaks(&rule.scope));
        let allows = rules.allows.all().iter().filter(|rule| speaks(&rule.scope));
        let delegates = rules.delegates.all().iter().filter(|rule| speaks(&rule.scope));
        let mut steps: Vec<Step> = catalog.into_iter().collect();
        steps.extend(denies.map(|rule| self.grant(rule, StepKind::Deny, call)));
        steps.extend(allows.map(|rule| self.grant(rule, StepKind::Allow, call)));
        steps.extend(delegates.map(|rule| self.delegate(rule, call)));
        steps
    }

    fn grant(&self, rule: &Grant, kind: StepKind, call: &Call) -> Step {
        let doubt = if kind == StepKind::Deny { Doubt::Includes } else { Doubt::Excludes };
        let mut checks = checks::of_selector(&rule.selector, &self.subject(), doubt);
        checks.push(checks::of_scope(&rule.scope, call));
        Step { kind, site: rule.site.clone(), about: self.told(&rule.selector), checks }
    }

    fn delegate(&self, rule: &Delegate, call: &Call) -> Step {
        let mut checks = checks::of_selector(&rule.selector, &self.subject(), Doubt::Excludes);
        checks.push(checks::of_scope(&rule.scope, call));
        if let Some(recipient) = &self.recipient {
            checks.push(checks::of_recipient(&rule.to, recipient));
        }
        checks.extend(checks::of_time(rule, self));
        checks.push(checks::of_depth(rule, self));
        checks.push(Check::new(true, checks::demand(rule, &call.verb)));
        let site = rule.site.clone();
        Step { kind: StepKind::Delegate, site, about: self.told(&rule.selector), checks }
    }

    /// The owner at the time of the call.
    fn subject(&self) -> Subject {
        let now = self.owner.now.plus(self.after);
        Subject { now, ..self.owner.clone() }
    }

    fn told(&self, selector: &Selector) -> String {
        let owners = &self.policy.rulebook().agents;
        selector.resolved(owners).told(owners)
    }
}

impl Explanation {
    /// What follows from the steps alone: a second opinion on the verdict, for tests.
    #[must_use]
    pub fn follows(&self) -> bool {
        let any = |kind| self.steps.iter().any(|step| step.kind == kind && step.applies());
        any(StepKind::Verb)
            && !any(StepKind::Deny)
            && any(StepKind::Allow)
            && any(StepKind::Delegate)
    }
}
