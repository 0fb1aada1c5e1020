//! A recipient narrows what they hold: for an agent with a key of its own, and for themselves.

use serde_json::Value;
use tests::client::Vendor;
use tests::owner::Share;
use tests::world::{Setup, World};

/// A share to `vendor-b` that may be handed on so often.
fn shared(world: &World, verbs: &[&str], depth: u8) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    let more = ["--to", "vendor-b", "--redelegate", &depth.to_string()];
    world.alice().try_open(verbs, &more).unwrap_or_else(|said| panic!("{said:?}"))
}

/// `narrow` by whoever holds `share`; what was made, or what was said.
fn narrowed(by: &Vendor<'_>, share: &Share, arguments: &[&str]) -> Share {
    let said = by.run(share, &[&["narrow", "--json"], arguments].concat());
    assert_eq!(said.status, 0, "{said:?}");
    let made: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let handle = made["handle"].as_str().expect("a handle").to_owned();
    Share { handle, second: None, ..share.clone() }
}

#[test]
fn a_vendor_hands_on_to_an_agent_who_can_do_that_and_nothing_more() {
    let world = World::start();
    let (vendor, agent) = (world.vendor(), world.mallory());
    let share = shared(&world, &["log.tail:service=web|db", "test.append"], 1);
    let to = agent.public_key();
    let wish = ["--verb", "log.tail:service=web", "--ttl", "10m", "--to", &to];
    let sub =
        narrowed(&vendor, &share, &[&wish[..], &["--reason", "night\u{1b}[2J watch"]].concat());

    // Nobody has redeemed the seat yet: the handle shows the daemon the vendor's own redemption.
    assert_eq!(agent.call(&sub, &["log.tail", "service=web"]).status, 0);
    let listed = |who: &Vendor<'_>, share| -> Value {
        serde_json::from_str(&who.run(share, &["list", "--json"]).stdout).expect("JSON")
    };
    let left = |listed: &Value| listed["remaining_s"].as_u64().expect("seconds");
    assert!((1..=600).contains(&left(&listed(&agent, &sub))), "theirs ends sooner than the share");
    assert!(left(&listed(&vendor, &share)) > 600);
    assert_eq!(agent.call(&sub, &["log.tail", "service=db"]).status, 126);
    assert_eq!(agent.call(&sub, &["test.append", "name=agent"]).status, 127);
    assert_eq!(agent.call(&sub, &["--unlisted", "test.append", "name=agent"]).status, 126);
    assert_eq!(vendor.call(&share, &["test.append", "name=vendor"]).status, 0);
    assert_eq!(vendor.call(&share, &["log.tail", "service=db"]).status, 0);
    assert_eq!(world.ran(), ["vendor"]);
    assert_eq!(vendor.call(&sub, &["log.tail", "service=web"]).status, 125, "not sealed to them");

    let redeemed = world.events("seat_redeemed");
    let handed_on = world.events("seat_handed_on");
    let ([redeemed], [handed_on]) = (redeemed.as_slice(), handed_on.as_slice()) else {
        panic!("{redeemed:?} {handed_on:?}")
    };
    assert_eq!(handed_on["acting_for"], Value::from(vec![redeemed["holder"].clone()]));
    assert_eq!(handed_on["reason"], "night\u{fffd}[2J watch");
    let started = world.events("call_started");
    let of_agent = |call: &&Value| call["holder"] == handed_on["holder"];
    let by_agent: Vec<_> = started.iter().filter(of_agent).collect();
    assert_eq!((started.len(), by_agent.len()), (3, 1));
    assert_eq!(by_agent[0]["acting_for"], handed_on["acting_for"]);
    let by_vendor = |call: &&Value| call["holder"] == redeemed["holder"];
    assert!(started.iter().filter(by_vendor).all(|call| call.get("acting_for").is_none()));
    assert_eq!(world.events("call_refused").len(), 2);
}

#[test]
fn p06_revoking_a_share_ends_whoever_it_was_handed_on_to() {
    let world = World::start();
    world.script("slow", "echo ready\nwhile :; do sleep 1; done\n");
    let (vendor, agent) = (world.vendor(), world.mallory());
    let share = shared(&world, &["test.sh:name=slow"], 1);
    let sub = narrowed(&vendor, &share, &["--to", &agent.public_key()]);
    let mut calls = [(&vendor, &share), (&agent, &sub)]
        .map(|(who, share)| who.start(share, &["test.sh", "name=slow"]));
    for call in &calls {
        call.stdout.line_with("ready");
    }
    let revoked = world.alice().json(&["share", "revoke", &share.id]).expect("revoke");
    assert_eq!(revoked["revoked"][0]["ended_calls"], 2, "{revoked}");
    for call in &mut calls {
        assert_eq!(call.wait().code(), Some(255));
    }
    assert_eq!(agent.call(&sub, &["test.sh", "name=slow"]).status, 255);
    assert_eq!(world.ends().len(), 2);
}

#[test]
fn p06_a_kicked_recipient_is_out_with_all_below_them_and_the_others_stay() {
    let world = World::start();
    world.script("slow", "echo ready\nwhile :; do sleep 1; done\n");
    let alice = world.alice();
    alice.add_contact("vendor-b", &world.vendor());
    alice.add_contact("vendor-c", &world.mallory());
    let more = ["--to", "vendor-b", "--to", "vendor-c", "--redelegate", "1"];
    let seats = alice.try_open_all(&["test.sh", "test.true"], &more).expect("a share");
    let [out, stays] = seats.as_slice() else { panic!("{seats:?}") };
    let (vendor, other) = (world.vendor(), world.mallory());
    let below = narrowed(&vendor, out, &["--to", &other.public_key()]);
    let slow = ["test.sh", "name=slow"];
    let mut calls = [(&vendor, out), (&other, &below), (&other, stays)]
        .map(|(who, share)| who.start(share, &slow));
    for call in &calls {
        call.stdout.line_with("ready");
    }

    let stranger = alice.run(&["share", "kick", &out.id, "vendor-d"]);
    assert_eq!((stranger.status, stranger.stderr.contains("no seat for `vendor-d`")), (1, true));
    let not_theirs = world.bob().run(&["share", "kick", &out.id, "vendor-b"]);
    assert!(not_theirs.stderr.contains("no live share"), "{not_theirs:?}");
    let kicked = ["share", "kick", &out.id, "vendor-b", "--reason", "wrong one"];
    let kicked = alice.json(&kicked).expect("kick");
    assert_eq!(kicked["kicked"]["ended_calls"], 2, "{kicked}");
    let [first, second, third] = &mut calls;
    assert_eq!((first.wait().code(), second.wait().code()), (Some(255), Some(255)));
    assert!(first.stderr.text().contains("wrong one"), "{}", first.stderr.text());
    assert!(third.ended().is_none(), "the others' calls go on");
    for (who, share) in [(&vendor, out), (&other, &below)] {
        assert_eq!(who.call(share, &["test.true"]).status, 255);
    }
    assert_eq!(other.call(stays, &["test.true"]).status, 0);
    let shown = alice.show(out);
    let ended: Vec<_> = (0..2).map(|seat| shown["share"]["seats"][seat]["ended"].clone()).collect();
    assert_eq!(ended, [true, false].map(Value::from));
    let event = &world.events("seat_kicked")[0];
    assert_eq!((&event["calls"], &event["reason"]), (&2.into(), &"wrong one".into()));

    world.kill_monitor();
    assert_eq!(world.vendor().call(out, &["test.true"]).status, 255, "also after a restart");
    assert_eq!(world.mallory().call(stays, &["test.true"]).status, 0);
    let last = world.alice().json(&["share", "kick", &out.id, "vendor-c"]).expect("the last one");
    assert_eq!(last["schema"], "openscope.share.revoke/1", "{last}");
    assert_eq!(world.mallory().call(stays, &["test.true"]).status, 255);
}

#[test]
fn p11_whoever_a_seat_was_handed_on_to_holds_it_after_a_restart() {
    let world = World::start();
    let share = shared(&world, &["test.true", "test.append"], 1);
    let sub = {
        let (vendor, agent) = (world.vendor(), world.mallory());
        let to = agent.public_key();
        let sub = narrowed(&vendor, &share, &["--verb", "test.true", "--to", &to]);
        assert_eq!(agent.call(&sub, &["test.true"]).status, 0);
        sub
    };
    world.kill_monitor();
    let (vendor, agent) = (world.vendor(), world.mallory());
    assert_eq!(agent.call(&sub, &["test.true"]).status, 0);
    assert_eq!(agent.call(&sub, &["--unlisted", "test.append", "name=x"]).status, 126);
    assert_eq!(vendor.call(&share, &["test.append", "name=vendor"]).status, 0);
    assert_eq!(world.events("seat_handed_on").len(), 1, "bound once");
    let last = world.events("call_started").into_iter().rfind(|call| call["verb"] == "test.true");
    assert_eq!(last.expect("a call")["acting_for"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_seat_is_handed_on_twice_and_the_record_names_all_three() {
    let world = World::start();
    let (vendor, agent) = (world.vendor(), world.mallory());
    let share = shared(&world, &["test.true", "test.append"], 2);
    let own = vendor.public_key();
    let first = narrowed(&vendor, &share, &["--to", &agent.public_key(), "--depth", "1"]);
    let second = narrowed(&agent, &first, &["--to", &own, "--verb", "test.true"]);
    assert_eq!(vendor.call(&second, &["test.true"]).status, 0);
    let started = world.events("call_started");
    assert_eq!(started[0]["acting_for"].as_array().map(Vec::len), Some(2), "{started:?}");
    assert_eq!(world.events("seat_handed_on").len(), 2);
    let said = vendor.run(&second, &["narrow", "--to", &own]);
    assert_eq!(said.status, 2);
    assert!(said.stderr.contains("may not be handed on"), "{said:?}");
}

#[test]
fn se18_a_handle_that_its_holder_narrowed_stays_narrow() {
    let world = World::start();
    let vendor = world.vendor();
    let share = shared(&world, &["test.true", "test.append"], 0);
    assert_eq!(vendor.call(&share, &["test.true"]).status, 0);
    let narrow = narrowed(&vendor, &share, &["--verb", "test.true"]);
    assert_eq!(vendor.call(&narrow, &["test.true"]).status, 0);
    assert_eq!(vendor.call(&narrow, &["--unlisted", "test.append", "name=x"]).status, 126);
    assert_eq!(vendor.call(&share, &["test.append", "name=wide"]).status, 0);
    assert_eq!(world.ran(), ["wide"]);
    assert!(world.events("seat_handed_on").is_empty());
    assert_eq!(world.events("seat_redeemed").len(), 1);
}

#[test]
fn lo8_a_seat_is_handed_on_as_often_as_the_owners_rule_and_share_let_it() {
    let mut setup = Setup::default();
    setup.policy = setup.policy.replace("redelegate = 7", "redelegate = 1");
    let world = setup.start();
    let (alice, vendor, agent) = (world.alice(), world.vendor(), world.mallory());
    alice.add_contact("vendor-b", &vendor);
    let open =
        |more: &[&str]| alice.try_open(&["test.true"], &[&["--to", "vendor-b"], more].concat());
    let refused = open(&["--redelegate", "2"]).expect_err("the rule says once");
    assert_eq!(refused.status, 126, "{refused:?}");
    let to = agent.public_key();
    let plain = open(&[]).expect("open");
    let said = vendor.run(&plain, &["narrow", "--to", &to]);
    assert!(said.stderr.contains("may not be handed on"), "{said:?}");
    let share = open(&["--redelegate", "1"]).expect("open");
    let sub = narrowed(&vendor, &share, &["--to", &to]);
    assert_eq!(agent.call(&sub, &["test.true"]).status, 0);
    let seat = alice.show(&share)["share"]["seats"][0].clone();
    assert_eq!(seat["handed_on"][0]["by"], seat["holder"], "{seat}");
}
