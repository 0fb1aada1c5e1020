//! Agents, roles, and what `[[allow]]` and `[[deny]]` say in vain.

use std::collections::BTreeSet;

use super::Finding;
use crate::audience::Owners;
use crate::compare::taken;
use crate::name::AgentName;
use crate::nearest::nearest;
use crate::policy::Policy;
use crate::rule::{Grant, RuleSite};
use crate::scope::Capability;
use crate::selector::{Selected, Selector};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    let mut findings = declared(policy);
    let rules = policy.rulebook();
    for rule in rules.allows.all() {
        findings.extend(selection(policy, &rule.selector, &rule.site));
        findings.extend(denied(policy, &rule.selector, rule.scope.capabilities(), &rule.site));
    }
    for rule in rules.denies.all() {
        findings.extend(selection(policy, &rule.selector, &rule.site));
    }
    findings.extend(covered(policy));
    findings
}

/// Agents whom no rule can be about, and roles that nothing names.
fn declared(policy: &Policy) -> Vec<Finding> {
    let rules = policy.rulebook();
    let mut findings = Vec::new();
    for (name, site) in &rules.origins.unused_roles {
        let sentence = format!("role `{name}` is used nowhere, and grants nothing itself");
        findings.push(Finding::warning(
            "unused-role",
            site,
            sentence,
            "name it in a rule, or take it out",
        ));
    }
    for (name, site) in &rules.origins.agents {
        let alone = BTreeSet::from([name.clone()]);
        let this = Selector { agents: Selected::Only(alone), ..Selector::default() };
        let this = this.resolved(&rules.agents);
        let concerned = |rule: &Grant| rule.selector.resolved(&rules.agents).meets(&this);
        if !rules.allows.all().iter().any(concerned) {
            let sentence = format!("no `[[allow]]` rule is about agent `{name}`: it holds nothing");
            findings.push(Finding::warning(
                "idle-agent",
                site,
                sentence,
                "give it something, or take it out",
            ));
        }
    }
    findings
}

/// Rules that can select nobody, and agents that nobody declared.
pub(super) fn selection(policy: &Policy, selector: &Selector, site: &RuleSite) -> Vec<Finding> {
    let owners = &policy.rulebook().agents;
    let mut findings = Vec::new();
    if selector.resolved(owners).is_nobody() {
        let sentence = "the rule is about nobody: its agents are not its users'";
        let advice = "name the agent's own user, or leave `user` out";
        findings.push(Finding::warning("nobody", site, sentence, advice));
    }
    if let Selected::Only(agents) = &selector.agents {
        let unknown = agents.iter().filter(|agent| !owners.contains_key(*agent));
        findings.extend(unknown.map(|agent| undeclared(agent, owners, site)));
    }
    findings
}

fn undeclared(agent: &AgentName, owners: &Owners, site: &RuleSite) -> Finding {
    let near = nearest(agent.as_str(), owners.keys().map(AgentName::as_str));
    let sentence = format!("agent `{agent}` is not declared, and so means the user of that name");
    let advice = near.map_or_else(
        || format!("write `user = \"{agent}\"` if that is meant, or declare it by `[[agent]]`"),
        |near| format!("did you mean `{near}`?"),
    );
    Finding::note("undeclared-agent", site, sentence, advice)
}

/// What a rule gives and another denies to everyone to whom it is given.
pub(super) fn denied(
    policy: &Policy,
    selector: &Selector,
    scope: &[Capability],
    site: &RuleSite,
) -> Vec<Finding> {
    let rules = policy.rulebook();
    let given = selector.resolved(&rules.agents);
    let finding = |capability: &Capability| {
        let taken = taken(policy.catalog(), capability)?;
        let wide = rules.denies.all().iter().find(|deny| {
            deny.selector.resolved(&rules.agents).covers(&given) && deny.scope.covers(&taken)
        })?;
        let sentence = format!(
            "`{capability}` is given in vain: {} denies all of it to the same people",
            wide.site
        );
        Some(Finding::warning("denied", site, sentence, "take one of the two out"))
    };
    scope.iter().filter_map(finding).collect()
}

/// `[[allow]]` rules that add nothing to another one.
fn covered(policy: &Policy) -> Vec<Finding> {
    let rules = policy.rulebook();
    let all = rules.allows.all();
    let covers = |wide: &Grant, narrow: &Grant| {
        wide.selector.resolved(&rules.agents).covers(&narrow.selector.resolved(&rules.agents))
            && narrow.scope.is_subset_of(&wide.scope)
    };
    let finding = |(at, rule): (usize, &Grant)| {
        let mut others = all.iter().enumerate().filter(|(other, _)| *other != at);
        // Of two that say the same, the later one is the one too many.
        let (_, wide) = others
            .find(|(other, wide)| covers(wide, rule) && (*other < at || !covers(rule, wide)))?;
        let sentence =
            format!("the rule adds nothing: {} allows all of it to the same people", wide.site);
        Some(Finding::note("covered", &rule.site, sentence, "take it out"))
    };
    all.iter().enumerate().filter_map(finding).collect()
}
