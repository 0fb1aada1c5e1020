//! Faults in configuration: where, what, and what was meant.

use proptest::prelude::*;

use crate::world::{HOLDS_ALL, VERBS, load, source};

fn rule_faults(rules: &str) -> Vec<String> {
    load(rules).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn verb_faults(verbs: &str) -> Vec<String> {
    let loaded = policy::load(&[source("verbs.d/x.toml", verbs)], &[]);
    loaded.err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn verb(body: &str) -> String {
    format!("[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\n{body}\n")
}

#[track_caller]
fn only(faults: &[String], wanted: &str) {
    assert_eq!(faults, [wanted]);
}

#[test]
fn good_files_load() {
    assert!(rule_faults(HOLDS_ALL).is_empty());
    assert!(load("").is_ok(), "no rule allows nothing");
}

#[test]
fn lo7_an_unknown_field_is_named_with_the_nearest_known_one() {
    only(
        &rule_faults("[[allow]]\nagnet = \"you\"\nverbs = [\"*\"]\n"),
        "policy.d/team.toml:2:1: unknown field `agnet`\n   = did you mean `agent`?",
    );
    only(
        &rule_faults("[[alow]]\nagent = \"you\"\n"),
        "policy.d/team.toml:1:3: unknown field `alow`\n   = did you mean `allow`?",
    );
    only(
        &rule_faults(
            "[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"x\"]\napprovers_of = 1\n",
        ),
        "policy.d/team.toml:5:1: unknown field `approvers_of`\n   = did you mean `approvers`?",
    );
    only(
        &verb_faults(&verb("run = { shell = { argv = [] } }")),
        "verbs.d/x.toml:4:9: `shell` is not an executor: known here: exec, ssh, http, sql, forward, file, note",
    );
    only(
        &verb_faults(&verb("run = { exec = { argv = [\"/bin/true\"], drr = \"/\" } }")),
        "verbs.d/x.toml:4:40: unknown field `drr`\n   = did you mean `dir`?",
    );
}

#[test]
fn lo7_a_wrong_type_is_named() {
    only(
        &rule_faults("[[allow]]\nagent = 5\nverbs = [\"*\"]\n"),
        "policy.d/team.toml:2:9: a string is wanted here, not integer",
    );
    only(
        &rule_faults(
            "[[allow]]\nagent = \"you\"\nverbs = { \"ssh.tail_logs\" = { lines = \"many\" } }\n",
        ),
        "policy.d/team.toml:3:39: the parameter is of type int, and this is string",
    );
    only(
        &rule_faults("[allow]\nagent = \"you\"\n"),
        "policy.d/team.toml:1:1: an array is wanted here, not table",
    );
}

#[test]
fn lo7_a_duplicate_verb_is_named_with_the_other_file() {
    let files = [source("verbs.d/a.toml", VERBS), source("verbs.d/b.toml", VERBS)];
    let faults = policy::load(&files, &[]).unwrap_err();
    assert_eq!(faults.len(), 4);
    assert_eq!(
        faults[3].to_string(),
        "verbs.d/b.toml:17:7: `web.status` is already declared in verbs.d/a.toml"
    );
    let twice = verb("run = { exec = { argv = [\"/bin/true\"] } }").repeat(2);
    let faults = verb_faults(&twice);
    assert!(faults[0].starts_with("verbs.d/x.toml:5:"), "{faults:?}");
}

#[test]
fn lo7_a_rule_that_can_never_apply_is_named() {
    only(
        &rule_faults("[[allow]]\nagent = \"you\"\nverbs = [\"web.status\", \"ssh.tail_log\"]\n"),
        "policy.d/team.toml:3:24: `ssh.tail_log` is not in the catalog\n   = did you mean `ssh.tail_logs` (verbs.d/web.toml)?",
    );
    only(
        &rule_faults("[[deny]]\nuser = \"*\"\nverbs = [\"shh.*\"]\n"),
        "policy.d/team.toml:3:10: `shh.*` matches no verb in the catalog",
    );
    only(
        &rule_faults(
            "[[deny]]\nuser = \"*\"\nverbs = { \"ssh.tail_logs\" = { host = \"web-3\" } }\n",
        ),
        "policy.d/team.toml:3:38: `web-3` is never accepted: the catalog takes web-1|web-2",
    );
    only(
        &rule_faults(
            "[[deny]]\nuser = \"*\"\nverbs = { \"ssh.tail_logs\" = { hots = \"web-1\" } }\n",
        ),
        "policy.d/team.toml:3:31: `ssh.tail_logs` has no parameter `hots`\n   = did you mean `host`?",
    );
    only(
        &rule_faults("[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\n"),
        "policy.d/team.toml:1:1: the rule reaches nobody\n   = name recipients in `to` or `keys`, or say `bearer = true`",
    );
    only(
        &rule_faults("[[allow]]\nverbs = [\"*\"]\n"),
        "policy.d/team.toml:1:1: the rule does not say whom it is about\n   = say `agent`, `user`, `group` or `role`, or `user = \"*\"` for everyone",
    );
    only(
        &rule_faults("[[allow]]\nuser = \"*\"\nverbs = []\n"),
        "policy.d/team.toml:3:9: the rule names no verb",
    );
}

#[test]
fn every_fault_of_a_file_is_named_at_once() {
    let faults = rule_faults("[[allow]]\nagnet = 1\n[[deny]]\nuser = 1\n[[agent]]\nname = \"A\"\n");
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn what_is_no_toml_is_located() {
    let faults = rule_faults("[[allow]]\nagent = \n");
    assert!(faults[0].starts_with("policy.d/team.toml:2:"), "{faults:?}");
}

#[test]
fn a_share_cannot_be_allowed_to_live_longer_than_the_hard_stop() {
    let rule = |ttl: &str| {
        format!(
            "[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"x\"]\nmax_ttl = \"{ttl}\"\n"
        )
    };
    assert!(rule_faults(&rule("29m")).is_empty());
    assert!(rule_faults(&rule("30m")).is_empty());
    for bad in ["31m", "1801s"] {
        only(&rule_faults(&rule(bad)), "policy.d/team.toml:5:11: no share lives longer than 30m");
    }
    for bad in ["0s", "-5m", "soon", "5", "", "5 m", "99999999999999999999h"] {
        let faults = rule_faults(&rule(bad));
        assert!(faults[0].contains("is not a duration"), "{faults:?}");
    }
}

#[test]
fn an_agent_belongs_to_one_user() {
    let agents =
        "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[agent]]\nname = \"you\"\nuser = \"bob\"\n";
    only(&rule_faults(agents), "policy.d/team.toml:5:8: agent `you` is already `alice`'s");
}

#[test]
fn a_verb_says_all_that_it_must() {
    let run = "run = { exec = { argv = [\"/bin/echo\", \"{x}\"] } }";
    let parameter = |body: &str| verb(&format!("{run}\nparams = {{ x = {{ {body} }} }}"));
    assert!(verb_faults(&parameter("type = \"string\", required = true")).is_empty());
    for (bad, says) in [
        (verb(""), "`run` is missing"),
        (format!("[verb.\"a.b\"]\nsummary = \"s\"\n{run}"), "`{x}` is not a declared parameter"),
        (verb("run = { exec = { argv = [] } }"), "`argv` names no program"),
        (verb("run = { exec = { argv = [\"echo\"] } }"), "the program must be an absolute path"),
        (
            verb("run = { exec = { argv = [\"/bin/{x}\"] } }"),
            "the program must be an absolute path",
        ),
        (verb("run = { exec = { argv = [\"/bin/echo\", \"{x\"] } }"), "`{` is never closed"),
        (parameter("required = true"), "`type` is missing"),
        (parameter("type = \"text\", required = true"), "`text` is no type"),
        (parameter("type = \"string\""), "needs `required = true` or a `default`"),
        (parameter("type = \"string\", required = true, default = \"a\""), "no use for a default"),
        (parameter("type = \"string\", default = 5"), "of type string, and this is int"),
        (
            parameter("type = \"int\", default = 5, max = 4"),
            "the default `5` is not accepted: at most 4 is",
        ),
        (
            parameter("type = \"int\", default = 5, min = 6, max = 4"),
            "`min` 6 is greater than `max` 4",
        ),
        (parameter("type = \"string\", required = true, min = 6"), "for parameters of type int"),
        (
            parameter("type = \"int\", required = true, prefix = \"a\""),
            "for parameters of type string",
        ),
        (
            parameter("type = \"string\", required = true, pattern = \"[a-\""),
            "is not a regular expression",
        ),
        (parameter("type = \"string\", required = true, one_of = []"), "the list is empty"),
        (
            parameter("type = \"string\", required = true, one_of = [\"a\"], prefix = \"b\""),
            "exclude each other",
        ),
        (
            verb(
                "run = { exec = { argv = [\"/bin/true\"] } }\nparams = { x = { type = \"string\", required = true } }",
            ),
            "`x` is declared but `run` never uses it",
        ),
        (
            verb("run = { exec = { argv = [\"/bin/true\"], dir = \"tmp\" } }"),
            "`dir` must be an absolute path",
        ),
        (
            verb("run = { exec = { argv = [\"/bin/true\"], env = { \"A-B\" = \"x\" } } }"),
            "is not a variable's name",
        ),
        (
            verb("run = { exec = { argv = [\"/bin/true\"] } }\ntimeout = \"0s\""),
            "is not a duration",
        ),
        (
            verb("run = { exec = { argv = [\"/bin/true\"] } }\noutput = { max = \"8MB\" }"),
            "is not a size",
        ),
        (
            verb("run = { exec = { argv = [\"/bin/true\"] } }\noutput = { redact = [\"defalt\"] }"),
            "`defalt` is no set of redaction rules: known here: default, entropy",
        ),
    ] {
        let faults = verb_faults(&bad);
        assert!(faults.iter().any(|fault| fault.contains(says)), "{says}: {faults:?}");
    }
}

#[test]
fn what_a_verb_says_arrives() {
    let text = r#"
[verb."a.b"]
summary = "s"
effect = "write"
run = { exec = { argv = ["/bin/echo", "--{{}}", "{x}"], dir = "/tmp", env = { A = "b" } } }
timeout = "20s"
output = { max = "8MiB", redact = [] }
params = { x = { type = "int", min = 1, default = 0x10, summary = "how many" } }
"#;
    let policy = policy::load(&[source("verbs.d/x.toml", text)], &[]).unwrap();
    let verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    assert_eq!(verb.timeout, Some(std::time::Duration::from_secs(20)));
    assert_eq!((verb.output_max, verb.redact.len()), (Some(8 << 20), 0));
    let policy::Run::Exec(exec) = &verb.run else { panic!() };
    let arguments = crate::world::arguments([("x", policy::Value::Int(16))]);
    let texts = ["/bin/echo", "--{}", "16"].map(|text| policy::Element::Text(text.to_owned()));
    assert_eq!(verb.command(&arguments), texts);
    assert_eq!(exec.program(), "/bin/echo");
    assert_eq!(exec.dir.as_deref(), Some("/tmp"));
    assert_eq!(exec.environment(&arguments)["A"], "b");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_perturbed_file_never_panics(at in 0..VERBS.len(), with in any::<char>(), rules in any::<bool>()) {
        let perturb = |text: &str| -> String {
            text.char_indices().map(|(i, c)| if i == at % text.len() { with } else { c }).collect()
        };
        let (verbs, policy) = if rules {
            (VERBS.to_owned(), perturb(HOLDS_ALL))
        } else {
            (perturb(VERBS), HOLDS_ALL.to_owned())
        };
        let _ = policy::load(&[source("a", &verbs)], &[source("b", &policy)]);
    }

    #[test]
    fn a_perturbed_request_never_panics(text in "[a-z.:=<>|*,'\"0-9é\\n]{0,40}") {
        if let Ok(request) = text.parse::<policy::Request>() {
            let surface = crate::world::with(HOLDS_ALL).surface(&crate::world::subject());
            let _ = surface.derive(&[request]).map_err(|fault| fault.to_string());
        }
    }
}
