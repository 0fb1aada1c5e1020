//! What a verb prints, as it reaches the recipient: without the secrets.

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
    let ended = &world.events("call_ended")[0];
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
        .filter(|leak| redacted(&leak.line).contains(&leak.secret))
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
