//! The daemon under what its systemd unit leaves it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::installed::{base, program};
use tests::world::{Setup, World};

/// What the unit says of a key.
fn unit(key: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/systemd/openscoped.service");
    let text = fs::read_to_string(path).expect("read the unit");
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("the unit says nothing of {key}")).to_owned()
}

/// A world whose daemon has these capabilities and can gain none.
fn bounded(name: &str, kept: &str) -> World {
    let kept: String = kept
        .split_whitespace()
        .map(|one| one.trim_start_matches("CAP_").to_lowercase())
        .map(|one| format!(",+{one}"))
        .collect();
    let path = base().join(name);
    let openscoped = program("openscoped");
    let text = format!(
        "#!/bin/sh\nexec setpriv --bounding-set=-all{kept} --no-new-privs {} \"$@\"\n",
        openscoped.display()
    );
    fs::write(&path, text).expect("write a program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set its mode");
    let alone = "[verb.\"test.alone\"]\nsummary = \"s\"\neffect = \"read\"\nrun = { exec = { argv = [\"/bin/true\"], network = false } }\n";
    let verbs = Setup::default().verbs + alone;
    let policy = Setup::default().policy.replacen("verbs = {", "verbs = { \"test.alone\" = {},", 1);
    let setup = Setup { program: path, verbs, policy, ..Setup::default() };
    setup.start()
}

#[test]
fn a_verb_that_is_to_have_no_network_does_not_start_where_the_daemon_cannot_take_it() {
    let world = bounded("without-networks", &unit("CapabilityBoundingSet"));
    world.alice().add_contact("vendor-b", &world.vendor());
    let status = world.alice().json(&["status"]).expect("it is up").to_string();
    assert!(status.contains("`test.alone` cannot be called: `network = false` takes"), "{status}");
    let share = world.alice().open(&["test.alone", "test.true"]);
    let said = world.vendor().call(&share, &["test.alone"]);
    assert_eq!((said.status, said.stdout.as_str()), (125, ""), "{said:?}");
    let ended = world.last_end();
    assert!(ended["ending"].to_string().contains("network"), "{ended}");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn p06_what_the_unit_leaves_the_daemon_is_enough_to_begin_and_to_end_calls() {
    assert_eq!(unit("NoNewPrivileges"), "yes");
    let world = bounded("as-the-unit", &unit("CapabilityBoundingSet"));
    world.script("wait", "(setsid sleep 336 >/dev/null 2>&1 &)\nid -un; exec sleep 336\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.sh", "log.tail", "test.write"]);
    assert_eq!(world.vendor().call(&share, &["test.write", "name=here"]).status, 0);
    assert!(world.drop_file("here").exists());
    let runs = world.vendor().start(&share, &["test.sh", "name=wait"]);
    runs.stdout.line_with(&world.accounts.alice.name);
    assert_eq!(world.alice().revoke(&share).status, 0);
    let left = std::process::Command::new("pgrep").args(["-f", "^sleep 336"]).output();
    assert!(left.expect("look for it").stdout.is_empty(), "it lives on");
}
