//! A channel that is kept for the commands that follow.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, Signal, kill_process};
use wire::frame::ShareEnd;

use crate::story::{World, words};

const KEEP: [&str; 2] = ["--persist", "60s"];

/// A world in which no holder is left.
struct Kept(World);

impl Drop for Kept {
    fn drop(&mut self) {
        self.holder().into_iter().for_each(kill);
    }
}

fn kill(pid: Pid) {
    kill_process(pid, Signal::KILL).unwrap();
}

impl Kept {
    fn start() -> Self {
        Self(World::start())
    }

    fn run(&self, option: &[&str], command: &[&str]) -> std::process::Output {
        self.0.run(&[option, command].concat())
    }

    fn start_call(&self, call: &[&str]) -> Child {
        let mut command = self.0.command(&["call"]);
        command.args(call).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn sockets(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.0.path(".local/state/openscope/held"));
        entries.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// Who holds the channel.
    fn holder(&self) -> Option<Pid> {
        let socket = self.sockets().pop()?;
        let stream = UnixStream::connect(socket).ok()?;
        Some(socket_peercred(&stream).unwrap().pid)
    }

    fn joins(&self) -> usize {
        self.0.daemon.seen().iter().filter(|what| what.starts_with("join")).count()
    }

    fn is_gone(&self) {
        until("the socket is gone", || self.sockets().is_empty());
    }
}

#[expect(clippy::disallowed_methods, reason = "a test waits for other processes")]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(30), "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn line(child: &mut Child) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    while child.stdout.as_mut().unwrap().read(&mut byte).unwrap() == 1 {
        line.extend_from_slice(&byte);
        if byte == *b"\n" {
            break;
        }
    }
    String::from_utf8(line).unwrap()
}

#[test]
fn the_commands_that_follow_join_no_more_and_end_as_ever() {
    let kept = Kept::start();
    let first = kept.run(&KEEP, &["list"]);
    assert_eq!((first.status.code(), &*words(&first)), (Some(0), ""));
    let holder = kept.holder().unwrap();
    for option in [&KEEP[..], &[]] {
        let ran = kept.run(option, &["call", "echo.say", "text=a b\u{1b}[31m=\r\n"]);
        assert_eq!((ran.status.code(), &*words(&ran)), (Some(7), "err\n"));
        assert_eq!(ran.stdout, b"a b\x1b[31m=\r\n");
    }
    let big = kept.run(&[], &["call", "big.out"]);
    let expected: Vec<u8> = (0..128_u8).flat_map(|block| vec![block; 64 * 1024]).collect();
    assert!(big.stdout == expected, "{} bytes", big.stdout.len());
    assert_eq!(kept.run(&[], &["call", "deny.all"]).status.code(), Some(126));
    assert_eq!(kept.run(&[], &["call", "no.such"]).status.code(), Some(127));
    let listed = kept.run(&[], &["--json", "list"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("\"echo.say\""));
    assert_eq!((kept.joins(), kept.holder()), (1, Some(holder)));
}

#[test]
fn p12_socket_and_directory_are_for_their_user_alone() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let socket = kept.sockets().pop().unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
}

#[test]
fn standard_input_goes_the_same_way_byte_exact() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let whole: Vec<u8> = (0..3_000_001_u64).map(|at| (at * at / 251).to_le_bytes()[0]).collect();
    let mut call = kept.start_call(&["give.all"]);
    let (mut stdin, given) = (call.stdin.take().unwrap(), whole.clone());
    let giving = std::thread::spawn(move || stdin.write_all(&given));
    let output = call.wait_with_output().unwrap();
    giving.join().unwrap().unwrap();
    assert_eq!((output.status.code(), &*words(&output)), (Some(0), ""));
    assert!(output.stdout == whole, "{} bytes", output.stdout.len());
    assert_eq!(kept.joins(), 1);
}

#[test]
fn a_signal_ends_the_call_there_and_not_the_holder() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let holder = kept.holder();
    for (signal, status) in [(Signal::INT, Some(130)), (Signal::KILL, None)] {
        let before = kept.0.daemon.seen().len();
        let mut call = kept.start_call(&["log.follow"]);
        assert_eq!(line(&mut call), "ready\n");
        kill_process(Pid::from_child(&call), signal).unwrap();
        let output = call.wait_with_output().unwrap();
        assert_eq!(output.status.code(), status);
        until("the daemon has seen it", || kept.0.daemon.seen().len() == before + 2);
        assert_eq!(kept.0.daemon.seen().last().unwrap(), "reset");
        if signal == Signal::INT {
            let told = "cancelled: everything that it started there is gone";
            assert!(words(&output).contains(told), "{}", words(&output));
        }
    }
    assert_eq!((kept.joins(), kept.holder()), (1, holder));
}

#[test]
fn a_share_that_ends_takes_the_call_the_holder_and_the_key_along() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let ran = kept.run(&[], &["call", "share.end"]);
    assert_eq!(ran.status.code(), Some(255));
    let told = "the share was revoked: done for today; the call had started";
    assert!(words(&ran).contains(told), "{}", words(&ran));
    kept.is_gone();
    assert_eq!(kept.0.holder_keys(), 0);
}

#[test]
fn a_holder_that_nobody_uses_goes_with_the_share_too() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    kept.0.daemon.script.end.send_replace(Some(ShareEnd::Expired));
    kept.is_gone();
    until("the key is gone", || kept.0.holder_keys() == 0);
}

#[test]
fn se7_a_lost_channel_is_made_again_by_its_holder_and_the_call_is_not_run_twice() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let holder = kept.holder();
    let mut call = kept.start_call(&["lost.once"]);
    assert_eq!(line(&mut call), "one\n");
    kept.0.daemon.script.go.send_replace(true);
    let ran = call.wait_with_output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", words(&ran));
    assert!(words(&ran).contains("4 bytes of its output were lost on the way"), "{}", words(&ran));
    assert_eq!((kept.joins(), kept.holder()), (2, holder));
}

#[test]
fn a_call_outlives_a_holder_that_is_killed_and_what_that_leaves_is_replaced() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let holder = kept.holder().unwrap();
    let mut call = kept.start_call(&["lost.once"]);
    assert_eq!(line(&mut call), "one\n");
    kill(holder);
    let output = call.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(words(&output).contains("the channel was lost"), "{}", words(&output));
    assert_eq!((kept.joins(), kept.sockets().len()), (2, 1));
    assert_eq!(kept.run(&KEEP, &["list"]).status.code(), Some(0));
    assert_ne!(kept.holder(), Some(holder));
    kill(kept.holder().unwrap());
    until("nobody listens", || kept.holder().is_none());
    assert_eq!(kept.run(&[], &["list"]).status.code(), Some(0));
    assert!(kept.sockets().is_empty(), "what a dead holder left is removed");
}

#[test]
fn a_call_outlives_a_holder_that_had_to_join_again() {
    let kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    let mut first = kept.start_call(&["lost.once"]);
    assert_eq!(line(&mut first), "one\n");
    kept.0.daemon.script.go.send_replace(true);
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0));
    kept.0.daemon.script.go.send_replace(false);
    // Its second channel has the number that a command would give its own first.
    let mut second = kept.start_call(&["lost.once"]);
    assert_eq!(line(&mut second), "one\n");
    kill(kept.holder().unwrap());
    let output = second.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_eq!(kept.joins(), 3);
}

#[test]
fn two_first_commands_at_once_leave_one_holder() {
    let kept = Kept::start();
    let start = |_| {
        let mut command = kept.0.command(&["--persist", "60s", "call", "echo.say"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let calls: Vec<Child> = (0..6).map(start).collect();
    for call in calls {
        let output = call.wait_with_output().unwrap();
        assert_eq!((output.status.code(), &*words(&output)), (Some(7), "err\n"));
    }
    assert_eq!((kept.joins(), kept.sockets().len()), (1, 1));
}

#[test]
fn a_holder_goes_after_its_time_and_when_it_is_told_to() {
    let kept = Kept::start();
    kept.run(&["--persist", "2s"], &["list"]);
    let first = kept.holder().unwrap();
    kept.is_gone();
    kept.run(&KEEP, &["list"]);
    let second = kept.holder().unwrap();
    let ran = kept.run(&["--persist", "0s"], &["call", "echo.say"]);
    assert_eq!(ran.status.code(), Some(7), "{}", words(&ran));
    kept.is_gone();
    assert_eq!(kept.run(&[], &["list"]).status.code(), Some(0));
    assert!(kept.sockets().is_empty(), "without the option none is left");
    for holder in [first, second] {
        let words = format!("/proc/{}/cmdline", holder.as_raw_pid());
        until("it has ended", || fs::read(&words).unwrap_or_default().is_empty());
    }
}

#[test]
fn re5_a_relay_that_was_killed_is_a_pause_for_the_holder() {
    let mut kept = Kept::start();
    kept.run(&KEEP, &["list"]);
    kept.0.relay.restart();
    let ran = kept.run(&[], &["call", "echo.say"]);
    assert_eq!(ran.status.code(), Some(7), "{}", words(&ran));
    assert_eq!(kept.joins(), 1, "the channel itself was lost");
}

#[test]
fn what_lasts_by_itself_keeps_no_channel() {
    let kept = Kept::start();
    for command in [&["mcp"][..], &["forward", "echo.say"], &["inspect"], &[]] {
        assert_eq!(kept.run(&KEEP, command).status.code(), Some(2), "{command:?}");
    }
    assert!(kept.sockets().is_empty());
}
