//! What one rule depends on, a sentence for each part.

use std::collections::BTreeSet;

use super::Check;
use crate::authorize::Call;
use crate::consent::Approve;
use crate::name::{AgentName, VerbName, shown};
use crate::principal::{Groups, Recipient, Subject};
use crate::rehearsal::Rehearsal;
use crate::rule::{Bearer, Delegate, Recipients};
use crate::scope::{Capability, Scope};
use crate::selector::{Doubt, Selected, Selector};
use crate::verb::Verb;

/// Whether the catalog takes the arguments.
pub(crate) fn of_catalog(verb: &Verb, call: &Call) -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, parameter) in &verb.parameters {
        let check = match call.arguments.value(name) {
            None => Check::new(false, format!("`{name}` is required")),
            Some(value) => {
                let holds = parameter.accepts(value);
                let verb = if holds { "is" } else { "is not" };
                let told = format!("`{name}={}` {verb} {}", value.shown(), parameter.constraint);
                Check::new(holds, told)
            }
        };
        checks.push(check);
    }
    let strays = call.arguments.iter().filter(|(name, _)| !verb.parameters.contains_key(*name));
    checks.extend(strays.map(|(name, _)| Check::new(false, format!("there is no `{name}`"))));
    checks.extend(
        verb.run
            .objection(&call.arguments)
            .map(|(name, problem)| Check::new(false, format!("`{name}` {problem}"))),
    );
    checks
}

/// Whether a rule is about the owner, now.
pub(super) fn of_selector(selector: &Selector, subject: &Subject, doubt: Doubt) -> Vec<Check> {
    let principal = &subject.principal;
    let mut checks = Vec::new();
    if let Selected::Only(agents) = &selector.agents {
        checks.push(one_of(
            "agent",
            principal.agent.as_str(),
            agents.iter().map(AgentName::as_str),
        ));
    }
    if let Selected::Only(users) = &selector.users {
        checks.push(one_of("user", &principal.user, users.iter().map(String::as_str)));
    }
    checks.extend(selector.groups.iter().map(|wanted| of_groups(wanted, &subject.groups, doubt)));
    if !selector.windows.is_empty() {
        checks.push(of_windows(selector, subject, doubt));
    }
    checks
}

fn one_of<'a>(what: &str, given: &str, wanted: impl Iterator<Item = &'a str>) -> Check {
    let wanted: Vec<&str> = wanted.collect();
    let holds = wanted.contains(&given);
    let names: Vec<String> = wanted.into_iter().map(shown).collect();
    let names = names.join(", ");
    let told = if holds {
        format!("{what} {}", shown(given))
    } else {
        format!("it is about {what} {names}, not {}", shown(given))
    };
    Check::new(holds, told)
}

fn of_groups(wanted: &BTreeSet<String>, groups: &Groups, doubt: Doubt) -> Check {
    let known = groups.meet(wanted);
    let holds = doubt.settle(known);
    let names: Vec<String> = wanted.iter().map(|name| shown(name)).collect();
    let names = names.join(" or ");
    let told = match (known, holds) {
        (Some(true), _) => format!("in group {names}"),
        (Some(false), _) => format!("not in group {names}"),
        (None, true) => format!("the groups are not known, and so count as {names}"),
        (None, false) => format!("the groups are not known, and so do not count as {names}"),
    };
    Check::new(holds, told)
}

fn of_windows(selector: &Selector, subject: &Subject, doubt: Doubt) -> Check {
    let holds = selector.is_open(subject, doubt);
    let windows: Vec<String> = selector.windows.iter().map(ToString::to_string).collect();
    let within = if holds { "within" } else { "outside" };
    Check::new(holds, format!("{within} {}", windows.join(" or ")))
}

/// Whether one capability of the rule permits the call.
pub(super) fn of_scope(scope: &Scope, call: &Call) -> Check {
    let all: Vec<&Capability> = scope.of(&call.verb).collect();
    let fits = |one: &&&Capability| one.permits(&call.verb, &call.arguments);
    if let Some(capability) = all.iter().find(fits) {
        return Check::new(true, format!("within `{capability}`"));
    }
    let why: Vec<String> = all.into_iter().map(|one| outside(one, call)).collect();
    Check::new(false, why.join("; "))
}

fn outside(capability: &Capability, call: &Call) -> String {
    let lines = capability.parameters().iter().filter_map(|(name, limit)| {
        match call.arguments.value(name) {
            None => Some(format!("`{name}` is not given")),
            Some(value) if limit.permits(value) => None,
            Some(value) => Some(format!("`{name}={}` is not {limit}", value.shown())),
        }
    });
    lines.collect::<Vec<_>>().join(", ")
}

pub(super) fn of_recipient(to: &Recipients, recipient: &Recipient) -> Check {
    if to.include(recipient) {
        return Check::new(true, format!("reaches {recipient}"));
    }
    Check::new(false, format!("reaches {}, not {recipient}", reached(to)))
}

/// Whom a rule reaches, in words.
pub(crate) fn reached(to: &Recipients) -> String {
    let mut parts = Vec::new();
    if let Some(globs) = &to.aliases {
        let globs: Vec<String> = globs.iter().map(|glob| shown(glob.as_str())).collect();
        parts.push(globs.join(", "));
    }
    if let Some(keys) = &to.keys {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        parts.push(format!("the key {}", keys.join(" or ")));
    }
    let mut told = parts.join(" with ");
    if to.bearer == Bearer::Allowed {
        told.push_str(if told.is_empty() { "a bearer" } else { ", a bearer" });
    }
    told
}

/// Whether the rule lets a share be opened for so long, and live so long.
pub(super) fn of_time(rule: &Delegate, rehearsal: &Rehearsal<'_>) -> Vec<Check> {
    let most = crate::delegation::whole(rule.max_ttl);
    let opened = rehearsal.ttl.map(|ttl| {
        let asked = crate::delegation::whole(ttl);
        Check::of_opening(ttl <= rule.max_ttl, format!("lasts at most {most}, asked is {asked}"))
    });
    let lived = (!rehearsal.after.is_zero()).then(|| {
        let told = format!("a share under it lives {most}");
        Check::new(rehearsal.after < rule.max_ttl, told)
    });
    let over = rehearsal.ttl.filter(|ttl| rehearsal.after >= *ttl);
    let over = over.map(|_| Check::new(false, "the share is over by then"));
    let plain = Check::new(true, format!("lasts at most {most}"));
    let asked: Vec<Check> = opened.into_iter().chain(lived).chain(over).collect();
    if asked.is_empty() { vec![plain] } else { asked }
}

pub(super) fn of_depth(rule: &Delegate, rehearsal: &Rehearsal<'_>) -> Check {
    let told = match rule.redelegate {
        0 => "not to be handed on".to_owned(),
        depth => format!("handed on {depth} deep at most"),
    };
    Check::of_opening(rehearsal.redelegate <= rule.redelegate, told)
}

/// Whose yes a rule wants for this verb.
pub(crate) fn demand(rule: &Delegate, verb: &VerbName) -> String {
    let approvers = &rule.approvers;
    let opening =
        if rule.approve_open { format!("opening it asks {approvers}; ") } else { String::new() };
    let calls = match rule.approve(verb) {
        Approve::Never => "calls ask nobody".to_owned(),
        Approve::Once => format!("the first call asks {approvers}"),
        Approve::Each => format!("each call asks {approvers}"),
    };
    format!("{opening}{calls}")
}
