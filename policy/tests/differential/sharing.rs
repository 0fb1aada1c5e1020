//! Shares, passports and calls by chance, mostly such as fit their world.

use crate::bridge::{Loaded, derived};
use crate::chance::Chance;
use crate::decide::{Verdict, decide};
use crate::generate::{Whole, groups, limit, principal, recipient};
use crate::model::{Block, Call, Cap, Chain, Kind, Limit, Mode, Share, Val, Verb, World};
use crate::pool::{malformed, pool};

const MINUTE: u64 = 60_000;

/// A share of something, opened a while before.
pub(crate) fn share(chance: &mut Chance, world: &World, loaded: &Loaded, now: u64) -> Share {
    let (user, agent) = principal(chance);
    let mut share = Share {
        user,
        agent,
        groups: groups(chance),
        recipient: recipient(chance),
        scope: vec![],
        opened: 0,
        deadline: 0,
        approve: *chance.pick(&[Mode::Never, Mode::Never, Mode::Never, Mode::Once, Mode::Each]),
        max_calls: None,
        max_bytes: None,
        used_calls: 0,
        used_bytes: 0,
        consents: vec![],
    };
    aged(chance, &mut share, now);
    share.scope = scope(chance, world, loaded, &share, now);
    share
}

/// A share, and a passport of at most so many blocks; mostly such that something can be done with them.
pub(crate) fn opened(
    chance: &mut Chance,
    world: &World,
    loaded: &Loaded,
    now: u64,
    blocks: usize,
) -> (Share, Chain) {
    let tries = if chance.percent(85) { 40 } else { 1 };
    let mut made = None;
    for _ in 0..tries {
        let share = share(chance, world, loaded, now);
        let chain = chain(chance, world, &share, blocks);
        let last = &chain.blocks[chain.blocks.len() - 1].scope;
        let of_use = (0..4).any(|_| {
            let call = call(chance, world, last);
            !matches!(decide(world, &share, &chain, &call, now), Verdict::Refuse(_))
        });
        made = Some((share, chain));
        if of_use {
            break;
        }
    }
    made.unwrap()
}

/// Other times, budgets and uses.
pub(crate) fn aged(chance: &mut Chance, share: &mut Share, now: u64) {
    let ages =
        [0, 1, MINUTE / 2, MINUTE - 1, MINUTE, 90_499, 90_500, 4 * MINUTE, 5 * MINUTE, 29 * MINUTE];
    let young = if chance.percent(60) { 4 } else { ages.len() };
    share.opened = now - *chance.pick(&ages[..young]);
    let left = if chance.percent(4) { 0 } else { *chance.pick(&[1, MINUTE, 30 * MINUTE]) };
    share.deadline = now + left;
    share.max_calls = chance.percent(30).then(|| chance.next() % 4 + 1);
    share.max_bytes = chance.percent(10).then(|| *chance.pick(&[10, 1024]));
    share.used_calls = if chance.percent(35) { chance.next() % 5 } else { 0 };
    share.used_bytes =
        if chance.percent(20) { *chance.pick(&[9, 10, 1023, 1024, 2047]) } else { 0 };
}

/// What is shared: derived, taken from the rules, or anything.
fn scope(chance: &mut Chance, world: &World, loaded: &Loaded, share: &Share, now: u64) -> Vec<Cap> {
    let verbs: Vec<String> = world.verbs.iter().map(|verb| verb.name.clone()).collect();
    let asked = chance.some(&verbs, 1, 3);
    if chance.percent(50)
        && let Some(scope) = derived(loaded, &share.subject(now), &asked)
        && !scope.is_empty()
        && scope.len() < 10
    {
        return scope;
    }
    let mut scope = Vec::new();
    // Several of one verb, so that values fit one by one and not together.
    let twice = if chance.percent(35) { asked.clone() } else { vec![] };
    for name in asked.iter().chain(&twice) {
        let verb = world.verb(name).unwrap();
        let delegates = world.delegates().flat_map(|(_, _, held, _)| held.of(name));
        let held: Vec<Cap> = world.allows().flat_map(|(_, _, held)| held.of(name)).collect();
        let ruled: Vec<Cap> = delegates.chain(held).collect();
        let mut cap = if ruled.is_empty() || chance.percent(30) {
            Cap { verb: name.clone(), limits: vec![] }
        } else {
            chance.pick(&ruled).clone()
        };
        for param in &verb.params {
            if cap.limit(&param.name).is_none()
                && chance.percent(if twice.is_empty() { 30 } else { 60 })
            {
                cap.limits.push((
                    param.name.clone(),
                    limit(chance, param.kind, &[&param.limit], Whole::Each),
                ));
            }
        }
        scope.push(cap);
    }
    if chance.percent(3) {
        scope.push(Cap { verb: "gone.verb".to_owned(), limits: vec![] });
    }
    scope
}

/// A passport for the share: at most so many blocks, each within the one before.
pub(crate) fn chain(chance: &mut Chance, world: &World, share: &Share, blocks: usize) -> Chain {
    let not_after = share.deadline + if chance.percent(5) { 0 } else { MINUTE };
    let owner = if chance.percent(2) { "carol".to_owned() } else { share.user.clone() };
    let mut chain = Chain { owner, blocks: vec![Block { scope: share.scope.clone(), not_after }] };
    if chance.percent(15) {
        // Wider than the share is by now.
        let named = |cap: &Cap| Cap { verb: cap.verb.clone(), limits: vec![] };
        chain.blocks[0].scope = share.scope.iter().map(named).collect();
    }
    while chain.blocks.len() < blocks {
        let parent = chain.blocks.last().unwrap();
        let mut child = parent.clone();
        child.scope = narrower(chance, world, &parent.scope);
        if chance.percent(3) {
            child.not_after = share.opened.max(child.not_after.saturating_sub(2 * MINUTE));
        }
        chain.blocks.push(child);
    }
    chain
}

/// Something within a scope.
pub(crate) fn narrower(chance: &mut Chance, world: &World, parent: &[Cap]) -> Vec<Cap> {
    let fewest = if chance.percent(80) { parent.len() } else { 1 };
    let mut scope = chance.some(parent, fewest, parent.len());
    for cap in &mut scope {
        let params = world.verb(&cap.verb).map(|verb| verb.params.clone()).unwrap_or_default();
        for param in params {
            if chance.percent(15) {
                let wide = cap.limit(&param.name).cloned().unwrap_or_default();
                let narrow = narrowed(chance, &wide, param.kind);
                cap.limits.retain(|(name, _)| *name != param.name);
                cap.limits.push((param.name, narrow));
            }
        }
    }
    scope
}

fn narrowed(chance: &mut Chance, wide: &Limit, kind: Kind) -> Limit {
    let values: Vec<Val> = pool(kind).into_iter().filter(|one| wide.permits(one)).collect();
    let mut narrow = wide.settled();
    match (kind, wide.min, wide.max) {
        _ if values.is_empty() => return narrow,
        (Kind::Int, min, max) if narrow.one_of.is_none() && chance.percent(50) => {
            narrow.min = Some(min.unwrap_or(-3));
            narrow.max = Some(max.unwrap_or(100).min(if chance.percent(50) { 10 } else { 100 }));
            if narrow.min > narrow.max {
                return wide.clone();
            }
        }
        (Kind::Text, _, _) if narrow.one_of.is_none() && chance.percent(40) => {
            let Val::Text(longer) = chance.pick(&values).clone() else { return narrow };
            narrow.prefix = Some(longer);
        }
        _ => narrow = Limit::only(chance.some(&values, 1, 5)),
    }
    if wide.covers(&narrow) == Some(true) { narrow } else { wide.clone() }
}

/// A call that means to be within the last of these scopes.
pub(crate) fn call(chance: &mut Chance, world: &World, scope: &[Cap]) -> Call {
    let aimed = chance.pick(scope);
    let name = match chance.below(25) {
        0 => chance.pick(&world.verbs).name.clone(),
        1 => "no.such".to_owned(),
        _ => aimed.verb.clone(),
    };
    let Some(verb) = world.verb(&name) else { return Call { verb: name, args: vec![] } };
    let mut args = Vec::new();
    for param in &verb.params {
        let left_out = if param.default.is_some() { 25 } else { 2 };
        if !chance.percent(left_out) {
            args.push((param.name.clone(), value(chance, verb, aimed, &param.name)));
        }
    }
    if chance.percent(2) {
        args.push(("zz".to_owned(), Val::Int(1)));
    }
    Call { verb: name, args }
}

fn value(chance: &mut Chance, verb: &Verb, aimed: &Cap, name: &str) -> Val {
    let param = verb.params.iter().find(|param| param.name == name).unwrap();
    let wanted = |value: &Val| {
        aimed.limit(name).is_none_or(|limit| limit.permits(value)) && param.limit.permits(value)
    };
    let fitting: Vec<Val> = pool(param.kind).into_iter().filter(wanted).collect();
    if !fitting.is_empty() && chance.percent(88) {
        return chance.pick(&fitting).clone();
    }
    match chance.below(10) {
        0 => chance.pick(&pool(Kind::Bool)).clone(),
        1 | 2 => chance.pick(&malformed(param.kind)).clone(),
        _ => chance.pick(&pool(param.kind)).clone(),
    }
}
