//! Passports of up to eight blocks: what a child permits, all its ancestors permit.

use crate::bridge::{Loaded, mint, narrow, passports};
use crate::calls::{ended, loaded};
use crate::chance::Chance;
use crate::decide::{Verdict, decide};
use crate::generate::{Whole, limit, moment, world};
use crate::model::{Block, Cap, Chain, Limit, Pattern, World};
use crate::sharing::{call, narrower, opened};
use crate::shrink::{Case, agree};
use crate::tally::{Tally, first_seed, wanted};

/// The most blocks that a passport may have.
const BLOCKS: usize = 8;
/// The most patterns that its holders may add.
const FRESH: usize = 4;

#[test]
fn differential_p01_a_child_never_permits_what_its_parent_refuses() {
    let first = first_seed(1_000_000_000);
    let (mut tally, mut depths, mut asked) = (Tally::default(), [0; BLOCKS + 1], Tally::default());
    let mut seed = first;
    while tally.cases() < wanted() {
        let mut chance = Chance::seeded(seed);
        let world = world(&mut chance);
        let loaded = loaded(&world, seed);
        depths[one_chain(seed, &mut chance, &world, &loaded, &mut tally)] += 1;
        one_wish(seed, &mut chance, &world, &loaded, &mut asked);
        seed += 1;
    }
    println!("chains by length: {depths:?}");
    assert!(depths[BLOCKS] * 2 > depths.iter().sum::<usize>(), "most chains are long");
    asked.check("narrowings", first, &[("taken", 50), ("refused", 50)]);
    tally.check("chains", first, &[("permit", 100), ("ask", 50), ("child refuses alone", 5)]);
}

/// Calls through every prefix of one chain; how many blocks it has.
fn one_chain(
    seed: u64,
    chance: &mut Chance,
    world: &World,
    loaded: &Loaded,
    tally: &mut Tally,
) -> usize {
    let now = moment(chance);
    let (share, whole) = opened(chance, world, loaded, now, BLOCKS);
    let made = passports(&whole);
    for _ in 0..32 {
        let aim = chance.below(made.len());
        let call = call(chance, world, &whole.blocks[aim].scope);
        let mut parent: Option<Verdict> = None;
        for (last, passport) in made.iter().enumerate() {
            let chain =
                Chain { owner: whole.owner.clone(), blocks: whole.blocks[..=last].to_vec() };
            let (crates, _) = loaded.decide(&share, passport, &call, now);
            let second = decide(world, &share, &chain, &call, now);
            if !agree(&crates, &second) {
                let (world, share) = (world.clone(), share.clone());
                Case { world, share, chain, call, now }.fail(seed);
            }
            let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refuse(_));
            let widened = parent.as_ref().is_some_and(refused) && !refused(&crates);
            assert!(!widened, "seed {seed}: {call:?} {chain:#?}\n{}", loaded.text.shown());
            let alone = parent.as_ref().is_some_and(|parent| !refused(parent)) && refused(&crates);
            tally.count(if alone { "child refuses alone" } else { ended(&second) });
            parent = Some(crates);
        }
    }
    made.len()
}

/// A narrowing that may or may not be within its parent is taken only when it is.
fn one_wish(seed: u64, chance: &mut Chance, world: &World, loaded: &Loaded, asked: &mut Tally) {
    let now = moment(chance);
    let (_, chain) = opened(chance, world, loaded, now, 1);
    let parent = &chain.blocks[0];
    let bytes = mint(&chain.owner, parent);
    for _ in 0..3 {
        let mut child = parent.clone();
        child.scope = narrower(chance, world, &child.scope);
        for cap in &mut child.scope {
            loosened(chance, world, cap);
        }
        let later = [0, 0, 0, 1, u64::MAX - child.not_after];
        child.not_after += *chance.pick(&later);
        let taken = narrow(&bytes, &child).is_ok();
        let Some(expected) = lies_within(&child, parent) else { continue };
        assert_eq!(taken, expected, "seed {seed}: {parent:#?} {child:#?}");
        asked.count(if taken { "taken" } else { "refused" });
    }
}

/// The same, mostly with a limit less or another one.
fn loosened(chance: &mut Chance, world: &World, cap: &mut Cap) {
    let Some(verb) = world.verb(&cap.verb).filter(|verb| !verb.params.is_empty()) else { return };
    let param = chance.pick(&verb.params);
    let chosen = chance.below(4);
    if chosen < 2 {
        cap.limits.retain(|(name, _)| *name != param.name);
    }
    if chosen == 1 {
        cap.limits.push((param.name.clone(), limit(chance, param.kind, &[], Whole::Each)));
    }
}

/// Whether the child is within; `None` when this evaluator does not know.
fn lies_within(child: &Block, parent: &Block) -> Option<bool> {
    let of = |block: &Block| {
        let limits = block.scope.iter().flat_map(|cap| cap.limits.clone());
        limits.flat_map(|(_, limit)| patterns(&limit.settled())).collect::<Vec<_>>()
    };
    let mut fresh = of(child);
    fresh.retain(|pattern| !of(parent).contains(pattern));
    fresh.sort_by_key(|pattern| format!("{pattern:?}"));
    fresh.dedup();
    let within = |cap: &Cap| {
        let each: Vec<Option<bool>> = parent.scope.iter().map(|wide| wide.covers(cap)).collect();
        let unknown = each.contains(&None) && !each.contains(&Some(true));
        (!unknown).then(|| each.contains(&Some(true)))
    };
    let scopes = child.scope.iter().map(within).collect::<Option<Vec<bool>>>()?;
    let good = child.not_after <= parent.not_after && fresh.len() <= FRESH;
    Some(good && !scopes.contains(&false))
}

fn patterns(limit: &Limit) -> Vec<Pattern> {
    let inner = [&limit.each, &limit.has].into_iter().flatten();
    let inner = inner.flat_map(|limit| limit.settled().patterns);
    limit.patterns.iter().cloned().chain(inner).collect()
}
