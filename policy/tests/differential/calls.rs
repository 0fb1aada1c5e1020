//! Calls of every sort, decided twice.

use crate::bridge::{Loaded, passports};
use crate::chance::Chance;
use crate::decide::{Told, Verdict, decide};
use crate::generate::{USERS, groups, moment, principal, recipient, world};
use crate::model::{Call, Chain, Consent, Mode, Share, To, World};
use crate::sharing::{aged, call, opened};
use crate::shrink::{Case, agree};
use crate::tally::{Tally, first_seed, wanted};

pub(crate) fn loaded(world: &World, seed: u64) -> Loaded {
    Loaded::of(world).unwrap_or_else(|faults| {
        panic!("seed {seed}: {faults}\n{}", crate::render::Rendered::of(world).shown())
    })
}

/// What came of a case, for the tally.
pub(crate) fn ended(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Permit { .. } => "permit",
        Verdict::Ask { .. } => "ask",
        Verdict::Refuse(Told::NotPermitted) => "refuse: not permitted",
        Verdict::Refuse(Told::Over) => "refuse: over",
        Verdict::Refuse(Told::Spent) => "refuse: spent",
        Verdict::Refuse(Told::Combination) => "refuse: combination",
        Verdict::Refuse(Told::Parameter(_)) => "refuse: parameter",
        Verdict::Refuse(Told::ParameterOrNothing(_)) => "refuse: parameter, or not permitted",
    }
}

/// How many blocks: mostly few, for each costs signatures.
fn blocks(chance: &mut Chance) -> usize {
    *chance.pick(&[1, 1, 1, 2, 2, 2, 3, 3, 4, 8])
}

/// The same share with something else about it.
fn varied(chance: &mut Chance, mut share: Share, now: u64) -> Share {
    if chance.percent(10) {
        (share.user, share.agent) = principal(chance);
    }
    if chance.percent(15) {
        share.groups = groups(chance);
    }
    if chance.percent(15) {
        share.recipient = recipient(chance);
    }
    if chance.percent(35) {
        aged(chance, &mut share, now);
    }
    share.approve = *chance.pick(&[Mode::Never, Mode::Never, Mode::Once, Mode::Each]);
    share
}

/// Somebody's yes, to what was asked or to something else.
fn consent(chance: &mut Chance, share: &Share, to: To, digest: [u8; 32]) -> Consent {
    let user = if chance.percent(30) { share.user.clone() } else { chance.name(&USERS) };
    let right = chance.percent(85);
    Consent {
        user,
        groups: groups(chance),
        to: if right { to } else { To::Nothing },
        digest: if right { digest } else { [0x5a; 32] },
    }
}

#[test]
fn differential_authorize_agrees_with_the_second_evaluator() {
    let first = first_seed(1);
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.cases() < wanted() {
        one_world(seed, &mut tally);
        seed += 1;
    }
    let at_least = [
        ("permit", 100),
        ("ask", 80),
        ("refuse: not permitted", 100),
        ("refuse: over", 15),
        ("refuse: spent", 3),
        ("refuse: combination", 3),
        ("refuse: parameter", 40),
    ];
    tally.check("authorize", first, &at_least);
}

fn one_world(seed: u64, tally: &mut Tally) {
    let mut chance = Chance::seeded(seed);
    let world = world(&mut chance);
    let loaded = loaded(&world, seed);
    for _ in 0..2 {
        let now = moment(&mut chance);
        let blocks = blocks(&mut chance);
        let (opened, mut chain) = opened(&mut chance, &world, &loaded, now, blocks);
        let made = passports(&chain);
        chain.blocks.truncate(made.len());
        let passport = made.last().unwrap();
        for _ in 0..6 {
            let mut share = varied(&mut chance, opened.clone(), now);
            let mut call =
                self::call(&mut chance, &world, &chain.blocks[chain.blocks.len() - 1].scope);
            for _ in 0..14 {
                let asked =
                    check(seed, &world, &loaded, &share, (&chain, passport), &call, now, tally);
                match asked {
                    // Again, with somebody's yes.
                    Some((to, digest)) if chance.percent(75) => {
                        let consent = consent(&mut chance, &share, to, digest);
                        share.consents.push(consent);
                    }
                    _ => {
                        let aim = if chance.percent(80) { chain.blocks.len() - 1 } else { 0 };
                        call = self::call(&mut chance, &world, &chain.blocks[aim].scope);
                    }
                }
            }
        }
    }
}

/// Decides a call twice; what it asks a yes to, if it asks.
#[expect(clippy::too_many_arguments, reason = "a case is many things")]
fn check(
    seed: u64,
    world: &World,
    loaded: &Loaded,
    share: &Share,
    (chain, passport): (&Chain, &policy::Passport),
    call: &Call,
    now: u64,
    tally: &mut Tally,
) -> Option<(To, [u8; 32])> {
    let (crates, digest) = loaded.decide(share, passport, call, now);
    let second = decide(world, share, chain, call, now);
    if !agree(&crates, &second) {
        let (world, share, chain, call) =
            (world.clone(), share.clone(), chain.clone(), call.clone());
        Case { world, share, chain, call, now }.fail(seed);
    }
    tally.count(ended(&second));
    let Verdict::Ask { mode, call, .. } = second else { return None };
    let to = if mode == Mode::Once { To::Verb(call.verb.clone()) } else { To::Call(call) };
    Some((to, digest?))
}
