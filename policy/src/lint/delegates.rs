//! `[[delegate]]` rules that give more, or less, than they seem to.

use super::grants::{denied, selection};
use super::{Finding, Level};
use crate::compare::taken;
use crate::constraint::Constraint;
use crate::explain::checks::demand;
use crate::kind::Kind;
use crate::name::VerbName;
use crate::policy::Policy;
use crate::rule::{Bearer, Delegate};
use crate::scope::Capability;
use crate::verb::Effect;

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    policy.rulebook().delegates.all().iter().flat_map(|rule| of_rule(policy, rule)).collect()
}

fn of_rule(policy: &Policy, rule: &Delegate) -> Vec<Finding> {
    let mut findings = selection(policy, &rule.selector, &rule.site);
    findings.extend(denied(policy, &rule.selector, rule.scope.capabilities(), &rule.site));
    for capability in rule.scope.capabilities() {
        findings.extend(not_held(policy, rule, capability));
        findings.extend(unpinned(policy, rule, capability));
    }
    findings.extend(bearer(policy, rule));
    findings.extend(approvers(policy, rule));
    for verb in rule.scope.verbs() {
        findings.extend(undercut(policy, rule, verb));
    }
    findings
}

/// What may be shared and is held by nobody who may share it.
fn not_held(policy: &Policy, rule: &Delegate, capability: &Capability) -> Option<Finding> {
    if !held(policy, rule, capability).is_empty() {
        return None;
    }
    let sentence = format!(
        "`{capability}` may be shared, but no `[[allow]]` rule gives any of it to those who may share it"
    );
    Some(Finding::warning("not-held", &rule.site, sentence, "allow it, or take it out"))
}

/// What of a capability those who may share it may hold, a rule at a time.
fn held(policy: &Policy, rule: &Delegate, capability: &Capability) -> Vec<Capability> {
    let rules = policy.rulebook();
    let sharing = rule.selector.resolved(&rules.agents);
    let allows = rules.allows.all().iter();
    let about = allows.filter(|allow| allow.selector.resolved(&rules.agents).meets(&sharing));
    let both = about.flat_map(|allow| {
        allow
            .scope
            .of(capability.verb())
            .filter_map(|held| held.intersect(capability))
            .collect::<Vec<_>>()
    });
    both.filter_map(|one| taken(policy.catalog(), &one)).collect()
}

/// Verbs that change something, with a text that may be anything.
fn unpinned(policy: &Policy, rule: &Delegate, capability: &Capability) -> Option<Finding> {
    let verb = policy.catalog().verb(capability.verb())?;
    if verb.effect != Effect::Write {
        return None;
    }
    let held = held(policy, rule, capability);
    let free_kind = |kind: Kind| !matches!(kind.each(), Kind::Int | Kind::Bool);
    let texts = verb.parameters.iter().filter(|(_, one)| free_kind(one.kind));
    let free = |name| held.iter().any(|one| *one.constraint(name) == Constraint::Any);
    let (name, _) = texts.into_iter().find(|(name, _)| free(*name))?;
    let sentence =
        format!("`{}` changes something, and may be shared with any `{name}`", verb.name);
    let advice = "limit it in the rule, or in the catalog: `one_of`, `pattern`";
    Some(Finding::warning("unpinned-write", &rule.site, sentence, advice))
}

fn bearer(policy: &Policy, rule: &Delegate) -> Option<Finding> {
    let writes = |verb: &&VerbName| {
        policy.catalog().verb(verb).is_some_and(|verb| verb.effect == Effect::Write)
    };
    let verb = rule.scope.verbs().into_iter().find(writes)?;
    let sentence =
        format!("`{verb}` changes something, and may be shared with whoever comes first");
    let advice = "say `bearer = false` here, and give what only reads a rule of its own";
    (rule.to.bearer == Bearer::Allowed)
        .then(|| Finding::warning("bearer-write", &rule.site, sentence, advice))
}

/// A yes that nobody can say: nobody approves what is their own.
fn approvers(policy: &Policy, rule: &Delegate) -> Option<Finding> {
    let approvers = &rule.approvers;
    if approvers.named.is_empty() || !approvers.groups.is_empty() {
        return None;
    }
    let selector = rule.selector.resolved(&policy.rulebook().agents);
    // Whoever shares may be one of them; where it may be anybody, one of them may.
    let sharing = selector.users().unwrap_or(&approvers.users);
    let others = |owner: &String| approvers.users.iter().filter(|user| *user != owner).count();
    let (owner, left) =
        sharing.iter().map(|owner| (owner, others(owner))).min_by_key(|(_, left)| *left)?;
    if left >= usize::from(approvers.needs) {
        return None;
    }
    let sentence = format!(
        "what {owner} shares needs {} yes of {}, and nobody approves what is their own: {left} can",
        approvers.needs,
        approvers.named.join(", ")
    );
    Some(Finding::warning("no-approver", &rule.site, sentence, "name others, or a `@role`"))
}

/// A yes that is not waited for, because another rule permits the same and asks less.
fn undercut(policy: &Policy, rule: &Delegate, verb: &VerbName) -> Option<Finding> {
    let owners = &policy.rulebook().agents;
    let here = rule.selector.resolved(owners);
    let asks = |one: &Delegate| (one.approve_open, one.demand(verb));
    let overlaps = |other: &&Delegate| {
        let met = other
            .scope
            .of(verb)
            .any(|one| rule.scope.of(verb).any(|two| one.intersect(two).is_some()));
        met && other.selector.resolved(owners).meets(&here) && other.to.meets(&rule.to)
    };
    let less = |other: &&Delegate| {
        let (open, calls) = asks(other);
        let (own_open, own_calls) = asks(rule);
        (own_open && !open) || calls < own_calls
    };
    let wholly = |other: &&Delegate| {
        let covered = rule.scope.of(verb).all(|one| other.scope.covers(one));
        let lasting = other.max_ttl >= rule.max_ttl && other.redelegate >= rule.redelegate;
        let to = other.to.covers(&rule.to);
        covered && lasting && to && other.selector.resolved(owners).covers(&here)
    };
    let others = policy.rulebook().delegates.all().iter();
    let others: Vec<&Delegate> = others.filter(|other| less(other) && overlaps(other)).collect();
    let whole = others.iter().copied().find(wholly);
    let other = whole.or_else(|| others.first().copied())?;
    let (level, how) = match whole {
        Some(_) => (Level::Warning, "all of this to the same people"),
        None => (Level::Note, "some of this to some of the same people"),
    };
    let (asked, less) = (demand(rule, verb), demand(other, verb));
    let sentence = format!("`{verb}`: {asked}; but {} gives {how}, and there {less}", other.site);
    let advice = "the rule that asks least counts: make the two exclude each other, or ask alike";
    Some(Finding::new(level, "undercut", &rule.site, sentence, advice))
}
