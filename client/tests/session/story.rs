//! What the recipient sees.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use wire::frame::ShareEnd;
use wire::handle::Identity;

use crate::daemon::{Daemon, fingerprint};
use crate::relay_process::Relay;

pub(crate) struct World {
    pub(crate) daemon: Daemon,
    pub(crate) relay: Relay,
    home: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        let relay = Relay::start();
        let daemon = Daemon::start(&relay.address);
        let world = Self { daemon, relay, home: tempfile::tempdir().unwrap() };
        let identity = Identity::generate();
        fs::write(world.path("key"), identity.to_file().unwrap().as_bytes()).unwrap();
        fs::write(world.path("handle"), world.daemon.handle(&identity)).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        #[expect(clippy::disallowed_methods, reason = "the program under test")]
        let mut command = Command::new(env!("CARGO_BIN_EXE_openscope-reflect-client"));
        let passport = format!("@{}", self.path("handle").display());
        command
            .env_clear()
            .env("HOME", self.home.path())
            .args(["--passport", &passport, "--fingerprint", &fingerprint(), "--identity"])
            .arg(self.path("key"))
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn start_call(&self, arguments: &[&str]) -> Running {
        let mut command = self.command(&["call"]);
        let mut child =
            command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout: Some(stdout) }
    }

    pub(crate) fn holder_keys(&self) -> usize {
        fs::read_dir(self.path(".local/state/openscope/seats")).unwrap().count()
    }
}

struct Running {
    child: Child,
    stdout: Option<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.as_mut().unwrap().read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its status, the rest of its output, and its words.
    fn end(mut self) -> (i32, String, String) {
        let (mut out, mut words) = (String::new(), String::new());
        if let Some(mut stdout) = self.stdout.take() {
            stdout.read_to_string(&mut out).unwrap();
        }
        self.child.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        (self.child.wait().unwrap().code().unwrap(), out, words)
    }
}

pub(crate) fn words(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn se1_list_shows_what_may_be_called_and_whose_it_is() {
    let world = World::start();
    let text = world.run(&["list"]);
    assert_eq!(text.status.code(), Some(0), "{}", words(&text));
    let shown = String::from_utf8(text.stdout).unwrap();
    assert!(shown.starts_with("osp_0707070707070707 of alice on web-1, until "), "{shown}");
    assert!(
        shown.contains("echo.say  [read]  does as it says\n    text  string  (optional)"),
        "{shown}"
    );
    let json: Value = serde_json::from_slice(&world.run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "openscope.list/1");
    assert_eq!(json["verbs"][0]["verb"], "echo.say");
}

#[test]
fn every_process_says_goodbye_so_that_its_place_is_free_at_once() {
    let world = World::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for processes in 1..=8 {
        assert_eq!(world.run(&["call", "echo.say"]).status.code(), Some(7));
        runtime.block_on(async {
            let mut farewells = world.daemon.script.farewells.subscribe();
            let all = farewells.wait_for(|said| *said == processes);
            tokio::time::timeout(std::time::Duration::from_secs(5), all).await.unwrap().unwrap();
        });
    }
}

#[test]
fn ru1_output_and_exit_status_are_passed_through_apart_and_byte_exact() {
    let world = World::start();
    let ran = world.run(&["call", "echo.say", "text=a b\u{1b}[31m=\r\n"]);
    assert_eq!(ran.status.code(), Some(7));
    assert_eq!(ran.stdout, b"a b\x1b[31m=\r\n");
    assert_eq!(ran.stderr, b"err\n");
    let big = world.run(&["call", "big.out"]);
    assert_eq!(big.status.code(), Some(0), "{}", words(&big));
    let expected: Vec<u8> = (0..128_u8).flat_map(|block| vec![block; 64 * 1024]).collect();
    assert!(big.stdout == expected, "{} bytes", big.stdout.len());
}

#[test]
fn a_call_in_json_is_events_and_a_signed_outcome() {
    let world = World::start();
    let ran = world.run(&["call", "--json", "echo.say", "text=hi"]);
    assert_eq!(ran.status.code(), Some(7));
    let lines: Vec<Value> = ran
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(
        (lines[0]["event"].as_str(), lines[0]["text"].as_str()),
        (Some("stdout"), Some("hi"))
    );
    assert_eq!(lines[1]["event"], "stderr");
    let outcome = &lines[2]["outcome"];
    assert_eq!(outcome["kind"], "exited");
    assert_eq!((outcome["exit"].as_u64(), outcome["stdout_bytes"].as_u64()), (Some(7), Some(2)));
    assert_eq!(
        (outcome["complete"].as_bool(), outcome["signed"].as_bool()),
        (Some(true), Some(true))
    );
}

#[test]
fn a_refusal_is_126_and_names_the_parameter_where_the_daemon_does() {
    let world = World::start();
    let all = world.run(&["call", "deny.all"]);
    assert_eq!(all.status.code(), Some(126));
    assert!(words(&all).starts_with("refused: not permitted\n   = "), "{}", words(&all));
    let value = world.run(&["call", "deny.value", "text=x"]);
    assert_eq!(value.status.code(), Some(126));
    assert!(words(&value).starts_with("refused: `text` must be web\n"), "{}", words(&value));
    let unlisted = world.run(&["call", "--unlisted", "db.drop", "table=users"]);
    assert_eq!(unlisted.status.code(), Some(126), "{}", words(&unlisted));
    assert!(world.daemon.seen().contains(&"call db.drop 1".to_owned()));
}

#[test]
fn a_verb_or_argument_that_is_not_listed_is_not_sent() {
    let world = World::start();
    let unknown = world.run(&["call", "echo.sai"]);
    assert_eq!(unknown.status.code(), Some(127));
    assert!(words(&unknown).contains("did you mean `echo.say`?"), "{}", words(&unknown));
    let argument = world.run(&["call", "echo.say", "txt=x"]);
    assert_eq!(argument.status.code(), Some(2));
    assert!(words(&argument).contains("did you mean `text`?"), "{}", words(&argument));
    assert!(!world.daemon.seen().iter().any(|what| what.starts_with("call")));
}

#[test]
fn control_c_and_sigterm_end_the_call_there_and_say_so_by_status() {
    let world = World::start();
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut call = world.start_call(&["log.follow"]);
        assert_eq!(call.line(), "ready\n");
        call.signal(signal);
        let (ended, _, words) = call.end();
        assert_eq!(ended, status);
        assert!(words.contains("cancelled: everything that it started there is gone"), "{words}");
        assert_eq!(world.daemon.seen().last().unwrap(), "reset");
    }
}

#[test]
fn a_reader_that_leaves_ends_the_call_there_even_when_nothing_more_is_written() {
    let world = World::start();
    let mut call = world.start_call(&["log.follow"]);
    assert_eq!(call.line(), "ready\n");
    call.stdout = None;
    let (ended, _, words) = call.end();
    assert_eq!((ended, words.as_str()), (141, ""));
    assert_eq!(world.daemon.seen().last().unwrap(), "reset");
}

#[test]
fn se6_a_revoked_share_is_told_with_its_reason_made_harmless_and_its_key_is_gone() {
    let world = World::start();
    let ran = world.run(&["call", "share.end"]);
    assert_eq!(ran.status.code(), Some(255));
    assert!(
        words(&ran).contains("the share was revoked: done for today; the call had started"),
        "{}",
        words(&ran)
    );
    assert_eq!(world.daemon.seen().last().unwrap(), "end seen");
    assert_eq!(world.holder_keys(), 0);
}

#[test]
fn se5_an_expired_share_is_told_at_once_and_its_key_is_gone() {
    let world = World::start();
    let mut call = world.start_call(&["pause.wait"]);
    assert_eq!(call.line(), "one\n");
    assert_eq!(world.holder_keys(), 1);
    world.daemon.script.end.send_replace(Some(ShareEnd::Expired));
    let (ended, _, words) = call.end();
    assert_eq!(ended, 255);
    assert!(words.contains("the share has expired"), "{words}");
    assert_eq!(world.holder_keys(), 0);
}

#[test]
fn se7_a_lost_channel_is_made_again_with_the_same_key_and_the_call_is_not_run_twice() {
    let world = World::start();
    let mut call = world.start_call(&["lost.once"]);
    assert_eq!(call.line(), "one\n");
    world.daemon.script.go.send_replace(true);
    let (ended, rest, words) = call.end();
    assert_eq!((ended, rest.as_str()), (0, ""), "{words}");
    assert!(words.contains("the channel was lost"), "{words}");
    assert!(words.contains("4 bytes of its output were lost on the way"), "{words}");
    let seen = world.daemon.seen();
    let (joins, calls): (Vec<_>, Vec<_>) = seen.iter().partition(|what| what.starts_with("join"));
    assert_eq!(joins[0], joins[1]);
    assert_eq!(
        calls,
        ["call lost.once 1", "call lost.once 2", "call lost.once 3", "call lost.once 4"]
    );
}

#[test]
fn se7_two_processes_of_one_recipient_hold_one_key() {
    let world = World::start();
    let mut first = world.start_call(&["log.follow"]);
    assert_eq!(first.line(), "ready\n");
    assert_eq!(world.run(&["list"]).status.code(), Some(0));
    first.signal(Signal::INT);
    first.end();
    let seen = world.daemon.seen();
    let joins: Vec<_> = seen.iter().filter(|what| what.starts_with("join")).collect();
    assert_eq!(joins.len(), 2);
    assert_eq!(joins[0], joins[1]);
}

#[test]
fn re5_a_call_goes_on_over_a_relay_that_was_killed() {
    let mut world = World::start();
    let mut call = world.start_call(&["pause.wait"]);
    assert_eq!(call.line(), "one\n");
    world.relay.restart();
    world.daemon.script.go.send_replace(true);
    assert_eq!(call.line(), "two\n");
    let (ended, rest, words) = call.end();
    assert_eq!((ended, rest.as_str(), words.as_str()), (0, "", ""));
    let joins = world.daemon.seen().iter().filter(|what| what.starts_with("join")).count();
    assert_eq!(joins, 1, "the channel itself was lost");
}

#[test]
fn a_receipt_that_another_key_signed_is_worth_nothing() {
    let world = World::start();
    let ran = world.run(&["call", "bad.receipt"]);
    assert_eq!(ran.status.code(), Some(255));
    assert!(words(&ran).contains("not signed by this daemon"), "{}", words(&ran));
}

#[test]
fn a_known_id_is_sent_as_it_is() {
    let world = World::start();
    let id = "0123456789abcdef0123456789abcdef";
    let ran = world.run(&["call", "--json", "--id", id, "echo.say"]);
    assert!(String::from_utf8(ran.stdout).unwrap().contains(id));
}
