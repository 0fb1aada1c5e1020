//! A monitor that is stuck: no share of it outlives its time (P5).

use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tests::wait::until;
use tests::world::World;

#[test]
fn p05_a_monitor_that_is_stuck_keeps_no_call_alive() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.follow:service=web"]);
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let monitor = world.process("--as-monitor").expect("it runs");

    let begun = Instant::now();
    let pid = Pid::from_raw(monitor.cast_signed()).expect("a pid");
    kill_process(pid, Signal::STOP).expect("it is there");

    until("another monitor serves", || {
        world.process("--as-monitor").filter(|pid| *pid != monitor)?;
        world.root().json(&["status"]).ok()
    });
    assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
    assert_eq!(world.last_end()["ending"], "interrupted");
    let started = world.events("daemon_started");
    assert_eq!(started.last().map(|start| start["interrupted"].clone()), Some(1.into()));
    assert_eq!(world.alice().revoke(&share).status, 0, "the share itself goes on");
}
