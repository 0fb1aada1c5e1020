//! Everything that policy can ask for, in one story: consent, a passport that its holder narrows, and one end for both.

use serde_json::Value;
use tests::background::Background;
use tests::owner::Share;
use tests::wait::until;
use tests::world::{Setup, World};

/// Alice may share her logs as she likes; a restart takes Bob's yes, each time.
fn company() -> World {
    let setup = Setup::default();
    let rule =
        "approve = { \"service.restart\" = \"each\" }\napprovers = [\"@BOB@\"]\nredelegate = 1\n";
    let policy = setup.policy.replace("redelegate = 7\n", rule);
    Setup { policy, ..setup }.start()
}

/// Waits until the recipient is told that their call waits; the number of the request.
fn request_of(call: &Background) -> String {
    let line = call.stderr.line_with("pending");
    let request = line.split_whitespace().find(|word| word.starts_with("r_"));
    request.unwrap_or_else(|| panic!("{line}")).to_owned()
}

fn restarts(world: &World) -> usize {
    let started = world.events("call_started");
    started.iter().filter(|event| event["verb"] == "service.restart").count()
}

#[test]
fn p01_a_vendor_hands_their_agent_less_and_bob_consents_to_each_restart() {
    let world = company();
    let (alice, bob, vendor, agent) = (world.alice(), world.bob(), world.vendor(), world.mallory());
    alice.add_contact("vendor-b", &vendor);
    let verbs = ["log.tail:service=web", "service.restart:service=web"];
    let opened = alice.try_open(&verbs, &["--to", "vendor-b", "--redelegate", "1"]);
    let share = opened.unwrap_or_else(|said| panic!("{said:?}"));

    let key = agent.public_key();
    let wish = ["--verb", "log.tail:lines<=50", "--ttl", "5m", "--to", &key, "--reason", "night"];
    let made = vendor.run(&share, &[&["narrow", "--json"], &wish[..]].concat());
    let made: Value = serde_json::from_str(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    let handle = made["handle"].as_str().expect("a handle").to_owned();
    let sub = Share { handle, second: None, ..share.clone() };

    // The agent can do that, and nothing more, and learns of nothing more.
    assert_eq!(agent.call(&sub, &["log.tail", "service=web", "lines=50"]).status, 0);
    let wide = agent.call(&sub, &["log.tail", "service=web", "lines=51"]);
    assert_eq!(wide.status, 126, "{wide:?}");
    assert!(wide.stderr.contains("50"), "what would be accepted is said: {wide:?}");
    let listed = agent.run(&sub, &["list"]);
    assert!(!listed.stdout.contains("restart"), "{listed:?}");
    let restart = agent.call(&sub, &["--unlisted", "service.restart", "service=web"]);
    let nothing = agent.call(&sub, &["--unlisted", "service.explode", "service=web"]);
    assert_eq!((restart.status, &restart.stderr), (126, &nothing.stderr));
    assert!(
        alice.json(&["requests"]).expect("list")["requests"].as_array().is_some_and(Vec::is_empty)
    );

    // The vendor's own restart waits; Bob consents, and it runs once.
    let call = ["service.restart", "service=web"];
    let mut first = vendor.start(&share, &call);
    let request = request_of(&first);
    assert_eq!(restarts(&world), 0);
    assert_eq!(bob.run(&["approve", &request]).status, 0);
    first.wait();
    assert_eq!(restarts(&world), 1);
    let mut second = vendor.start(&share, &call);
    assert_ne!(request_of(&second), request, "a second takes a second consent");
    assert_eq!(restarts(&world), 1);

    // One end for both.
    assert_eq!(alice.revoke(&share).status, 0);
    assert_eq!(second.wait().code(), Some(255));
    for gone in [
        vendor.call(&share, &["log.tail", "service=web"]),
        agent.call(&sub, &["log.tail", "service=web"]),
    ] {
        assert_eq!(gone.status, 255, "{gone:?}");
    }
    until("nothing waits", || {
        let left = bob.json(&["requests"]).ok()?;
        left["requests"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    assert_eq!(restarts(&world), 1);
}
