//! Calls of `/bin/true` with 64 in flight against spawns of it from two threads.

use std::sync::Arc;
use std::time::{Duration, Instant};

use client::Session;
use tokio::task::{JoinSet, spawn_blocking};

use crate::clients::{call_true, join, runtime};
use crate::figure::Figure;
use crate::reading::Reading;
use crate::sample::{Duel, Samples};
use crate::scene::Scene;
use crate::spawn;

/// 32 calls may be in flight on one seat.
const SEATS: usize = 2;
const PER_SEAT: usize = 32;
const THREADS: u32 = 2;
const SPAN: Duration = Duration::from_secs(1);
const ROUNDS: usize = 6;

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    let shares: Vec<_> = (0..SEATS).map(|_| scene.open(&["test.true"])).collect();
    let duel = runtime().block_on(async {
        let mut sessions = Vec::new();
        for share in &shares {
            sessions.push(Arc::new(join(&share.handle, scene.identities()).await));
        }
        calls(&sessions).await;
        let mut duel = Duel::default();
        while duel.rounds() < ROUNDS {
            let ours = Samples::from_iter([calls(&sessions).await]);
            let alice = scene.world.accounts.alice.clone();
            let theirs = spawn_blocking(move || spawn::per_second(&alice, THREADS, SPAN));
            duel.round(ours, Samples::from_iter([theirs.await.expect("they spawn")]));
        }
        duel
    });
    vec![figure.read(duel.ratio(), spread(&duel), against(&duel))]
}

/// Calls per second with every place taken all the time.
async fn calls(sessions: &[Arc<Session>]) -> f64 {
    let begun = Instant::now();
    let mut workers = JoinSet::new();
    for session in sessions {
        for _ in 0..PER_SEAT {
            workers.spawn(work(Arc::clone(session), begun));
        }
    }
    let counts = workers.join_all().await;
    f64::from(counts.into_iter().sum::<u32>()) / begun.elapsed().as_secs_f64()
}

async fn work(session: Arc<Session>, begun: Instant) -> u32 {
    let mut count = 0;
    while begun.elapsed() < SPAN {
        call_true(&session).await;
        count += 1;
    }
    count
}

fn spread(duel: &Duel) -> String {
    let (ours, ratios) = (duel.ours(), duel.ratios());
    format!(
        "{:.0} calls/s with {} in flight ({:.0} to {:.0}); ratio {:.2} to {:.2} over {} rounds",
        ours.median(),
        SEATS * PER_SEAT,
        ours.min(),
        ours.max(),
        ratios.min(),
        ratios.max(),
        ratios.len(),
    )
}

fn against(duel: &Duel) -> String {
    let theirs = duel.theirs();
    format!(
        "{} from {THREADS} threads: {:.0}/s ({:.0} to {:.0})",
        spawn::NAME,
        theirs.median(),
        theirs.min(),
        theirs.max()
    )
}
