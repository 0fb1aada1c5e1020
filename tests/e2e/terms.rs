//! The terms of a share: what it would be, how much of it may be used, and how it changes while it lives.

use std::fs::{read_dir, read_link, read_to_string};
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::Value;
use tests::background::Background;
use tests::owner::Share;
use tests::wait::until;
use tests::world::{Setup, World};

fn shared(world: &World, verbs: &[&str], more: &[&str]) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    let more: Vec<&str> = ["--to", "vendor-b"].iter().chain(more).copied().collect();
    world.alice().try_open(verbs, &more).unwrap_or_else(|said| panic!("{said:?}"))
}

fn waits_on_a_socket(process: u32) -> bool {
    let at = |what: &str| format!("/proc/{process}/{what}");
    let sleeps = read_to_string(at("status")).is_ok_and(|status| status.contains("State:\tS"));
    let open = read_dir(at("fd")).into_iter().flatten().flatten();
    let is_socket = |link: PathBuf| link.to_string_lossy().starts_with("socket:");
    sleeps && open.filter_map(|entry| read_link(entry.path()).ok()).any(is_socket)
}

#[test]
fn a_share_for_one_call_is_used_up_by_it_and_asking_again_does_not_end_it() {
    let world = World::start();
    let share = shared(&world, &["test.append"], &["--once"]);
    assert_eq!(world.vendor().call(&share, &["test.append", "name=one"]).status, 0);
    for _ in 0..25 {
        let more = world.vendor().call(&share, &["test.append", "name=two"]);
        assert_eq!(more.status, 126, "{more:?}");
        assert!(more.stderr.contains("used up"), "{more:?}");
    }
    assert_eq!(world.ran(), ["one"]);
    let shown = world.alice().show(&share);
    assert_eq!((&shown["share"]["max_calls"], &shown["share"]["calls"]), (&1.into(), &1.into()));
}

#[test]
fn p11_what_a_share_has_used_is_not_forgotten_by_a_restart() {
    let world = World::start();
    let share = shared(&world, &["test.echo"], &["--max-calls", "2", "--max-bytes", "1KiB"]);
    assert_eq!(world.vendor().call(&share, &["test.echo", "text=hello"]).status, 0);
    world.kill_monitor();
    until("a call is answered", || {
        (world.vendor().call(&share, &["test.echo", "text=again"]).status == 0).then_some(())
    });
    let more = world.vendor().call(&share, &["test.echo", "text=third"]);
    assert_eq!(more.status, 126, "{more:?}");
    assert_eq!(world.alice().show(&share)["share"]["bytes"], 10);
}

#[test]
fn a_share_that_is_used_up_by_its_rule_says_so_and_what_runs_goes_on() {
    let setup = Setup::default();
    let policy = setup.policy.replace("redelegate = 7\n", "max_calls = 2\n");
    let world = Setup { policy, ..setup }.start();
    world.script("slow", "echo ready\nwhile :; do sleep 1; done\n");
    let share = shared(&world, &["test.sh", "test.append"], &[]);
    let vendor = world.vendor();
    let mut slow = vendor.start(&share, &["test.sh", "name=slow"]);
    slow.stdout.line_with("ready");
    assert_eq!(vendor.call(&share, &["test.append", "name=one"]).status, 0);
    for _ in 0..25 {
        let more = vendor.call(&share, &["test.append", "name=two"]);
        assert_eq!(more.status, 126, "{more:?}");
        assert!(more.stderr.contains("used up"), "{more:?}");
    }
    assert_eq!(world.alice().show(&share)["share"]["running"].as_array().map(Vec::len), Some(1));
    world.alice().json(&["share", "revoke", &share.id]).expect("revoke");
    assert_eq!(slow.wait().code(), Some(255));
}

#[test]
fn p11_output_that_nobody_was_left_to_count_is_counted_in_full() {
    let world = World::start();
    world.script("slow", "head -c 700 /dev/zero\nwhile :; do sleep 1; done\n");
    let share = shared(&world, &["test.sh", "test.true"], &["--max-bytes", "1KiB"]);
    let mut slow = world.vendor().start(&share, &["test.sh", "name=slow"]);
    until("it has written", || (slow.stdout.text().len() >= 700).then_some(()));
    world.kill_monitor();
    slow.wait();
    assert_eq!(world.alice().show(&share)["share"]["bytes"], 1024);
    let more = world.vendor().call(&share, &["test.true"]);
    assert_eq!(more.status, 126, "{more:?}");
    let ended = world.ends();
    assert_eq!(ended[0]["uncounted"], 1024, "{ended:?}");
}

#[test]
fn a_call_writes_no_more_than_its_share_has_left() {
    let world = World::start();
    world.script("flood", "head -c 700 /dev/zero\n");
    let share = shared(&world, &["test.sh"], &["--max-bytes", "1KiB"]);
    assert_eq!(world.vendor().call(&share, &["test.sh", "name=flood"]).status, 0);
    let cut = world.vendor().call(&share, &["test.sh", "name=flood"]);
    assert!(cut.stderr.contains("more than it may"), "{cut:?}");
    let none = world.vendor().call(&share, &["test.sh", "name=flood"]);
    assert_eq!(none.status, 126, "{none:?}");
}

#[test]
fn p04_a_rules_own_budget_and_depth_bind_what_its_owner_asks_for() {
    let setup = Setup::default();
    let rule = "max_calls = 1\nredelegate = 1\n";
    let policy = setup.policy.replace("redelegate = 7\n", rule);
    let world = Setup { policy, ..setup }.start();
    let share = shared(&world, &["test.true"], &["--max-calls", "5", "--redelegate", "1"]);
    let shown = world.alice().show(&share);
    assert_eq!(shown["share"]["max_calls"], 1, "the rule's is less");
    let deep = ["--to", "vendor-b", "--redelegate", "2"];
    let said = world.alice().try_open(&["test.true"], &deep).expect_err("deeper than the rule");
    assert_eq!(said.status, 126, "{said:?}");
    assert!(said.stderr.contains("handed on at most 1 deep, not 2"), "{said:?}");
}

#[test]
fn a_plan_opens_nothing_and_its_hash_holds_the_opening_to_it() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let plan = |verb: &str| {
        let arguments =
            ["share", "open", "--agent", "you", "--verb", verb, "--to", "vendor-b", "--plan"];
        world.alice().json(&arguments).expect("a plan")["plan"]["hash"].clone()
    };
    let hash = plan("service.restart:service=web");
    let hash = hash.as_str().expect("a hash");
    assert!(world.events("share_opened").is_empty());
    let other = plan("test.true");
    assert_ne!(other, hash);
    assert_eq!(plan("service.restart:service=web"), hash, "whenever it is asked for");
    let expecting = ["--to", "vendor-b", "--expect", hash];
    let wrong = world.alice().try_open(&["test.true"], &expecting).expect_err("another plan");
    assert_eq!(wrong.status, 126, "{wrong:?}");
    assert!(world.alice().try_open(&["service.restart:service=web"], &expecting).is_ok());
    let verbs = world.etc().join("verbs.d/test.toml");
    let text = std::fs::read_to_string(&verbs).expect("read the catalog");
    let text = text.replace("\"/usr/bin/sv\", \"restart\"", "\"/usr/bin/sv\", \"stop\"");
    std::fs::write(&verbs, text).expect("write the catalog");
    assert_eq!(world.root().run(&["reload"]).status, 0);
    assert_ne!(plan("service.restart:service=web"), hash, "another command is another plan");
}

#[test]
fn se12_a_wider_share_reaches_a_connected_client_at_once_and_a_narrower_one_ends_what_runs() {
    let world = World::start();
    let share = shared(&world, &["test.true"], &[]);
    let follow = ["log.follow", "service=web"];
    assert_eq!(world.vendor().call(&share, &follow).status, 127, "it is not on the menu");

    let wider = ["share", "extend", &share.id, "--verb", "log.follow:service=web"];
    assert_eq!(world.alice().run(&wider).status, 0);
    let mut running = world.vendor().start(&share, &follow);
    running.stdout.line_with("");
    let listed = world.vendor().run(&share, &["list", "--json"]);
    assert!(listed.stdout.contains("log.follow"), "{listed:?}");
    assert!(!listed.stdout.contains("\"db\""), "{listed:?}");

    let beyond = ["share", "extend", &share.id, "--verb", "log.tail:service=vault"];
    assert_eq!(world.alice().run(&beyond).status, 126);
    let foreign = world.bob().run(&["share", "extend", &share.id, "--verb", "test.true"]);
    assert_eq!(foreign.status, 1, "{foreign:?}");

    let narrower = ["share", "extend", &share.id, "--drop-verb", "log.follow"];
    assert_eq!(world.alice().run(&narrower).status, 0);
    assert_eq!(running.wait().code(), Some(126), "it is no longer permitted");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let last = ["share", "extend", &share.id, "--drop-verb", "test.true"];
    let none = world.alice().run(&last);
    assert_eq!(none.status, 2, "{none:?}");
    let extended = world.events("share_extended");
    let scopes: Vec<&Value> = extended.iter().map(|event| &event["scope"]).collect();
    assert_eq!((scopes.len(), scopes.iter().all(|scope| !scope.is_null())), (2, true));
}

#[test]
fn p11_a_widened_share_is_as_wide_after_a_restart_under_the_handle_that_was_given() {
    let world = World::start();
    let share = shared(&world, &["test.true"], &[]);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let wider = ["share", "extend", &share.id, "--verb", "test.echo:text=a|b"];
    assert_eq!(world.alice().run(&wider).status, 0);
    world.kill_monitor();
    until("a call is answered", || {
        (world.vendor().call(&share, &["test.echo", "text=a"]).status == 0).then_some(())
    });
    assert_eq!(world.vendor().call(&share, &["test.echo", "text=c"]).status, 126);
}

#[test]
fn twenty_refusals_in_a_row_end_a_share_and_everybody_is_told() {
    let world = World::start();
    let share = shared(&world, &["test.echo:text=a", "test.true"], &[]);
    let refused = || world.vendor().call(&share, &["test.echo", "text=b"]);
    for _ in 0..19 {
        assert_eq!(refused().status, 126);
    }
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0, "a run is broken");
    for _ in 0..20 {
        assert_eq!(refused().status, 126);
    }
    until("the share is over", || {
        let live = world.alice().json(&["share", "list"]).expect("list");
        live["shares"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    let expired = &world.events("share_expired")[0];
    assert_eq!(expired["why"], "refusals", "{expired}");
}

#[test]
fn what_changes_while_the_relay_is_asked_is_not_opened() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let relay = world.relay.as_ref().expect("it runs");
    relay.signal(Signal::STOP);
    let arguments = ["share", "open", "--agent", "you", "--verb", "test.true", "--to", "vendor-b"];
    let mut opening = Background::start(world.alice().command(&arguments));
    until("it waits for its answer", || waits_on_a_socket(opening.pid()).then_some(()));
    assert_eq!(world.alice().run(&["contact", "remove", "vendor-b"]).status, 0);
    relay.signal(Signal::CONT);
    assert_ne!(opening.wait().code(), Some(0), "{}", opening.stderr.text());
    assert!(opening.stdout.text().is_empty(), "no handle");
    assert_eq!(
        world.alice().json(&["share", "list"]).expect("list")["shares"],
        Value::Array(vec![])
    );
}

#[test]
fn a_recipient_has_one_seat() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let said = world.alice().try_open(&["test.true"], &["--to", "vendor-b", "--to", "vendor-b"]);
    let said = said.expect_err("named twice");
    assert_eq!(said.status, 2, "{said:?}");
    assert!(said.stderr.contains("named twice"), "{said:?}");
}
