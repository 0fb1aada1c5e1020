//! What deserves a second look.

use policy::{Level, lint};

use crate::world::source;

const VERBS: &str = r#"
[verb."log.tail"]
summary = "Last lines"
effect = "read"
run = { exec = { argv = ["/usr/bin/tail", "--", "{file}"] } }
params = { file = { type = "string", one_of = ["web", "db"], required = true } }

[verb."svc.restart"]
summary = "Restart"
effect = "write"
run = { exec = { argv = ["/usr/bin/sv", "restart", "--", "{service}"] } }
params = { service = { type = "string", required = true } }
"#;

const GOOD: &str = r#"
[[agent]]
name = "you"
user = "alice"
[[role]]
name = "sre"
groups = ["sre"]
[[allow]]
agent = "you"
verbs = { "log.tail" = {}, "svc.restart" = { service = ["web"] } }
[[delegate]]
agent = "you"
verbs = ["svc.restart"]
to = ["vendor-*"]
approve = "each"
approvers = ["@sre"]
[[delegate]]
agent = "you"
verbs = ["log.tail"]
to = ["vendor-*"]
"#;

fn codes(verbs: &str, rules: &str) -> Vec<(&'static str, Level)> {
    let policy = policy::load(&[source("v.toml", verbs)], &[source("p.toml", rules)]);
    let policy = policy.unwrap_or_else(|faults| panic!("{}", faults[0]));
    let mut codes: Vec<_> = lint(&policy).iter().map(|one| (one.code, one.level)).collect();
    codes.dedup();
    codes
}

#[test]
fn a_sound_policy_is_left_in_peace() {
    assert_eq!(codes(VERBS, GOOD), []);
}

#[test]
fn each_doubtful_rule_is_found() {
    let allow = |rest: &str| format!("{GOOD}[[allow]]\n{rest}\n");
    let deny = |rest: &str| format!("{GOOD}[[deny]]\n{rest}\n");
    let delegate = |rest: &str| format!("{GOOD}[[delegate]]\n{rest}\n");
    let cases = [
        ("nobody", allow("agent = \"you\"\nuser = \"bob\"\nverbs = [\"log.tail\"]")),
        ("undeclared-agent", allow("agent = \"yuo\"\nverbs = [\"log.tail\"]")),
        ("covered", allow("agent = \"you\"\nverbs = { \"log.tail\" = { file = \"web\" } }")),
        ("denied", deny("user = \"*\"\nverbs = [\"log.*\"]")),
        ("idle-agent", format!("{GOOD}[[agent]]\nname = \"other\"\nuser = \"bob\"\n")),
        ("unused-role", format!("{GOOD}[[role]]\nname = \"dba\"\ngroups = [\"dba\"]\n")),
        ("not-held", delegate("user = \"bob\"\nverbs = [\"log.tail\"]\nto = [\"partner\"]")),
        (
            "unpinned-write",
            GOOD.replace(", \"svc.restart\" = { service = [\"web\"] }", ", \"svc.restart\" = {}"),
        ),
        ("bearer-write", GOOD.replace("approve = \"each\"", "bearer = true\napprove = \"each\"")),
        (
            "no-approver",
            GOOD.replace("[\"@sre\"]", "[\"alice\"]")
                .replace("[[role]]\nname = \"sre\"\ngroups = [\"sre\"]\n", ""),
        ),
        ("undercut", delegate("agent = \"you\"\nverbs = [\"svc.*\"]\nto = [\"*\"]")),
        ("undercut", delegate("agent = \"you\"\nverbs = [\"svc.*\"]\nto = [\"vendor-a\"]")),
    ];
    for (code, rules) in cases {
        let found = codes(VERBS, &rules);
        assert!(found.iter().any(|(one, _)| *one == code), "{code}: {found:?}");
    }
}

#[test]
fn a_rule_that_undercuts_wholly_is_a_warning_and_an_exception_is_a_note() {
    let level = |to: &str| {
        let rules =
            format!("{GOOD}[[delegate]]\nagent = \"you\"\nverbs = [\"svc.*\"]\nto = [\"{to}\"]\n");
        codes(VERBS, &rules)
            .into_iter()
            .find(|(code, _)| *code == "undercut")
            .map(|(_, level)| level)
    };
    assert_eq!(level("*"), Some(Level::Warning));
    assert_eq!(level("vendor-a"), Some(Level::Note));
    assert_eq!(level("partner"), None);
}

#[test]
fn a_yes_of_others_is_enough_where_each_owner_has_some() {
    let rules = |approvers: &str| {
        GOOD.replace("[\"@sre\"]", approvers)
            .replace("[[role]]\nname = \"sre\"\ngroups = [\"sre\"]\n", "")
    };
    let found = |approvers: &str| {
        codes(VERBS, &rules(approvers)).iter().any(|(code, _)| *code == "no-approver")
    };
    assert!(found("[\"alice\", \"bob\"]\nneeds = 2"));
    assert!(!found("[\"alice\", \"bob\"]"));
    assert!(!found("[\"carol\", \"bob\"]\nneeds = 2"));
}

fn verb(argv: &str, param: &str) -> Vec<(&'static str, Level)> {
    let verbs = format!(
        "{VERBS}[verb.\"x.y\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = {argv} }} }}\n{param}\n"
    );
    codes(&verbs, GOOD)
}

#[test]
fn a_value_that_can_begin_with_a_dash_where_options_are_is_found() {
    let text =
        |limit: &str| format!("params = {{ x = {{ type = \"string\", required = true{limit} }} }}");
    let int =
        |limit: &str| format!("params = {{ x = {{ type = \"int\", required = true{limit} }} }}");
    let at = "[\"/usr/bin/cat\", \"{x}\"]";
    for (argv, param, code) in [
        (at, text(""), Some(("free-text", Level::Warning))),
        (at, text(", pattern = \"-?[a-z]+\""), Some(("leading-dash", Level::Warning))),
        (at, text(", pattern = \"[a-z]+\""), None),
        (at, text(", prefix = \"-\""), Some(("leading-dash", Level::Warning))),
        (at, text(", prefix = \"/var/\""), None),
        (at, text(", one_of = [\"a\", \"-b\"]"), Some(("leading-dash", Level::Warning))),
        (at, text(", one_of = [\"a\", \"b\"]"), None),
        (at, int(""), Some(("negative", Level::Note))),
        (at, int(", min = -1"), Some(("negative", Level::Note))),
        (at, int(", min = 0"), None),
        ("[\"/usr/bin/cat\", \"--\", \"{x}\"]", text(""), None),
        ("[\"/usr/bin/cat\", \"--lines={x}\"]", text(""), None),
    ] {
        assert_eq!(verb(argv, &param).first().copied(), code, "{argv} {param}");
    }
}

#[test]
fn output_that_is_not_masked_is_noted() {
    let verbs =
        VERBS.replacen("effect = \"read\"\n", "effect = \"read\"\noutput = { redact = [] }\n", 1);
    assert_eq!(codes(&verbs, GOOD), [("unmasked", Level::Note)]);
}

#[test]
fn a_program_that_does_more_than_its_verb_says_is_found() {
    let text = "params = { x = { type = \"string\", pattern = \"[a-z]+\", required = true } }";
    let listed = "params = { x = { type = \"string\", one_of = [\"a\"], required = true } }";
    for (argv, param, code) in [
        ("[\"/bin/sh\", \"-c\", \"echo {x}\"]", text, Some(("interpreter", Level::Warning))),
        ("[\"/bin/sh\", \"-c\", \"echo {x}\"]", listed, Some(("interpreter", Level::Note))),
        ("[\"/usr/bin/python3.11\", \"/opt/x.py\"]", "", Some(("interpreter", Level::Note))),
        ("[\"/usr/bin/env\", \"{x}\"]", text, Some(("launcher", Level::Warning))),
        ("[\"/usr/bin/sudo\", \"reboot\"]", "", Some(("launcher", Level::Note))),
        ("[\"/usr/bin/less\", \"/etc/motd\"]", "", Some(("pager", Level::Warning))),
        ("[\"/usr/bin/find\", \"/var\", \"-delete\"]", "", Some(("option", Level::Warning))),
        ("[\"/usr/bin/find\", \"/var\", \"-name\", \"x\"]", "", None),
        ("[\"/usr/bin/shred\"]", "", None),
    ] {
        assert_eq!(verb(argv, param).first().copied(), code, "{argv} {param}");
    }
}
