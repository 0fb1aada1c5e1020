//! Verbs that leave notes: what of them is taken, and what they take.

use policy::{Arguments, Effect, Input, MAX_NOTE, NOTE_TEXT, Policy, Run};

use crate::world::source;

fn load(verb: &str) -> Result<Policy, String> {
    let verb = format!("[verb.\"a.b\"]\nsummary = \"s\"\n{verb}");
    let loaded = policy::load(&[source("v.toml", &verb)], &[]);
    loaded.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_note_is_a_verb_with_one_text_that_runs_nothing() {
    let policy = load("effect = \"read\"\nrun = { note = {} }\n").unwrap();
    let verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    assert!(matches!(verb.run, Run::Note) && verb.effect == Effect::Read);
    assert_eq!(
        verb.parameters.keys().map(policy::ParameterName::as_str).collect::<Vec<_>>(),
        [NOTE_TEXT]
    );
    assert!(verb.parameters.values().all(|text| text.required));
    assert_eq!((verb.input(), verb.run.argv().len()), (Input::Nothing, 0));
    assert_eq!(verb.command(&Arguments::default()).len(), 1);
    assert!(verb.parameters.values().all(|text| text.summary.contains(&MAX_NOTE.to_string())));
}

#[test]
fn what_a_note_cannot_have_is_refused_by_name() {
    for (verb, why) in [
        ("effect = \"write\"\nrun = { note = {} }\n", "a note changes nothing here"),
        ("effect = \"read\"\nrun = { note = { max = 1 } }\n", "max"),
        ("effect = \"read\"\nrun = { note = true }\n", "table"),
        (
            "effect = \"read\"\nrun = { note = {} }\n[verb.\"a.b\".params]\nx = { type = \"int\", required = true }\n",
            "`x`",
        ),
    ] {
        let fault = load(verb).unwrap_err();
        assert!(fault.contains(why), "{verb}: {fault}");
    }
}
