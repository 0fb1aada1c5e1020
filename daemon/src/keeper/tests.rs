//! The keeper reaps whatever child it has, so in each test it is a process of its own: this test program, run anew for
//! one of the ignored tests, which are its parts.

use std::io::{BufRead as _, BufReader};
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal as Send, test_kill_process};
use tempfile::TempDir;

use super::*;
use crate::monitor::cgroup::Instance;

const PART: &str = "OSPTEST_PART";
const SCRIPT: &str = "OSPTEST_MONITOR";
const INSTANCE: &str = "OSPTEST_INSTANCE";

fn part(name: &str) -> Vec<OsString> {
    let test = format!("keeper::tests::{name}");
    ["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"].map(OsString::from).into()
}

#[expect(clippy::disallowed_methods, reason = "how a test tells its other process what to do")]
fn told_to(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[test]
#[ignore = "a part that other tests start"]
fn keeper() {
    if told_to(PART).is_none() {
        return;
    }
    shed(Networks::Shared).unwrap();
    let result = match told_to(SCRIPT) {
        Some(script) => keep("/bin/sh", ["-c", &script].map(OsString::from).into()),
        None => keep("/proc/self/exe", part("monitor")),
    };
    println!("keeper: {result:?}");
}

#[test]
#[ignore = "a part that other tests start"]
fn monitor() {
    if told_to(PART).is_none() {
        return;
    }
    let line = KeeperLine::take().unwrap();
    let signals = Children::adopt(&[Signal::SIGHUP, Signal::SIGTERM]).unwrap();
    if let Some(instance) = told_to(INSTANCE) {
        line.tell_instance(Path::new(&instance)).unwrap();
    }
    assert!(!line.is_gone());
    line.beat();
    println!("up {}", std::process::id());
    loop {
        let mut both = [
            PollFd::new(&line, PollFlags::RDHUP),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        let beat = Timespec::try_from(BEAT_EVERY).unwrap();
        poll(&mut both, Some(&beat)).unwrap();
        line.beat();
        if line.is_gone() {
            println!("alone");
            return;
        }
        while let Some(number) = signals.next_signal().unwrap() {
            if is_stop(number) {
                return;
            }
            println!("heard {number}");
        }
    }
}

struct Kept {
    keeper: Child,
    lines: BufReader<ChildStdout>,
}

/// The test program has two threads; what is blocked here is so in both.
fn block_signals() {
    let all = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGCHLD];
    SigSet::from_iter(all).thread_block().unwrap();
}

fn kept(settings: &[(&str, &str)]) -> Kept {
    block_signals();
    #[expect(clippy::disallowed_methods, reason = "a test starts its other process")]
    let mut command = Command::new("/proc/self/exe");
    command.args(part("keeper")).env(PART, "").envs(settings.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut keeper = command.spawn().unwrap();
    let lines = BufReader::new(keeper.stdout.take().unwrap());
    Kept { keeper, lines }
}

impl Kept {
    /// What follows `start` on the next line that has it.
    fn wait_for(&mut self, start: &str) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            // The test program writes its own without ending the line.
            if let Some((_, rest)) = line.split_once(start) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("no line has `{start}`");
    }

    fn send(&self, signal: Send) {
        kill_process(pid(&self.keeper.id().to_string()), signal).unwrap();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Its monitor, if any, then dies by the loss of its line, or was a script that has ended.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn pid(text: &str) -> Pid {
    Pid::from_raw(text.parse().unwrap()).unwrap()
}

#[test]
fn p11_a_monitor_that_is_killed_is_started_again() {
    let mut kept = kept(&[]);
    let first = kept.wait_for("up ");
    kill_process(pid(&first), Send::KILL).unwrap();
    let second = kept.wait_for("up ");
    assert_ne!(first, second);
    kept.send(Send::TERM);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
}

#[test]
fn p05_a_monitor_that_is_stuck_is_killed_and_started_again() {
    let mut kept = kept(&[]);
    let first = kept.wait_for("up ");
    kill_process(pid(&first), Send::STOP).unwrap();
    let second = kept.wait_for("up ");
    assert_ne!(first, second);
    kept.send(Send::TERM);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
}

#[test]
fn a_monitor_that_was_frozen_with_its_keeper_is_not_stuck() {
    let mut kept = kept(&[]);
    let monitor = pid(&kept.wait_for("up "));
    kill_process(monitor, Send::STOP).unwrap();
    kept.send(Send::STOP);
    std::thread::sleep(Duration::from_secs(12));
    // The keeper comes back first.
    kept.send(Send::CONT);
    std::thread::sleep(Duration::from_millis(200));
    kill_process(monitor, Send::CONT).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    kept.send(Send::HUP);
    assert_eq!(kept.wait_for("heard "), "1");
    assert!(test_kill_process(monitor).is_ok(), "it is the same one");
    kept.send(Send::TERM);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
}

#[test]
fn p11_what_a_killed_monitor_left_is_dead_before_the_next_begins() {
    let script = "trap '' HUP; setsid sh -c 'trap \"\" TERM; sleep 1000 & wait' & \
        echo \"up $$ $!\"; wait";
    let mut kept = kept(&[(SCRIPT, script)]);
    let lives = kept.wait_for("up ");
    let (monitor, orphan) = lives.split_once(' ').unwrap();
    assert!(test_kill_process(pid(orphan)).is_ok());
    kill_process(pid(monitor), Send::KILL).unwrap();
    kept.wait_for("up ");
    assert!(test_kill_process(pid(orphan)).is_err());
    // The script is deaf to the first: a signal that is blocked in the keeper is blocked in its child.
    kept.send(Send::TERM);
    kept.wait_for_stop();
}

impl Kept {
    /// One more TERM than the monitor needs.
    fn wait_for_stop(&mut self) {
        self.send(Send::INT);
        assert_eq!(self.wait_for("keeper: "), "Ok(1)");
    }
}

#[test]
fn p11_calls_in_the_cgroup_that_the_monitor_told_die_with_it() {
    let state: TempDir = tempfile::tempdir().unwrap();
    let (mut instance, _) = Instance::open(state.path()).unwrap();
    let leaf = instance.leaf().unwrap();
    // Not below the keeper, so that only the cgroup leads to it.
    #[expect(clippy::disallowed_methods, reason = "a test stands in for a call")]
    let mut call = Command::new("/bin/sh")
        .args(["-c", "echo 0 >\"$0\"; echo in; exec sleep 1000"])
        .arg(instance.path().join("call-1/cgroup.procs"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(call.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert!(leaf.is_populated().unwrap());
    let mut kept = kept(&[(INSTANCE, instance.path().to_str().unwrap())]);
    let first = kept.wait_for("up ");

    kill_process(pid(&first), Send::KILL).unwrap();

    kept.wait_for("up ");
    assert!(!leaf.is_populated().unwrap());
    assert_eq!(call.wait().unwrap().signal(), Some(9));
    kept.send(Send::TERM);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
    assert!(!instance.path().exists(), "nothing is left behind");
    drop(leaf);
}

#[test]
fn a_hang_up_is_handed_on() {
    let mut kept = kept(&[]);
    kept.wait_for("up ");
    kept.send(Send::HUP);
    assert_eq!(kept.wait_for("heard "), "1");
    kept.send(Send::TERM);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
}

#[test]
fn p12_the_monitor_knows_when_its_keeper_is_gone() {
    let mut kept = kept(&[]);
    kept.wait_for("up ");
    kept.send(Send::KILL);
    kept.wait_for("alone");
}

#[test]
fn what_its_starter_ignores_and_what_root_could_do_besides_is_not_handed_on() {
    block_signals();
    let careless = "trap '' HUP TERM USR1; exec \"$0\" \"$@\"";
    #[expect(clippy::disallowed_methods, reason = "a test stands in for nohup")]
    let mut nohup = Command::new("/bin/sh");
    nohup.args(["-c", careless]).arg(std::env::current_exe().unwrap()).args(part("keeper"));
    nohup.env(PART, "").env(SCRIPT, "grep -E 'SigIgn|CapBnd' /proc/$$/status");
    let out = String::from_utf8(nohup.output().unwrap().stdout).unwrap();
    let mask = |name| {
        let (_, rest) = out.split_once(name).unwrap();
        u64::from_str_radix(rest.split_ascii_whitespace().next().unwrap(), 16).unwrap()
    };
    // 32 and 33 are the C library's own.
    assert_eq!(mask("SigIgn:") & !0x1_8000_0000, 0, "{out}");
    assert_eq!(mask("CapBnd:") & !NEEDED.bits(), 0, "{out}");
    assert_ne!(mask("CapBnd:"), 0, "{out}");
}

#[test]
fn a_mistake_in_the_configuration_ends_the_keeper_with_its_status() {
    let mut kept = kept(&[(SCRIPT, "exit 2")]);
    assert_eq!(kept.wait_for("keeper: "), "Ok(2)");
}

#[test]
fn a_monitor_that_ends_well_is_not_started_again() {
    let mut kept = kept(&[(SCRIPT, "exit 0")]);
    assert_eq!(kept.wait_for("keeper: "), "Ok(0)");
}

#[test]
fn any_other_end_is_followed_by_another_life() {
    let mut kept = kept(&[(SCRIPT, "echo \"up $$\"; exit 1")]);
    kept.wait_for("up ");
    kept.wait_for("up ");
    kept.send(Send::TERM);
    let last = kept.wait_for("keeper: ");
    assert!(["Ok(0)", "Ok(1)"].contains(&last.as_str()), "in a pause or in a life: {last}");
}

#[test]
fn a_second_order_to_stop_kills_a_monitor_that_is_deaf_to_the_first() {
    let mut kept = kept(&[(SCRIPT, "echo \"up $$\"; exec sleep 1000")]);
    let monitor = kept.wait_for("up ");
    kept.send(Send::TERM);
    kept.wait_for_stop();
    assert!(test_kill_process(pid(&monitor)).is_err());
}

#[test]
fn pauses_double_up_to_a_bound_and_begin_anew_after_a_long_life() {
    let short = Duration::from_secs(1);
    let mut pauses = Vec::new();
    let mut pause = None;
    for _death in 0..9 {
        pause = Some(pause_after(pause, short));
        pauses.extend(pause.map(|pause| pause.as_millis()));
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
    let almost = LONG_LIFE.checked_sub(Duration::from_millis(1)).unwrap();
    assert_eq!(pause_after(pause, almost), LONGEST_PAUSE);
    assert_eq!(pause_after(pause, LONG_LIFE), FIRST_PAUSE);
}
