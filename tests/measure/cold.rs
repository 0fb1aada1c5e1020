//! `call` from the start of its process to its end, against `ssh` to this machine.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::figure::Figure;
use crate::reading::{Limit, Reading};
use crate::sample::{Duel, Samples};
use crate::scene::Scene;
use tests::sshd::Sshd;

const ROUNDS: usize = 25;
const BUDGET: Duration = Duration::from_secs(25);

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let scene = Scene::new();
    let share = scene.open(&["test.true"]);
    let accounts = &scene.world.accounts;
    let sshd = Sshd::start(&accounts.alice);
    let ours = || timed(scene.world.vendor().command(&share, &["call", "test.true"]));
    let theirs = || timed(sshd.client(&accounts.vendor, &[], "true"));
    // The first takes the seat, and fills the page cache for both.
    let (first, _) = (ours(), theirs());
    let (mut duel, begun) = (Duel::default(), Instant::now());
    while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
        duel.round(Samples::from_iter([ours()]), Samples::from_iter([theirs()]));
    }
    let alone = Reading {
        figure: "cold_call_ms".to_owned(),
        value: duel.ours().median(),
        unit: "ms",
        against: "start, unseal, connect, redeem, run, exit, on loopback".to_owned(),
        limit: Limit::AtMost(12.0),
        spread: format!("p90 {:.1} ms over {}", duel.ours().percentile(90), duel.ours().len()),
    };
    vec![figure.read(duel.ratio(), spread(&duel, first), against(&duel)), alone]
}

/// How long a command takes that has to succeed.
pub fn timed(mut command: Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().expect("run the client");
    let took = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} ended with {}:\n{said}", output.status);
    took
}

fn spread(duel: &Duel, first: Duration) -> String {
    let (ours, ratios) = (duel.ours(), duel.ratios());
    format!(
        "call p50 {:.1} ms ({:.1} to {:.1}; the first, which takes the seat, {:.1}); ratio {:.3} to {:.3} over {} rounds",
        ours.median(),
        ours.min(),
        ours.max(),
        first.as_secs_f64() * 1000.0,
        ratios.min(),
        ratios.max(),
        ratios.len(),
    )
}

fn against(duel: &Duel) -> String {
    let theirs = duel.theirs();
    format!(
        "ssh -F none, key, to a local sshd without PAM: p50 {:.1} ms ({:.1} to {:.1})",
        theirs.median(),
        theirs.min(),
        theirs.max()
    )
}
