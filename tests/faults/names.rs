//! A name service that hangs: what is theirs, owners see and end without it (P6).

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tests::wait::until;
use tests::world::World;

#[test]
fn p06_who_hangs_on_a_name_service_still_sees_and_ends_their_shares() {
    let mut world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.follow:service=web"]);
    let other = world.alice().open(&["test.true"]);
    // Another life of the daemon knows nobody's name yet; root's question starts its resolver.
    world.stop_daemon();
    world.start_daemon();
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let resolver = world.process("--as-resolver").expect("it runs");
    let resolver = Pid::from_raw(resolver.cast_signed()).expect("a pid");
    kill_process(resolver, Signal::STOP).expect("it is there");

    let said = world.alice().run(&["contact", "list"]);
    assert_eq!(said.status, 125, "only the name service can say: {said:?}");
    assert!(said.stderr.contains("cannot be looked up"), "{said:?}");
    // That one was given up, and the next question starts another.
    let next = until("another resolver answers", || {
        world.alice().json(&["contact", "list"]).ok()?;
        world.process("--as-resolver")
    });
    assert_ne!(next, resolver.as_raw_nonzero().get().cast_unsigned());

    world.stop_daemon();
    world.start_daemon();
    let resolver = world.process("--as-resolver").expect("it runs");
    let resolver = Pid::from_raw(resolver.cast_signed()).expect("a pid");
    kill_process(resolver, Signal::STOP).expect("it is there");
    let listed = world.alice().json(&["share", "list"]).expect("their own");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.alice().show(&share)["share"]["id"], listed["shares"][0]["id"]);
    let begun = std::time::Instant::now();
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(world.alice().run(&["share", "revoke", "--all", "--yes"]).status, 0);
    assert!(begun.elapsed() < Duration::from_secs(1), "it took {:?}", begun.elapsed());
    assert_eq!(world.vendor().call(&other, &["test.true"]).status, 255);
}
