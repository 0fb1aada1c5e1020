//! Seats, channels and calls: who holds what, and for how long.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::wait::until;
use tests::world::{Setup, World};

fn shared(world: &World, verbs: &[&str]) -> tests::owner::Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(verbs)
}

#[test]
fn p08_a_leaked_handle_is_useless_without_the_recipients_key() {
    let world = World::start();
    let share = shared(&world, &["test.true"]);
    let stolen = world.mallory().call(&share, &["test.true"]);
    assert_eq!(stolen.status, 125, "{stolen:?}");
    assert!(world.events("seat_redeemed").is_empty());
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn se2_a_bearer_needs_both_values() {
    let world = World::start();
    let share = world.alice().try_open(&["test.true"], &["--bearer"]).expect("open");
    let without = tests::owner::Share { second: None, ..share.clone() };
    assert_ne!(world.vendor().call(&without, &["test.true"]).status, 0);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn se10_a_second_redeemer_is_refused_and_the_owner_sees_it() {
    let world = World::start();
    let share = world.alice().try_open(&["test.true"], &["--bearer"]).expect("open");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let second = world.mallory().call(&share, &["test.true"]);
    assert_eq!(second.status, 255, "{second:?}");
    assert_eq!(world.events("redeem_refused").len(), 1);
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 1);
    assert_eq!(
        world.vendor().call(&share, &["test.true"]).status,
        0,
        "the holder is not locked out"
    );
}

#[test]
fn p06_revoke_ends_the_running_verb_before_it_returns() {
    let world = World::start();
    // Ignores what can be ignored, and hides in a session of its own.
    world.script("stubborn", "trap '' TERM HUP INT\n(setsid sh -c \"trap '' TERM HUP; echo child; while :; do sleep 1; done\" &)\necho ready\nwhile :; do sleep 1; done\n");
    let share = shared(&world, &["test.sh:name=stubborn"]);
    let mut call = world.vendor().start(&share, &["test.sh", "name=stubborn"]);
    call.stdout.line_with("ready");
    call.stdout.line_with("child");
    assert!(!processes_of(&world).is_empty());

    let begun = Instant::now();
    let revoked = world.alice().json(&["share", "revoke", &share.id]).expect("revoke");

    assert!(processes_of(&world).is_empty(), "all are dead when revoke returns");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(revoked["revoked"][0]["told"], "acknowledged", "{revoked}");
    assert_eq!(call.wait().code(), Some(255));
    let end = &world.ends()[0];
    assert_eq!(end["ending"], "revoked", "{end}");
}

/// The owner's processes that belong to this world: they mention its directory.
fn processes_of(world: &World) -> Vec<u32> {
    let home = world.home.display().to_string();
    let keeper = world.daemon.as_ref().expect("it runs").pid();
    let own: Vec<u32> = fs::read_dir("/proc")
        .expect("list processes")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != keeper)
        .filter(|pid| {
            let uid = fs::metadata(format!("/proc/{pid}"));
            uid.is_ok_and(|meta| {
                std::os::unix::fs::MetadataExt::uid(&meta) == world.accounts.alice.uid
            })
        })
        .filter(|pid| {
            let cgroup = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let instance = fs::read_to_string(world.state().join("cgroup")).unwrap_or_default();
            let leaf = instance.trim().rsplit('/').next().unwrap_or("-").to_owned();
            cgroup.contains(&leaf) || String::from_utf8_lossy(&line).contains(&home)
        })
        .collect();
    own
}

#[test]
fn p05_the_deadline_ends_the_running_verb_and_tells_the_peer() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world
        .alice()
        .try_open(&["log.follow:service=web"], &["--to", "vendor-b", "--ttl", "3s"])
        .expect("open");
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    assert!(follow.stderr.text().contains("expired"), "{}", follow.stderr.text());
    assert_eq!(world.ends()[0]["ending"], "expired");
    assert_eq!(world.events("share_expired")[0]["why"], "deadline");
    assert!(processes_of(&world).is_empty());
}

#[test]
fn se12_extend_never_passes_thirty_minutes_from_the_opening() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share =
        world.alice().try_open(&["test.true"], &["--to", "vendor-b", "--ttl", "2m"]).expect("open");
    let said = world.alice().run(&["share", "extend", &share.id, "--ttl", "30m"]);
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("30 minutes"), "{said:?}");
    let said = world.alice().run(&["share", "extend", &share.id, "--ttl", "29m"]);
    assert_eq!(said.status, 0, "{said:?}");
    let shown = world.alice().show(&share);
    assert_ne!(shown["share"]["deadline"], share.deadline.as_str(), "{shown}");
}

#[test]
fn se11_policy_narrowed_mid_share_refuses_the_next_call_and_ends_the_running_one() {
    let world = World::start();
    let share = shared(&world, &["log.follow:service=web", "test.true"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let policy = world.etc().join("policy.d/test.toml");
    let text = fs::read_to_string(&policy).expect("read the policy");
    fs::write(&policy, text.replace("\"log.follow\" = { service = [\"web\", \"db\"] }, ", ""))
        .expect("narrow");

    assert_eq!(world.root().run(&["reload"]).status, 0);

    follow.wait();
    assert_eq!(world.ends()[0]["ending"], "withdrawn");
    let refused = world.vendor().call(&share, &["log.follow", "service=web"]);
    assert!([126, 127].contains(&refused.status), "{refused:?}");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn se20_a_running_follow_ends_when_its_contact_goes() {
    let world = World::start();
    let share = shared(&world, &["log.follow:service=web"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let said = world.alice().run(&["contact", "remove", "vendor-b"]);
    assert_eq!(said.status, 0, "{said:?}");
    follow.wait();
    assert_eq!(world.ends()[0]["ending"], "withdrawn");
}

#[test]
fn a_bad_reload_changes_nothing() {
    let world = World::start();
    let share = shared(&world, &["test.true"]);
    let policy = world.etc().join("policy.d/test.toml");
    let text = fs::read_to_string(&policy).expect("read the policy");
    fs::write(&policy, format!("{text}\n[[alow]]\n")).expect("spoil it");
    let said = world.root().run(&["reload"]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("policy.d/test.toml:"), "{said:?}");
    assert!(said.stderr.contains("allow"), "the nearest name: {said:?}");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert_eq!(world.events("policy_rejected").len(), 1);
}

#[test]
fn p11_kill_9_of_the_monitor_resumes_live_shares_and_kills_what_ran() {
    let mut world = World::start();
    let share = shared(&world, &["log.follow:service=web", "log.tail:service=web"]);
    let dead = world.alice().open(&["test.true"]);
    world.alice().revoke(&dead);
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let before = world.alice().show(&share);
    let monitor = world.process("--as-monitor").expect("the monitor runs");

    kill(monitor);

    until("what ran is dead", || processes_of(&world).is_empty().then_some(()));
    until("another monitor runs", || world.process("--as-monitor").filter(|pid| *pid != monitor));
    world.await_relay();
    let after = world.alice().show(&share);
    assert_eq!(before["share"]["deadline"], after["share"]["deadline"]);
    let tail = world.vendor().call(&share, &["log.tail", "service=web", "lines=1"]);
    assert_eq!((tail.status, tail.stdout.as_str()), (0, "web line 9\n"), "{tail:?}");
    assert_eq!(world.vendor().call(&dead, &["test.true"]).status, 255);
    assert_eq!(world.events("call_started").len(), world.events("call_ended").len());
}

#[test]
fn p11_kill_9_of_the_keeper_ends_the_monitor_and_all_calls() {
    let mut world = World::start();
    let share = shared(&world, &["log.follow:service=web", "test.true"]);
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let keeper = world.daemon.as_ref().expect("it runs").pid();
    let monitor = world.process("--as-monitor").expect("the monitor runs");

    kill(keeper);

    until("the monitor ends", || {
        (!fs::exists(format!("/proc/{monitor}/exe")).unwrap_or(false)).then_some(())
    });
    until("what ran is dead", || processes_of(&world).is_empty().then_some(()));
    world.daemon = None;
    world.start_daemon();
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0, "the share lives on");
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, Signal::KILL).expect("it is there");
}

#[test]
fn a_broker_that_dies_is_replaced_and_the_share_is_reached_again() {
    let mut world = World::start();
    let share = shared(&world, &["test.true"]);
    let broker = world.process("--as-broker").expect("the broker runs");
    kill(broker);
    until("another broker runs", || world.process("--as-broker").filter(|pid| *pid != broker));
    world.await_relay();
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn re5_a_relay_restart_in_mid_call_is_only_a_pause() {
    let mut world = World::start();
    world.script("count", "for i in $(seq 1 80); do echo line $i; sleep 0.1; done\n");
    let share = shared(&world, &["test.sh:name=count"]);
    let mut call = world.vendor().start(&share, &["test.sh", "name=count"]);
    call.stdout.line_with("line 3");

    world.relay = None;
    world.start_relay();

    assert_eq!(call.wait().code(), Some(0), "{}", call.stderr.text());
    let expected: String = (1..=80).map(|line| format!("line {line}\n")).collect();
    assert_eq!(String::from_utf8_lossy(&call.stdout.to_end()), expected);
}

#[test]
fn ctrl_c_in_the_client_kills_the_remote_tree() {
    let world = World::start();
    let share = shared(&world, &["log.follow:service=web"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    follow.signal(Signal::INT);
    assert_eq!(follow.wait().code(), Some(130));
    until("the remote tree is dead", || processes_of(&world).is_empty().then_some(()));
    let end = world.last_end();
    assert_eq!(end["ending"], "cancelled");
}

#[test]
fn ru3_a_verb_that_runs_too_long_is_timed_out_and_the_share_goes_on() {
    let limits = "verb_timeout = \"1s\"".to_owned();
    let setup = Setup::default();
    let verbs = setup.verbs.replace("run     = { exec = { argv = [\"/bin/sh\", \"@HOME@/script/{name}\"] } }\ntimeout = \"30m\"", "run     = { exec = { argv = [\"/bin/sh\", \"@HOME@/script/{name}\"] } }");
    let world = Setup { limits, verbs, ..setup }.start();
    world.script("slow", "echo begun\nsleep 60\n");
    let share = shared(&world, &["test.sh:name=slow", "test.true"]);
    let slow = world.vendor().call(&share, &["test.sh", "name=slow"]);
    assert_eq!((slow.status, slow.stdout.as_str()), (124, "begun\n"), "{slow:?}");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert_eq!(world.ends()[0]["ending"], "timed_out");
}
