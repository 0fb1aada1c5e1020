//! Requests that a recipient looks on at, and asks again.

use std::time::Duration;

use serde_json::Value;
use tests::account::Accounts;
use tests::reflect::{forward_with, record, verb, world};
use tests::wait;
use tests::web::{Web, ask, get};
use tests::world::World;

fn scene() -> (World, Web) {
    let app = Web::app(&Accounts::shared().bob);
    let targets = format!(
        r#"
[http.app]
url = "http://127.0.0.1:{}/"
methods = ["GET", "HEAD", "POST"]
paths = ["/*"]
query = ["q"]
request_headers = ["x-mine"]
response_headers = ["x-odd"]
body_max = "8MiB"
"#,
        app.port
    );
    let world = world(targets, &verb("app.open", "http = \"app\""), &["app.open"]);
    (world, app)
}

#[test]
fn a_request_is_asked_again_as_a_new_call() {
    let (world, app) = scene();
    let share = world.alice().open(&["app.open"]);
    let mut here = forward_with(&world, &share, &["forward", "app", "--inspect"]);
    assert_eq!(get(here.at, "/a?q=1").status, 200);
    let told = here.client.stderr.line_with("#1 ");
    assert!(told.starts_with("#1 GET /a?q=1 200 ") && told.ends_with(" ms"), "{told}");
    ask(here.at, "POST", "/b", &["X-Mine: 7", "Content-Type: text/x"], b"all of it");
    here.client.stderr.line_with("#2 POST /b 200");
    here.client.say("r 2\n");
    let again = here.client.stderr.line_with("#3 POST /b 200");
    assert!(again.ends_with(" ms (#2 again)"), "{again}");
    let body = here.client.stderr.line_with("    {\"method\"");
    let said: Value = serde_json::from_str(body.trim()).expect("JSON");
    assert_eq!(said["body"], "all of it");
    assert_eq!(
        (&said["fields"]["x-mine"], &said["fields"]["content-type"]),
        (&"7".into(), &"text/x".into())
    );
    here.client.stderr.line_with("    content-type: application/json");
    // One that was asked again is a request like others.
    here.client.say("replay #3\n");
    here.client.stderr.line_with("(#3 again)");
    assert_eq!(app.asked().matches("POST /b").count(), 3, "{}", app.asked());
    let ids: std::collections::BTreeSet<String> =
        world.events("call_started").iter().map(|one| one["call"].to_string()).collect();
    assert_eq!(ids.len(), 4, "{}", record(&world));
}

#[test]
fn what_cannot_be_asked_again_is_said_and_the_end_of_input_ends_nothing() {
    let (world, app) = scene();
    let share = world.alice().open(&["app.open"]);
    let mut here = forward_with(&world, &share, &["forward", "app", "--inspect"]);
    ask(here.at, "POST", "/long", &[], &vec![b'y'; (64 << 10) + 1]);
    ask(here.at, "POST", "/fits", &[], &vec![b'y'; 64 << 10]);
    here.client.stderr.line_with("#2 POST /fits 200");
    here.client.say("r 1\nr 9\nagain\n\nr 2\n");
    here.client.stderr.line_with("#1 cannot be asked again: its body is longer than 64 KiB");
    here.client.stderr.line_with("#9 is not kept: the last 100 requests are");
    here.client.stderr.line_with("type `r 12`");
    here.client.stderr.line_with("(#2 again)");
    here.client.say("r 2");
    here.client.close_stdin();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(get(here.at, "/after").status, 200);
    assert_eq!(here.client.ended(), None);
    assert_eq!(app.asked().matches("POST /long").count(), 1, "{}", app.asked());
    assert_eq!(app.asked().matches("POST /fits").count(), 2, "{}", app.asked());
}

#[test]
fn a_replay_is_decided_anew_and_may_be_refused() {
    let (world, app) = scene();
    let share = world
        .alice()
        .try_open(&["app.open"], &["--to", "vendor-b", "--max-calls", "2"])
        .expect("it opens");
    let mut here = forward_with(&world, &share, &["forward", "app", "--inspect"]);
    assert_eq!(get(here.at, "/a").status, 200);
    here.client.stderr.line_with("#1 GET /a 200");
    here.client.say("r 1\n");
    here.client.stderr.line_with("#2 GET /a 200");
    here.client.say("r 1\n");
    let refused = here.client.stderr.line_with("#3 GET /a 4");
    assert!(refused.contains("(#1 again): refused: openscope: "), "{refused}");
    assert_eq!(app.asked().matches("GET /a").count(), 2, "{}", app.asked());
}

#[test]
fn programs_are_told_in_json_and_no_terminal_is_told_what_a_service_says() {
    let (world, _app) = scene();
    let share = world.alice().open(&["app.open"]);
    let mut here = forward_with(&world, &share, &["--json", "forward", "app", "--inspect"]);
    let odd = get(here.at, "/odd");
    assert!(odd.text().contains('\u{1b}'), "{odd:?}");
    here.client.say("r 1\n");
    let event = |part: &str| -> Value {
        serde_json::from_str(&here.client.stdout.line_with(part)).expect("JSON")
    };
    let first = event("\"number\":1");
    assert_eq!(first["schema"], "openscope.forward/1");
    let of_first = (&first["event"], &first["line"], &first["status"], &first["replay_of"]);
    assert_eq!(of_first, (&"request".into(), &"GET /odd".into(), &200.into(), &Value::Null));
    assert!(first["ms"].is_u64(), "{first}");
    let again = event("\"number\":2");
    assert_eq!((&again["replay_of"], &again["refused"]), (&1.into(), &false.into()));
    assert_eq!((&again["body"], &again["is_whole"]), (&"ab\nc".into(), &true.into()));
    let fields = again["fields"].to_string();
    assert!(fields.contains("[\"x-odd\",\"a\"]"), "{fields}");
    assert!(get(here.at, "/x").status == 200 && here.client.stderr.text().is_empty());
    wait::until("the third is told of", || {
        here.client.stdout.text().contains("\"number\":3").then_some(())
    });
}
