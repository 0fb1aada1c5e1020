//! What an owner may share, with whom, for how long; and what is said when they may not.

use tests::owner::Said;
use tests::world::{Setup, World};

fn refusal(world: &World, verbs: &[&str], more: &[&str]) -> Said {
    let said = world.alice().try_open(verbs, more).expect_err("this must not open");
    assert!(!said.stdout.contains("osp1_"), "{said:?}");
    assert!(said.stderr.contains("error"), "{said:?}");
    said
}

#[test]
fn se4_a_ttl_that_is_none_or_too_long_is_refused_by_name() {
    let world = World::start();
    let (alice, vendor) = (world.alice(), world.vendor());
    alice.add_contact("vendor-b", &vendor);
    for (ttl, status) in [("0", 2), ("0s", 2), ("-5", 2), ("31m", 126), ("soon", 2), ("", 2)] {
        let flag = format!("--ttl={ttl}");
        let said = refusal(&world, &["test.true"], &["--to", "vendor-b", &flag]);
        assert_eq!(said.status, status, "{ttl}: {said:?}");
        assert!(said.stderr.contains(if ttl == "31m" { "30 minutes" } else { ttl }), "{said:?}");
    }
    assert!(alice.try_open(&["test.true"], &["--to", "vendor-b", "--ttl=30m"]).is_ok());
    let shares = alice.json(&["share", "list"]).expect("list");
    assert_eq!(shares["shares"].as_array().map(Vec::len), Some(1), "refusals leave nothing");
}

#[test]
fn su1_a_verb_that_is_not_held_is_refused() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    for verb in ["log.tial", "ssh.shell", "log.tail:service=vault", "service.restart:service=db"] {
        let said = refusal(&world, &[verb], &["--to", "vendor-b"]);
        assert_eq!(said.status, 126, "{verb}: {said:?}");
    }
    let unknown = refusal(&world, &["log.tail:servce=web"], &["--to", "vendor-b"]);
    assert!(unknown.stderr.contains("service"), "{unknown:?}");
}

#[test]
fn lo4_a_recipient_outside_the_rule_is_refused_with_the_rule_named() {
    let world = World::start();
    let alice = world.alice();
    alice.add_contact("friend", &world.vendor());
    let said = refusal(&world, &["test.true"], &["--to", "friend"]);
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("policy.d/test.toml:"), "{said:?}");
    let said = refusal(&world, &["test.true"], &["--to", "nobody-known"]);
    assert!(said.stderr.contains("nobody-known"), "{said:?}");
}

#[test]
fn lo3_an_agent_without_a_delegate_rule_cannot_share() {
    let setup = Setup::default();
    let policy = setup.policy.split("[[delegate]]").next().unwrap_or_default().to_owned();
    let world = Setup { policy, ..setup }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let said = refusal(&world, &["test.true"], &["--to", "vendor-b"]);
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("delegate"), "{said:?}");
}

#[test]
fn lo1_a_user_cannot_name_anothers_agent() {
    let world = World::start();
    world.bob().add_contact("vendor-b", &world.vendor());
    let said = world.bob().try_open(&["test.true"], &["--to", "vendor-b"]).expect_err("not bob's");
    assert_eq!(said.status, 126, "{said:?}");
}

#[test]
fn lo9_root_owns_no_share() {
    let world = World::start();
    let said = world.root().try_open(&["test.true"], &["--bearer"]).expect_err("root owns none");
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("root owns no share"), "{said:?}");
}

#[test]
fn se3_one_share_too_many_is_refused_with_the_limit_named() {
    let limits = "open_shares_per_owner = 2".to_owned();
    let world = Setup { limits, ..Setup::default() }.start();
    let alice = world.alice();
    alice.add_contact("vendor-b", &world.vendor());
    let first = alice.open(&["test.true"]);
    alice.open(&["test.true"]);
    let said = refusal(&world, &["test.true"], &["--to", "vendor-b"]);
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("limits.open_shares_per_owner"), "{said:?}");
    alice.revoke(&first);
    alice.open(&["test.true"]);
}

#[test]
fn se13_an_unreachable_relay_fails_the_open_within_seconds_and_leaves_nothing() {
    let mut world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    world.relay = None;
    let begun = std::time::Instant::now();
    let said = refusal(&world, &["test.true"], &["--to", "vendor-b"]);
    assert!(begun.elapsed() < std::time::Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains(world.relay_address()), "{said:?}");
    let shares = world.alice().json(&["share", "list"]).expect("list");
    assert_eq!(shares["shares"].as_array().map(Vec::len), Some(0));
    assert!(world.events("share_opened").is_empty());
}

#[test]
fn lo6_a_contacts_key_changes_only_when_said_twice() {
    let world = World::start();
    let alice = world.alice();
    alice.add_contact("vendor-b", &world.vendor());
    let other = world.mallory().public_key();
    let said = alice.run(&["contact", "add", "vendor-b", &other]);
    assert_eq!(said.status, 2, "{said:?}");
    let said = alice.run(&["contact", "add", "vendor-b", &other, "--replace"]);
    assert_eq!(said.status, 0, "{said:?}");
    let contacts = alice.json(&["contact", "list"]).expect("list");
    assert!(contacts.to_string().contains(&other), "{contacts}");
    assert!(!world.bob().json(&["contact", "list"]).expect("list").to_string().contains(&other));
}

#[test]
fn lo2_a_user_sees_and_ends_only_their_own_shares_and_root_all() {
    let world = World::start();
    let (alice, bob, root) = (world.alice(), world.bob(), world.root());
    alice.add_contact("vendor-b", &world.vendor());
    let share = alice.open(&["test.true"]);
    assert_eq!(
        bob.json(&["share", "list"]).expect("list")["shares"].as_array().map(Vec::len),
        Some(0)
    );
    for command in [["share", "show", &share.id], ["share", "revoke", &share.id]] {
        let said = bob.run(&command);
        let absent = bob.run(&[command[0], command[1], "osp_0000000000000000"]);
        assert_eq!(said.status, absent.status, "{said:?}");
        assert_eq!(
            said.stderr.replace(&share.id, "ID"),
            absent.stderr.replace("osp_0000000000000000", "ID")
        );
    }
    assert_eq!(bob.run(&["share", "list", "--all"]).status, 126);
    let all = root.json(&["share", "list", "--all"]).expect("root sees all");
    assert_eq!(all["shares"].as_array().map(Vec::len), Some(1), "{all}");
    assert_eq!(root.run(&["share", "revoke", &share.id]).status, 0);
    assert_eq!(world.events("share_revoked")[0]["by"]["uid"], 0);
}
