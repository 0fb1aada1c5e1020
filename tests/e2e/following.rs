//! `follow`, and what a call takes as JSON.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use tests::background::Background;
use tests::owner::{Said, Share};
use tests::wait::until;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."brief.read"]
summary = "Says a line, and is never done"
effect  = "read"
timeout = "1s"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/brief"] } }

[verb."brief.write"]
summary = "The same, and changes something"
effect  = "write"
timeout = "1s"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/brief"] } }

[verb."in.cat"]
summary = "Says back what it is given"
effect  = "read"
run     = { exec = { argv = ["/bin/cat"], stdin = "text" } }
"#;

fn open() -> (World, Share) {
    let Setup { policy, verbs, .. } = Setup::default();
    let held = "verbs = { \"brief.read\" = {}, \"brief.write\" = {}, \"in.cat\" = {}, ";
    let policy = policy.replacen("verbs = { ", held, 1);
    let policy = policy.replace("[\"log.*\"", "[\"brief.*\", \"in.*\", \"log.*\"");
    let world = Setup { policy, verbs: verbs + VERBS, ..Setup::default() }.start();
    world.script("brief", "echo begun; exec sleep 341\n");
    world.script("ends", "echo all; exit 7\n");
    world.script("done", "echo all\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let verbs = ["log.follow", "log.tail", "test.sh", "brief.read", "brief.write", "in.cat"];
    let share = world.alice().open(&verbs);
    (world, share)
}

fn follow(world: &World, share: &Share, words: &[&str]) -> Said {
    world.vendor().run(share, &[&["follow"][..], words].concat())
}

fn add(world: &World, line: &str) {
    let log = fs::OpenOptions::new().append(true).open(world.home.join("log/web"));
    writeln!(log.expect("open the log"), "{line}").expect("write to it");
}

#[test]
fn what_is_waited_for_ends_the_verb_and_is_success() {
    let (world, share) = open();
    let words = ["follow", "log.follow", "service=web", "lines=1", "--until", "listening on"];
    let mut following = Background::start(world.vendor().command(&share, &words));
    following.stdout.line_with("web line 9");
    add(&world, "not yet");
    following.stdout.line_with("not yet");
    add(&world, "now listening on 80");
    assert_eq!(following.wait().code(), Some(0), "{}", following.stderr.text());
    assert!(following.stdout.text().ends_with("now listening on 80\n"));
    assert_eq!(world.last_end()["ending"], "cancelled");
}

#[test]
fn a_time_that_is_up_is_success_unless_something_was_waited_for() {
    let (world, share) = open();
    let said = follow(&world, &share, &["log.follow", "service=web", "--for", "500ms"]);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{said:?}");
    let words = ["log.follow", "service=web", "--for", "500ms", "--until", "never"];
    let said = follow(&world, &share, &words);
    assert_eq!(said.status, 124, "{said:?}");
    assert!(said.stderr.contains("`never` was not seen in 500ms"), "{said:?}");
}

#[test]
fn a_verb_that_ends_by_itself_ends_it_and_its_success_is_none_without_what_was_waited_for() {
    let (world, share) = open();
    let said = follow(&world, &share, &["test.sh", "name=ends"]);
    assert_eq!((said.status, said.stdout.as_str()), (7, "all\n"), "{said:?}");
    let said = follow(&world, &share, &["test.sh", "name=done", "--until", "more"]);
    assert_eq!((said.status, said.stdout.as_str()), (1, "all\n"), "{said:?}");
    assert!(said.stderr.contains("the verb ended, and `more` was not seen"), "{said:?}");
    let said = follow(&world, &share, &["test.sh", "name=ends", "--until", "all"]);
    assert_eq!(said.status, 0, "{said:?}");
}

#[test]
fn only_what_reads_is_called_again_when_its_own_time_is_up() {
    let (world, share) = open();
    let said = follow(&world, &share, &["brief.read", "--for", "2500ms"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, "begun\nbegun\nbegun\n"), "{said:?}");
    assert!(said.stderr.contains("the verb's time was up; it is called again"), "{said:?}");
    let said = follow(&world, &share, &["brief.write", "--for", "2500ms"]);
    assert_eq!((said.status, said.stdout.as_str()), (124, "begun\n"), "{said:?}");
}

#[test]
fn what_follows_is_told_in_lines_of_json_and_ends_with_the_share() {
    let (world, share) = open();
    let words = ["--json", "follow", "log.follow", "service=web", "lines=1"];
    let mut following = Background::start(world.vendor().command(&share, &words));
    following.stdout.line_with("web line 9");
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(following.wait().code(), Some(255), "{}", following.stderr.text());
    let said = following.stdout.text();
    let told: Vec<Value> =
        said.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!((&told[0]["event"], &told[0]["text"]), (&"stdout".into(), &"web line 9\n".into()));
    let last = told.last().expect("an outcome");
    assert_eq!((&last["event"], &last["outcome"]["kind"]), (&"outcome".into(), &"revoked".into()));
}

#[test]
fn a_call_takes_its_arguments_as_json() {
    let (world, share) = open();
    let piped = |words: &[&str], input: &str| -> Said {
        let mut command = world.vendor().command(&share, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut client = command.spawn().expect("run the client");
        let mut stdin = client.stdin.take().expect("a pipe");
        // Who refuses does not read it.
        let _unread = stdin.write_all(input.as_bytes());
        drop(stdin);
        client.wait_with_output().expect("its end").into()
    };
    let given = r#"{"service": "web", "lines": 2}"#;
    let said = piped(&["call", "log.tail", "--arguments", "-"], given);
    assert_eq!((said.status, said.stdout.as_str()), (0, "web line 8\nweb line 9\n"), "{said:?}");

    let file = world.home.join("vendor/given.json");
    fs::write(&file, given).expect("write it");
    let file = file.display().to_string();
    let said = piped(&["call", "log.tail", "--arguments", &file], "");
    assert_eq!(said.stdout, "web line 8\nweb line 9\n", "{said:?}");

    // A verb that takes standard input gets none of what the arguments came by.
    let said = piped(&["call", "in.cat", "--arguments", "-"], "{}");
    assert_eq!((said.status, said.stdout.as_str()), (0, ""), "{said:?}");
    fs::write(world.home.join("vendor/given.json"), "{}").expect("write it");
    let said = piped(&["call", "in.cat", "--arguments", &file], "for the verb");
    assert_eq!(said.stdout, "for the verb", "{said:?}");

    for (input, what) in [
        ("", "not a JSON object"),
        ("[]", "not a JSON object"),
        (r#"{"service": "web", "lines": "many"}"#, "`lines` must be int"),
        (r#"{"srvice": "web"}"#, "did you mean `service`?"),
        (&"x".repeat(1 << 20), "larger than anything"),
    ] {
        let said = piped(&["call", "log.tail", "--arguments", "-"], input);
        assert_eq!(said.status, 2, "{input}: {said:?}");
        assert!(said.stderr.contains(what), "{said:?}");
    }
    until("no call was made of these", || (world.events("call_refused").is_empty()).then_some(()));
}
