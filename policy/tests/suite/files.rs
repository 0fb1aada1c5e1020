//! Verbs of files: what of them is taken, what a call of them is, and what can never be.

use policy::{Arguments, FileAsk, FileAt, Input, Policy, Run, Transfer, Value, Verb};

use crate::world::source;

const PATH: &str =
    "[verb.\"a.b\".params]\npath = { type = \"path\", subtree = \"/srv/in\", required = true }\n";

fn verb(run: &str, params: &str) -> String {
    let run = format!("run = {{ file = {{ {run} }} }}\noutput = {{ redact = [] }}");
    format!("[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"write\"\n{run}\n{params}")
}

fn load(verbs: &str) -> Result<Policy, String> {
    let loaded = policy::load(&[source("v.toml", verbs)], &[]);
    loaded.map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

fn the_verb(policy: &Policy) -> &Verb {
    policy.catalog().verb(&"a.b".parse().unwrap()).unwrap()
}

fn given(pairs: &[(&str, Value)]) -> Arguments {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.clone())).collect()
}

fn text(text: &str) -> Value {
    Value::text(text).unwrap()
}

/// What is asked of which file, for these arguments.
fn asked(run: &str, params: &str, pairs: &[(&str, Value)]) -> (FileAt, FileAsk) {
    let policy = load(&verb(run, params)).unwrap();
    let verb = the_verb(&policy);
    let Run::File(file) = &verb.run else { panic!() };
    (file.at(&verb.parameters, &given(pairs)).unwrap(), file.ask(&given(pairs)))
}

fn at(root: &str, rest: &str) -> FileAt {
    FileAt { root: root.to_owned(), rest: rest.to_owned() }
}

#[test]
fn a_file_is_beneath_its_root_and_asked_as_its_arguments_say() {
    let path = ("path", text("/srv/in/a/b"));
    let (there, get) = asked("get = \"{path}\"", PATH, &[path.clone(), ("offset", Value::Int(7))]);
    assert_eq!((there, get), (at("/srv/in", "a/b"), FileAsk::Get { offset: 7, is_masked: false }));
    let (there, list) = asked("list = \"{path}\"", PATH, &[("path", text("/srv/in"))]);
    assert_eq!((there, list), (at("/srv/in", ""), FileAsk::List));
    let follow = [("lines", Value::Int(3)), ("follow", Value::Bool(true))];
    let (there, tail) = asked("tail = \"/var/log/app.log\"", "", &follow);
    let expected = FileAsk::Tail { lines: 3, follow: true };
    assert_eq!((there, tail), (at("/var/log", "app.log"), expected));
    assert_eq!(asked("list = \"/srv\"", "", &[]).0, at("/", "srv"));
    let digest = "0f".repeat(32);
    let put = "put = \"{path}\", overwrite = true, max = \"1KiB\"";
    let (_, put) = asked(put, PATH, &[path, ("sha256", text(&digest))]);
    assert_eq!(put, FileAsk::Put { sha256: digest, max: 1024, overwrite: true });
}

#[test]
fn a_verb_has_what_its_act_takes() {
    let of = |run: &str, params: &str| {
        let policy = load(&verb(run, params)).unwrap();
        let verb = the_verb(&policy);
        let names: Vec<_> = verb.parameters.keys().map(ToString::to_string).collect();
        (names.join(" "), verb.run.transfers(), verb.input() != Input::Nothing)
    };
    assert_eq!(
        of("get = \"{path}\"", PATH),
        ("offset path".to_owned(), Some(Transfer::Get), false)
    );
    assert_eq!(of("put = \"/a/b\"", ""), ("sha256".to_owned(), Some(Transfer::Put), true));
    assert_eq!(of("tail = \"/a/b\"", ""), ("follow lines".to_owned(), None, false));
    assert_eq!(of("list = \"/a/b\"", ""), (String::new(), None, false));
    let masked = load(&verb("get = \"{path}\"", PATH).replace("redact = []", "")).unwrap();
    assert!(!the_verb(&masked).parameters.contains_key(&"offset".parse().unwrap()));
    let policy = load(&verb("put = \"/a/b\"", "")).unwrap();
    let digest = &the_verb(&policy).parameters[&"sha256".parse().unwrap()];
    assert!(digest.required && digest.accepts(&text(&"a1".repeat(32))));
    for bad in ["a1".repeat(31), "A1".repeat(32), "a1".repeat(33), String::new()] {
        assert!(!digest.accepts(&text(&bad)), "{bad}");
    }
}

#[test]
fn a_file_is_not_taken_that_is_not_one_or_not_whole() {
    for (run, params, why) in [
        ("", "", "`file` does one thing"),
        ("get = \"/a\", put = \"/b\"", "", "`file` does one thing"),
        ("get = \"/a\", owner = \"root\"", "", "unknown field `owner`"),
        ("get = \"a/b\"", "", "a file is an absolute path"),
        ("get = \"/a/../b\"", "", "a file is an absolute path"),
        ("get = \"/a/\"", "", "a file is an absolute path"),
        ("get = \"/\"", "", "a file is an absolute path"),
        ("get = \"/srv/{path}\"", PATH, "and not a part of one"),
        ("get = \"{path}\"", "", "`{path}` is not a declared parameter"),
        ("get = \"/a\"", PATH, "`path` is declared but `run` never uses it"),
        (
            "get = \"{path}\"",
            "[verb.\"a.b\".params]\npath = { type = \"string\", required = true }\n",
            "`{path}` is a string: a file is a path",
        ),
        (
            "get = \"{path}\"",
            "[verb.\"a.b\".params]\npath = { type = \"path\", required = true }\n",
            "a path needs a `subtree`",
        ),
        (
            "get = \"{offset}\"",
            "[verb.\"a.b\".params]\noffset = { type = \"path\", subtree = \"/srv\", required = true }\n",
            "`offset` is a parameter of every verb that does `get`",
        ),
        ("get = \"/a/b\", max = \"1KiB\"", "", "`max` is for `put`"),
        ("tail = \"/a/b\", overwrite = true", "", "`overwrite` is for `put`"),
        ("put = \"/a/b\", max = \"2048GiB\"", "", "`max` is at most 1024GiB"),
    ] {
        let fault = load(&verb(run, params)).unwrap_err();
        assert!(fault.contains(why), "{run}: {fault}");
    }
    let reads = verb("put = \"/a/b\"", "").replace("\"write\"", "\"read\"");
    assert!(load(&reads).unwrap_err().contains("does not only read"));
}

#[test]
fn what_is_shown_and_consented_to_is_the_file_and_what_is_done_with_it() {
    let policy = load(&verb("put = \"{path}\"", PATH)).unwrap();
    let arguments = given(&[("path", text("/srv/in/x")), ("sha256", text(&"0".repeat(64)))]);
    let words = the_verb(&policy).command(&arguments);
    let shown: Vec<_> = words.iter().map(ToString::to_string).collect();
    assert_eq!(shown.join(" "), format!("file put /srv/in/x sha256={}", "0".repeat(64)));
}
