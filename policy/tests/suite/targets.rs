//! Verbs that run on other hosts: what of them is taken, and what goes to the shell there.

use policy::{Arguments, Input, Level, Policy, Run, Value, lint};

use crate::world::source;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";

fn target(name: &str, more: &str) -> String {
    format!("[ssh.{name}]\nhost = \"10.0.0.1\"\nhost_key = \"{KEY}\"\n{more}")
}

fn verb(ssh: &str, params: &str) -> String {
    format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ ssh = {{ {ssh} }} }}\n[verb.\"a.b\".params]\n{params}"
    )
}

fn load(targets: &str, verbs: &str) -> Result<Policy, Vec<String>> {
    let sources = [source("verbs.d/v.toml", verbs), source("targets.d/t.toml", targets)];
    policy::load(&sources, &[]).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn fault(targets: &str, verbs: &str) -> String {
    load(targets, verbs).unwrap_err().join("\n")
}

fn line(verbs: &str, given: &[(&str, &str)]) -> String {
    let policy = load(&target("web", ""), verbs).unwrap();
    let verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    let Run::Ssh(ssh) = &verb.run else { panic!() };
    let arguments: Arguments = given
        .iter()
        .map(|(name, value)| {
            let name: policy::ParameterName = name.parse().unwrap();
            let kind = verb.parameters[&name].kind;
            (name, Value::parse(kind, value).unwrap())
        })
        .collect();
    ssh.line(&arguments, 20)
}

const PLAIN: &str =
    "target = \"web\", argv = [\"journalctl\", \"-u\", \"{unit}\"], remote_end = \"none\"";
const UNIT: &str = "unit = { type = \"string\", required = true }\n";

#[test]
fn a_value_is_one_word_of_the_line_whatever_is_in_it() {
    let verbs = verb(PLAIN, UNIT);
    let of = |value: &str| line(&verbs, &[("unit", value)]);
    assert_eq!(of("web"), "exec journalctl -u web");
    assert_eq!(of("$(id); rm -rf /"), "exec journalctl -u '$(id); rm -rf /'");
    assert_eq!(of("it's \\"), "exec journalctl -u 'it'\\''s '\\\\");
    assert_eq!(of(""), "exec journalctl -u ''");
}

#[test]
fn what_ends_there_when_the_call_ends_is_said_by_the_verb() {
    let with = |end: &str| line(&verb(&PLAIN.replace("\"none\"", end), UNIT), &[("unit", "web")]);
    assert_eq!(with("\"timeout\""), "exec timeout '--kill-after=2' 20 journalctl -u web");
    assert!(with("\"hangup\"").starts_with("exec sh -c 'exec 3<&0; (trap "));
    assert!(with("\"hangup\"").ends_with(" openscope journalctl -u web"));
    let unsaid = verb(&PLAIN.replace(", remote_end = \"none\"", ""), UNIT);
    assert_eq!(line(&unsaid, &[("unit", "web")]), with("\"hangup\""));
}

#[test]
fn a_program_there_has_a_terminal_where_its_verb_says_so() {
    let input = |keys: &str| {
        let ssh = format!("target = \"web\", argv = [\"top\"]{keys}");
        let policy = load(&target("web", ""), &verb(&ssh, "")).unwrap();
        policy.catalog().verb(&"a.b".parse().unwrap()).unwrap().input()
    };
    assert_eq!(input(""), Input::Nothing);
    assert_eq!(input(", tty = false"), Input::Nothing);
    assert_eq!(input(", tty = true"), Input::Terminal);
    assert_eq!(input(", tty = true, remote_end = \"none\""), Input::Terminal);
    assert_eq!(input(", tty = false, remote_end = \"timeout\""), Input::Nothing);
    let fault = |keys: &str| {
        let ssh = format!("target = \"web\", argv = [\"top\"], {keys}");
        fault(&target("web", ""), &verb(&ssh, ""))
    };
    assert_eq!(
        fault("tty = true, remote_end = \"timeout\""),
        "verbs.d/v.toml:4:74: `timeout` has no place beside `tty`: it takes Ctrl+C for the end\n   = leave `remote_end` out: what is before a terminal there ends with the call"
    );
    assert!(fault("tty = 1").contains("true or false is wanted here, not integer"));
    assert!(fault("stdin = \"text\"").contains("unknown field `stdin`"));
    assert!(fault("tty = true, stdin_max = \"1KiB\"").contains("unknown field `stdin_max`"));
}

#[test]
fn the_line_of_a_program_with_a_terminal_leaves_its_input_alone() {
    let with = |keys: &str| {
        line(&verb(&PLAIN.replace(", remote_end = \"none\"", keys), UNIT), &[("unit", "web")])
    };
    assert_eq!(with(", tty = true, remote_end = \"none\""), "exec journalctl -u web");
    let watched = with(", tty = true");
    assert_eq!(with(", tty = true, remote_end = \"hangup\""), watched);
    assert!(watched.starts_with("exec sh -c '(: </dev/tty) "), "{watched}");
    assert!(watched.ends_with("exec \"$@\"' openscope journalctl -u web"), "{watched}");
    assert!(!watched.contains("<&0") && !watched.contains("read "), "{watched}");
}

#[test]
fn whoever_may_call_and_whoever_compares_are_told_of_a_terminal_there() {
    let loaded = |keys: &str| {
        let ssh = format!("target = \"web\", argv = [\"top\"]{keys}");
        load(&target("web", ""), &verb(&ssh, "")).unwrap()
    };
    let changes = policy::diff(&loaded(""), &loaded(", tty = true"));
    let told: Vec<_> = changes.into_iter().map(|change| change.terms).collect();
    assert_eq!(told, ["takes another input"]);
}

#[test]
fn a_target_is_one_that_is_declared() {
    let chosen = |params: &str| verb("target = \"{host}\", argv = [\"id\"]", params);
    let (web, both) = (target("web", ""), target("web", "") + &target("db", ""));
    let listed = "host = { type = \"string\", one_of = [\"web\", \"db\"], required = true }\n";
    assert!(load(&both, &chosen(listed)).is_ok());
    assert_eq!(
        fault(&web, &chosen(listed)),
        "verbs.d/v.toml:4:26: `db` is not a target\n   = declare it in targets.d, as `[ssh.NAME]`"
    );
    let open = chosen("host = { type = \"string\", required = true }\n");
    assert!(fault(&both, &open).contains("must be a string that lists its targets"));
    let named = verb("target = \"wbe\", argv = [\"id\"]", "");
    assert!(fault(&web, &named).ends_with("`wbe` is not a target\n   = did you mean `web`?"));
    let mixed = verb("target = \"x{host}\", argv = [\"id\"]", listed);
    assert!(fault(&both, &mixed).contains("one parameter alone"));
}

#[test]
fn a_way_over_other_targets_is_known_whole() {
    let way = target("web", "jump = \"mid\"\n")
        + &target("mid", "jump = \"gate\"\n")
        + &target("gate", "");
    let policy = load(&way, &verb("target = \"web\", argv = [\"id\"]", "")).unwrap();
    let verb_of = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    let Run::Ssh(ssh) = &verb_of.run else { panic!() };
    let route = ssh.route(&Arguments::default()).unwrap();
    let jumps: Vec<&str> = route.jumps.iter().map(|jump| jump.name.as_str()).collect();
    assert_eq!((route.target.name.as_str(), jumps), ("web", vec!["gate", "mid"]));
    let stray = target("web", "jump = \"gaet\"\n") + &target("gate", "");
    assert_eq!(
        fault(&stray, ""),
        "targets.d/t.toml:4:8: `gaet` is not a target\n   = did you mean `gate`?"
    );
    let round = target("web", "jump = \"web\"\n");
    assert!(fault(&round, "").contains("at most 4 other targets"));
}

#[test]
fn each_fault_of_a_target_is_named() {
    let with =
        |line: &str| fault(&format!("[ssh.web]\nhost = \"h\"\nhost_key = \"{KEY}\"\n{line}\n"), "");
    for (line, said) in [
        ("port = 0", "a port is 1 to 65535"),
        ("port = 65536", "a port is 1 to 65535"),
        ("user = \"-l\"", "`-l` is not an account's name"),
        ("identity = { own = \"../x\" }", "`../x` is not a file's name"),
        ("identity = { own = \"a\", held = \"b\" }", "an identity is"),
        ("identity = {}", "an identity is"),
        ("connect_timeout = \"61s\"", "`connect_timeout` is 1s to 60s"),
        ("connect_timeout = \"1500ms\"", "`connect_timeout` is 1s to 60s"),
        ("hostkey = \"x\"", "unknown field `hostkey`\n   = did you mean `host_key`?"),
    ] {
        assert!(with(line).contains(said), "{line}: {}", with(line));
    }
    assert!(
        fault("[ssh.web]\nhost = \"h\"\n", "")
            .contains("`host_key` is missing\n   = run `ssh-keyscan")
    );
    let keys = |keys: &str| fault(&format!("[ssh.web]\nhost = \"h\"\nhost_key = {keys}\n"), "");
    assert!(keys("[]").contains("a target has 1 to 8 host keys"));
    assert!(keys("\"ssh-ed25519 AAAA\"").contains("is not a host's public key"));
    assert!(fault("[ssh.WEB]\n", "").contains("`WEB` is not a target's name"));
    let twice = [source("a.toml", &target("web", "")), source("b.toml", &target("web", ""))];
    let faults = policy::load(&twice, &[]).unwrap_err();
    assert_eq!(faults[0].to_string(), "b.toml:1:6: `web` is already declared in a.toml");
}

#[test]
fn each_fault_of_a_verb_that_runs_there_is_named() {
    let with = |ssh: &str| fault(&target("web", ""), &verb(ssh, ""));
    for (ssh, said) in [
        ("argv = [\"id\"]", "`target` is missing"),
        ("target = \"web\"", "`argv` is missing"),
        ("target = \"web\", argv = []", "`argv` begins with a program"),
        ("target = \"web\", argv = [\"\"]", "`argv` begins with a program"),
        ("target = \"web\", argv = [\"-x\"]", "`argv` begins with a program"),
        ("target = \"web\", argv = [\"id\", \"a\\nb\"]", "no control characters"),
        ("target = \"web\", argv = [\"id\"], remote_end = \"nune\"", "did you mean `none`?"),
        ("target = \"web\", argv = [\"id\"], dir = \"/\"", "unknown field `dir`"),
    ] {
        assert!(with(ssh).contains(said), "{ssh}: {}", with(ssh));
    }
    let both = "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = { exec = { argv = [\"/bin/true\"] }, ssh = { target = \"web\", argv = [\"id\"] } }\n";
    assert!(fault(&target("web", ""), both).contains("a verb has one executor"));
    let none = "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {}\n";
    assert!(fault("", none).contains("a verb has one executor"));
}

#[test]
fn lint_names_what_goes_on_and_what_is_known_by_name_only() {
    let paths = "path = { type = \"path\", subtree = \"/var/log\", required = true }\n";
    let ssh = "target = \"web\", argv = [\"cat\", \"--\", \"{path}\"], remote_end = \"none\"";
    let policy = load(&target("web", ""), &verb(ssh, paths)).unwrap();
    let found: Vec<_> = lint(&policy).iter().map(|one| (one.level, one.code)).collect();
    assert_eq!(found, [(Level::Warning, "goes-on"), (Level::Note, "by-name")]);
}

#[test]
fn lint_names_a_terminal_there_and_says_what_contains_it() {
    let found = |argv: &str, keys: &str| {
        let ssh = format!("target = \"web\", argv = [{argv}], tty = true{keys}");
        lint(&load(&target("web", ""), &verb(&ssh, "")).unwrap())
    };
    let codes = |argv: &str, keys: &str| {
        found(argv, keys).iter().map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    let (note, warning) = (Level::Note, Level::Warning);
    assert_eq!(codes("\"top\"", ""), [(note, "terminal")]);
    assert_eq!(codes("\"less\", \"/etc/motd\"", ""), [(warning, "pager"), (note, "terminal")]);
    assert_eq!(codes("\"bash\"", ""), [(warning, "interpreter"), (note, "terminal")]);
    let stays = ", remote_end = \"none\"";
    let mut both = codes("\"top\"", stays);
    both.sort();
    assert_eq!(both, [(warning, "goes-on"), (note, "terminal")]);
    let said = found("\"top\"", stays);
    let of = |code: &str| said.iter().find(|one| one.code == code).unwrap();
    assert!(of("terminal").advice.contains("an account on the target"), "{:?}", of("terminal"));
    assert!(of("goes-on").sentence.contains("unless it heeds"), "{:?}", of("goes-on"));
}
