//! The record: what happened, once, with who, what and on what ground (au2).

use serde_json::Value;
use tests::wait::until;
use tests::world::World;

/// The only event of this type.
fn only(world: &World, kind: &str) -> Value {
    let mut all = world.events(kind);
    assert_eq!(all.len(), 1, "{kind}: {all:?}");
    all.remove(0)
}

#[test]
fn au2_whatever_happens_is_one_record_with_who_what_and_why() {
    let mut world = World::start();
    let uid = world.accounts.alice.uid;
    let (alice, vendor) = (world.alice(), world.vendor());
    alice.add_contact("vendor-b", &vendor);
    assert_eq!(only(&world, "contact_added")["by"]["uid"], uid);
    let share = alice.open(&["test.true", "log.tail:service=web"]);
    let opened = only(&world, "share_opened");
    assert_eq!((&opened["by"]["uid"], &opened["by"]["agent"]), (&uid.into(), &"you".into()));
    assert!(opened["recipients"].to_string().contains("vendor-b"), "{opened}");
    assert!(opened["scope"].to_string().contains("log.tail"), "{opened}");
    assert!(opened["basis"].to_string().contains("test.toml:"), "{opened}");

    assert!(alice.try_open(&["ssh.shell"], &["--to", "vendor-b"]).is_err());
    let refused = only(&world, "open_refused");
    assert_eq!(refused["by"]["uid"], uid);
    assert!(refused["reason"].to_string().contains("ssh.shell"), "{refused}");

    assert_eq!(vendor.call(&share, &["test.true"]).status, 0);
    let redeemed = only(&world, "seat_redeemed");
    assert_eq!(redeemed["share"], share.id.as_str());
    let (started, ended) = (only(&world, "call_started"), only(&world, "call_ended"));
    assert_eq!((&started["verb"], &started["owner"]["uid"]), (&"test.true".into(), &uid.into()));
    let at = |event: &Value| ["share", "seat", "holder"].map(|key| event[key].clone());
    assert_eq!(at(&started), at(&redeemed));
    assert!(started["basis"].to_string().contains("test.toml:"), "{started}");
    assert_eq!((&ended["call"], at(&ended)), (&started["call"], at(&started)));
    assert_eq!(vendor.call(&share, &["--unlisted", "log.tail", "service=db"]).status, 126);
    let refused = only(&world, "call_refused");
    assert_eq!((&refused["verb"], at(&refused)), (&"log.tail".into(), at(&started)));
    assert!(refused["arguments"].to_string().contains("db"), "{refused}");
    assert!(!refused["reason"].to_string().is_empty());

    assert_eq!(alice.run(&["share", "extend", &share.id, "--ttl", "20m"]).status, 0);
    let extended = only(&world, "share_extended");
    assert_eq!(extended["share"], share.id.as_str());
    assert!(extended["basis"].to_string().contains("test.toml:"), "{extended}");
    assert_eq!(alice.run(&["share", "revoke", &share.id, "--reason", "done"]).status, 0);
    let revoked = only(&world, "share_revoked");
    assert_eq!((&revoked["by"]["uid"], &revoked["reason"]), (&uid.into(), &"done".into()));

    let brief = alice.try_open(&["test.true"], &["--to", "vendor-b", "--ttl", "2s"]).expect("open");
    until("it expires", || world.events("share_expired").first().cloned());
    assert_eq!(only(&world, "share_expired")["share"], brief.id.as_str());
    assert!(alice.try_open(&["test.true"], &["--bearer"]).is_ok());
    world.stop_daemon();
    assert_eq!(world.events("daemon_stopped").len(), 1);
    world.start_daemon();
    let starts = world.events("daemon_started");
    assert_eq!(starts.len(), 2);
    assert_eq!((&starts[1]["resumed"], &starts[1]["interrupted"]), (&1.into(), &0.into()));
}
