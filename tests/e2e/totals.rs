//! What all processes of a call use together, where the machine's cgroups can bound it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tests::installed::program;
use tests::world::{Setup, World, must};

const VERBS: &str = r#"
[verb."total.fork"]
summary = "Starts as many as it may"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/perl", "@HOME@/script/fork"], limits = { total = { processes = 8 } } } }

[verb."total.spin"]
summary = "Turns round for a second"
effect  = "read"
run     = { exec = { argv = ["/usr/bin/perl", "@HOME@/script/spin"], limits = { total = { cpu = "20%" } } } }

[verb."total.eat"]
summary = "Takes what memory there is"
effect  = "read"
run     = { exec = { argv = ["/bin/bash", "@HOME@/script/eat"], limits = { total = { memory = "32MiB" } } } }
"#;

const FORK: &str = "my $n = 0;\nfor (1..12) { my $p = fork(); last unless defined $p; if (!$p) { sleep 5; exit } $n++ }\nprint \"$n\\n\";\n";
const SPIN: &str = "use Time::HiRes \"time\";\nmy $end = time + 1;\n1 while time < $end;\nmy @used = times;\nprint $used[0] + $used[1];\n";
const EAT: &str = "exec tail -c 256M /dev/zero\n";

/// Where cgroup v2 is, and what it can bound here.
fn cgroups() -> (PathBuf, String) {
    let places = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let listed =
        |place: &&str| fs::read_to_string(Path::new(place).join("cgroup.controllers")).ok();
    let found = places.iter().find_map(|place| Some((PathBuf::from(place), listed(place)?)));
    found.expect("cgroup v2 is there")
}

/// A daemon that is alone in a cgroup, as under a service manager.
fn world(own: &Path) -> World {
    let Setup { policy, verbs, program, .. } = Setup::default();
    let policy = policy
        .replacen("verbs = { \"log.tail\"", "verbs = { \"total.*\" = {}, \"log.tail\"", 1)
        .replace("[\"log.*\"", "[\"total.*\", \"log.*\"");
    let place = tempfile::tempdir().expect("make a directory");
    let wrapper = place.path().join("openscoped");
    let (own, openscoped) = (own.display(), program.display());
    let text = format!("#!/bin/sh\necho 0 >{own}/cgroup.procs\nexec {openscoped} \"$@\"\n");
    fs::write(&wrapper, text).expect("write it");
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).expect("make it run");
    let world =
        Setup { verbs: verbs + VERBS, policy, program: wrapper, ..Setup::default() }.start();
    for (name, script) in [("fork", FORK), ("spin", SPIN), ("eat", EAT)] {
        world.script(name, script);
    }
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

/// On a machine whose controllers are with an older kind of cgroups, or with none, each verb is refused by name.
#[test]
fn a_daemon_that_is_alone_in_its_cgroup_bounds_what_a_call_uses_as_far_as_the_machine_can() {
    let (root, controllers) = cgroups();
    let own = root.join(format!("osptest-{}", std::process::id()));
    fs::create_dir(&own).expect("make a cgroup");
    let can = |controller: &str| controllers.split_whitespace().any(|one| one == controller);
    for controller in ["memory", "pids", "cpu"].into_iter().filter(|one| can(one)) {
        fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
            .expect("the machine gives it to those below");
    }
    let mut world = world(&own);
    let share = world.alice().open(&["total.fork", "total.spin", "total.eat"]);
    for (controller, verb) in
        [("pids", "total.fork"), ("cpu", "total.spin"), ("memory", "total.eat")]
    {
        let said = world.vendor().call(&share, &[verb]);
        let ended = world.last_end();
        if !can(controller) {
            assert_eq!(said.status, 125, "{said:?}");
            let why = format!("takes the cgroup controller `{controller}`");
            assert!(ended["ending"].to_string().contains(&why), "{ended}");
            let mut check = std::process::Command::new(program("openscoped"));
            check.arg("--config").arg(world.etc().join("openscoped.toml")).arg("--check-config");
            let checked = must(check);
            assert!(checked.contains(&format!("`{verb}` cannot be called")), "{checked}");
            continue;
        }
        match verb {
            "total.fork" => {
                let count: u32 = said.stdout.trim().parse().expect("a number");
                assert!((1..8).contains(&count), "{said:?}");
            }
            "total.spin" => {
                let seconds: f64 = said.stdout.parse().expect("a number");
                assert!((0.01..0.5).contains(&seconds), "{said:?}");
            }
            _ => assert_eq!(said.status, 128 + 9, "{said:?}"),
        }
    }
    world.stop_daemon();
    let below = own.join("openscope-daemon");
    let moved = below.exists();
    if moved {
        fs::remove_dir(&below).expect("nothing is left in it");
    }
    fs::remove_dir(&own).expect("nothing is left in it");
    assert_eq!(moved, ["memory", "pids", "cpu"].into_iter().any(can));
}
