//! What the catalog says of how a program is contained.

use policy::{
    Approve, Confinement, Consent, Decision, Groups, Level, NetworkAccess, ProcessLimits, Run,
    SystemCalls, TotalLimits, lint,
};

use crate::world::{HOLDS_ALL, NOW, Shared, call, source};

fn verb(effect: &str, keys: &str) -> String {
    let comma = if keys.is_empty() { "" } else { ", " };
    format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"{effect}\"\nrun = {{ exec = {{ argv = [\"/bin/true\"]{comma}{keys} }} }}\n"
    )
}

fn loaded(effect: &str, keys: &str) -> Confinement {
    let policy = policy::load(&[source("v.toml", &verb(effect, keys))], &[]);
    let policy = policy.unwrap_or_else(|faults| panic!("{keys}: {}", faults[0]));
    let run = &policy.catalog().verb(&"a.b".parse().unwrap()).unwrap().run;
    let Run::Exec(exec) = run else { panic!() };
    exec.confinement.clone()
}

fn fault(keys: &str) -> String {
    let loaded = policy::load(&[source("v.toml", &verb("read", keys))], &[]);
    let faults = loaded.err().unwrap_or_else(|| panic!("it loads: {keys}"));
    assert_eq!(faults.len(), 1, "{keys}");
    faults[0].to_string()
}

#[test]
fn a_verb_that_looks_is_filtered_and_one_that_writes_is_not_unless_it_is_said() {
    for (effect, keys, wanted) in [
        ("read", "", SystemCalls::Read),
        ("read", "system_calls = \"all\"", SystemCalls::All),
        ("read", "system_calls = \"read\"", SystemCalls::Read),
        ("write", "", SystemCalls::All),
        ("write", "system_calls = \"read\"", SystemCalls::Read),
        ("write", "system_calls = \"all\"", SystemCalls::All),
    ] {
        let confinement = loaded(effect, keys);
        assert_eq!(confinement.system_calls, wanted, "{effect} {keys}");
        assert_eq!(confinement.limits, ProcessLimits::default());
        assert_eq!(confinement.reach, None);
    }
}

#[test]
fn limits_are_what_is_written() {
    let all = "limits = { memory = \"256MiB\", processes = 64, open_files = 128, file_size = \"10MiB\", cpu = \"2m\" }";
    let wanted = ProcessLimits {
        memory: Some(256 << 20),
        processes: Some(64),
        open_files: Some(128),
        file_size: Some(10 << 20),
        cpu: Some(120),
    };
    assert_eq!(loaded("read", all).limits, wanted);
    let one = ProcessLimits { cpu: Some(1), ..ProcessLimits::default() };
    assert_eq!(loaded("read", "limits = { cpu = \"1000ms\" }").limits, one);
}

#[test]
fn limits_in_total_are_what_is_written() {
    let all = "limits = { open_files = 99, total = { memory = \"64MiB\", processes = 8, cpu = \"150%\" } }";
    let total = TotalLimits { memory: Some(64 << 20), processes: Some(8), cpu: Some(150) };
    assert_eq!(loaded("read", all).total, total);
    assert_eq!(loaded("read", all).limits.open_files, Some(99));
    assert_eq!(loaded("read", "limits = { memory = \"64MiB\" }").total, TotalLimits::default());
    for (total, said) in [
        ("{}", "59: `total` bounds nothing: say `memory`, `processes` or `cpu`"),
        ("{ cpu = \"0%\" }", "67: `cpu` is 1% to 100000%"),
        ("{ cpu = \"100001%\" }", "67: `cpu` is 1% to 100000%"),
        ("{ cpu = \"5s\" }", "67: `5s` is not a share of a processor: write 50%, 100% or 200%"),
        ("{ cpu = 50 }", "67: a string is wanted here, not integer"),
        ("{ memory = \"1MiB\" }", "70: `memory` is 16MiB to 1024GiB"),
        ("{ processes = 0 }", "73: `processes` is 1 to 4194304"),
        ("{ open_files = 16 }", "61: unknown field `open_files`"),
        ("7", "59: a table is wanted here, not integer"),
    ] {
        let fault = fault(&format!("limits = {{ total = {total} }}"));
        assert!(fault.starts_with(&format!("v.toml:4:{said}")), "{total}: {fault}");
    }
}

#[test]
fn a_verb_runs_as_its_owner_or_as_an_account_that_is_named() {
    let of = |keys: &str| {
        let policy = policy::load(&[source("v.toml", &verb("read", keys))], &[]).unwrap();
        let run = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap().run.clone();
        run.run_as().map(ToString::to_string)
    };
    assert_eq!(of(""), None);
    for name in ["app", "_app", "App.1-x", &"a".repeat(32)] {
        assert_eq!(of(&format!("run_as = \"{name}\"")).as_deref(), Some(name));
    }
    for (name, said) in [
        ("\"root\"", "no verb runs as root"),
        ("\"\"", "`` is not a name of an account: write a-z"),
        ("\"0\"", "`0` is not a name of an account"),
        ("\"a b\"", "`a b` is not a name of an account"),
        ("\"{who}\"", "`{who}` is not a name of an account"),
        (&format!("\"{}\"", "a".repeat(33)), "is not a name of an account"),
        ("1000", "a string is wanted here, not integer"),
    ] {
        let fault = fault(&format!("run_as = {name}"));
        assert!(fault.starts_with("v.toml:4:49: ") && fault.contains(said), "{name}: {fault}");
    }
    let text = "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = { file = { get = \"/a\", run_as = \"app\" } }\n";
    let policy = policy::load(&[source("v.toml", text)], &[]).unwrap();
    let found: Vec<_> = lint(&policy).into_iter().map(|one| (one.code, one.level)).collect();
    assert_eq!(found, [("run-as", Level::Note)]);
}

#[test]
fn each_limit_is_taken_at_its_bounds_and_refused_beyond() {
    for (key, bounds, least, under, most, over) in [
        ("memory", "16MiB to 1024GiB", "\"16MiB\"", "\"16383KiB\"", "\"1024GiB\"", "\"1025GiB\""),
        ("processes", "1 to 4194304", "1", "0", "4194304", "4194305"),
        ("open_files", "16 to 1048576", "16", "15", "1048576", "1048577"),
        (
            "file_size",
            "1B to 1024GiB",
            "\"1B\"",
            "\"1099511627777B\"",
            "\"1024GiB\"",
            "\"1025GiB\"",
        ),
        ("cpu", "1s to 24h", "\"1s\"", "\"86401s\"", "\"24h\"", "\"25h\""),
    ] {
        for good in [least, most] {
            loaded("read", &format!("limits = {{ {key} = {good} }}"));
        }
        for bad in [under, over] {
            let at = 54 + key.len();
            let wanted = format!("v.toml:4:{at}: `{key}` is {bounds}");
            assert_eq!(fault(&format!("limits = {{ {key} = {bad} }}")), wanted, "{bad}");
        }
    }
}

#[test]
fn lo7_what_is_no_containment_is_named_with_its_place() {
    let many = format!("read = [{}]", "\"/a\", ".repeat(33));
    for (keys, wanted) in [
        ("limits = { memory = \"0B\" }", "60: `0B` is not a size: write 512B, 64KiB, 8MiB or 1GiB"),
        ("limits = { file_size = 5 }", "63: a string is wanted here, not integer"),
        ("limits = { processes = -1 }", "63: `processes` is 1 to 4194304"),
        ("limits = { processes = \"5\" }", "63: a whole number is wanted here, not string"),
        ("limits = { cpu = \"0s\" }", "57: `0s` is not a duration: write 500ms, 20s, 5m or 1h"),
        (
            "limits = { cpu = \"1500ms\" }",
            "57: `cpu` is counted in whole seconds: write 20s, 5m or 1h",
        ),
        ("limits = { memroy = 1 }", "51: unknown field `memroy`\n   = did you mean `memory`?"),
        ("limits = 5", "49: a table is wanted here, not integer"),
        ("read = \"/var\"", "47: an array is wanted here, not string"),
        ("read = [\"var\"]", "48: `var` is not a path: it does not begin with `/`"),
        (
            "read = [\"/ok\", \"/a/../b\"]",
            "55: `/a/../b` is not a path: it has a component `.` or `..`",
        ),
        ("write = [5]", "49: a string is wanted here, not integer"),
        (
            "write = [\"/a//b\"]",
            "49: `/a//b` is not a path: it has an empty component, or ends in `/`",
        ),
        (&many, "47: at most 32 paths can be named here"),
        (
            "system_calls = \"al\"",
            "55: `al` is no set of system calls: known here: read, all\n   = did you mean `all`?",
        ),
        (
            "sytem_calls = \"all\"",
            "40: unknown field `sytem_calls`\n   = did you mean `system_calls`?",
        ),
    ] {
        assert_eq!(fault(keys), format!("v.toml:4:{wanted}"), "{keys}");
    }
}

#[test]
fn either_list_confines_and_a_path_may_end_in_a_slash() {
    let lists = |keys: &str| {
        let reach = loaded("read", keys).reach.unwrap();
        let said = |roots: Vec<policy::Root>| {
            roots.iter().map(|root| root.path().to_owned()).collect::<Vec<_>>().join(" ")
        };
        (said(reach.read), said(reach.write))
    };
    let wanted = |read: &str, write: &str| (read.to_owned(), write.to_owned());
    assert_eq!(lists("read = [\"/var/log\", \"/srv/\"]"), wanted("/var/log /srv", ""));
    assert_eq!(lists("write = [\"/\"]"), wanted("", "/"));
    assert_eq!(lists("read = []"), wanted("", ""));
    assert_eq!(lists("read = [\"/a\"], write = [\"/b\"]"), wanted("/a", "/b"));
}

/// A catalog in which the restart, which waits for a yes, is contained so.
fn shared(approve: &str, keys: &str) -> Shared {
    let verbs = crate::world::VERBS.replace(
        "\"restart\", \"--\", \"{service}\"]",
        &format!("\"restart\", \"--\", \"{{service}}\"], {keys}"),
    );
    let rules = format!("{HOLDS_ALL}approve = \"{approve}\"\n");
    let mut shared = Shared::of(&rules, &["ssh.restart_service"]);
    shared.policy = policy::load(&[source("v", &verbs)], &[source("p", &rules)]).unwrap();
    shared
}

fn asked(shared: &Shared) -> Option<[u8; 32]> {
    let restart = call("ssh.restart_service", [("service", crate::world::text("web"))]);
    match shared.decide_at(restart, NOW) {
        Decision::Ask(question) => Some(question.digest),
        Decision::Permit(_) => None,
        Decision::Refuse(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[test]
fn p04_a_yes_is_for_the_containment_that_was_there_when_it_was_given() {
    let different = [
        "limits = {}",
        "limits = { memory = \"1GiB\" }",
        "limits = { processes = 5 }",
        "limits = { open_files = 50 }",
        "limits = { file_size = \"1MiB\" }",
        "limits = { cpu = \"5s\" }",
        "limits = { cpu = \"6s\" }",
        "read = []",
        "read = [\"/a\"]",
        "write = [\"/a\"]",
        "read = [\"/a\", \"/b\"]",
        "read = [\"/a\"], write = [\"/b\"]",
        "system_calls = \"read\"",
        "limits = { total = { memory = \"1GiB\" } }",
        "run_as = \"app\"",
        "run_as = \"app2\"",
        // The rest of the line is a comment then.
        "limits = {} } }\noutput = { redact = [] } #",
    ];
    for approve in [Approve::Once, Approve::Each] {
        let word = approve.to_string();
        for given in different {
            let to = asked(&shared(&word, given)).unwrap();
            for there in different {
                let mut now = shared(&word, there);
                let alices = Consent { user: "alice".to_owned(), groups: Groups::none(), to };
                now.standing.consents = vec![alices];
                assert_eq!(asked(&now).is_none(), given == there, "{word}: {given} {there}");
            }
        }
    }
}

#[test]
fn lint_names_a_verb_that_looks_and_is_not_filtered() {
    let found = |effect: &str, keys: &str| {
        let policy = policy::load(&[source("v.toml", &verb(effect, keys))], &[]).unwrap();
        lint(&policy).into_iter().map(|one| (one.code, one.level)).collect::<Vec<_>>()
    };
    let note = ("all-system-calls", Level::Note);
    assert_eq!(found("read", "system_calls = \"all\""), [note]);
    assert_eq!(found("read", "system_calls = \"read\""), []);
    assert_eq!(found("read", ""), []);
    assert_eq!(found("write", "system_calls = \"all\""), []);
    assert_eq!(found("write", ""), []);
}

#[test]
fn diff_tells_that_a_verb_is_contained_otherwise() {
    let policy = |keys: &str| policy::load(&[source("v", &verb("read", keys))], &[]).unwrap();
    let told = |old: &str, new: &str| {
        let changes = policy::diff(&policy(old), &policy(new));
        changes.into_iter().map(|change| change.terms).collect::<Vec<_>>()
    };
    assert_eq!(told("read = [\"/a\"]", "read = [\"/a\", \"/b\"]"), ["is contained otherwise"]);
    assert_eq!(
        told("", "dir = \"/\", system_calls = \"all\""),
        ["runs in another directory; is contained otherwise"]
    );
    assert_eq!(told("", "run_as = \"app\""), ["runs as another account"]);
    assert_eq!(told("", "system_calls = \"read\""), [""; 0], "it was so before");
}

#[test]
fn the_network_is_the_owners_some_ports_of_it_or_none() {
    let of = |keys: &str| loaded("read", keys).network;
    let ports = |ports: &[u16]| Some(ports.iter().copied().collect());
    assert_eq!(of(""), NetworkAccess::default());
    assert_eq!(of("network = true"), NetworkAccess::default());
    assert_eq!(of("network = false"), NetworkAccess::None);
    let some = NetworkAccess::Owners { connect: ports(&[443, 5432]), listen: ports(&[]) };
    assert_eq!(of("connect = [5432, 443], listen = []"), some);
    for (keys, said) in [
        ("network = \"no\"", "true or false is wanted"),
        ("network = false, connect = [443]", "without a network there are no ports"),
        ("connect = [0]", "a port is 1 to 65535"),
        ("listen = [65536]", "a port is 1 to 65535"),
        ("connect = 443", "an array is wanted"),
    ] {
        assert!(fault(keys).contains(said), "{keys}: {}", fault(keys));
    }
    let many = (1..=65).map(|port| port.to_string()).collect::<Vec<_>>().join(", ");
    assert!(fault(&format!("connect = [{many}]")).contains("at most 64 ports"));
}

fn filled(env: &str, params: &str) -> Result<String, String> {
    let text = format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = [\"/bin/true\"], env = {{ {env} }} }} }}\n[verb.\"a.b\".params]\n{params}"
    );
    let policy =
        policy::load(&[source("v.toml", &text)], &[]).map_err(|faults| faults[0].to_string())?;
    let verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    let Run::Exec(exec) = &verb.run else { panic!() };
    let zone = policy::Value::text("Europe/Berlin").unwrap();
    let given = [("zone".parse().unwrap(), zone)].into_iter().collect();
    let filled = exec.environment(&given).into_iter();
    Ok(filled.map(|(name, value)| name + "=" + &value + ";").collect())
}

#[test]
fn a_parameter_fills_only_variables_that_make_no_program_run_something_else() {
    let zone = "zone = { type = \"string\", required = true }\n";
    assert_eq!(filled("TZ = \"{zone}\", A = \"b\"", zone).unwrap(), "A=b;TZ=Europe/Berlin;");
    assert_eq!(
        filled("OPENSCOPE_ZONE = \"z:{zone}\"", zone).unwrap(),
        "OPENSCOPE_ZONE=z:Europe/Berlin;"
    );
    for name in [
        "PATH",
        "LD_PRELOAD",
        "BASH_ENV",
        "IFS",
        "PYTHONPATH",
        "GIT_SSH_COMMAND",
        "LESSOPEN",
        "HOME",
    ] {
        let said = filled(&format!("{name} = \"{{zone}}\""), zone).unwrap_err();
        assert!(
            said.contains("takes a fixed text") && said.contains("parameters may fill COLUMNS"),
            "{said}"
        );
        assert!(filled(&format!("{name} = \"fixed\", TZ = \"{{zone}}\""), zone).is_ok(), "{name}");
    }
    let list = "zone = { type = \"string[]\", required = true }\n";
    assert!(
        filled("TZ = \"{zone}\"", list)
            .unwrap_err()
            .contains("cannot be filled by `{zone}`, a string[]")
    );
    assert!(filled("TZ = \"{zoen}\"", zone).unwrap_err().contains("did you mean `zone`?"));
    assert!(filled("A = \"b\"", zone).unwrap_err().contains("`run` never uses it"));
}
