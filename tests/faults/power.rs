//! A host that loses its power (au6): what was begun to be changed is on the disk before it begins.

use std::fs;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tests::background::Background;
use tests::wait::until;
use tests::world::World;

/// Seconds since 1970 of each line, as strace and date write them.
fn times(text: &str) -> Vec<f64> {
    text.lines()
        .filter_map(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
        .collect()
}

#[test]
fn au6_the_start_of_a_writing_verb_is_on_the_disk_before_it_runs() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    world.script("append", "date +%s.%N\n");
    let share = world.alice().open(&["test.append"]);
    assert_eq!(world.vendor().call(&share, &["test.append", "name=first"]).status, 0);
    // The records so far are synced by now: none of their syncs is taken for the next one's.
    std::thread::sleep(Duration::from_millis(400));

    let seen = world.scratch().join("syncs");
    let monitor = world.process("--as-monitor").expect("it runs").to_string();
    let mut command = Command::new("strace");
    command.args(["-ttt", "-e", "trace=fsync,fdatasync,clone,clone3,vfork", "-p", &monitor]);
    command.arg("-o").arg(&seen);
    let mut strace = Background::start(command);
    strace.stderr.line_with("attached");
    let said = world.vendor().call(&share, &["test.append", "name=second"]);
    assert_eq!(said.status, 0, "{said:?}");
    strace.signal(Signal::INT);
    strace.wait();

    let ran = times(&said.stdout);
    let syncs = until("strace has written", || fs::read_to_string(&seen).ok());
    let syncs: String = syncs
        .lines()
        .filter(|line| line.contains("sync("))
        .map(|line| format!("{line}\n"))
        .collect();
    let first = times(&syncs).into_iter().reduce(f64::min);
    assert!(first.is_some_and(|first| first < ran[0]), "{ran:?}\n{syncs}");
}
