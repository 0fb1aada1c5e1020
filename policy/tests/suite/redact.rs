//! Redaction rules of a catalog: what is taken, and what is said of what is not.

use policy::{Level, Policy, Redact, diff, lint};

use crate::world::source;

const SET: &str = "[redact.internal]\npatterns = [\"(?:corp-key-)[A-Za-z0-9]{20,255}\"]\nliterals = [\"/etc/openscope/secrets/db-password\"]\nlabel = \"corp-key\"\n";

fn verb(output: &str) -> String {
    format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = [\"/bin/true\"] }} }}\n{output}"
    )
}

fn load(texts: &[&str]) -> Result<Policy, Vec<String>> {
    let sources: Vec<_> = texts.iter().map(|text| source("verbs.d/v.toml", text)).collect();
    policy::load(&sources, &[]).map_err(|faults| faults.iter().map(ToString::to_string).collect())
}

fn chosen(policy: &Policy) -> Vec<String> {
    let verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    verb.redact.iter().map(|one| one.name().to_owned()).collect()
}

#[test]
fn a_verb_chooses_by_which_rules_its_output_is_masked() {
    for (output, names) in [
        ("", vec!["default"]),
        ("output = { max = \"1MiB\" }", vec!["default"]),
        ("output = { redact = [] }", vec![]),
        ("output = { redact = [\"internal\"] }", vec!["internal"]),
        (
            "output = { redact = [\"default\", \"entropy\", \"internal\"] }",
            vec!["default", "entropy", "internal"],
        ),
    ] {
        assert_eq!(chosen(&load(&[&verb(output), SET]).unwrap()), names, "{output}");
    }
}

#[test]
fn what_a_set_says_arrives() {
    let policy = load(&[SET, "[redact.other]\npatterns = [\"abc-[0-9]{9}\"]\n"]).unwrap();
    let sets: Vec<_> = policy.redact_sets().map(|(set, _)| set).collect();
    assert_eq!((sets[0].label.as_str(), sets[1].label.as_str()), ("corp-key", "other"));
    assert_eq!(sets[0].literals[0].as_str(), "/etc/openscope/secrets/db-password");
    assert_eq!(sets[0].patterns[0].source(), "(?:corp-key-)[A-Za-z0-9]{20,255}");
}

#[test]
fn what_is_wrong_with_a_set_is_said_where_it_stands() {
    let twice = format!("{SET}{}", verb("output = { redact = [\"internal\", \"internal\"] }"));
    for (text, wanted) in [
        (
            verb(
                "output = { redact = [\"intrenal\"] }\n[redact.internal]\npatterns = [\"abcd\"]\n",
            ),
            "verbs.d/v.toml:5:22: `intrenal` is no set of redaction rules: known here: default, entropy, internal\n   = did you mean `internal`?",
        ),
        (twice, "`internal` is named twice"),
        (
            "[redact.x]\npatern = []\n".to_owned(),
            "verbs.d/v.toml:2:1: unknown field `patern`\n   = did you mean `patterns`?",
        ),
        ("[redact.x]\n".to_owned(), "`x` looks for nothing"),
        ("[redact.x]\npatterns = []\nliterals = []\n".to_owned(), "`x` looks for nothing"),
        ("[redact.default]\npatterns = [\"abcd\"]\n".to_owned(), "`default` is built in"),
        ("[redact.entropy]\npatterns = [\"abcd\"]\n".to_owned(), "`entropy` is built in"),
        ("[redact.X]\npatterns = [\"abcd\"]\n".to_owned(), "`X` is not a name of redaction rules"),
        (
            "[redact.x]\npatterns = [\"abcd\"]\nlabel = \"a b\"\n".to_owned(),
            "verbs.d/v.toml:3:9: `a b` is not a label for marks",
        ),
        (
            "[redact.x]\nliterals = [\"../x\"]\n".to_owned(),
            "verbs.d/v.toml:2:13: `../x` is not a file's name",
        ),
        (
            "[redact.x]\npatterns = [\n  \"abcd\",\n  \"key-[a-z]{8,}\",\n]\n".to_owned(),
            "verbs.d/v.toml:4:3: `key-[a-z]{8,}` says no end: no part of it may repeat without one\n   = write `{20,255}`",
        ),
        ("[redact.x]\npatterns = [\"a*\"]\n".to_owned(), "matches the empty text"),
        ("[redact]\nx = 1\n".to_owned(), "a table is wanted here"),
    ] {
        let said = load(&[&text]).unwrap_err().join("\n");
        assert!(said.contains(wanted), "{text}: {said}");
    }
    assert!(load(&[SET, SET]).unwrap_err()[0].contains("`internal` is already declared in"));
}

#[test]
fn a_catalog_has_16_sets_of_32_patterns_and_32_files_and_no_more() {
    let sets = |count: usize| {
        let all: Vec<String> =
            (0..count).map(|at| format!("[redact.s{at}]\npatterns = [\"abcd\"]\n")).collect();
        all.concat()
    };
    assert!(load(&[&sets(16)]).is_ok());
    assert!(load(&[&sets(17)]).unwrap_err()[0].contains("at most 16 sets of redaction rules"));
    for (key, one, what) in [("patterns", "\"abcd\"", "patterns"), ("literals", "\"x\"", "files")] {
        let set = |count| format!("[redact.x]\n{key} = [{}]\n", vec![one; count].join(", "));
        assert!(load(&[&set(32)]).is_ok());
        let said = load(&[&set(33)]).unwrap_err().remove(0);
        assert!(said.contains(&format!("at most 32 {what} of secrets")), "{said}");
    }
}

fn codes(texts: &[&str]) -> Vec<(&'static str, Level)> {
    lint(&load(texts).unwrap()).iter().map(|one| (one.code, one.level)).collect()
}

#[test]
fn rules_that_nobody_uses_or_that_mask_words_are_found() {
    let with = |names: &str| verb(&format!("output = {{ redact = [{names}] }}"));
    assert_eq!(codes(&[&with("\"internal\""), SET]), []);
    assert_eq!(codes(&[&with("\"default\""), SET]), [("unused-redact", Level::Warning)]);
    let short = "[redact.internal]\npatterns = [\"abc[0-9]{1,9}\"]\n";
    assert_eq!(codes(&[&with("\"internal\""), short]), [("short-secret", Level::Warning)]);
    let slow = "[redact.internal]\npatterns = [\"[0-9]{16}\"]\n";
    assert_eq!(codes(&[&with("\"internal\""), slow]), [("no-beginning", Level::Note)]);
}

#[test]
fn a_change_of_the_rules_is_a_change_of_the_verb() {
    let with = |names: &str| verb(&format!("output = {{ redact = [{names}] }}"));
    let told = |before: &[&str], after: &[&str]| -> Vec<String> {
        let changes = diff(&load(before).unwrap(), &load(after).unwrap());
        changes.into_iter().map(|change| change.terms).collect()
    };
    let (none, own) = (with(""), with("\"internal\""));
    assert_eq!(told(&[&own, SET], &[&own, SET]), [""; 0]);
    assert_eq!(told(&[&own, SET], &[&none, SET]), ["secrets in its output are no longer masked"]);
    assert_eq!(told(&[&none, SET], &[&own, SET]), ["secrets in its output are masked"]);
    let other = SET.replace("{20,255}", "{30,255}");
    assert_eq!(
        told(&[&own, SET], &[&own, &other]),
        ["secrets in its output are masked by other rules"]
    );
}

#[test]
fn rules_are_named_and_compared_by_what_they_are() {
    assert_eq!((Redact::Default.name(), Redact::Entropy.name()), ("default", "entropy"));
}
