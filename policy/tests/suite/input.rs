//! What the catalog says of the input that a program takes.

use policy::{Approve, Consent, Content, Decision, Effect, Groups, Input, Level, Run, Stdin, lint};

use crate::world::{HOLDS_ALL, NOW, Shared, call, source, text};

fn verb(argv: &str, keys: &str) -> String {
    format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = [{argv}], {keys} }} }}\n"
    )
}

fn loaded(keys: &str) -> Result<Input, String> {
    let policy = policy::load(&[source("v.toml", &verb("\"/bin/true\"", keys))], &[]);
    let policy = policy.map_err(|faults| faults[0].to_string())?;
    let run = &policy.catalog().verb(&"a.b".parse().unwrap()).unwrap().run;
    let Run::Exec(exec) = run else { panic!() };
    Ok(exec.input)
}

fn stdin(content: Content, max: u64) -> Input {
    Input::Stdin(Stdin { content, max })
}

#[test]
fn a_verb_takes_no_input_unless_it_is_said() {
    assert_eq!(loaded("env = {}"), Ok(Input::Nothing));
    assert_eq!(loaded("stdin = \"bytes\""), Ok(stdin(Content::Bytes, 1 << 20)));
    assert_eq!(loaded("stdin = \"text\""), Ok(stdin(Content::Text, 1 << 20)));
    assert_eq!(loaded("tty = true"), Ok(Input::Terminal));
    assert_eq!(loaded("tty = false"), Ok(Input::Nothing));
    assert_eq!(loaded("tty = false, stdin = \"text\""), Ok(stdin(Content::Text, 1 << 20)));
}

#[test]
fn the_bound_of_an_input_is_taken_at_its_ends_and_refused_beyond() {
    let bounded = |max: &str| loaded(&format!("stdin = \"bytes\", stdin_max = \"{max}\""));
    assert_eq!(bounded("1B"), Ok(stdin(Content::Bytes, 1)));
    assert_eq!(bounded("1GiB"), Ok(stdin(Content::Bytes, 1 << 30)));
    let over = bounded("1073741825B");
    assert_eq!(over, Err("v.toml:4:69: `stdin_max` is at most 1GiB".to_owned()));
    assert!(bounded("0B").unwrap_err().contains("`0B` is not a size"));
}

#[test]
fn what_is_no_input_is_named_with_its_place() {
    for (keys, wanted) in [
        (
            "stdin = \"byte\"",
            "48: `byte` is no standard input: known here: bytes, text\n   = did you mean `bytes`?",
        ),
        ("stdin = true", "48: a string is wanted here, not boolean"),
        (
            "stdin_max = \"1KiB\"",
            "52: `stdin_max` bounds nothing: the program takes no standard input\n   = say what it takes: `stdin = \"text\"` or `stdin = \"bytes\"`",
        ),
        ("tty = 1", "46: true or false is wanted here, not integer"),
        (
            "tty = true, stdin = \"text\"",
            "60: `stdin` has no place beside `tty`: a terminal is the standard input\n   = leave `stdin` out, or `tty`",
        ),
        (
            "stdin_max = \"1KiB\", tty = true",
            "52: `stdin_max` has no place beside `tty`: a terminal is the standard input\n   = leave `stdin_max` out, or `tty`",
        ),
    ] {
        assert_eq!(loaded(keys), Err(format!("v.toml:4:{wanted}")), "{keys}");
    }
}

/// A catalog in which the restart, which waits for a yes, takes this.
fn shared(approve: Approve, keys: &str) -> Shared {
    let verbs = crate::world::VERBS.replace(
        "\"restart\", \"--\", \"{service}\"]",
        &format!("\"restart\", \"--\", \"{{service}}\"], {keys}"),
    );
    let rules = format!("{HOLDS_ALL}approve = \"{approve}\"\n");
    let mut shared = Shared::of(&rules, &["ssh.restart_service"]);
    shared.policy = policy::load(&[source("v", &verbs)], &[source("p", &rules)]).unwrap();
    shared
}

/// The same, on a target.
fn shared_there(approve: Approve, keys: &str) -> Shared {
    let verbs = crate::world::VERBS.replace(
        "exec = { argv = [\"/usr/bin/systemctl\", \"restart\", \"--\", \"{service}\"]",
        &format!("ssh = {{ target = \"web\", argv = [\"edit\", \"{{service}}\"]{keys}"),
    );
    let key = "AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";
    let target = format!("[ssh.web]\nhost = \"h\"\nhost_key = \"ssh-ed25519 {key}\"\n");
    let rules = format!("{HOLDS_ALL}approve = \"{approve}\"\n");
    let mut shared = Shared::of(&rules, &["ssh.restart_service"]);
    let sources = [source("v", &verbs), source("t", &target)];
    shared.policy = policy::load(&sources, &[source("p", &rules)]).unwrap();
    shared
}

fn asked(shared: &Shared) -> Option<policy::Question> {
    match shared.decide_at(call("ssh.restart_service", [("service", text("web"))]), NOW) {
        Decision::Ask(question) => Some(*question),
        Decision::Permit(_) => None,
        Decision::Refuse(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[test]
fn p04_a_yes_is_for_the_input_that_was_there_when_it_was_given() {
    let different = [
        "env = {}",
        "stdin = \"bytes\"",
        "stdin = \"text\"",
        "stdin = \"text\", stdin_max = \"2MiB\"",
        "tty = true",
    ];
    for approve in [Approve::Once, Approve::Each] {
        for given in different {
            let to = asked(&shared(approve, given)).unwrap().digest;
            for there in different {
                let mut now = shared(approve, there);
                let alices = Consent { user: "alice".to_owned(), groups: Groups::none(), to };
                now.standing.consents = vec![alices];
                assert_eq!(asked(&now).is_none(), given == there, "{approve}: {given} {there}");
            }
        }
    }
}

#[test]
fn whoever_is_asked_and_whoever_may_call_are_told_what_a_verb_takes() {
    for (keys, takes) in
        [("stdin = \"text\"", stdin(Content::Text, 1 << 20)), ("tty = true", Input::Terminal)]
    {
        let shared = shared(Approve::Each, keys);
        assert_eq!(asked(&shared).unwrap().input, takes);
        let menu = shared.policy.menu(&shared.standing, &shared.passport, NOW);
        let entry = menu.iter().find(|entry| entry.effect == Effect::Write).unwrap();
        assert_eq!(entry.input, takes);
    }
}

#[test]
fn p04_a_yes_for_a_program_on_a_target_is_none_for_the_same_before_a_terminal() {
    let different = ["", ", tty = true", ", tty = true, remote_end = \"none\""];
    for given in different {
        let question = asked(&shared_there(Approve::Each, given)).unwrap();
        let takes = if given.is_empty() { Input::Nothing } else { Input::Terminal };
        assert_eq!(question.input, takes, "{given}");
        for there in different {
            let mut now = shared_there(Approve::Each, there);
            let (user, groups, to) = ("alice".to_owned(), Groups::none(), question.digest);
            now.standing.consents = vec![Consent { user, groups, to }];
            assert_eq!(asked(&now).is_none(), given == there, "{given} {there}");
            let menu = now.policy.menu(&now.standing, &now.passport, NOW);
            let input = now.policy.catalog().verb(&menu[0].verb).unwrap().input();
            assert_eq!(menu[0].input, input);
        }
    }
}

#[test]
fn lint_names_an_interpreter_whose_code_comes_from_its_recipient() {
    let found = |argv: &str, keys: &str| {
        let policy = policy::load(&[source("v.toml", &verb(argv, keys))], &[]).unwrap();
        lint(&policy).into_iter().map(|one| (one.code, one.level)).collect::<Vec<_>>()
    };
    let (warning, note) = (("interpreter", Level::Warning), ("interpreter", Level::Note));
    for argv in ["\"/bin/sh\"", "\"/usr/bin/python3\", \"-\"", "\"/bin/sh\", \"-s\""] {
        assert_eq!(found(argv, "stdin = \"text\""), [warning], "{argv}");
        assert_eq!(found(argv, "env = {}"), [note], "{argv}");
    }
    assert_eq!(found("\"/bin/sh\", \"/opt/load\"", "stdin = \"text\""), [note]);
}

#[test]
fn lint_names_a_program_that_its_recipient_types_to() {
    let found = |argv: &str, keys: &str| {
        let policy = policy::load(&[source("v.toml", &verb(argv, keys))], &[]).unwrap();
        lint(&policy).into_iter().map(|one| (one.code, one.level)).collect::<Vec<_>>()
    };
    let (note, warning) = (("terminal", Level::Note), Level::Warning);
    assert_eq!(found("\"/usr/bin/top\"", "tty = true"), [note]);
    assert_eq!(found("\"/usr/bin/top\"", "tty = false"), []);
    assert_eq!(found("\"/usr/bin/less\", \"/etc/motd\"", "tty = true"), [("pager", warning), note]);
    assert_eq!(found("\"/bin/sh\"", "tty = true"), [("interpreter", warning), note]);
}

#[test]
fn diff_tells_that_a_verb_takes_another_input() {
    let policy =
        |keys: &str| policy::load(&[source("v", &verb("\"/bin/true\"", keys))], &[]).unwrap();
    let changes = policy::diff(&policy("env = {}"), &policy("stdin = \"bytes\""));
    let told: Vec<_> = changes.into_iter().map(|change| change.terms).collect();
    assert_eq!(told, ["takes another input"]);
}
