//! A disk that is full (au3): nothing starts, and everything ends.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tests::owner::{Said, Share};
use tests::wait::until;
use tests::world::{World, must};

/// A small file system where the daemon keeps its state; gone with the test.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(world: &mut World) -> Self {
        world.stop_daemon();
        let (state, saved) = (world.state(), world.home.join("saved-state"));
        run("cp", &["-a", &state.display().to_string(), &saved.display().to_string()]);
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=24m,mode=0700", "osptest", &state.display().to_string()],
        );
        let disk = Self(state.clone());
        run("cp", &["-a", &format!("{}/.", saved.display()), &state.display().to_string()]);
        world.start_daemon();
        disk
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) {
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(self.filler()).expect("create");
        while file.write_all(&[0x20; 4096]).is_ok() {}
        while file.write_all(&[0x20]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.filler()).expect("make room");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Calls until what the log had set aside beforehand is used up; the first refusal.
fn use_up(world: &World, share: &Share, disk: &SmallDisk) -> Said {
    let text = format!("text={}", "x".repeat(4000));
    let begun = Instant::now();
    loop {
        let said = world.vendor().call(share, &["test.echo", &text]);
        if said.status != 0 {
            return said;
        }
        disk.fill();
        assert!(begun.elapsed() < Duration::from_secs(120), "a full disk refuses nothing");
    }
}

fn run(program: &str, arguments: &[&str]) {
    let mut command = Command::new(program);
    command.args(arguments);
    must(command);
}

#[test]
fn au3_with_a_full_disk_nothing_starts_and_everything_ends() {
    let mut world = World::start();
    let disk = SmallDisk::mount(&mut world);
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.follow:service=web", "test.append", "test.echo"]);
    let other = world.alice().open(&["test.append"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    assert_eq!(world.vendor().call(&share, &["test.append", "name=before"]).status, 0);

    disk.fill();
    let refused = use_up(&world, &share, &disk);
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("record"), "the refusal says why: {refused:?}");
    let late = world.vendor().call(&share, &["test.append", "name=late"]);
    assert_ne!(late.status, 0, "{late:?}");
    assert_eq!(world.ran(), ["before"], "what was refused has not run");

    let listed = world.alice().json(&["share", "list"]).expect("list still answers");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(world.root().run(&["status"]).status, 0);
    let opened = world.alice().try_open(&["test.append"], &["--to", "vendor-b"]);
    assert!(opened.is_err(), "no share opens off the record");
    let revoked = world.alice().json(&["share", "revoke", &share.id]).expect("revoke still works");
    assert_eq!(revoked["revoked"].as_array().map(Vec::len), Some(1), "{revoked}");
    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    assert_eq!(world.events("share_revoked").len(), 1, "its end is on record");
    until("the call's end is on record", || {
        world.events("call_ended").into_iter().find(|end| end["ending"] == "revoked")
    });

    disk.free();
    until("calls are served again", || {
        let said = world.vendor().call(&other, &["test.append", "name=after"]);
        (said.status == 0).then_some(())
    });
    let late = world.vendor().call(&share, &["test.append", "name=never"]);
    assert_ne!(late.status, 0, "what was revoked stays so");
    assert!(!world.ran().contains(&"never".to_owned()));
    let log = world.state().join("audit.log").display().to_string();
    let verified = world.root().run(&["audit", "verify", "--file", &log]);
    assert_eq!(verified.status, 0, "{verified:?}");
    world.stop_daemon();
}

#[test]
fn se19_a_revocation_on_a_full_disk_survives_kill_9() {
    let mut world = World::start();
    let disk = SmallDisk::mount(&mut world);
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["test.append"]);
    let other = world.alice().open(&["test.append"]);
    disk.fill();
    world.alice().revoke(&share);
    let monitor = world.process("--as-monitor").expect("it runs");
    let pid = rustix::process::Pid::from_raw(monitor.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    until("another monitor runs", || world.process("--as-monitor").filter(|pid| *pid != monitor));
    until("it answers", || world.root().json(&["status"]).ok());
    let listed = world.alice().json(&["share", "list"]).expect("list");
    let ids: Vec<_> =
        listed["shares"].as_array().into_iter().flatten().map(|one| one["id"].clone()).collect();
    assert!(!ids.contains(&share.id.as_str().into()), "{listed}");
    disk.free();
    world.await_relay();
    assert_ne!(world.vendor().call(&share, &["test.append", "name=never"]).status, 0);
    until("the other one is served", || {
        (world.vendor().call(&other, &["test.append", "name=after"]).status == 0).then_some(())
    });
    assert_eq!(world.ran(), ["after"]);
    world.stop_daemon();
}
