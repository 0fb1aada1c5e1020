//! The second opinion on what may be shared, with whom, how long and how deep.

use crate::decide::Approvers;
use crate::model::{Cap, Mode, Recipient, Site, Subject, Terms, Verbs, World};
use crate::rules::Rule;

/// What somebody wants to share.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) scope: Vec<Cap>,
    pub(crate) recipient: Recipient,
    /// Milliseconds.
    pub(crate) ttl: u64,
    pub(crate) redelegate: u8,
    /// What the owner's other shares cover, and for whom they are.
    pub(crate) live: Vec<(Vec<Cap>, Vec<Recipient>)>,
    /// What is taken for covered or not, when this evaluator does not know.
    pub(crate) in_doubt: bool,
}

/// Whether it may be shared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Answer {
    Yes {
        max_ttl: u64,
        /// Sorted.
        by: Vec<Site>,
        calls: Option<u64>,
        bytes: Option<u64>,
        /// Sorted by rule.
        consent: Vec<(Site, Approvers)>,
        /// By verb, sorted.
        asks: Vec<(String, Mode, Approvers)>,
    },
    Empty,
    NoRule,
    Recipient,
    TooLong(u64),
    TooDeep(u8),
    TooMany(Site, u32),
}

/// Whether this evaluator knows all that the answer depends on.
pub(crate) fn knows(world: &World, wish: &Wish) -> bool {
    world.delegates().all(|(_, _, verbs, terms)| {
        let knows = |cap: &Cap| verbs.of(&cap.verb).all(|own| own.covers(cap).is_some());
        let meets = |cap: &Cap| verbs.of(&cap.verb).all(|own| own.may_meet(cap).is_some());
        wish.scope.iter().all(knows)
            && (terms.max_shares.is_none()
                || wish.live.iter().all(|(scope, _)| scope.iter().all(meets)))
    })
}

type Delegating<'w> = (Site, &'w Verbs, &'w Terms);

pub(crate) fn may_share(world: &World, owner: &Subject, wish: &Wish) -> Answer {
    let mut chosen = Vec::new();
    let mut asks: Vec<(String, Mode, Approvers)> = Vec::new();
    for cap in &wish.scope {
        let rule = match choose(world, owner, wish, cap) {
            Ok(rule) => rule,
            Err(no) => return no,
        };
        let mode = rule.2.mode(rule.1, &cap.verb);
        let asked = (cap.verb.clone(), mode, world.approvers(rule.2));
        match asks.iter_mut().find(|(verb, _, _)| *verb == cap.verb) {
            None => asks.push(asked),
            Some(before) if before.1 < mode => *before = asked,
            Some(_) => {}
        }
        chosen.push(rule);
    }
    asks.sort_by(|one, two| one.0.cmp(&two.0));
    let least = |of: fn(&Terms) -> Option<u64>| chosen.iter().filter_map(|rule| of(rule.2)).min();
    let Some(max_ttl) = least(|terms| Some(terms.max_ttl())) else { return Answer::Empty };
    let mut by: Vec<Site> = chosen.iter().map(|rule| rule.0).collect();
    by.sort();
    by.dedup();
    let mut consent: Vec<(Site, Approvers)> = Vec::new();
    for site in &by {
        let rule = chosen.iter().find(|rule| rule.0 == *site && rule.2.approve_open);
        consent.extend(rule.map(|rule| (*site, world.approvers(rule.2))));
    }
    let (calls, bytes) = (least(|terms| terms.max_calls), least(|terms| terms.max_bytes));
    Answer::Yes { max_ttl, by, calls, bytes, consent, asks }
}

/// The one rule for a capability: of those that cover all of it and all that is asked, the one that
/// asks least.
fn choose<'w>(
    world: &'w World,
    owner: &Subject,
    wish: &Wish,
    cap: &Cap,
) -> Result<Delegating<'w>, Answer> {
    let mut rules: Vec<Delegating<'w>> = Vec::new();
    for (site, who, verbs, terms) in world.delegates() {
        let covers = exists(world, cap)
            && verbs.of(&cap.verb).any(|own| own.covers(cap).unwrap_or(wish.in_doubt));
        if covers && world.selects(who, owner, Rule::Gives) {
            rules.push((site, verbs, terms));
        }
    }
    if rules.is_empty() {
        return Err(Answer::NoRule);
    }
    rules.retain(|(_, _, terms)| terms.reach(&wish.recipient));
    let longest = rules.iter().map(|rule| rule.2.max_ttl()).max().ok_or(Answer::Recipient)?;
    rules.retain(|(_, _, terms)| wish.ttl <= terms.max_ttl());
    let deep = |terms: &Terms| terms.redelegate.unwrap_or(0);
    let deepest = rules.iter().map(|rule| deep(rule.2)).max().ok_or(Answer::TooLong(longest))?;
    rules.retain(|(_, _, terms)| wish.redelegate <= deep(terms));
    let first = *rules.first().ok_or(Answer::TooDeep(deepest))?;
    rules.retain(|(_, verbs, terms)| has_room(world, verbs, terms, wish));
    let asks = |(_, verbs, terms): &Delegating<'w>| {
        let (mode, needs) = terms.demand(verbs, &cap.verb);
        (terms.approve_open, mode, needs, u64::MAX - terms.max_ttl())
    };
    let full = Answer::TooMany(first.0, first.2.max_shares.unwrap_or(0));
    rules.into_iter().min_by_key(asks).ok_or(full)
}

/// Stars mean verbs of the catalog only.
fn exists(world: &World, cap: &Cap) -> bool {
    world.verb(&cap.verb).is_some()
}

fn has_room(world: &World, verbs: &Verbs, terms: &Terms, wish: &Wish) -> bool {
    let Some(most) = terms.max_shares else { return true };
    let mut count = 0;
    for (scope, recipients) in &wish.live {
        let touches = |cap: &Cap| {
            exists(world, cap) && verbs.of(&cap.verb).any(|own| own.may_meet(cap).unwrap_or(true))
        };
        if recipients.iter().any(|one| terms.reach(one)) && scope.iter().any(touches) {
            count += 1;
        }
    }
    count < most
}
