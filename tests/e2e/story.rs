//! The main job, end to end.

use std::fs;

use tests::service::Service;
use tests::wait::until;
use tests::world::{World, descendants};

/// The status of the process that runs `needle`, by the kernel's word.
fn status_of(world: &World, needle: &str) -> (u32, String) {
    let keeper = world.daemon.as_ref().expect("the daemon runs").pid();
    let pid = tests::wait::until(&format!("`{needle}` runs"), || {
        descendants(keeper).into_iter().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).replace('\0', " ").contains(needle)
        })
    });
    (pid, fs::read_to_string(format!("/proc/{pid}/status")).expect("it still runs"))
}

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in\n{status}")).split_whitespace().collect()
}

#[test]
fn se1_open_redeem_call_follow_list_extend_revoke() {
    let world = World::start();
    let (alice, vendor) = (world.alice(), world.vendor());
    alice.add_contact("vendor-b", &vendor);

    let share = alice.open(&[
        "log.tail:service=web",
        "log.follow:service=web",
        "service.restart:service=web",
    ]);

    let listed = vendor.run(&share, &["list"]);
    assert_eq!(listed.status, 0, "{listed:?}");
    for verb in ["log.tail", "log.follow", "service.restart"] {
        assert!(listed.stdout.contains(verb), "{listed:?}");
    }
    assert!(!listed.stdout.contains("test.echo"), "{listed:?}");

    let tail = vendor.call(&share, &["log.tail", "service=web", "lines=2"]);
    assert_eq!((tail.status, tail.stdout.as_str()), (0, "web line 8\nweb line 9\n"), "{tail:?}");

    let service = Service::start(&world, "web");
    let before = service.pid();
    let restart = vendor.call(&share, &["service.restart", "service=web"]);
    assert_eq!(restart.status, 0, "{restart:?}");
    let after = until("it is up again", || service.pid().filter(|pid| Some(*pid) != before));
    assert_ne!(before, Some(after));

    let outside = vendor.call(&share, &["log.tail", "service=db"]);
    assert_eq!((outside.status, outside.stdout.as_str()), (126, ""), "{outside:?}");
    let foreign = vendor.call(&share, &["test.true"]);
    assert_eq!((foreign.status, foreign.stdout.as_str()), (127, ""), "{foreign:?}");

    let follow = vendor.start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let log = world.home.join("log/web");
    fs::write(&log, fs::read_to_string(&log).expect("read") + "web line 10\n").expect("append");
    follow.stdout.line_with("web line 10");

    let shown = alice.show(&share);
    assert_eq!(shown["share"]["seats"][0]["connected"], true, "{shown}");
    assert_eq!(shown["share"]["running"].as_array().map(Vec::len), Some(1), "{shown}");
    let listed = alice.json(&["share", "list"]).expect("list");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(1), "{listed}");

    let extended = alice.run(&["share", "extend", &share.id, "--ttl", "20m"]);
    assert_eq!(extended.status, 0, "{extended:?}");

    let revoked = alice.json(&["share", "revoke", &share.id]).expect("revoke");
    assert_eq!(revoked["revoked"][0]["told"], "acknowledged", "{revoked}");
    let mut follow = follow;
    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    let listed = alice.json(&["share", "list"]).expect("list");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(0), "{listed}");
    let late = vendor.call(&share, &["log.tail", "service=web"]);
    assert_eq!(late.status, 255, "{late:?}");

    let verified = alice.run(&["audit", "verify"]).status;
    assert_ne!(verified, 0, "the log is root's to read");
    let state = world.state();
    let log = state.join("audit.log").display().to_string();
    let verified = world.root().run(&["audit", "verify", "--file", &log]);
    assert_eq!(verified.status, 0, "{verified:?}");
}

#[test]
fn ru5_a_running_verb_is_its_owner_and_nothing_else() {
    let world = World::start();
    let (alice, vendor) = (world.alice(), world.vendor());
    alice.add_contact("vendor-b", &vendor);
    let share = alice.open(&["log.follow:service=web"]);
    let follow = vendor.start(&share, &["log.follow", "service=web"]);
    // Its loader has files open until it has begun.
    follow.stdout.line_with("");

    let (pid, status) = status_of(&world, "tail -n 3 -F");

    let owner = &world.accounts.alice;
    let uid = owner.uid.to_string();
    let gid = owner.gid.to_string();
    assert_eq!(field(&status, "Uid"), [uid.as_str(); 4], "{status}");
    assert_eq!(field(&status, "Gid"), [gid.as_str(); 4], "{status}");
    assert_eq!(field(&status, "Groups"), [gid.as_str()], "{status}");
    assert_eq!(field(&status, "NoNewPrivs"), ["1"], "{status}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(field(&status, set), ["0000000000000000"], "{set} in\n{status}");
    }
    let descriptors: std::collections::BTreeSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("list its descriptors")
        .map(|entry| entry.expect("read").file_name().to_string_lossy().into_owned())
        .filter(|number| {
            // What `tail -F` opens by itself: the log, and inotify.
            let target = fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap_or_default();
            let target = target.display().to_string();
            !(target.contains("/log/web") || target.contains("inotify"))
        })
        .collect();
    assert_eq!(descriptors.into_iter().collect::<Vec<_>>(), ["0", "1", "2"]);
    let environment = fs::read(format!("/proc/{pid}/environ")).expect("read its environment");
    let names: std::collections::BTreeSet<&str> = environment
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok()?.split_once('='))
        .map(|(name, _)| name)
        .collect();
    let expected = ["HOME", "LANG", "LOGNAME", "PATH", "USER"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}
