//! A disk that is full (au3): nothing starts, and everything ends.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

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
    let share = world.alice().open(&["log.follow:service=web", "test.append"]);
    let other = world.alice().open(&["test.append"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    assert_eq!(world.vendor().call(&share, &["test.append", "name=before"]).status, 0);

    disk.fill();
    // What was set aside beforehand may still be used up; then it is over.
    let mut ran = Vec::from(["before".to_owned()]);
    let refused = until("a call is refused", || {
        let name = format!("late-{}", ran.len());
        let said = world.vendor().call(&share, &["test.append", &format!("name={name}")]);
        if said.status == 0 {
            ran.push(name);
            disk.fill();
            return None;
        }
        Some(said)
    });
    assert_eq!(refused.status, 125, "{refused:?}");
    assert!(refused.stderr.contains("record"), "the refusal says why: {refused:?}");
    assert_eq!(world.ran(), ran, "what was refused has not run");

    let listed = world.alice().json(&["share", "list"]).expect("list still answers");
    assert_eq!(listed["shares"].as_array().map(Vec::len), Some(2), "{listed}");
    assert_eq!(world.root().run(&["status"]).status, 0);
    let opened = world.alice().try_open(&["test.append"], &["--to", "vendor-b"]);
    assert!(opened.is_err(), "no share opens off the record");
    let revoked = world.alice().json(&["share", "revoke", &share.id]).expect("revoke still works");
    assert_eq!(revoked["revoked"].as_array().map(Vec::len), Some(1), "{revoked}");
    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    assert_eq!(world.events("share_revoked").len(), 1, "its end is on record");
    let ended = world.events("call_ended");
    assert!(ended.iter().any(|end| end["ending"] == "revoked"), "{ended:?}");

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
