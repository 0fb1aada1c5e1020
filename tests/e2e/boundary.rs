//! The chokepoint, the record, and the local boundary.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tests::installed::program;
use tests::world::{World, must};

fn shared(world: &World, verbs: &[&str]) -> tests::owner::Share {
    world.alice().add_contact("vendor-b", &world.vendor());
    world.alice().open(verbs)
}

#[test]
fn p02_every_call_is_decided_and_on_record() {
    let world = World::start();
    let share = shared(&world, &["log.tail:service=web"]);
    assert_eq!(world.vendor().call(&share, &["log.tail", "service=web"]).status, 0);
    assert_eq!(world.vendor().call(&share, &["log.tail", "service=db"]).status, 126);
    let started = world.events("call_started");
    assert_eq!(started.len(), 1);
    assert_eq!(started[0]["owner"]["user"], world.accounts.alice.name.as_str());
    assert_eq!(started[0]["verb"], "log.tail");
    assert_eq!(started[0]["arguments"]["lines"], 3, "defaults are filled in: {}", started[0]);
    let refused = world.events("call_refused");
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["arguments"]["service"], "db");
    assert_eq!(world.ends().len(), 1);
}

#[test]
fn p03_the_owner_is_the_sockets_peer_whatever_they_say() {
    let world = World::start();
    let share = shared(&world, &["test.sh"]);
    world.script("who", "id -un; id -u; id -G\n");
    let said = world.vendor().call(&share, &["test.sh", "name=who"]);
    let alice = &world.accounts.alice;
    assert_eq!(said.stdout, format!("{}\n{}\n{}\n", alice.name, alice.uid, alice.gid));
}

#[test]
fn p10_a_line_that_is_deleted_edited_or_cut_off_is_found_and_located() {
    let mut world = World::start();
    let share = shared(&world, &["test.true"]);
    for _ in 0..3 {
        assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    }
    world.alice().revoke(&share);
    world.stop_daemon();
    let log = world.state().join("audit.log");
    let whole = fs::read_to_string(&log).expect("read the log");
    let lines: Vec<&str> = whole.lines().collect();
    let verify = || world.root().run(&["audit", "verify", "--file", &log.display().to_string()]);
    assert_eq!(verify().status, 0, "{:?}", verify());

    let without_third: Vec<&str> =
        lines.iter().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| *line).collect();
    let edited = whole.replacen("test.true", "test.sure", 1);
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let short = lines[..lines.len() - 2].join("\n") + "\n";
    for spoilt in [without_third.join("\n") + "\n", edited, swapped.join("\n") + "\n", short] {
        fs::write(&log, spoilt).expect("spoil the log");
        let said = verify();
        assert_ne!(said.status, 0, "{said:?}");
        assert!(said.stderr.contains("line"), "it is located: {said:?}");
    }
}

#[test]
fn the_example_configurations_are_whole() {
    let world = World::start();
    let token = fs::read(world.etc().join("relay.token")).expect("a token");
    for name in ["small-team", "vendor-four-eyes", "agents-read-only", "web-team"] {
        let place = world.home.join(name);
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(name);
        let copied = Command::new("cp").arg("-R").arg(&example).arg(&place).status().expect("cp");
        assert!(copied.success());
        let owned = Command::new("chmod").args(["-R", "go-w"]).arg(&place).status();
        assert!(owned.expect("chmod").success());
        let at = place.join("relay.token");
        fs::write(&at, &token).expect("write the token");
        fs::set_permissions(&at, fs::Permissions::from_mode(0o600)).expect("keep it");
        let mut check = Command::new(program("openscoped"));
        check.arg("--config").arg(place.join("openscoped.toml")).arg("--check-config");
        let output = check.output().expect("run openscoped");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn lo5_a_config_that_others_may_write_is_refused_by_name() {
    let mut world = World::start();
    world.stop_daemon();
    let check = |world: &World| {
        let mut command = world.daemon_command();
        let output = command.arg("--check-config").output().expect("run openscoped");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stdout))
    };
    assert_eq!(check(&world).0, Some(0), "{}", check(&world).1);
    let policy = world.etc().join("policy.d/test.toml");
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o666)).expect("open it to all");
    let (status, said) = check(&world);
    assert_eq!(status, Some(2), "{said}");
    assert!(said.contains(&policy.display().to_string()) && said.contains("chmod"), "{said}");
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o644)).expect("mend it");
    let directory = world.etc().join("policy.d");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o777)).expect("open it to all");
    let (status, said) = check(&world);
    assert_eq!(status, Some(2), "{said}");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).expect("mend it");
    let real = world.etc().join("policy.d/real");
    fs::rename(&policy, &real).expect("move it");
    std::os::unix::fs::symlink(&real, &policy).expect("link it");
    let (status, said) = check(&world);
    assert_eq!(status, Some(2), "a symbolic link is refused: {said}");
}

#[test]
fn p12_nothing_of_a_share_is_left_when_it_ends() {
    let mut world = World::start();
    let share = shared(&world, &["test.true", "test.sh"]);
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
    world.script("wait", "echo ready\nsleep 100\n");
    let mut waiting = world.vendor().start(&share, &["test.sh", "name=wait"]);
    waiting.stdout.line_with("ready");
    world.alice().revoke(&share);
    waiting.wait();
    let seats = world.home.join("vendor/state/openscope/seats");
    let left = fs::read_dir(&seats).map_or(0, Iterator::count);
    assert_eq!(left, 0, "the holder's key is gone");
    world.stop_daemon();
    let mut find = std::process::Command::new("grep");
    find.args(["-r", "-l", "-a", "-F", &share.handle]).arg(&world.home);
    let output = find.output().expect("run grep");
    assert!(
        output.stdout.is_empty(),
        "the handle is in {}",
        String::from_utf8_lossy(&output.stdout)
    );
    let relay_files = must({
        let mut find = std::process::Command::new("find");
        find.arg(world.home.join("relay"))
            .args(["-type", "f", "-newer"])
            .arg(world.etc().join("relay.token"));
        find
    });
    assert!(relay_files.trim().is_empty(), "the relay has written {relay_files}");
}

#[test]
fn who_connects_and_asks_nothing_is_hung_up_on() {
    let world = World::start();
    let mut silent = std::os::unix::net::UnixStream::connect(world.socket()).expect("connect");
    silent.set_read_timeout(Some(Duration::from_secs(20))).expect("set a limit");
    assert_eq!(silent.read(&mut [0; 1]).expect("it is hung up"), 0);
}
