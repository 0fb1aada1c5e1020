//! A warm call of `/bin/true` against a spawn of it, both with the same pause between one and the next.

use std::time::{Duration, Instant};

use client::Session;
use tests::account::Account;
use tokio::time::sleep;

use crate::clients::{call_true, join, runtime};
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::{Duel, Samples};
use crate::scene::Scene;
use crate::spawn;

const PAUSE: Duration = Duration::from_millis(3);
const ROUNDS: usize = 12;
const PER_ROUND: usize = 60;
const BUDGET: Duration = Duration::from_secs(20);

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    let share = scene.open(&["test.true"]);
    let alice = &scene.world.accounts.alice;
    let duel = runtime().block_on(async {
        let session = join(&share.handle, scene.identities()).await;
        calls(&session).await;
        let (mut duel, begun) = (Duel::default(), Instant::now());
        while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
            duel.round(calls(&session).await, spawns(alice).await);
        }
        session.close().await;
        duel
    });
    vec![figure.read(duel.ratio(), spread(&duel), against(&duel))]
}

/// Calls with a pause between one and the next.
pub async fn calls(session: &Session) -> Samples {
    let mut took = Vec::with_capacity(PER_ROUND);
    for _ in 0..PER_ROUND {
        sleep(PAUSE).await;
        let begun = Instant::now();
        call_true(session).await;
        took.push(begun.elapsed());
    }
    took.into_iter().collect()
}

async fn spawns(account: &Account) -> Samples {
    let mut took = Vec::with_capacity(PER_ROUND);
    for _ in 0..PER_ROUND {
        sleep(PAUSE).await;
        took.push(spawn::once(account.uid, account.gid));
    }
    took.into_iter().collect()
}

fn spread(duel: &Duel) -> String {
    let (ours, ratios) = (duel.ours(), duel.ratios());
    format!(
        "call p50 {:.3} ms, p90 {:.3}, p99 {:.3} over {}; ratio {:.2} to {:.2} over {} rounds",
        ours.median(),
        ours.percentile(90),
        ours.percentile(99),
        ours.len(),
        ratios.min(),
        ratios.max(),
        ratios.len(),
    )
}

fn against(duel: &Duel) -> String {
    let theirs = duel.theirs();
    format!("{}: p50 {:.3} ms, p90 {:.3}", spawn::NAME, theirs.median(), theirs.percentile(90))
}
