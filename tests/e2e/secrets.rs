//! What a verb prints, as it reaches the recipient: without the secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use daemon::redact::{Redactor, Rules};
use tests::corpus::{leaks, lookalikes};
use tests::world::{Setup, World};

#[test]
fn a_secret_in_either_stream_is_masked_counted_and_told() {
    let world = World::start();
    world.script(
        "leak",
        "echo token ghp_16C7e42F292c6912E7710c838347Ae178B4a here\necho password=hunter2 >&2\n",
    );
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh"]);
    let said = world.vendor().call(&share, &["test.sh", "name=leak"]);
    assert_eq!(said.stdout, "token [redacted:github-token] here\n");
    assert!(said.stderr.contains("password=[redacted:password]"), "{said:?}");
    assert!(said.stderr.contains("2 secrets in the output were masked"), "{said:?}");
    let ended = &world.ends()[0];
    assert_eq!((&ended["redactions"], &ended["stdout"]), (&2.into(), &said.stdout.len().into()));
}

#[test]
fn the_beginning_of_a_line_is_not_held_until_its_end() {
    let world = World::start();
    world.script("ask", "printf 'Go on? '\nwhile [ ! -e \"$HOME/go\" ]; do sleep 0.01; done\nprintf 'password=hun'\nsleep 0.2\nprintf 'ter22\\n'\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh"]);
    let mut call = world.vendor().start(&share, &["test.sh", "name=ask"]);
    tests::wait::until("the question", || (call.stdout.text() == "Go on? ").then_some(()));
    std::fs::write(world.accounts.alice.home().join("go"), "").expect("a file");
    assert_eq!(call.wait().code(), Some(0));
    let text = String::from_utf8(call.stdout.to_end()).expect("text");
    assert!(text.starts_with("Go on? password=") && !text.contains("hunter22"), "{text}");
}

#[test]
fn a_verb_whose_output_is_not_to_be_touched_is_not() {
    let setup = Setup::default();
    let verbs = setup.verbs.replacen(
        "[verb.\"test.sh\"]\n",
        "[verb.\"test.sh\"]\noutput = { redact = [] }\n",
        1,
    );
    let world = Setup { verbs, ..setup }.start();
    world.script("leak", "echo password=hunter2\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh"]);
    let said = world.vendor().call(&share, &["test.sh", "name=leak"]);
    assert_eq!(said.stdout, "password=hunter2\n");
}

const SET: &str = r#"
[redact.internal]
patterns = ["(?:corp-key-)[A-Za-z0-9]{20,255}"]
literals = ["secrets/db"]
label = "corp"
"#;

/// A file of secrets that only root reads.
fn keep(world: &World, values: &str) {
    let file = world.etc().join("secrets/db");
    fs::create_dir_all(file.parent().expect("a parent")).expect("make a directory");
    fs::write(&file, values).expect("write the secrets");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set its mode");
}

/// A world whose catalog has rules of its own for what `test.sh` prints.
fn world_with_rules(values: &str) -> World {
    let setup = Setup::default();
    let output = "[verb.\"test.sh\"]\noutput = { redact = [\"default\", \"internal\"] }\n";
    let verbs = setup.verbs.replacen("[verb.\"test.sh\"]\n", output, 1);
    let world = World::start();
    keep(&world, values);
    let rules = format!("{SET}{}", world.fill(&verbs));
    fs::write(world.etc().join("verbs.d/test.toml"), rules).expect("write the catalog");
    assert_eq!(world.root().run(&["reload"]).status, 0);
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

#[test]
fn a_value_that_only_root_knows_is_masked_wherever_it_is_cut_and_counted() {
    let world = world_with_rules("correct horse battery\n\nTr0ub4dor&3\n");
    world.script(
        "leak",
        "printf 'a correct horse'; printf ' battery b\\nTr0ub4dor'\nsleep 0.3\nprintf '&3\\n'\necho corp-key-16C7e42F292c6912E7710c >&2\n",
    );
    let share = world.alice().open(&["test.sh"]);
    let said = world.vendor().call(&share, &["test.sh", "name=leak"]);
    assert_eq!(said.stdout, "a [redacted:corp] b\n[redacted:corp]\n");
    assert!(said.stderr.contains("[redacted:corp]"), "{said:?}");
    assert!(said.stderr.contains("3 secrets in the output were masked"), "{said:?}");
    assert_eq!(world.ends()[0]["redactions"], 3);
    let log = fs::read_to_string(world.state().join("audit.log")).expect("read the log");
    assert!(!log.contains("battery") && !log.contains("Tr0ub4dor"));
}

#[test]
fn another_value_counts_from_the_next_call_on_and_in_a_broker_that_was_started_again() {
    let world = world_with_rules("correct horse battery\n");
    world.script("leak", "echo 'correct horse battery' 'Tr0ub4dor&3'\n");
    let share = world.alice().open(&["test.sh"]);
    let says = || world.vendor().call(&share, &["test.sh", "name=leak"]).stdout;
    assert_eq!(says(), "[redacted:corp] Tr0ub4dor&3\n");
    keep(&world, "Tr0ub4dor&3\n");
    assert_eq!(world.root().run(&["reload"]).status, 0);
    assert_eq!(says(), "correct horse battery [redacted:corp]\n");
    let broker = world.process("--as-broker").expect("a broker");
    let killed = std::process::Command::new("kill").args(["-9", &broker.to_string()]).status();
    assert!(killed.expect("kill").success());
    tests::wait::until("another broker", || {
        world.process("--as-broker").filter(|other| *other != broker)
    });
    assert_eq!(says(), "correct horse battery [redacted:corp]\n");
}

#[test]
fn a_value_that_is_too_short_refuses_the_reload_and_nothing_changes() {
    let world = world_with_rules("correct horse battery\n");
    world.script("leak", "echo 'correct horse battery' hunter2\n");
    let share = world.alice().open(&["test.sh"]);
    keep(&world, "another horse battery\nhunter2\n");
    let said = world.root().run(&["reload"]);
    assert_ne!(said.status, 0);
    assert!(said.stderr.contains("secrets/db:2: the value has 7 bytes"), "{said:?}");
    assert!(!said.stderr.contains("hunter2"), "{said:?}");
    let rejected = &world.events("policy_rejected")[0];
    assert!(!rejected.to_string().contains("hunter2"), "{rejected}");
    let says = world.vendor().call(&share, &["test.sh", "name=leak"]).stdout;
    assert_eq!(says, "[redacted:corp] hunter2\n");
    let file = world.etc().join("secrets/db");
    fs::write(&file, "another horse battery\n").expect("write the secrets");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("set its mode");
    let said = world.root().run(&["reload"]);
    assert!(said.stderr.contains("is readable by group or others"), "{said:?}");
}

#[test]
fn nearly_every_secret_is_found_and_nearly_nothing_else() {
    let rules = Arc::new(Rules::built_in().expect("the rules"));
    let redacted = |text: &str| {
        let (mut redactor, mut out) = (Redactor::new(Arc::clone(&rules)), Vec::new());
        redactor.push(text.as_bytes(), &mut out);
        redactor.finish(&mut out);
        String::from_utf8(out).expect("text")
    };
    let leaks = leaks(40);
    let missed: Vec<&str> = leaks
        .iter()
        .filter(|leak| leak.is_in(&redacted(&leak.line)))
        .map(|leak| &*leak.line)
        .collect();
    assert!(missed.len() * 100 <= leaks.len(), "{} of {}: {missed:#?}", missed.len(), leaks.len());
    let plain = lookalikes(100);
    let changed: Vec<String> = plain
        .iter()
        .map(|line| (line, redacted(line)))
        .filter(|(line, after)| *line != after)
        .map(|(_, after)| after)
        .collect();
    assert!(
        changed.len() * 1000 <= plain.len(),
        "{} of {}: {changed:#?}",
        changed.len(),
        plain.len()
    );
}
