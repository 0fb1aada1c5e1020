//! What a recipient sees who looks before they call.

use serde_json::Value;

use crate::daemon::fingerprint;
use crate::story::World;

/// `doctor`: its status, and each finding as `level what = remedy`.
fn doctor(world: &World) -> (Option<i32>, String) {
    let ran = world.run(&["doctor", "--json"]);
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let findings = told["findings"].as_array().unwrap().iter();
    let text = |one: &Value| {
        let said = |name: &str| one[name].as_str().unwrap_or("nothing").to_owned();
        format!("{} {} = {}", said("level"), said("what"), said("remedy"))
    };
    (ran.status.code(), findings.map(text).collect::<Vec<_>>().join("\n"))
}

#[test]
fn doctor_finds_the_way_and_asks_the_daemon_only_as_whoever_holds_the_seat() {
    let world = World::start();
    let (status, said) = doctor(&world);
    assert_eq!(status, Some(0), "{said}");
    for told in ["over UDP: it leads to the daemon, after ", "tcp 127.0.0.1:", "looking takes none"]
    {
        assert!(said.contains(told), "{told} in {said}");
    }
    assert_eq!(world.daemon.seen(), [""; 0], "nothing was said to the daemon");
    assert!(!world.path(".local").exists(), "no holder key was made");

    assert_eq!(world.run(&["list"]).status.code(), Some(0));
    let (status, said) = doctor(&world);
    assert_eq!(status, Some(0), "{said}");
    for told in ["ok the daemon gives the seat: 13 verbs, until ", "ok this machine's clock agrees"]
    {
        assert!(said.contains(told), "{told} in {said}");
    }
    assert_eq!(world.daemon.seen().last().map(String::as_str), Some("look"));
}

#[test]
fn doctor_with_a_key_that_holds_nothing_is_refused_and_takes_nothing() {
    let (world, other) = (World::start(), World::start());
    assert_eq!(other.run(&["list"]).status.code(), Some(0));
    let seats = ".local/state/openscope/seats";
    std::fs::create_dir_all(world.path(seats)).unwrap();
    for key in std::fs::read_dir(other.path(seats)).unwrap().flatten() {
        std::fs::copy(key.path(), world.path(seats).join(key.file_name())).unwrap();
    }
    let (status, said) = doctor(&world);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("warning the daemon does not know this machine's key"), "{said}");
    assert_eq!(world.daemon.seen(), ["refused"]);
}

#[test]
fn status_says_whose_share_it_is_and_how_it_is_reached() {
    let world = World::start();
    let json: Value = serde_json::from_slice(&world.run(&["status", "--json"]).stdout).unwrap();
    assert_eq!(json["schema"], "openscope.client.status/1");
    assert_eq!((&json["owner"], &json["daemon"]), (&"alice".into(), &"web-1".into()));
    assert_eq!((&json["verbs"], &json["narrowed"]), (&13.into(), &0.into()));
    assert_eq!(json["fingerprint"], fingerprint());
    assert!(json["relay"].as_str().unwrap().starts_with("127.0.0.1:"), "{json}");
    assert!((500..=600).contains(&json["remaining_s"].as_u64().unwrap()), "{json}");
    let text = String::from_utf8(world.run(&["status"]).stdout).unwrap();
    for told in ["by the daemon's clock)", "13, as `list` shows", "over relay 127.0.0.1:"] {
        assert!(text.contains(told), "{told} in {text}");
    }
}
