//! A recipient who looks before they call: `doctor`, `status` and `keys` of a share that is there.

use serde_json::Value;
use tests::owner::Share;
use tests::wait::until;
use tests::world::World;

fn open(world: &World, more: &[&str]) -> Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    let more = [&["--to", "vendor-b"], more].concat();
    world.alice().try_open(&["test.true", "log.tail:service=web"], &more).expect("open")
}

/// What `doctor` finds: its status, and each finding as `level what = remedy`.
fn doctor(world: &World, share: &Share) -> (i32, Vec<String>) {
    let said = world.vendor().run(share, &["doctor", "--json"]);
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["ok"], said.status == 0, "{document}");
    let findings = document["findings"].as_array().expect("findings").iter();
    let text = |one: &Value| {
        let part = |name: &str| one[name].as_str().unwrap_or("nothing").to_owned();
        format!("{} {} = {}", part("level"), part("what"), part("remedy"))
    };
    (said.status, findings.map(text).collect())
}

#[track_caller]
fn assert_found(findings: &[String], begins: &str, contains: &str) {
    let is_found = |one: &String| one.starts_with(begins) && one.contains(contains);
    assert!(findings.iter().any(is_found), "no {begins} … {contains} in {findings:#?}");
}

#[test]
fn doctor_finds_the_way_to_the_daemon_and_takes_no_seat() {
    let world = World::start();
    let share = open(&world, &["--redelegate", "1"]);
    let (status, findings) = doctor(&world, &share);
    assert_eq!(status, 0, "{findings:#?}");
    assert_found(&findings, "ok relay ", " over UDP: it leads to the daemon, after ");
    assert_found(&findings, "note tcp ", "relays speak UDP alone");
    assert_found(&findings, "ok the handle opens and is whole", "on web-1");
    assert_found(
        &findings,
        "note the seat was not used from this machine",
        "`list` takes the seat",
    );
    assert_found(&findings, "note this machine's clock was not compared", "looking takes none");
    // The same with a key that is here and holds nothing: it is made where the handle is handed on.
    let to = world.mallory().public_key();
    let handed_on = world.vendor().run(&share, &["narrow", "--to", &to]);
    assert_eq!(handed_on.status, 0, "{handed_on:?}");
    let (status, findings) = doctor(&world, &share);
    assert_eq!(status, 0, "{findings:#?}");
    assert_found(&findings, "warning the daemon does not know this machine's key", "`list` takes");
    assert!(world.events("seat_redeemed").is_empty());
    assert_eq!(world.alice().show(&share)["share"]["second_redeemers"], 0);

    // Whoever comes first still gets it; from then on the daemon says its time.
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    let (status, findings) = doctor(&world, &share);
    assert_eq!(status, 0, "{findings:#?}");
    assert_found(&findings, "ok the daemon gives the seat: 2 verbs", "by its clock");
    assert_found(&findings, "ok this machine's clock agrees with the daemon's", "");
    assert_eq!(world.events("seat_redeemed").len(), 1);
}

#[test]
fn doctor_fails_with_what_to_do_where_relay_or_share_is_gone() {
    let mut world = World::start();
    let share = open(&world, &[]);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    assert_eq!(world.alice().revoke(&share).status, 0);
    let findings = until("the relay has heard of the end", || {
        let (status, findings) = doctor(&world, &share);
        (status == 1).then_some(findings)
    });
    assert_found(&findings, "fails relay ", "whether the share is still open");

    world.relay = None;
    let (status, findings) = doctor(&world, &share);
    assert_eq!(status, 1, "{findings:#?}");
    assert_found(&findings, "fails relay ", "see whether this network lets UDP through");
    assert_found(&findings, "note tcp ", "refused");
    let said = world.vendor().run(&share, &["doctor"]);
    assert_eq!(said.status, 1, "{said:?}");
    let lines: Vec<&str> = said.stdout.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("FAILS    relay ")).expect("it fails");
    assert!(lines[at + 1].starts_with("   = see whether this network"), "{}", said.stdout);
}

#[test]
fn status_says_whose_share_it_is_how_long_it_lasts_and_how_it_is_reached() {
    let world = World::start();
    let share = open(&world, &[]);
    let said = world.vendor().run(&share, &["status", "--json"]);
    assert_eq!(said.status, 0, "{said:?}");
    let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert_eq!(document["schema"], "openscope.client.status/1");
    assert_eq!(document["owner"], world.accounts.alice.name.as_str());
    assert_eq!((&document["daemon"], &document["verbs"]), (&"web-1".into(), &2.into()));
    assert_eq!(document["fingerprint"], share.fingerprint.as_str());
    assert_eq!(document["relay"], world.relay_address());
    assert_eq!(document["narrowed"], 0);
    assert!(document["remaining_s"].as_u64().is_some_and(|left| left > 60), "{document}");
    let text = world.vendor().run(&share, &["status"]).stdout;
    for told in ["by the daemon's clock)", "2, as `list` shows", "over relay ", "as the owner gave"]
    {
        assert!(text.contains(told), "{told} in {text}");
    }

    // The key that it was taken with is among this machine's own.
    let keys = world.vendor().bare().arg("keys").output().expect("run the client");
    let keys = String::from_utf8_lossy(&keys.stdout).into_owned();
    assert!(keys.contains(&format!("  {}-0\n", share.id)), "{keys}");
    assert_eq!(world.alice().revoke(&share).status, 0);
    let said = world.vendor().run(&share, &["status"]);
    assert_eq!(said.status, 255, "{said:?}");
}
