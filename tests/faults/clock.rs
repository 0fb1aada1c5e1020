//! A wall clock that is set (P5): it never lengthens a share.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::installed::base;
use tests::owner::Share;
use tests::wait::until;
use tests::world::{Setup, World};

const PRELOAD: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// A world whose daemon reads the wall clock that this file sets; the boot clock it reads from the kernel.
struct Wall {
    world: World,
    file: PathBuf,
}

impl Wall {
    fn start(name: &str) -> Self {
        let file = base().join(format!("clock-{name}"));
        fs::write(&file, "+0\n").expect("set the clock");
        let library = PRELOAD.into_iter().find(|path| fs::exists(path).unwrap_or(false));
        let library = library.expect("libfaketime is installed (tests/run does it)");
        let environment = [
            ("LD_PRELOAD", library.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let world = Setup { environment, ..Setup::default() }.start();
        world.alice().add_contact("vendor-b", &world.vendor());
        Self { world, file }
    }

    /// Sets the wall clock, by whole seconds from the true time.
    fn set(&self, offset: i64) {
        // In one step: a half-written file would be another time.
        let next = self.file.with_extension("next");
        fs::write(&next, format!("{offset:+}\n")).expect("write the time");
        fs::rename(&next, &self.file).expect("set the clock");
    }

    fn open(&self, ttl: &str) -> Share {
        let verbs = ["log.follow:service=web", "test.true"];
        let opened = self.world.alice().try_open(&verbs, &["--to", "vendor-b", "--ttl", ttl]);
        opened.unwrap_or_else(|said| panic!("{said:?}"))
    }

    /// The time that the daemon puts on its records.
    fn last_record(&self) -> String {
        let audit = self.world.audit();
        audit.last().map(|record| record["time"].to_string()).unwrap_or_default()
    }
}

#[test]
fn p05_a_clock_set_back_does_not_lengthen_a_share() {
    let wall = Wall::start("back");
    let share = wall.open("6s");
    let begun = Instant::now();
    let mut follow = wall.world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let before = wall.last_record();

    wall.set(-3600);
    assert_eq!(wall.world.vendor().call(&share, &["test.true"]).status, 0);
    assert!(wall.last_record() < before, "the daemon does see the other time: {before}");

    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    assert!(begun.elapsed() < Duration::from_secs(8), "it lived for {:?}", begun.elapsed());
    assert_eq!(wall.world.last_end()["ending"], "expired");
    assert_ne!(wall.world.vendor().call(&share, &["test.true"]).status, 0);
}

#[test]
fn p05_a_clock_set_forward_ends_a_share_and_setting_it_back_revives_nothing() {
    let wall = Wall::start("forward");
    let share = wall.open("10m");
    let mut follow = wall.world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let other = wall.open("29m");

    wall.set(660);
    assert_eq!(wall.world.vendor().call(&share, &["test.true"]).status, 255);
    assert_eq!(follow.wait().code(), Some(255), "{}", follow.stderr.text());
    until("its end is on record", || wall.world.events("share_expired").pop());
    wall.set(-660);
    assert_eq!(wall.world.vendor().call(&share, &["test.true"]).status, 255, "it stays dead");

    // The other one has lost the eleven minutes for good.
    assert_eq!(wall.world.vendor().call(&other, &["test.true"]).status, 0);
    wall.set(1750);
    until("the other one ends as well", || {
        let listed = wall.world.alice().json(&["share", "list"]).ok()?;
        listed["shares"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
}

#[test]
fn p05_a_restart_under_another_time_does_not_lengthen_a_share() {
    let mut wall = Wall::start("restart");
    let share = wall.open("8s");
    let begun = Instant::now();
    wall.set(-7200);
    wall.world.stop_daemon();
    wall.world.start_daemon();
    let listed = wall.world.alice().json(&["share", "list"]).expect("list");
    if begun.elapsed() < Duration::from_secs(6) {
        assert_eq!(listed["shares"].as_array().map(Vec::len), Some(1), "{listed}");
    }
    until("it ends", || {
        let listed = wall.world.alice().json(&["share", "list"]).ok()?;
        listed["shares"].as_array().is_some_and(Vec::is_empty).then_some(())
    });
    assert!(begun.elapsed() < Duration::from_secs(10), "it lived for {:?}", begun.elapsed());
    assert_ne!(wall.world.vendor().call(&share, &["test.true"]).status, 0);
}
