//! Consent: calls and shares that wait for somebody's yes, and what comes of a no, or of silence.

use serde_json::Value;
use tests::background::Background;
use tests::owner::{Owner, Share};
use tests::wait::until;
use tests::world::{Setup, World};

/// Alice may share; `test.append` takes Bob's yes to each call.
fn asking_bob() -> World {
    let setup = Setup::default();
    let rule =
        "approve = { \"test.append\" = \"each\" }\napprovers = [\"@BOB@\"]\nbearer  = true\n";
    let policy = setup.policy.replace("bearer  = true\n", rule);
    Setup { policy, ..setup }.start()
}

fn shared(world: &World, verbs: &[&str], more: &[&str]) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    let more: Vec<&str> = ["--to", "vendor-b"].iter().chain(more).copied().collect();
    world.alice().try_open(verbs, &more).unwrap_or_else(|said| panic!("{said:?}"))
}

/// What waits, as this person sees it.
fn requests(owner: &Owner<'_>) -> Vec<Value> {
    let listed = owner.json(&["requests"]).unwrap_or_else(|said| panic!("{said:?}"));
    listed["requests"].as_array().cloned().unwrap_or_default()
}

/// Starts a call, and waits until the recipient knows that it waits; the number of the request.
fn pending(world: &World, share: &Share, call: &[&str]) -> (Background, String) {
    let call = world.vendor().start(share, call);
    let line = call.stderr.line_with("pending");
    let request = line.split_whitespace().find(|word| word.starts_with("r_"));
    let request = request.unwrap_or_else(|| panic!("{line}")).to_owned();
    (call, request)
}

fn id(request: &Value) -> &str {
    request["id"].as_str().unwrap_or_default()
}

#[test]
fn p04_each_call_waits_for_the_one_who_may_consent_and_runs_once() {
    let world = asking_bob();
    let share = shared(&world, &["test.append", "test.true"], &[]);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0, "no consent is asked");

    let (mut first, request) = pending(&world, &share, &["test.append", "name=one"]);
    assert!(world.ran().is_empty());
    let (alices, bobs) = (requests(&world.alice()), requests(&world.bob()));
    assert_eq!((id(&alices[0]), id(&bobs[0])), (request.as_str(), request.as_str()));
    assert_eq!((&alices[0]["yours"], &bobs[0]["yours"]), (&Value::Bool(false), &Value::Bool(true)));
    assert_eq!(bobs[0]["what"]["call"], serde_json::json!(["test.append", "name=one"]));

    let own = world.alice().run(&["approve", &request]);
    assert_eq!(own.status, 126, "{own:?}");
    assert!(own.stderr.contains("nobody approves what is their own"), "{own:?}");
    let other = world.bob().run(&["approve", &request, "--expect", "00ff"]);
    assert_eq!(other.status, 126, "{other:?}");
    let hash = bobs[0]["hash"].as_str().unwrap_or_default();
    let yes = world.bob().run(&["approve", &request, "--expect", hash]);
    assert_eq!(yes.status, 0, "{yes:?}");
    assert!(first.wait().success());
    assert_eq!(world.ran(), ["one"]);

    let again = world.bob().run(&["approve", &request]);
    assert_eq!(again.status, 1, "a request is answered once: {again:?}");
    let (mut second, request) = pending(&world, &share, &["test.append", "name=one"]);
    assert_eq!(world.bob().run(&["deny", &request, "--reason", "not now"]).status, 0);
    assert_eq!(second.wait().code(), Some(126));
    second.stderr.line_with("consent was refused");
    assert_eq!(world.ran(), ["one"], "a second call takes a second consent");

    let started = world.events("call_started");
    let bases = started.iter().map(|event| event["basis"].as_str().unwrap_or_default());
    let bob = format!("consented to by {}", world.accounts.bob.name);
    assert_eq!(bases.filter(|basis| basis.contains(&bob)).count(), 1);
    let names = ["consent_requested", "consent_given", "consent_refused"];
    assert_eq!(names.map(|name| world.events(name).len()), [2, 1, 1]);
}

#[test]
fn a_request_that_concerns_nobody_else_is_nobody_elses_to_see_or_to_answer() {
    let setup = Setup::default();
    let policy = setup.policy.replace("bearer  = true\n", "approve = \"each\"\nbearer  = true\n");
    let world = Setup { policy, ..setup }.start();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, request) = pending(&world, &share, &["test.append", "name=one"]);
    assert!(requests(&world.bob()).is_empty());
    for answer in ["approve", "deny"] {
        let foreign = world.bob().run(&[answer, &request]);
        let unknown = world.bob().run(&[answer, "r_0000000000000000"]);
        assert_eq!(foreign.status, unknown.status);
        assert_eq!(foreign.stderr.replace(&request, "r_0000000000000000"), unknown.stderr);
    }
    assert_eq!(world.alice().run(&["approve", &request]).status, 0, "the owner's own consent");
    assert!(call.wait().success());
}

#[test]
fn four_eyes_take_two_people_and_once_lasts_for_the_share() {
    let setup = Setup::default();
    let rule = "approve = \"once\"\nneeds = 2\napprovers = [\"@BOB@\", \"root\"]\nbearer  = true\n";
    let policy = setup.policy.replace("bearer  = true\n", rule);
    let world = Setup { policy, ..setup }.start();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, request) = pending(&world, &share, &["test.append", "name=one"]);
    let one = world.bob().run(&["approve", &request]);
    assert!(one.stdout.contains("waits for more"), "{one:?}");
    let twice = world.bob().run(&["approve", &request]);
    assert!(twice.stdout.contains("already"), "{twice:?}");
    assert!(world.ran().is_empty());
    assert_eq!(world.root().run(&["approve", &request]).status, 0);
    assert!(call.wait().success());
    assert_eq!(world.vendor().call(&share, &["test.append", "name=two"]).status, 0);
    assert_eq!(world.ran(), ["one", "two"]);
}

#[test]
fn nobodys_answer_is_a_no_and_a_call_that_is_given_up_waits_no_more() {
    let setup = Setup::default();
    let policy = setup.policy.replace("bearer  = true\n", "approve = \"each\"\nbearer  = true\n");
    let limits = "request_wait = \"1s\"\nrequests_per_share = 1\n".to_owned();
    let world = Setup { policy, limits, ..setup }.start();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, _) = pending(&world, &share, &["test.append", "name=one"]);
    let more = world.vendor().call(&share, &["test.append", "name=two"]);
    assert!(more.stderr.contains("limits.requests_per_share"), "{more:?}");
    assert_eq!(call.wait().code(), Some(126));
    call.stderr.line_with("nobody consented in time");

    let (mut given_up, request) = pending(&world, &share, &["test.append", "name=three"]);
    given_up.signal(rustix::process::Signal::INT);
    assert_eq!(given_up.wait().code(), Some(130));
    until("the request is gone", || requests(&world.alice()).is_empty().then_some(()));
    assert_ne!(world.alice().run(&["approve", &request]).status, 0);
    assert!(world.ran().is_empty());
    assert_eq!(world.events("request_ended").len(), 2);
}

#[test]
fn p06_revoke_ends_what_waits() {
    let world = asking_bob();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, request) = pending(&world, &share, &["test.append", "name=one"]);
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(call.wait().code(), Some(255));
    assert_eq!(world.bob().run(&["approve", &request]).status, 1);
    assert!(world.ran().is_empty());
}

#[test]
fn p01_what_policy_takes_back_while_it_waits_is_not_done_when_it_is_consented_to() {
    let world = asking_bob();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, request) = pending(&world, &share, &["test.append", "name=one"]);
    let policy = world.etc().join("policy.d/test.toml");
    let text = std::fs::read_to_string(&policy).expect("read the policy");
    let denied = format!("{text}\n[[deny]]\nuser = \"*\"\nverbs = [\"test.append\"]\n");
    std::fs::write(&policy, denied).expect("write the policy");
    assert_eq!(world.root().run(&["reload"]).status, 0);
    let _answered = world.bob().run(&["approve", &request]);
    assert_eq!(call.wait().code(), Some(126));
    assert!(world.ran().is_empty());
}

#[test]
fn p01_consent_to_a_call_of_somebody_who_is_no_contact_any_more_starts_nothing() {
    let world = asking_bob();
    let share = shared(&world, &["test.append"], &[]);
    let (mut call, request) = pending(&world, &share, &["test.append", "name=one"]);
    assert_eq!(world.alice().run(&["contact", "remove", "vendor-b"]).status, 0);
    let _answered = world.bob().run(&["approve", &request]);
    assert_ne!(call.wait().code(), Some(0));
    assert!(world.ran().is_empty());
}

#[test]
fn a_share_that_takes_consent_opens_when_it_is_given_and_its_time_begins_then() {
    let setup = Setup::default();
    let rule = "approve_open = true\napprovers = [\"@BOB@\"]\nbearer  = true\n";
    let policy = setup.policy.replace("bearer  = true\n", rule);
    let world = Setup { policy, ..setup }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let arguments =
        ["share", "open", "--agent", "you", "--verb", "test.true", "--to", "vendor-b", "--json"];
    let mut opening = Background::start(world.alice().command(&arguments));
    let line = opening.stderr.line_with("waits for consent");
    assert!(line.contains(&world.accounts.bob.name), "{line}");
    assert!(world.events("share_opened").is_empty());
    let waiting = requests(&world.bob());
    let plan = &waiting[0]["what"]["plan"];
    assert_eq!(
        (plan["verbs"][0]["verb"].as_str(), &plan["hash"]),
        (Some("test.true"), &waiting[0]["hash"])
    );
    let before = world.alice().run(&["approve", id(&waiting[0])]);
    assert_eq!(before.status, 126, "{before:?}");
    assert_eq!(world.bob().run(&["approve", id(&waiting[0])]).status, 0);
    assert!(opening.wait().success());
    let opened: Value = serde_json::from_slice(&opening.stdout.to_end()).expect("a document");
    let asked = waiting[0]["asked"].as_str().unwrap_or_default().to_owned();
    let began = opened["share"]["opened"].as_str().unwrap_or_default().to_owned();
    assert!(began > asked, "{began} {asked}");
    let event = &world.events("share_opened")[0];
    assert!(event["basis"].as_str().unwrap_or_default().contains("consented to by"), "{event}");

    let mut dropped = Background::start(world.alice().command(&arguments));
    dropped.stderr.line_with("waits for consent");
    dropped.signal(rustix::process::Signal::TERM);
    dropped.wait();
    until("the request is gone", || requests(&world.bob()).is_empty().then_some(()));
    let id = opened["share"]["id"].as_str().unwrap_or_default();
    let longer = world.alice().run(&["share", "extend", id, "--verb", "log.tail"]);
    assert_eq!(longer.status, 126, "more than was consented to: {longer:?}");
}
