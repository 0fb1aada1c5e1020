//! A recipient who looks before they call: `doctor`, `status` and `keys` of a share that is there.

use serde_json::Value;
use tests::owner::{Said, Share};
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
        // While it has not, the relay leads to a daemon that says nothing.
        let is_gone = findings.iter().any(|one| one.starts_with("fails relay "));
        (status == 1 && is_gone).then_some(findings)
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

#[test]
fn a_host_is_told_of_the_handle_and_on_request_of_how_to_use_it() {
    let world = World::start();
    let share = open(&world, &[]);
    let home = world.vendor().home();
    let handle = home.join("web.handle");
    std::fs::write(&handle, &share.handle).expect("write the handle");
    let passport = format!("@{}", handle.display());
    let setup = |words: &[&str]| -> Said {
        let mut command = world.vendor().bare();
        command.args(["--passport", &passport, "--fingerprint", &share.fingerprint]);
        command.arg("--identity").arg(home.join("identity.txt"));
        command.arg("setup").args(words).output().expect("run the client").into()
    };
    let skill = home.join(".claude/skills/openscope/SKILL.md");

    let said = setup(&["cursor", "--skill"]);
    assert_eq!((said.status, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(said.stderr.contains("--print --skill"), "{}", said.stderr);
    assert!(!home.join(".cursor").exists(), "nothing is half done");
    let said = setup(&["claude"]);
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!skill.exists(), "only on request");
    for _ in 0..2 {
        let said = setup(&["claude", "--skill"]);
        assert_eq!(said.status, 0, "{said:?}");
        assert!(said.stderr.contains("SKILL.md"), "{}", said.stderr);
    }
    let registered = std::fs::read_to_string(home.join(".claude.json")).expect("the host's file");
    let registered: Value = serde_json::from_str(&registered).expect("JSON");
    assert!(registered["mcpServers"]["web-1"]["args"].as_array().is_some(), "{registered}");
    let printed = setup(&["vscode", "--print", "--skill"]);
    let installed = std::fs::read_to_string(&skill).expect("the skill");
    assert_eq!((printed.status, printed.stdout), (0, installed));
}
