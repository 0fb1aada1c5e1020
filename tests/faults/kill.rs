//! kill -9 of the monitor, at any instant, under load (P11, au5).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::owner::Share;
use tests::wait::until;
use tests::world::World;

const ROUNDS: u32 = 4;
const KILLS: u32 = 5;
const CLIENTS: u32 = 3;

#[test]
fn p11_au5_kill_9_at_twenty_random_instants_under_load_loses_and_repeats_nothing() {
    let mut world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.append"]);
    let mut dead = Vec::new();
    let mut done = Vec::new();
    for round in 0..ROUNDS {
        let doomed = world.alice().open(&["test.append"]);
        assert_eq!(
            world.vendor().call(&doomed, &["test.append", &format!("name=doomed-{round}")]).status,
            0
        );
        assert_eq!(world.alice().revoke(&doomed).status, 0);
        dead.push(doomed);
        done.extend(kill_under_load(&world, &share, round));
        // A new keeper has no pause to make after the deaths that the last one saw.
        world.stop_daemon();
        world.start_daemon();
    }

    let said = world.vendor().call(&share, &["test.append", "name=last"]);
    assert_eq!(said.status, 0, "the live share resumes: {said:?}");
    for share in &dead {
        let said = world.vendor().call(share, &["test.append", "name=never"]);
        assert_eq!(said.status, 255, "what was revoked stays dead: {said:?}");
    }
    check_record(&world, &done);
    world.stop_daemon();
    let log = world.state().join("audit.log").display().to_string();
    let verified = world.root().run(&["audit", "verify", "--file", &log]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

/// Kills the monitor while clients call; what they called, and how that ended for them.
fn kill_under_load(world: &World, share: &Share, round: u32) -> Vec<(String, i32)> {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let stop = &stop;
                scope.spawn(move || call_until(stop, world, share, &format!("r{round}-c{client}")))
            })
            .collect();
        for kill in 0..KILLS {
            std::thread::sleep(instant(round * KILLS + kill));
            let monitor = world.process("--as-monitor").expect("it runs");
            let pid = Pid::from_raw(monitor.cast_signed()).expect("a pid");
            kill_process(pid, Signal::KILL).expect("it is there");
            until("another monitor serves", || {
                world.process("--as-monitor").filter(|pid| *pid != monitor)?;
                let status = world.root().json(&["status"]).ok()?;
                status["relays"][0]["up"].as_bool().filter(|up| *up)
            });
        }
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("a client ends")).collect()
    })
}

/// Between 20 ms and 1.2 s after the relay is up, spread as if at random, equal in every run.
fn instant(number: u32) -> Duration {
    let spread = u64::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    Duration::from_millis(20 + spread % 1180)
}

fn call_until(stop: &AtomicBool, world: &World, share: &Share, prefix: &str) -> Vec<(String, i32)> {
    let mut called = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let name = format!("{prefix}-{}", called.len());
        let said = world.vendor().call(share, &["test.append", &format!("name={name}")]);
        called.push((name, said.status));
    }
    called
}

fn check_record(world: &World, done: &[(String, i32)]) {
    let ran = world.ran();
    let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
    for name in &ran {
        *lines.entry(name).or_default() += 1;
    }
    assert!(lines.values().all(|count| *count == 1), "a verb ran twice: {lines:?}");
    assert!(
        done.iter().filter(|(_, status)| *status == 0).count() > 20,
        "there was load: {done:?}"
    );
    for (name, status) in done {
        assert!(
            *status != 0 || lines.contains_key(name.as_str()),
            "{name} succeeded and did not run"
        );
    }
    let count = |kind: &str| {
        let mut by_id: BTreeMap<String, u32> = BTreeMap::new();
        for event in world.events(kind) {
            *by_id.entry(event["call"].to_string()).or_default() += 1;
        }
        by_id
    };
    let (started, ended) = (count("call_started"), count("call_ended"));
    assert!(started.values().all(|count| *count == 1), "{started:?}");
    assert_eq!(started, ended, "every call that started has one end");
    let names: BTreeMap<String, ()> = world
        .events("call_started")
        .iter()
        .map(|event| (event["arguments"]["name"].as_str().unwrap_or_default().to_owned(), ()))
        .collect();
    for name in lines.keys() {
        assert!(names.contains_key(*name), "{name} ran off the record");
    }
}
