//! What somebody expects of policy, as data.

use policy::{expectations, expected};

use crate::world::{NOW, source, with};

const RULES: &str = r#"
[[agent]]
name = "you"
user = "alice"
[[allow]]
agent = "you"
verbs = ["ssh.*"]
[[delegate]]
agent = "you"
verbs = { "ssh.restart_service" = { service = ["web"] } }
to = ["vendor-*"]
approve = "each"
approvers = ["bob"]
[[delegate]]
agent = "you"
verbs = ["ssh.tail_logs"]
keys = ["SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
max_ttl = "10m"
"#;

const WEB: &str = "user = \"alice\"\nagent = \"you\"\nto = \"vendor-b\"\ncall = \"ssh.restart_service service=web\"\n";

fn read(text: &str) -> Result<Vec<policy::Expectation>, String> {
    let source = source("policy.test.toml", text);
    expectations(&source, &with(RULES)).map_err(|faults| faults[0].to_string())
}

fn one(keys: &str) -> String {
    format!("[[expect]]\nname = \"x\"\n{keys}\n")
}

fn failures(keys: &str) -> Vec<String> {
    let read = read(&one(keys)).unwrap();
    let known = |alias: &policy::Alias| {
        (alias.as_str() == "acme").then(|| format!("SHA256:{}", "A".repeat(43)))
    };
    read[0].hold(&with(RULES), NOW, known).failures
}

#[test]
fn what_is_so_is_met_and_what_is_not_so_is_told() {
    for (keys, met) in [
        (format!("{WEB}result = \"asks\"\nby = \"team.toml:8\"\napprovers = [\"bob\"]"), true),
        (format!("{WEB}result = \"permitted\""), false),
        (format!("{WEB}result = \"asks\"\nby = \"team.toml:5\""), false),
        (format!("{WEB}result = \"asks\"\napprovers = [\"bob\", \"carol\"]"), false),
        (format!("{WEB}approved_by = [\"bob\"]\nresult = \"permitted\""), true),
        (
            format!(
                "{WEB}approved_by = [{{ user = \"alice\", groups = [\"sre\"] }}]\nresult = \"asks\""
            ),
            true,
        ),
        (WEB.replace("vendor-b", "acme") + "result = \"refused\"", true),
        (WEB.replace("to = \"vendor-b\"", "bearer = true") + "result = \"refused\"", true),
        (
            WEB.replace("to = \"vendor-b\"\n", "")
                + "result = \"held\"\nby = \"policy.d/team.toml\"",
            true,
        ),
        (WEB.replace("agent = \"you\"\n", "") + "result = \"refused\"", true),
        (WEB.replace("agent = \"you\"", "agent = \"mine\"") + "result = \"refused\"", true),
    ] {
        assert_eq!(failures(&keys).is_empty(), met, "{keys}: {:?}", failures(&keys));
    }
}

#[test]
fn opening_is_asked_with_what_is_shared_how_long_and_how_deep() {
    let tail = "user = \"alice\"\nagent = \"you\"\nto = \"acme\"\nshare = [\"ssh.tail_logs:service=web\"]\n";
    for (keys, met) in [
        ("may_share = true", true),
        ("may_share = false", false),
        ("ttl = \"10m\"\nmay_share = true", true),
        ("ttl = \"11m\"\nmay_share = false", true),
        ("redelegate = 1\nmay_share = false", true),
        ("key = \"SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"\nmay_share = false", true),
        ("call = \"ssh.tail_logs service=web\"\nafter = \"9m\"\nresult = \"permitted\"", true),
        ("call = \"ssh.tail_logs service=web\"\nafter = \"10m\"\nresult = \"refused\"", true),
        ("call = \"ssh.tail_logs service=db\"\nresult = \"refused\"", true),
        ("call = [\"ssh.tail_logs\", \"service=web\", \"lines=5\"]\nresult = \"permitted\"", true),
    ] {
        assert_eq!(failures(&format!("{tail}{keys}")).is_empty(), met, "{keys}");
    }
}

#[test]
fn what_means_nothing_is_refused_with_its_place() {
    for (keys, fault) in [
        ("usr = \"alice\"".to_owned(), "policy.test.toml:3:1: unknown field `usr`\n   = did you mean `user`?"),
        (WEB.replace("restart", "rstart") + "result = \"refused\"", "policy.test.toml:6:8: `ssh.rstart_service` is not in the catalog\n   = did you mean `ssh.restart_service`?"),
        (WEB.replace("service=web", "servce=web") + "result = \"refused\"", "policy.test.toml:6:8: `ssh.restart_service` has no parameter `servce`\n   = did you mean `service`?"),
        (format!("{WEB}result = \"permited\""), "policy.test.toml:7:10: `permited` is no result: known here: permitted, asks, refused, held\n   = did you mean `permitted`?"),
        (WEB.to_owned(), "policy.test.toml:1:1: `result` is missing: permitted, asks, refused or held"),
        (format!("{WEB}result = \"held\""), "policy.test.toml:7:10: with a recipient the result is permitted, asks or refused"),
        (format!("{WEB}may_share = true"), "policy.test.toml:6:8: `may_share` is about opening: with `call` say `result`"),
        (WEB.replace("to = \"vendor-b\"\n", "") + "result = \"permitted\"", "policy.test.toml:6:10: nobody is named to share with\n   = say `to`, or `bearer = true`; what an owner may do by themselves is `held`"),
        (format!("{WEB}result = \"asks\"\nat = \"yesterday\""), "policy.test.toml:8:6: `yesterday` is not a point in time: write 2026-11-20T10:00:00Z"),
        ("user = \"alice\"\nto = \"x\"\nresult = \"refused\"".to_owned(), "policy.test.toml:1:1: nothing is expected of anything: say `share`, `call` or both"),
        ("user = \"alice\"\nkey = \"SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB\"\nshare = [\"web.status\"]\nmay_share = true".to_owned(), "policy.test.toml:4:7: `key` is the key of `to`: name the contact too"),
    ] {
        assert_eq!(read(&one(&keys)).unwrap_err(), fault, "{keys}");
    }
}

#[test]
fn a_time_is_written_with_or_without_quotes() {
    for at in ["\"2026-11-20T10:00:00Z\"", "2026-11-20T10:00:00Z", "2026-11-20T12:00:00+02:00"] {
        assert!(read(&one(&format!("{WEB}at = {at}\nresult = \"asks\""))).is_ok(), "{at}");
    }
    assert!(read(&one(&format!("{WEB}at = 2026-11-20\nresult = \"asks\""))).is_err());
}

#[test]
fn a_file_says_where_its_policy_is() {
    let said = expected(&source("t.toml", "policy = \"../policy.d\"\n")).unwrap();
    assert_eq!((said.policy.as_deref(), said.verbs), (Some("../policy.d"), None));
    let fault = &expected(&source("t.toml", "polcy = \"x\"\n")).unwrap_err()[0];
    assert_eq!(fault.hint.as_deref(), Some("did you mean `policy`?"));
}
