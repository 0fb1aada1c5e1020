//! The protocol's own conformance suite, against the server at an address, in both revisions. What it finds to be missing is
//! what `interop/conformance.toml` names, with the reason why the specification does not ask it of us, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tests::background::Background;
use tests::installed::program;
use tests::introduced::Introduced;
use tests::owner::Share;
use tests::world::{Setup, World};

use crate::interop::node;

/// The revisions, as the suite calls them.
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

/// What the suite expects to find, and what it is here: its tools are verbs, and its text is the one that there is.
const NAMES: [(&str, &str); 2] = [("test_", "test-"), ("test://static-text", "openscope://share")];

/// Whatever else may be missing, these may not.
const NEVER_UNMET: [&str; 3] =
    ["wire-schema-valid", "wire-schema-harness-error", "scenario-timeout"];

const VERBS: &str = r#"
[verb."test.simple_text"]
summary = "Says something"
effect  = "read"
run     = { exec = { argv = ["/bin/echo", "This is a simple text response for testing."] } }

[verb."test.error_handling"]
summary = "Does not end by itself"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/killed"] } }

[verb."test.tool_with_progress"]
summary = "Says one line after the other"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/progress"] } }

[verb."test.logging_tool"]
summary = "Says something where programs log"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/log"] } }

[verb."test.streaming_elicitation"]
summary = "Asks for nothing"
effect  = "read"
run     = { exec = { argv = ["/bin/echo", "done"] } }

[verb."test.reconnection"]
summary = "Says something on the stream that it was asked on"
effect  = "read"
run     = { exec = { argv = ["/bin/echo", "here"] } }

[verb."test.trigger_tool_change"]
summary = "Has the owner share more, or again less"
effect  = "write"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/change"] } }

[verb."test.added"]
summary = "Is shared at times"
effect  = "read"
run     = { exec = { argv = ["/bin/true"] } }
"#;

const POLICY: &str = r#"
[[agent]]
name = "you"
user = "@ALICE@"
[[allow]]
agent = "you"
verbs = ["test.*"]
[[delegate]]
agent = "you"
verbs = ["test.*"]
to    = ["own/vendor-*"]
"#;

/// A world with the verbs that the suite calls, and a share of them.
fn world() -> (World, Share) {
    let setup = Setup { verbs: VERBS.to_owned(), policy: POLICY.to_owned(), ..Setup::default() };
    let world = setup.start();
    world.script("killed", "kill -KILL $$\n");
    world.script("progress", "for n in 1 2 3 4 5; do echo line $n; sleep 0.3; done\n");
    world.script("log", "echo warning >&2\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let verbs = VERBS.lines().filter_map(|line| line.strip_prefix("[verb.\"")?.strip_suffix("\"]"));
    let verbs: Vec<&str> = verbs.filter(|verb| *verb != "test.added").collect();
    let share = world.alice().open(&verbs);
    let change = format!(
        "export OPENSCOPE_SOCKET={}; if mkdir @HOME@/drop/added; then how=--verb; else rmdir @HOME@/drop/added; how=--drop-verb; fi\n\
         exec {} share extend {} $how test.added\n",
        world.socket().display(),
        program("openscope").display(),
        share.id
    );
    world.script("change", &change);
    (world, share)
}

/// What the suite says of one thing.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    id: String,
    status: String,
    #[serde(default)]
    error_message: String,
}

impl Check {
    fn is_met(&self) -> bool {
        match self.status.as_str() {
            "SUCCESS" | "INFO" | "SKIPPED" => true,
            "FAILURE" | "WARNING" => false,
            other => panic!("the suite says {other} of {}", self.id),
        }
    }
}

/// What is not met, `scenario:check`, with what the suite says of it.
fn look(url: &str, revision: &str, to: &Path) -> BTreeMap<String, String> {
    let mut suite = node("@modelcontextprotocol/conformance/dist/index.js");
    suite.args(["server", "--url", url, "--requirements", revision, "--output-dir"]).arg(to);
    let said = suite.env("HOME", to.with_extension("home")).output().expect("run the suite");
    let said = [said.stdout, said.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let count = said[0].split_once(&format!("Running requirements {revision} ("));
    let count = count.and_then(|(_, rest)| rest.split_once(" scenarios)")?.0.parse::<usize>().ok());
    let count = count.unwrap_or_else(|| panic!("the suite has run nothing: {said:?}"));
    let scenarios: Vec<_> = fs::read_dir(to).expect("look").map(|one| one.expect("one")).collect();
    assert!(count >= 30 && scenarios.len() == count, "{} of {count}", scenarios.len());
    let mut unmet = BTreeMap::new();
    for directory in scenarios {
        let name = directory.file_name().into_string().expect("plain text");
        // The time at which it ran is behind its name.
        let name = name.strip_prefix("server-").and_then(|name| name.get(..name.len() - 25));
        let name = name.expect("a scenario's name");
        let checks = fs::read(directory.path().join("checks.json")).expect("it has ended");
        let checks: Vec<Check> = serde_json::from_slice(&checks).expect("a list of checks");
        assert!(!checks.is_empty(), "nothing was looked at in {name}");
        let missed = checks.into_iter().filter(|check| !check.is_met());
        unmet.extend(missed.map(|check| (format!("{name}:{}", check.id), check.error_message)));
    }
    unmet
}

/// What we say is not met, and why.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    unmet: Vec<Reason>,
}

#[derive(Deserialize)]
struct Reason {
    because: String,
    #[serde(flatten)]
    of: BTreeMap<String, BTreeSet<String>>,
}

fn listed(revision: &str) -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/conformance.toml");
    let text = fs::read_to_string(file).expect("read the list");
    let listed: Listed = toml::from_str(&text).expect("a list");
    for reason in &listed.unmet {
        assert!(reason.because.len() > 20, "a reason is a sentence: {}", reason.because);
        assert!(
            reason.of.keys().all(|known| REVISIONS.contains(&known.as_str())),
            "{:?}",
            reason.of
        );
    }
    let all: Vec<String> =
        listed.unmet.into_iter().filter_map(|mut one| one.of.remove(revision)).flatten().collect();
    let once: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(all.len(), once.len(), "listed twice: {all:?}");
    once
}

/// Whether that of the list is this.
fn is_named(name: &str, unmet: &str) -> bool {
    let (scenario, check) = unmet.split_once(':').expect("a scenario and a check");
    name == unmet || (name == scenario && !NEVER_UNMET.contains(&check))
}

#[test]
fn the_conformance_suite_finds_missing_what_is_listed_and_nothing_else() {
    let (world, share) = world();
    let words = ["--json", "mcp", "--http", "127.0.0.1:0"];
    let server = Background::start(world.vendor().command(&share, &words));
    let line = server.stdout.line_with("openscope.mcp.http/1");
    let at: Value = serde_json::from_str(&line).expect("a document");
    let address = at["url"]
        .as_str()
        .and_then(|url| url.strip_prefix("http://")?.strip_suffix("/mcp")?.parse().ok());
    let token = at["token"].as_str().expect("a token");
    let door = Introduced::to(address.expect("an address"), token, &NAMES);
    let url = format!("http://{}/mcp", door.at);
    for revision in REVISIONS {
        let listed = listed(revision);
        let is_listed = |one: &String| listed.iter().any(|name| is_named(name, one));
        let mut unmet = look(&url, revision, &world.scratch().join(revision));
        if !unmet.keys().all(is_listed) {
            // The suite waits half a second for some answers, and the machine does other things too.
            let again = look(&url, revision, &world.scratch().join(format!("{revision}-again")));
            unmet.retain(|one, _| again.contains_key(one));
        }
        let unlisted: Vec<_> = unmet.iter().filter(|(one, _)| !is_listed(one)).collect();
        let stale = listed.iter().filter(|name| !unmet.keys().any(|one| is_named(name, one)));
        let stale: Vec<&String> = stale.collect();
        assert!(
            unlisted.is_empty() && stale.is_empty(),
            "{revision}: not met and not listed: {unlisted:#?}\nlisted and met: {stale:#?}"
        );
    }
}
