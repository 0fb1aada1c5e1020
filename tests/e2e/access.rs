//! A recipient asks for more of a share: what its owner could add is put to them, and of all else nothing is learnt.

use serde_json::{Value, json};
use tests::background::Background;
use tests::client::Vendor;
use tests::owner::{Owner, Said, Share};
use tests::wait::until;
use tests::world::{Setup, World};

const REASON: &str = "it hangs\u{1b}[2J since noon";

fn shared(world: &World) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(&["test.true", "log.tail:service=web"])
}

fn request<'a>(wanted: &[&'a str]) -> Vec<&'a str> {
    [&["request"], wanted, &["--reason", REASON]].concat()
}

/// Asks, and waits until the recipient knows that it waits; the number of the request.
fn pending(by: &Vendor<'_>, share: &Share, wanted: &[&str]) -> (Background, String) {
    let asking = Background::start(by.command(share, &request(wanted)));
    let line = asking.stderr.line_with("pending");
    let number = line.split([' ', ';']).find(|word| word.starts_with("r_"));
    let number = number.unwrap_or_else(|| panic!("{line}")).to_owned();
    (asking, number)
}

/// What waits, as this person sees it.
fn requests(owner: &Owner<'_>) -> Vec<Value> {
    let listed = owner.json(&["requests"]).unwrap_or_else(|said| panic!("{said:?}"));
    listed["requests"].as_array().cloned().unwrap_or_default()
}

fn set_policy(world: &World, change: impl FnOnce(String) -> String) {
    let path = world.etc().join("policy.d/test.toml");
    let text = std::fs::read_to_string(&path).expect("read the policy");
    std::fs::write(&path, change(text)).expect("write the policy");
    assert_eq!(world.root().run(&["reload"]).status, 0);
}

fn scope(world: &World, share: &Share) -> Value {
    world.alice().show(share)["scope"].clone()
}

#[test]
fn p04_what_a_recipient_asks_for_the_owner_sees_exactly_and_gives_or_not() {
    let world = World::start();
    let (alice, vendor) = (world.alice(), world.vendor());
    let share = shared(&world);
    let wanted = ["test.append", "log.tail:service=db,lines<=5"];
    let (mut asking, number) = pending(&vendor, &share, &wanted);
    assert!(requests(&world.bob()).is_empty(), "it is nobody else's");
    assert_eq!(world.bob().run(&["approve", &number]).status, 1);
    assert_eq!(world.root().run(&["approve", &number]).status, 126, "nor is it root's to give");

    let seen = requests(&alice);
    let what = &seen[0]["what"];
    assert_eq!((&what["kind"], &what["share"]), (&json!("access"), &json!(share.id)));
    assert_eq!(what["reason"], "it hangs\u{fffd}[2J since noon");
    let gains: Vec<&str> = what["gains"]
        .as_array()
        .expect("gains")
        .iter()
        .filter_map(|one| one["verb"].as_str())
        .collect();
    assert_eq!(gains, ["log.tail:lines<=5,service=db", "test.append"], "{what}");
    let text = alice.run(&["requests"]).stdout;
    for line in
        ["    + test.append [write]\n", "Leaves one line each time that it runs", "it hangs"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");

    let other = alice.run(&["approve", &number, "--expect", "00ff"]);
    assert_eq!(other.status, 126, "{other:?}");
    assert_eq!(vendor.call(&share, &["--unlisted", "test.append", "name=early"]).status, 126);
    let hash = seen[0]["hash"].as_str().expect("a hash");
    let yes = alice.run(&["approve", &number, "--expect", hash]);
    assert_eq!(yes.status, 0, "{yes:?}");
    assert_eq!(asking.wait().code(), Some(0), "{}", asking.stderr.text());
    asking.stderr.line_with("granted");

    assert_eq!(vendor.call(&share, &["test.append", "name=one"]).status, 0);
    assert_eq!(vendor.call(&share, &["log.tail", "service=db", "lines=5"]).status, 0);
    assert_eq!(vendor.call(&share, &["log.tail", "service=db", "lines=6"]).status, 126);
    assert_eq!(world.ran(), ["one"]);
    let asked = &world.events("access_requested")[0];
    assert_eq!((&asked["request"], &asked["wanted"]), (&json!(number), &json!(wanted)));
    assert!(asked["holder"].is_string() && asked["gains"].is_array(), "{asked}");
    let extended = &world.events("share_extended")[0];
    assert_eq!(extended["by"]["user"], world.accounts.alice.name.as_str());
    assert!(extended["basis"].as_str().is_some_and(|basis| basis.contains(&number)), "{extended}");
    assert_eq!(world.events("consent_given").len(), 1);

    // What the share has already, nobody is asked for.
    let has = vendor.run(&share, &request(&["test.append", "test.true"]));
    assert_eq!((has.status, requests(&alice).len()), (0, 0), "{has:?}");
    assert_eq!(world.events("share_extended").len(), 1);

    let (mut asking, number) = pending(&vendor, &share, &["test.echo:text=x"]);
    assert_eq!(alice.run(&["deny", &number, "--reason", "not today"]).status, 0);
    assert_eq!(asking.wait().code(), Some(126));
    asking.stderr.line_with("consent was refused");
    assert_eq!(vendor.call(&share, &["--unlisted", "test.echo", "text=x"]).status, 126);
    let refused = &world.events("access_refused")[0];
    assert!(refused["why"].as_str().is_some_and(|why| why.contains("not today")), "{refused}");
}

#[test]
fn p01_nothing_is_learnt_of_what_the_owner_could_not_add() {
    let setup = Setup::default();
    let policy = setup.policy.replace("\"test.*\"]", "\"test.true\", \"test.append\"]");
    let world = Setup { policy, ..setup }.start();
    let share = shared(&world);
    let asked = |wanted: &str| -> Said {
        let said = world.vendor().run(&share, &request(&[wanted]));
        assert_eq!(said.status, 126, "{wanted}: {said:?}");
        said
    };
    let unknown = asked("no.such");
    for wanted in [
        // Not within what is held, twice; no such value; no such parameter; held, and not to be shared.
        "log.tail:service=vault",
        "service.restart:service=db",
        "log.tail:service=nothing",
        "log.tail:file=web",
        "test.write",
    ] {
        let said = asked(wanted);
        assert_eq!((said.stderr, said.stdout), (unknown.stderr.clone(), unknown.stdout.clone()));
    }
    assert!(requests(&world.alice()).is_empty(), "the owner is not bothered");
    let refused = world.events("access_refused");
    let why: Vec<&str> = refused.iter().filter_map(|event| event["why"].as_str()).collect();
    let says = ["`no.such`", "service=vault", "service=db", "nothing", "`file`", "[[delegate]]"];
    assert_eq!(why.len(), says.len());
    for (why, says) in why.iter().zip(says) {
        assert!(why.contains(says), "the record says which it was: {why}");
    }
    assert!(world.events("share_extended").is_empty());
    // One of them takes all that is asked for with it.
    let both = world.vendor().run(&share, &request(&["test.append", "no.such"]));
    assert_eq!(both.stderr, unknown.stderr);
}

#[test]
fn whoever_tries_doors_by_asking_ends_the_share() {
    let limits = "refusals_in_a_row = 3\n".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    let share = shared(&world);
    for _ in 0..3 {
        let said = world.vendor().run(&share, &request(&["no.such"]));
        assert!([126, 255].contains(&said.status), "{said:?}");
    }
    until("the share is over", || {
        let ended = world.events("share_expired");
        (ended.first()?["why"] == "refusals").then_some(())
    });
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 255);
    assert_eq!(world.events("access_refused").len(), 3);
}

#[test]
fn p01_what_was_narrowed_or_handed_on_is_not_widened_by_asking() {
    let world = World::start();
    let (vendor, agent) = (world.vendor(), world.mallory());
    world.alice().add_contact("vendor-b", &vendor);
    let more = ["--to", "vendor-b", "--redelegate", "1"];
    let verbs = ["test.true", "log.tail:service=web"];
    let share = world.alice().try_open(&verbs, &more).unwrap_or_else(|said| panic!("{said:?}"));
    assert_eq!(vendor.call(&share, &["test.true"]).status, 0, "the seat is held");
    let own = narrowed(&vendor, &share, &[]);
    let theirs = narrowed(&vendor, &share, &["--to", &agent.public_key()]);
    for (who, handle) in [(&vendor, own), (&agent, theirs)] {
        assert_eq!(who.call(&handle, &["test.true"]).status, 0);
        for wanted in ["test.append", "log.tail:service=web"] {
            let said = who.run(&handle, &request(&[wanted]));
            assert_eq!(said.status, 126, "{said:?}");
        }
    }
    assert!(requests(&world.alice()).is_empty());
    let refused = world.events("access_refused");
    let says = |event: &&Value| event["why"].as_str().is_some_and(|why| why.contains("narrowed"));
    assert_eq!(refused.iter().filter(says).count(), 4, "{refused:?}");

    // What the seat's own holder is given is not theirs either.
    let sub = narrowed(&vendor, &share, &[]);
    let (mut asking, number) = pending(&vendor, &share, &["test.append"]);
    assert_eq!(world.alice().run(&["approve", &number]).status, 0);
    assert!(asking.wait().success());
    let said = vendor.call(&sub, &["--unlisted", "test.append", "name=one"]);
    assert_eq!((said.status, world.ran().len()), (126, 0), "{said:?}");
}

/// `narrow` to one verb by whoever holds `share`.
fn narrowed(by: &Vendor<'_>, share: &Share, to: &[&str]) -> Share {
    let said = by.run(share, &[&["narrow", "--json", "--verb", "test.true"], to].concat());
    let made: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    let handle = made["handle"].as_str().expect("a handle").to_owned();
    Share { handle, second: None, ..share.clone() }
}

#[test]
fn what_is_given_up_or_not_answered_waits_no_more() {
    let limits = "request_wait = \"2s\"\nrequests_per_share = 1\n".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    let (alice, vendor) = (world.alice(), world.vendor());
    let share = shared(&world);
    let (mut given_up, number) = pending(&vendor, &share, &["test.append"]);
    let more = vendor.run(&share, &request(&["test.write"]));
    assert!(more.stderr.contains("limits.requests_per_share"), "{more:?}");
    // Then nobody learns whether it could be had.
    let hidden = vendor.run(&share, &request(&["no.such"]));
    assert_eq!((hidden.status, &hidden.stderr), (more.status, &more.stderr));
    given_up.signal(rustix::process::Signal::INT);
    assert_eq!(given_up.wait().code(), Some(130));
    until("the request is gone", || requests(&alice).is_empty().then_some(()));
    assert_eq!(alice.run(&["approve", &number]).status, 1);
    let (mut unanswered, _) = pending(&vendor, &share, &["test.append"]);
    assert_eq!(unanswered.wait().code(), Some(126));
    unanswered.stderr.line_with("nobody consented in time");
    assert!(world.events("share_extended").is_empty());
    assert_eq!(world.events("request_ended").len(), 2);
}

#[test]
fn p06_revoke_ends_what_is_asked_for() {
    let world = World::start();
    let share = shared(&world);
    let (mut asking, number) = pending(&world.vendor(), &share, &["test.append"]);
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(asking.wait().code(), Some(255), "{}", asking.stderr.text());
    assert_eq!(world.alice().run(&["approve", &number]).status, 1);
    assert!(world.events("share_extended").is_empty());
}

#[test]
fn p01_what_policy_takes_back_while_it_waits_is_not_given() {
    let world = World::start();
    let (alice, vendor) = (world.alice(), world.vendor());
    let share = shared(&world);
    let before = scope(&world, &share);
    let (mut gone, number) = pending(&vendor, &share, &["test.append"]);
    set_policy(&world, |text| {
        format!("{text}\n[[deny]]\nuser = \"*\"\nverbs = [\"test.append\"]\n")
    });
    let said = alice.run(&["approve", &number]);
    assert_eq!(said.status, 126, "{said:?}");
    assert_eq!(gone.wait().code(), Some(126));

    // Less than was looked at is not what was consented to either; nor is another way to do it.
    let (mut less, number) = pending(&vendor, &share, &["log.follow"]);
    set_policy(&world, |text| {
        text.replace(
            "\"log.follow\" = { service = [\"web\", \"db\"] }",
            "\"log.follow\" = { service = [\"web\"] }",
        )
    });
    let said = alice.run(&["approve", &number]);
    assert!(said.status == 126 && said.stderr.contains("no longer"), "{said:?}");
    assert_eq!(less.wait().code(), Some(126));
    assert_eq!(scope(&world, &share), before);
    assert!(world.events("share_extended").is_empty());
    assert_eq!(world.events("access_refused").len(), 2);
}

#[test]
fn a_share_that_took_consent_to_open_is_not_widened_by_asking() {
    let setup = Setup::default();
    let rule = "approve_open = true\napprovers = [\"@BOB@\"]\nbearer  = true\n";
    let policy = setup.policy.replace("bearer  = true\n", rule);
    let world = Setup { policy, ..setup }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let arguments =
        ["share", "open", "--agent", "you", "--verb", "test.true", "--to", "vendor-b", "--json"];
    let mut opening = Background::start(world.alice().command(&arguments));
    opening.stderr.line_with("waits for consent");
    let number = requests(&world.bob())[0]["id"].as_str().expect("a number").to_owned();
    assert_eq!(world.bob().run(&["approve", &number]).status, 0);
    assert!(opening.wait().success());
    let opened: Value = serde_json::from_slice(&opening.stdout.to_end()).expect("a document");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let share = Share {
        id: text(&opened["share"]["id"]),
        handle: text(&opened["recipients"][0]["handle"]),
        second: None,
        fingerprint: text(&opened["fingerprint"]),
        words: String::new(),
        deadline: String::new(),
    };
    let said = world.vendor().run(&share, &request(&["test.append"]));
    assert_eq!(said.status, 126, "{said:?}");
    let refused = &world.events("access_refused")[0];
    assert!(refused["why"].as_str().is_some_and(|why| why.contains("consent")), "{refused}");
}

#[test]
fn a_script_is_told_what_waits_and_what_came_of_it() {
    let world = World::start();
    let share = shared(&world);
    let arguments = [&request(&["test.append"])[..], &["--json"]].concat();
    let mut asking = Background::start(world.vendor().command(&share, &arguments));
    let line = asking.stdout.line_with("pending");
    let told: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(told["schema"], "openscope.request/1");
    let number = told["request"].as_str().expect("a number").to_owned();
    assert_eq!(world.alice().run(&["approve", &number]).status, 0);
    assert!(asking.wait().success());
    let said = String::from_utf8(asking.stdout.to_end()).expect("text");
    let last: Value = serde_json::from_str(said.lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["outcome"]["kind"], &last["id"]), (&json!("granted"), &told["id"]));
    for wrong in [&["request", "test.append"][..], &["request", "no verb", "--reason", "x"]] {
        assert_eq!(world.vendor().run(&share, wrong).status, 2);
    }
}
