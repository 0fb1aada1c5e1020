//! The second evaluator: one call, decided by walking through everything in order.

use crate::menu::Menu;
use crate::model::{Call, Cap, Chain, Mode, Part, Share, Site, Terms, To, Val, Verb, Verbs, World};
use crate::rules::Rule;

/// What is to come of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    Permit { allowed: Site, delegated: Site, call: Call },
    Ask { mode: Mode, approvers: Approvers, delegated: Site, call: Call },
    Refuse(Told),
}

/// What the caller is told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    NotPermitted,
    Over,
    Spent,
    Combination,
    Parameter(String),
    /// One of both: which depends on how well the menu sees that nothing is left.
    ParameterOrNothing(String),
}

/// Whose yes it takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Approvers {
    pub(crate) named: Vec<String>,
    /// Sorted.
    pub(crate) users: Vec<String>,
    /// Sorted.
    pub(crate) groups: Vec<String>,
    pub(crate) needs: u8,
}

pub(crate) fn decide(
    world: &World,
    share: &Share,
    chain: &Chain,
    call: &Call,
    now: u64,
) -> Verdict {
    verdict(world, share, chain, call, now).unwrap_or_else(Verdict::Refuse)
}

fn verdict(
    world: &World,
    share: &Share,
    chain: &Chain,
    call: &Call,
    now: u64,
) -> Result<Verdict, Told> {
    if now >= share.deadline || chain.blocks.iter().any(|block| now >= block.not_after) {
        return Err(Told::Over);
    }
    if chain.owner != share.user || !world.may_act(&share.user, &share.agent) {
        return Err(Told::NotPermitted);
    }
    let verb = world.verb(&call.verb).ok_or(Told::NotPermitted)?;
    let mut scopes: Vec<&[Cap]> = chain.blocks.iter().map(|block| &block.scope[..]).collect();
    scopes.push(&share.scope);
    if scopes.iter().any(|scope| scope.iter().all(|cap| cap.verb != verb.name)) {
        return Err(Told::NotPermitted);
    }
    let call = complete(verb, call)?;
    let menu = Menu { world, share, chain, verb, now };
    for scope in scopes {
        check_scope(scope, &call, &menu)?;
    }
    let (allowed, delegated) = ruled(world, share, &call, now).ok_or(Told::NotPermitted)?;
    if delegated.is_empty() {
        return Err(Told::NotPermitted);
    }
    check_catalog(verb, &call, &menu)?;
    if share.max_calls.is_some_and(|most| share.used_calls >= most)
        || share.max_bytes.is_some_and(|most| share.used_bytes >= most)
    {
        return Err(Told::Spent);
    }
    let (site, verbs, terms) = asking_least(&delegated, share, &call.verb).ok_or(Told::Spent)?;
    let mode = terms.mode(verbs, &verb.name).max(share.approve);
    let approvers = world.approvers(terms);
    if mode == Mode::Never || approvers.are_met(share, mode, &call) {
        return Ok(Verdict::Permit { allowed, delegated: site, call });
    }
    Ok(Verdict::Ask { mode, approvers, delegated: site, call })
}

/// The call with its defaults, when its arguments are of the right names and kinds.
fn complete(verb: &Verb, call: &Call) -> Result<Call, Told> {
    let param = |name: &str| verb.params.iter().find(|param| param.name == name);
    for (name, _) in &call.args {
        param(name).ok_or_else(|| Told::Parameter(name.clone()))?;
    }
    let mut args = Vec::new();
    for param in &verb.params {
        let value = call.arg(&param.name).or(param.default.as_ref());
        let value = value.ok_or_else(|| Told::Parameter(param.name.clone()))?;
        args.push((param.name.clone(), value.clone()));
    }
    for (name, value) in &args {
        if param(name).is_none_or(|param| !value.is_a(param.kind)) {
            return Err(Told::Parameter(name.clone()));
        }
    }
    Ok(Call { verb: call.verb.clone(), args })
}

fn check_scope(scope: &[Cap], call: &Call, menu: &Menu<'_>) -> Result<(), Told> {
    if scope.iter().any(|cap| cap.permits(&call.verb, &call.args)) {
        return Ok(());
    }
    for (name, value) in &call.args {
        let takes = |cap: &Cap| {
            cap.verb == call.verb && cap.limit(name).is_none_or(|limit| limit.permits(value))
        };
        if !scope.iter().any(takes) {
            return Err(menu.told(name));
        }
    }
    Err(Told::Combination)
}

fn check_catalog(verb: &Verb, call: &Call, menu: &Menu<'_>) -> Result<(), Told> {
    for param in &verb.params {
        if !param.limit.permits(call.arg(&param.name).unwrap()) {
            return Err(menu.told(&param.name));
        }
    }
    for element in &verb.argv {
        if matches!(element.as_slice(), [Part::Text(text)] if text == "--") {
            return Ok(());
        }
        if let Some(name) = option_made_by(element, call) {
            return Err(Told::Parameter(name));
        }
    }
    Ok(())
}

/// An element that begins with a parameter must not begin with a dash.
fn option_made_by(element: &[Part], call: &Call) -> Option<String> {
    let text = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Param(name) => call.arg(name).map(Val::plain).unwrap_or_default(),
    };
    let Some(Part::Param(first)) = element.first() else { return None };
    if let Some(Val::List(items)) = call.arg(first) {
        return items.iter().any(|one| one.plain().starts_with('-')).then(|| first.clone());
    }
    let maker = element.iter().find(|part| !text(part).is_empty())?;
    match maker {
        part if !text(part).starts_with('-') => None,
        Part::Param(name) => Some(name.clone()),
        Part::Text(_) => Some(first.clone()),
    }
}

/// A rule that delegates: where it is written, what, and how.
type Delegating<'w> = (Site, &'w Verbs, &'w Terms);

/// The first rule that allows, and those that delegate.
fn ruled<'w>(
    world: &'w World,
    share: &Share,
    call: &Call,
    now: u64,
) -> Option<(Site, Vec<Delegating<'w>>)> {
    let subject = share.subject(now);
    let permits = |verbs: &Verbs| verbs.permit(&call.verb, &call.args);
    let allowed = world.policy_permits(&subject, call)?;
    let delegated = world.delegates().filter(|(_, who, verbs, terms)| {
        world.selects(who, &subject, Rule::Gives)
            && permits(verbs)
            && terms.reach(&share.recipient)
            && now < share.opened.saturating_add(terms.max_ttl())
    });
    Some((allowed, delegated.map(|(site, _, verbs, terms)| (site, verbs, terms)).collect()))
}

/// Of the rules that are not used up, the one that asks least; of several the first.
fn asking_least<'w>(rules: &[Delegating<'w>], share: &Share, verb: &str) -> Option<Delegating<'w>> {
    let mut best: Option<Delegating<'w>> = None;
    for (site, verbs, terms) in rules {
        let has_room = terms.max_calls.is_none_or(|most| share.used_calls < most)
            && terms.max_bytes.is_none_or(|most| share.used_bytes < most);
        let asks_less = |(_, other, before): Delegating<'_>| {
            terms.demand(verbs, verb) < before.demand(other, verb)
        };
        if has_room && best.is_none_or(asks_less) {
            best = Some((*site, verbs, terms));
        }
    }
    best
}

impl Approvers {
    /// Whether enough people said yes to this: the owner alone where nobody is named, and never the
    /// owner where somebody is.
    fn are_met(&self, share: &Share, mode: Mode, call: &Call) -> bool {
        let mut yes: Vec<&str> = Vec::new();
        for consent in &share.consents {
            let to = match mode {
                Mode::Once => To::Verb(call.verb.clone()),
                Mode::Never | Mode::Each => To::Call(call.clone()),
            };
            let grouped = consent.groups.iter().flatten().any(|group| self.groups.contains(group));
            let counts = if self.named.is_empty() {
                consent.user == share.user
            } else {
                consent.user != share.user && (self.users.contains(&consent.user) || grouped)
            };
            if counts && consent.to == to && !yes.contains(&consent.user.as_str()) {
                yes.push(&consent.user);
            }
        }
        yes.len() >= usize::from(self.needs)
    }
}
