//! What deciding a call costs: the policy core alone, without a channel, a process or a disk.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use policy::{Decision, SeatId, ShareId, Timestamp};
use wire::call::{CallId, CallStatement, Signed};

use crate::figure::Figure;
use crate::reading::Reading;
use crate::ruled::{Ruled, alike, call, load, mixed, pinned};
use crate::sample::Samples;

/// What an installation has.
const RULES: usize = 1_000;
/// What the largest has.
const MANY: usize = 100_000;
const ROUNDS: usize = 4_000;
const MICROS: f64 = 1000.0;

/// With the passport verified before, as on every call of a channel but the first.
pub fn cached(figure: &Figure) -> Vec<Reading> {
    let ruled = Ruled::new(&mixed(RULES));
    let passport = ruled.verified(&ruled.passport(3));
    let permitted = timed(|| ruled.decide(&passport, ruled.call.clone()), is_permit);
    let refused = timed(|| ruled.decide(&passport, call("mail")), is_refusal);
    let crowded = Ruled::new(&alike(RULES));
    let worst = timed(|| crowded.decide(&passport, call("mail")), is_refusal);
    let against = format!(
        "{RULES} rules, 3 blocks; refused {:.1} us, refused with all rules about one verb of one user {:.1} us",
        refused.median() * MICROS,
        worst.median() * MICROS,
    );
    vec![read(figure, &permitted, against)]
}

/// From bytes: the passport, the call's signature, the decision.
pub fn uncached(figure: &Figure) -> Vec<Reading> {
    whole(figure, 3)
}

/// The same with the longest chain.
pub fn chain8(figure: &Figure) -> Vec<Reading> {
    whole(figure, 8)
}

fn whole(figure: &Figure, blocks: usize) -> Vec<Reading> {
    let ruled = Ruled::new(&mixed(RULES));
    let bytes = ruled.passport(blocks);
    let holder = SigningKey::from_bytes(&[9; 32]);
    let signed = signed(&ruled, &holder);
    let key = holder.verifying_key().to_bytes();
    let decide = || {
        let passport = ruled.verified(black_box(&bytes));
        let call: CallStatement = signed.verify(black_box(&key)).expect("it is signed");
        ruled.decide(&passport, policy::Call { verb: call.verb, arguments: call.arguments })
    };
    let took = timed(decide, is_permit);
    let against = format!("{RULES} rules, {blocks} blocks of {} bytes in all", bytes.len());
    vec![read(figure, &took, against)]
}

/// Two verbs and three pins.
pub fn passport_bytes(figure: &Figure) -> Vec<Reading> {
    let ruled = Ruled::new(&mixed(RULES));
    bytes(figure, ruled.passport(1).len(), "2 verbs, 3 pins, 1 relay")
}

/// What one narrowing adds to it.
pub fn narrow_bytes(figure: &Figure) -> Vec<Reading> {
    let ruled = Ruled::new(&mixed(RULES));
    let added = ruled.passport(2).len() - ruled.passport(1).len();
    bytes(figure, added, "one block for 2 verbs, 3 pins, a shorter time")
}

/// What handing it on to another key adds.
pub fn hand_on_bytes(figure: &Figure) -> Vec<Reading> {
    let ruled = Ruled::new(&mixed(RULES));
    let added = ruled.handed_on().len() - ruled.passport(1).len();
    bytes(figure, added, "one block for 2 verbs, 3 pins, a shorter time, another key")
}

fn bytes(figure: &Figure, bytes: usize, against: &str) -> Vec<Reading> {
    let value = f64::from(u32::try_from(bytes).expect("a passport is small"));
    vec![figure.read(value, "the same each time".to_owned(), against.to_owned())]
}

/// Reading and indexing the largest rulebook.
pub fn load_many(figure: &Figure) -> Vec<Reading> {
    let rules = mixed(MANY);
    let took: Samples = (0..5)
        .map(|_| {
            let begun = Instant::now();
            let policy = black_box(load(black_box(&rules)));
            let took = begun.elapsed();
            drop(policy);
            took
        })
        .collect();
    let mib = f64::from(u32::try_from(rules.text.len()).expect("it is small")) / f64::from(1 << 20);
    let against = format!("{MANY} rules of all kinds, {mib:.1} MiB of TOML");
    let spread =
        format!("{:.2} to {:.2} s over {}", took.min() / MICROS, took.max() / MICROS, took.len());
    vec![figure.read(took.median() / MICROS, spread, against)]
}

/// One call under the largest rulebook: of all kinds, or all about one verb of one user.
pub fn among_many(figure: &Figure) -> Vec<Reading> {
    let mut all = Vec::new();
    for (rules, what) in [
        (mixed(MANY), "rules of all kinds"),
        (pinned(MANY), "rules, each pins a value for one user and verb"),
    ] {
        let ruled = Ruled::new(&rules);
        let passport = ruled.verified(&ruled.passport(3));
        let took = timed(|| ruled.decide(&passport, ruled.call.clone()), is_permit);
        all.push((took, format!("{MANY} {what}")));
    }
    let slower = |one: &&(Samples, String), two: &&(Samples, String)| {
        one.0.median().total_cmp(&two.0.median())
    };
    let (took, against) = all.iter().max_by(slower).expect("two were measured");
    vec![read(figure, took, against.clone())]
}

fn signed(ruled: &Ruled, holder: &SigningKey) -> Signed {
    let statement = CallStatement {
        daemon: ruled.root.verifying_key().to_bytes(),
        share: ShareId::from_random([1, 2, 3, 4, 5, 6, 7, 8]),
        passport: [0; 32],
        id: CallId([5; 16]),
        verb: ruled.call.verb.clone(),
        arguments: ruled.call.arguments.clone(),
        head: Vec::new(),
        not_after: Timestamp(0),
        seat: SeatId(0),
    };
    Signed::new(&statement, holder).expect("it can be signed")
}

/// Times each of many; the first ones only warm the caches.
fn timed(decide: impl Fn() -> Decision, expected: fn(&Decision) -> bool) -> Samples {
    let once = || {
        let begun = Instant::now();
        let decision = black_box(decide());
        let took = begun.elapsed();
        assert!(expected(&decision), "not what was to be measured: {decision:?}");
        took
    };
    let warm: Duration = (0..ROUNDS / 10).map(|_| once()).sum();
    // Slow ones are measured less often.
    let rounds = if warm > Duration::from_secs(2) { ROUNDS / 10 } else { ROUNDS };
    (0..rounds).map(|_| once()).collect()
}

fn is_permit(decision: &Decision) -> bool {
    matches!(decision, Decision::Permit(_))
}

fn is_refusal(decision: &Decision) -> bool {
    matches!(decision, Decision::Refuse(_))
}

fn read(figure: &Figure, took: &Samples, against: String) -> Reading {
    let spread = format!(
        "p50 {:.1} us, p90 {:.1}, p99 {:.1} over {}",
        took.median() * MICROS,
        took.percentile(90) * MICROS,
        took.percentile(99) * MICROS,
        took.len(),
    );
    figure.read(took.median() * MICROS, spread, against)
}
