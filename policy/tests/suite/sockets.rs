//! WebSockets: a grant of its own, which nothing else brings along.

use policy::{Arguments, Input, Level, Policy, Stdin, Value, Verb, lint};

use crate::world::{HOLDS_ALL, Shared, source, text};

const LIVE: &str = r#"
[http.live]
url = "http://127.0.0.1:3000/"
methods = ["GET", "POST", "WEBSOCKET"]
paths = ["/socket", "/rooms/*"]
body_max = "2MiB"
upload_max = "3MiB"
idle = "1m"
[http.plain]
url = "http://127.0.0.1:3000/"
paths = ["/*"]
"#;

fn verb(run: &str, rest: &str) -> String {
    format!("[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"write\"\nrun = {{ {run} }}\n{rest}")
}

const OPENED: &str = "output = { redact = [] }";

fn load(verbs: &str) -> Result<Policy, String> {
    let joined = |faults: Vec<policy::TextFault>| {
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    policy::load(&[source("verbs.d/v.toml", &(LIVE.to_owned() + verbs))], &[]).map_err(joined)
}

fn shared(target: &str, request: &str) -> Shared {
    let run = format!("forward = {{ http = \"{target}\" }}");
    let sources = [source("v.toml", &(LIVE.to_owned() + &verb(&run, OPENED)))];
    let policy = policy::load(&sources, &[source("p.toml", HOLDS_ALL)]).unwrap();
    Shared::under(policy, &[request])
}

fn admits(shared: &Shared, method: &str, path: &str) -> bool {
    let pairs = [("method", text(method)), ("path", text(path)), ("query", text(""))];
    shared.admits("a.b", pairs)
}

#[test]
fn a_websocket_is_opened_only_where_the_profile_says_so_and_a_pin_drops_it() {
    assert!(admits(&shared("live", "a.b"), "WEBSOCKET", "/socket"));
    assert!(!admits(&shared("plain", "a.b"), "WEBSOCKET", "/socket"));
    assert!(!admits(&shared("live", "a.b:method=GET"), "WEBSOCKET", "/socket"));
    let pinned = shared("live", "a.b:method=WEBSOCKET,path=/rooms/*");
    assert!(admits(&pinned, "WEBSOCKET", "/rooms/1"));
    for (method, path) in
        [("WEBSOCKET", "/socket"), ("GET", "/rooms/1"), ("websocket", "/rooms/1"), ("GET", "/")]
    {
        assert!(!admits(&pinned, method, path), "{method} {path}");
    }
    assert!(!admits(&shared("live", "a.b"), "WEBSOCKET", "/elsewhere"));
}

#[test]
fn what_goes_up_in_a_websocket_is_bounded_by_itself() {
    let policy = load(&verb("forward = { http = \"live\" }", OPENED)).unwrap();
    let verb: &Verb = policy.catalog().verb(&"a.b".parse().unwrap()).unwrap();
    let max = |method: &str| {
        let named = ("method".parse().unwrap(), Value::text(method).unwrap());
        match verb.input_for(&[named].into_iter().collect::<Arguments>()) {
            Input::Stdin(Stdin { max, .. }) => Some(max >> 20),
            Input::Nothing | Input::Terminal => None,
        }
    };
    assert_eq!((max("GET"), max("POST"), max("WEBSOCKET")), (None, Some(2), Some(3)));
    assert!(matches!(verb.input(), Input::Stdin(Stdin { max, .. }) if max == 3 << 20));
}

#[test]
fn what_no_websocket_can_be_is_refused_where_it_is_written() {
    let fault = |verbs: &str| load(verbs).unwrap_err();
    let masked = fault(&verb("forward = { http = \"live\" }", ""));
    assert!(masked.contains("masking the secrets") && masked.contains("redact = []"), "{masked}");
    let masked =
        fault(&verb("forward = { http = \"live\" }", "output = { redact = [\"entropy\"] }"));
    assert!(masked.contains("v.toml:") && masked.contains("masking the secrets"), "{masked}");
    let fixed = "http = { target = \"live\", method = \"WEBSOCKET\", path = \"/socket\" }";
    let fixed = fault(&verb(fixed, OPENED));
    assert!(fixed.contains("is a connection") && fixed.contains("forward"), "{fixed}");
    // One request of a service that has WebSockets is masked like any.
    assert!(load(&verb("http = { target = \"live\", path = \"/socket\" }", "")).is_ok());
    assert!(load(&verb("forward = { http = \"plain\" }", "")).is_ok());
    for key in ["idle = \"1m\"", "upload_max = \"1MiB\""] {
        let idle = fault(&format!("[http.x]\nurl = \"http://h/\"\npaths = [\"/*\"]\n{key}\n"));
        assert!(idle.contains("bounds nothing"), "{idle}");
    }
}

#[test]
fn lint_says_that_nobody_reads_what_is_said_in_one() {
    let found = |policy: &Policy| {
        let found = lint(policy);
        found.into_iter().map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    let policy = load(&verb("forward = { http = \"live\" }", OPENED)).unwrap();
    assert_eq!(found(&policy), [(Level::Note, "unmasked"), (Level::Note, "unread")]);
    assert_eq!(
        found(&load(&verb("forward = { http = \"plain\" }", OPENED)).unwrap()),
        [(Level::Note, "unmasked")]
    );
}
