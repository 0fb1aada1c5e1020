//! `call` over a channel that is held, from the start of its process to its end, against a warm call in a process that runs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tests::sshd::Sshd;

use crate::clients::{join, runtime};
use crate::cold::timed;
use crate::figure::Figure;
use crate::reading::{Limit, Reading};
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
    let (sshd, accounts) = (Sshd::start(&scene.world.accounts.alice), &scene.world.accounts);
    let control = format!("ControlPath={}", scene.world.vendor().home().join("kept").display());
    let ssh = |options: &[&str]| {
        sshd.client(&accounts.vendor, &[&["-o", &control], options].concat(), "true")
    };
    let mut master = ssh(&["-f", "-o", "ControlMaster=yes", "-o", "ControlPersist=yes"]);
    assert!(master.stdin(Stdio::null()).status().expect("run ssh").success());
    timed(ssh(&[]));
    let (mut duel, mut masters, begun) = (Duel::default(), Vec::new(), Instant::now());
    while duel.rounds() < ROUNDS && begun.elapsed() < BUDGET {
        let theirs = runtime.block_on(calls(&session));
        let ours: Samples = (0..PER_ROUND).map(|_| ours(&["call", "test.true"])).collect();
        duel.round(ours, theirs);
        masters.extend((0..PER_ROUND).map(|_| timed(ssh(&[]))));
    }
    assert!(ssh(&["-O", "exit"]).output().expect("run ssh").status.success());
    let masters = Samples::from_iter(masters);
    let versus = Reading {
        figure: "shared_call_vs_controlmaster".to_owned(),
        value: duel.ours().median() / masters.median(),
        unit: "ratio",
        against: format!("ssh with a ControlMaster, true: p50 {:.2} ms", masters.median()),
        limit: Limit::Below(1.0),
        spread: format!("p90 {:.2} ms over {}", masters.percentile(90), masters.len()),
    };
    runtime.block_on(session.close());
    ours(&["--persist", "0s", "call", "test.true"]);
    vec![figure.read(duel.ratio(), spread(&duel, first), against(&duel)), versus]
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
