//! Programs on other hosts that have a terminal: a real sshd gives them one, and what a person does at theirs arrives.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use tests::account::Accounts;
use tests::owner::Share;
use tests::sshd::Sshd;
use tests::terminal::AtTerminal;
use tests::wait::until;
use tests::world::{Setup, World};

use crate::targets::{held, own, running, until_kept};

const VERBS: &str = r#"
[verb."far.sit"]
summary = "Runs one of the test's own scripts before a terminal there"
effect  = "write"
timeout = "1m"
run     = { ssh = { target = "web", argv = ["sh", "@HOME@/script/{name}"], tty = true } }
[verb."far.sit".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."far.stay"]
summary = "The same, and nothing there ends it"
effect  = "read"
timeout = "1m"
run     = { ssh = { target = "web", argv = ["sh", "@HOME@/script/{name}"], tty = true, remote_end = "none" } }
[verb."far.stay".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."far.id"]
summary = "Who is there"
effect  = "read"
run     = { ssh = { target = "web", argv = ["id"], remote_end = "none" } }
"#;
const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["far.*"]
[[delegate]]
agent   = "you"
verbs   = ["far.*"]
to      = ["own/vendor-*"]
"#;

/// A world with one target, for which the owner has a key as `identity` says.
fn open(identity: impl Fn(&Sshd, &Accounts) -> String) -> (World, Sshd, Share) {
    let accounts = Accounts::shared();
    let sshd = Sshd::start(&accounts.bob);
    let targets = sshd.target("web", &identity(&sshd, &accounts));
    let (verbs, policy) = (VERBS.to_owned(), POLICY.to_owned());
    let world = Setup { targets, verbs, policy, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["far.sit", "far.stay", "far.id"]);
    (world, sshd, share)
}

/// From here on calls go through a connection that is there.
fn connect(world: &World, share: &Share) {
    assert_eq!(world.vendor().call(share, &["far.id"]).status, 0);
    until_kept(world);
}

/// The recipient at a terminal, who calls this.
fn calling(world: &World, share: &Share, call: &[&str]) -> AtTerminal {
    let command = world.vendor().command(share, &[&["call"], call].concat());
    AtTerminal::start(&command, &world.accounts.vendor, 30, 100)
}

/// What runs there of this world's own script of that name.
fn there(world: &World, name: &str) -> Vec<u32> {
    running(world.accounts.bob.uid, &format!("{}/script/{name}", world.home.display()))
}

fn end(world: &World) -> serde_json::Value {
    world.last_end()
}

/// Nothing that ssh has to say, and nothing of where the target is, is for the recipient.
fn tells_nothing(shown: &str) {
    for word in ["127.0.0.1", "onnection", "closed", "ssh", "web-", "PTY"] {
        assert!(!shown.contains(word), "{word}: {shown:?}");
    }
}

const GREET: &str = "stty size; echo \"$TERM\"; test -w \"$(tty)\" && id -un; read -r name\n\
    printf '\\033]0;title\\a\\033[1;31mhello %s\\033[m\\n' \"$name\"\n\
    echo 'AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEYab'; exit 7\n";

fn greets(world: &World, share: &Share) {
    world.script("greet", GREET);
    let mut person = calling(world, share, &["far.sit", "name=greet"]);
    let bob = &world.accounts.bob.name;
    person.sees(&format!("30 100\r\nxterm-256color\r\n{bob}\r\n"));
    assert!(person.is_raw());
    person.types("you\r");
    person.sees("you\r\n\u{1b}[1;31mhello you\u{1b}[m\r\n");
    assert_eq!(person.wait().code(), Some(7));
    assert!(person.is_usual());
    let shown = person.sees("[redacted:");
    assert!(!shown.contains("title") && !shown.contains("wJalrX"), "{shown:?}");
    tells_nothing(&shown);
}

#[test]
fn a_recipient_types_to_a_program_on_a_target_through_a_connection_that_is_kept_and_without() {
    let (world, sshd, share) = open(own);
    greets(&world, &share);
    let ended = end(&world);
    assert_eq!(ended["ending"], serde_json::json!({ "exited": 7 }));
    assert_eq!((&ended["stdin"], &ended["redactions"]), (&4.into(), &1.into()), "{ended}");
    connect(&world, &share);
    let logins = sshd.logins();
    greets(&world, &share);
    assert_eq!(sshd.logins(), logins, "nobody logged in again");
}

#[test]
fn a_terminal_there_is_had_with_a_key_that_its_owner_may_not_read() {
    let (world, _sshd, share) = open(held);
    greets(&world, &share);
}

/// Sizes, Ctrl+C and the keys by which a person would leave or command ssh itself.
fn answers(world: &World, share: &Share) {
    let script = "trap 'stty size' WINCH; trap 'echo caught' INT; echo ready\n\
        while :; do read -r line && echo \"line:$line.\"; done\n";
    world.script("answer", script);
    let mut person = calling(world, share, &["far.sit", "name=answer"]);
    person.sees("ready");
    person.resizes(12, 34);
    person.sees("12 34\r\n");
    person.types("\u{3}");
    person.sees("caught");
    person.types("\r~C\r");
    person.sees("line:~C.");
    // The recipient's own program takes the first of two.
    person.types("~~.\r");
    person.sees("line:~..");
    person.types("~~?\r~~B\r~~#\r");
    person.sees("line:~#.");
    person.types("\u{3}");
    until("it is caught again", || {
        (person.shown.text().matches("caught").count() == 2).then_some(())
    });
    tells_nothing(&person.shown.text());
    person.types("\r~.");
    assert_eq!(person.wait().code(), Some(130), "{}", person.shown.text());
    assert!(person.is_usual());
    assert_eq!(end(world)["ending"], "cancelled");
    until("it is ended there", || there(world, "answer").is_empty().then_some(()));
}

#[test]
fn sizes_and_keys_reach_the_program_there_and_no_key_is_for_ssh() {
    let (world, _sshd, share) = open(own);
    answers(&world, &share);
    connect(&world, &share);
    answers(&world, &share);
}

/// A program there that does not listen to what ends others.
fn stay(world: &World, share: &Share, verb: &str) -> AtTerminal {
    world.script("stay", "trap '' INT HUP TERM; echo ready; while :; do sleep 0.2; done\n");
    let person = calling(world, share, &[verb, "name=stay"]);
    person.sees("ready");
    person
}

#[test]
fn p06_ru8_revoke_ends_what_sits_before_a_terminal_there() {
    let (world, _sshd, mut share) = open(own);
    let there = || there(&world, "stay");
    for kept in [false, true] {
        if kept {
            share = world.alice().open(&["far.sit", "far.id"]);
            connect(&world, &share);
        }
        let mut person = stay(&world, &share, "far.sit");
        assert!(!there().is_empty());
        let revoked = world.alice().revoke(&share);
        assert_eq!((revoked.status, revoked.stdout.contains("goes on")), (0, false), "{revoked:?}");
        assert_eq!(person.wait().code(), Some(255));
        assert!(person.is_usual());
        assert_eq!(end(&world)["ending"], "revoked");
        tells_nothing(&person.shown.text());
        until("the far end is dead", || there().is_empty().then_some(()));
    }
}

#[test]
fn ru8_what_nothing_there_ends_is_named_and_its_terminal_is_gone() {
    let (world, _sshd, share) = open(own);
    let there = |name: &str| there(&world, name);
    world.script("heed", "echo ready; while :; do sleep 0.2; done\n");
    let heeds = calling(&world, &share, &["far.stay", "name=heed"]);
    heeds.sees("ready");
    heeds.signal(rustix::process::Signal::TERM);
    until("what listens is ended by the loss of its terminal", || {
        there("heed").is_empty().then_some(())
    });
    let mut person = stay(&world, &share, "far.stay");
    let revoked = world.alice().revoke(&share);
    assert!(
        revoked.stdout.contains("goes on where nothing of here can end it: far.stay on web"),
        "{revoked:?}"
    );
    assert_eq!(person.wait().code(), Some(255));
    assert_eq!(end(&world)["beyond"], "far.stay on web");
    assert!(!there("stay").is_empty(), "as was said");
    for pid in there("stay") {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    }
}

#[test]
fn what_a_program_leaves_behind_there_dies_with_its_terminal() {
    let (world, _sshd, share) = open(own);
    world.script("stay", "trap '' HUP; while :; do sleep 0.2; done\n");
    world.script("leave", &world.fill("trap '' HUP; sh @HOME@/script/stay & exit 3\n"));
    let mut person = calling(&world, &share, &["far.sit", "name=leave"]);
    assert_eq!(person.wait().code(), Some(3));
    until("what it has left is dead", || there(&world, "stay").is_empty().then_some(()));
}

#[test]
fn a_host_that_is_lost_before_a_terminal_is_told_so_and_the_terminal_given_back() {
    let (world, sshd, mut share) = open(own);
    world.script("heed", "echo ready; while :; do sleep 0.2; done\n");
    for (kept, why) in [(false, "closed by remote host"), (true, "the connection was lost")] {
        if kept {
            // Another share does not wait before it tries again.
            share = world.alice().open(&["far.stay", "far.id"]);
            connect(&world, &share);
        }
        let mut person = calling(&world, &share, &["far.stay", "name=heed"]);
        person.sees("ready");
        sshd.cut();
        assert_eq!(person.wait().code(), Some(255));
        assert!(person.is_usual());
        let shown = person.sees("the verb's host was not reached, or lost");
        tells_nothing(&shown.replace("openscope", ""));
        let ended = world.last_end();
        let ending = ended["ending"].to_string();
        assert!(ending.contains("target_lost") && ending.contains(why), "{ended}");
        assert_eq!(ended["beyond"], "far.stay on web");
    }
}

#[test]
fn a_host_that_gives_no_terminal_runs_nothing() {
    let (world, mut sshd, share) = open(own);
    sshd.refuse_terminals();
    world.script("run", &world.fill("touch @HOME@/drop/ran\n"));
    let mut cold = calling(&world, &share, &["far.sit", "name=run"]);
    assert_eq!(cold.wait().code(), Some(255));
    let ended = end(&world);
    assert!(ended["ending"].to_string().contains("PTY allocation request failed"), "{ended}");
    tells_nothing(&cold.shown.text().replace("openscope", ""));
    connect(&world, &share);
    let mut kept = calling(&world, &share, &["far.sit", "name=run"]);
    kept.sees("this host gives no terminal");
    assert_eq!(kept.wait().code(), Some(255));
    assert!(!Path::new(&world.drop_file("ran")).exists());
}

#[test]
fn what_is_given_before_the_target_answers_waits_and_none_of_it_is_lost() {
    let (world, _sshd, share) = open(own);
    world.script("count", "stty -echo; echo ready; wc -lc; exit 3\n");
    let given: String = (0..500).map(|at| format!("{at:099}\n")).collect();
    let count = || {
        let mut command = world.vendor().command(&share, &["call", "far.sit", "name=count"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run the client");
        let mut stdin = child.stdin.take().expect("it is piped");
        stdin.write_all(given.as_bytes()).expect("it reads");
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // What came before the program spoke to its terminal was echoed.
        let last: Vec<String> = said.split_whitespace().rev().take(2).map(str::to_owned).collect();
        (output.status.code(), last)
    };
    let all = vec!["50000".to_owned(), "500".to_owned()];
    assert_eq!(count(), (Some(3), all.clone()));
    connect(&world, &share);
    assert_eq!(count(), (Some(3), all));
}

#[test]
fn owners_and_recipients_are_told_that_a_program_there_has_a_terminal() {
    let (world, _sshd, share) = open(own);
    let listed = world.vendor().run(&share, &["list"]);
    assert!(listed.stdout.contains("far.sit  [write, takes a terminal]"), "{listed:?}");
    let plan =
        ["share", "open", "--agent", "you", "--verb", "far.sit", "--to", "vendor-b", "--plan"];
    let plan = world.alice().run(&plan);
    assert!(
        plan.stdout.contains("with input: a terminal, at which the recipient types"),
        "{plan:?}"
    );
    let shares = fs::read_dir(world.home.join("run/openscope.d/shares")).map(Iterator::count);
    assert!(shares.is_ok_and(|count| count == 0), "nothing was asked of the host for that");
}
