//! Calls that are asked for again: the same id never runs twice.

use rustix::process::Signal;
use tests::owner::Share;
use tests::wait::until;
use tests::world::World;

const ID: &str = "000102030405060708090a0b0c0d0e0f";

fn shared(world: &World) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(&["test.append", "test.sh"])
}

#[test]
fn se7_a_call_that_is_asked_for_again_is_told_and_not_done() {
    let world = World::start();
    let share = shared(&world);
    for _ in 0..3 {
        let said = world.vendor().call(&share, &["--id", ID, "test.append", "name=once"]);
        assert_eq!(said.status, 0, "{said:?}");
    }
    assert_eq!(world.ran(), ["once"]);
    assert_eq!(world.events("call_started").len(), 1);
    assert_eq!(world.ends().len(), 1);
}

#[test]
fn se7_a_client_that_was_killed_comes_back_to_its_running_call() {
    let world = World::start();
    world.script("slow", "echo $$ >> @HOME@/drop/ran\necho begun\nsleep 4\necho done\nexit 7\n");
    let share = shared(&world);
    let call = ["--id", ID, "test.sh", "name=slow"];
    let first = world.vendor().start(&share, &call);
    first.stdout.line_with("begun");
    first.signal(Signal::KILL);
    drop(first);

    let again = world.vendor().call(&share, &call);

    assert_eq!(again.status, 7, "{again:?}");
    assert_eq!(world.ran().len(), 1, "it ran once");
    let ended = world.events("call_ended");
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(world.vendor().call(&share, &call).status, 7, "and its outcome is kept");
    assert_eq!(world.ran().len(), 1);
}

#[test]
fn se7_a_killed_clients_call_ends_after_its_grace_and_is_not_done_again() {
    let setup = tests::world::Setup {
        limits: "reattach_grace = \"1s\"".to_owned(),
        ..tests::world::Setup::default()
    };
    let world = setup.start();
    world.script("long", "echo ran >> @HOME@/drop/ran\necho begun\nsleep 600\n");
    let share = shared(&world);
    let call = ["--id", ID, "test.sh", "name=long"];
    let first = world.vendor().start(&share, &call);
    first.stdout.line_with("begun");
    first.signal(Signal::KILL);
    drop(first);
    let ended = until_end(&world);
    assert_eq!(ended["ending"], "cancelled", "{ended}");
    let again = world.vendor().call(&share, &call);
    assert_ne!(again.status, 0, "{again:?}");
    assert_eq!(world.ran(), ["ran"]);
}

/// A client that was killed says nothing: the daemon waits until the relay or the channel tells that it is gone.
fn until_end(world: &World) -> serde_json::Value {
    let begun = std::time::Instant::now();
    while begun.elapsed() < std::time::Duration::from_secs(25) {
        if let Some(ended) = world.events("call_ended").pop() {
            return ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    until("the call ends", || world.events("call_ended").pop())
}

#[test]
fn se16_the_same_id_for_another_call_is_refused_and_on_record() {
    let world = World::start();
    let share = shared(&world);
    assert_eq!(world.vendor().call(&share, &["--id", ID, "test.append", "name=one"]).status, 0);
    let other = world.vendor().call(&share, &["--id", ID, "test.append", "name=two"]);
    assert!([125, 126].contains(&other.status) && other.stdout.is_empty(), "{other:?}");
    assert_eq!(world.ran(), ["one"]);
    let refused = world.events("call_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0]["reason"].as_str().is_some_and(|why| why.contains("another call")),
        "{refused:?}"
    );
    let unused = "ffffffffffffffffffffffffffffffff";
    assert_eq!(world.vendor().call(&share, &["--id", unused, "test.append", "name=two"]).status, 0);
    assert_eq!(world.ran(), ["one", "two"]);
}
