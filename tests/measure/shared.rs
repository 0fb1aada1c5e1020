//! `call` over a channel that is held, from the start of its process to its end, against a warm call in a process that runs.

use std::time::{Duration, Instant};

use crate::clients::{join, runtime};
use crate::cold::timed;
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::{Duel, Samples};
use crate::scene::Scene;
use crate::warm::calls;

const ROUNDS: usize = 15;
const PER_ROUND: usize = 20;
const BUDGET: Duration = Duration::from_secs(25);

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    // A seat has one holder key: the process that runs has a share of its own.
    let (held, warm) = (scene.open(&["test.true"]), scene.open(&["test.true"]));
    let ours = |arguments: &[&str]| timed(scene.world.vendor().command(&held, arguments));
    let first = ours(&["--persist", "5m", "call", "test.true"]);
    let runtime = runtime();
    let session = runtime.block_on(join(&warm.handle, scene.identities()));
    runtime.block_on(calls(&session));
    let (mut duel, begun) = (Duel::default(), Instant::now());
    while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
        let theirs = runtime.block_on(calls(&session));
        let ours: Samples = (0..PER_ROUND).map(|_| ours(&["call", "test.true"])).collect();
        duel.round(ours, theirs);
    }
    runtime.block_on(session.close());
    ours(&["--persist", "0s", "call", "test.true"]);
    vec![figure.read(duel.ratio(), spread(&duel, first), against(&duel))]
}

fn spread(duel: &Duel, first: Duration) -> String {
    let (ours, ratios) = (duel.ours(), duel.ratios());
    format!(
        "call p50 {:.2} ms, p90 {:.2} over {} (the first, which has the channel held, {:.1}); ratio {:.2} to {:.2} over {} rounds",
        ours.median(),
        ours.percentile(90),
        ours.len(),
        first.as_secs_f64() * 1000.0,
        ratios.min(),
        ratios.max(),
        ratios.len(),
    )
}

fn against(duel: &Duel) -> String {
    let theirs = duel.theirs();
    format!(
        "a warm call in a process that runs: p50 {:.3} ms, p90 {:.3}",
        theirs.median(),
        theirs.percentile(90)
    )
}
