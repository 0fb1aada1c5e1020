//! Who may share what, with whom, how long and how deep, decided twice.

use crate::calls::loaded;
use crate::chance::Chance;
use crate::delegate::{Answer, Wish, knows, may_share};
use crate::generate::{moment, recipient, world};
use crate::sharing::{narrower, share};
use crate::tally::{Tally, first_seed, wanted};

#[test]
fn differential_may_delegate_agrees_with_the_second_evaluator() {
    let first = first_seed(2_000_000_000);
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.cases() < wanted() {
        one_world(seed, &mut tally);
        seed += 1;
    }
    let at_least = [
        ("yes", 100),
        ("yes, with consent", 10),
        ("no rule", 50),
        ("recipient", 50),
        ("too long", 20),
        ("too deep", 20),
        ("too many", 10),
    ];
    tally.check("may_delegate", first, &at_least);
}

fn one_world(seed: u64, tally: &mut Tally) {
    let mut chance = Chance::seeded(seed);
    let world = world(&mut chance);
    let loaded = loaded(&world, seed);
    for _ in 0..60 {
        let now = moment(&mut chance);
        let deepest = if chance.percent(70) { 2 } else { 9 };
        let mut wish = Wish {
            scope: vec![],
            recipient: recipient(&mut chance),
            ttl: *chance.pick(&[1, 45_000, 45_001, 60_000, 90_500, 300_000, 300_001, 1_800_000]),
            redelegate: u8::try_from(chance.below(deepest)).unwrap(),
            live: vec![],
            in_doubt: true,
        };
        let shared = share(&mut chance, &world, &loaded, now);
        wish.scope = narrower(&mut chance, &world, &shared.scope);
        if chance.percent(1) {
            wish.scope.clear();
        }
        for _ in 0..chance.below(5) {
            let mut live = share(&mut chance, &world, &loaded, now);
            let for_whom = (0..chance.from(1, 2)).map(|_| recipient(&mut chance)).collect();
            if chance.percent(60) {
                live.scope = wish.scope.clone();
            }
            wish.live.push((live.scope, for_whom));
        }
        let owner = shared.subject(now);
        // In the crate's own order: of several that may not be shared, the first is named.
        wish.scope = crate::bridge::from_scope(&crate::bridge::to_scope(&wish.scope));
        let crates = loaded.may_share(&owner, &wish);
        let second = may_share(&world, &owner, &wish);
        let why = || format!("seed {seed}: {wish:#?}\n{owner:?}\n{}", loaded.text.shown());
        if !knows(&world, &wish) {
            // Doubt taken for a yes is the most that there can be.
            let most = !matches!(second, Answer::NoRule | Answer::Recipient | Answer::Empty);
            assert!(most || !matches!(crates, Answer::Yes { .. }), "{}", why());
            tally.count("not known");
            continue;
        }
        assert_eq!(crates, second, "{}", why());
        tally.count(match second {
            Answer::Yes { consent, .. } if consent.is_empty() => "yes",
            Answer::Yes { .. } => "yes, with consent",
            Answer::Empty => "empty",
            Answer::NoRule => "no rule",
            Answer::Recipient => "recipient",
            Answer::TooLong(_) => "too long",
            Answer::TooDeep(_) => "too deep",
            Answer::TooMany(_, _) => "too many",
        });
    }
}
