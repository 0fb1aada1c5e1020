//! A broker that was taken over (P9): the real daemon, with a hostile broker of the tests' own in it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::time::Duration;

use tests::account::Accounts;
use tests::installed::{base, built, program};
use tests::owner::Share;
use tests::wait::until;
use tests::world::{Setup, World};

/// A world whose broker was taken over.
struct Tampered {
    world: World,
    bin: PathBuf,
    // The users live as long as anything uses them.
    _accounts: std::sync::Arc<Accounts>,
}

impl Tampered {
    fn start(name: &str) -> Self {
        let accounts = Accounts::shared();
        let bin = base().join(format!("tampered-{name}"));
        let marks = bin.join("marks");
        fs::create_dir_all(&marks).expect("make a directory");
        let broker = &accounts.broker;
        chown(&marks, Some(broker.uid), Some(broker.gid)).expect("give it to the broker");
        for (from, to) in [
            (built().join("osptest-tampered-daemon"), "openscoped"),
            (program("openscope-run"), "openscope-run"),
        ] {
            fs::copy(from, bin.join(to)).expect("copy a program");
            fs::set_permissions(bin.join(to), fs::Permissions::from_mode(0o755)).expect("open it");
        }
        let world = Setup { program: bin.join("openscoped"), ..Setup::default() }.start();
        Self { world, bin, _accounts: accounts }
    }

    fn attack(&self, what: &str) {
        fs::write(self.bin.join("attack"), what).expect("say what to do");
    }

    /// What the monitor answered to one attack, all times.
    fn answers(&self, attack: &str) -> Vec<String> {
        let said = self.world.daemon.as_ref().expect("it runs").stderr.text();
        let start = format!("tampered: {attack}: ");
        said.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
    }

    fn answer(&self, attack: &str) -> String {
        until(&format!("`{attack}` is answered"), || self.answers(attack).pop())
    }

    fn open(&self) -> Share {
        self.world.alice().add_contact("vendor-b", &self.world.vendor());
        self.world.alice().open(&["test.append"])
    }

    fn append(&self, share: &Share, name: &str) -> i32 {
        self.world.vendor().call(share, &["test.append", &format!("name={name}")]).status
    }
}

fn descriptors(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).expect("list its descriptors").count()
}

#[test]
fn p09_a_broker_that_forges_alters_and_replays_calls_gets_nothing_run() {
    let tampered = Tampered::start("calls");
    let share = tampered.open();
    assert_eq!(tampered.append(&share, "first"), 0);
    let monitor = tampered.world.process("--as-monitor").expect("it runs");
    let before = descriptors(monitor);

    assert_eq!(tampered.append(&share, "bait"), 0, "the genuine call is served");

    for attack in ["own-signature", "altered-argument", "altered-id", "altered-time"] {
        assert_eq!(tampered.answer(attack), "BadCall", "{attack}");
    }
    assert_eq!(tampered.answer("unknown-channel"), "NoSeat");
    assert_eq!(tampered.answer("own-signature-on-claimed"), "BadCall");
    let replayed = tampered.answer("replayed");
    assert!(["Running", "Outcome"].contains(&replayed.as_str()), "{replayed}");
    assert_eq!(tampered.answer("replayed-after"), "Outcome", "what is known is told, not done");
    until("every message with descriptors is answered", || {
        (tampered.answers("with-descriptors").len() == 200).then_some(())
    });
    assert!(tampered.answers("with-descriptors").iter().all(|answer| answer == "BadCall"));
    assert_eq!(tampered.append(&share, "last"), 0, "the share is none the worse");
    let after = descriptors(monitor);
    assert!(after <= before + 8, "{before} descriptors became {after}");

    assert_eq!(tampered.world.ran(), ["first", "bait", "last"]);
    assert_eq!(tampered.world.events("call_started").len(), 3);
    assert_eq!(tampered.world.process("--as-monitor"), Some(monitor), "it never ended");
}

#[test]
fn p09_a_holder_key_that_the_broker_made_up_gets_no_seat_and_blocks_nobody() {
    let tampered = Tampered::start("joins");
    let share = tampered.open();
    tampered.attack("joins");

    assert_eq!(tampered.append(&share, "genuine"), 0, "the recipient gets the seat after all that");

    for attack in [
        "join-own-key",
        "join-unsigned",
        "join-self-signed",
        "join-other-share",
        "join-other-seat",
        "join-no-passport",
        "join-other-version",
    ] {
        assert_eq!(tampered.answer(attack), "NoSeat", "{attack}");
    }
    let redeemed = tampered.world.events("seat_redeemed");
    assert_eq!(redeemed.len(), 1, "{redeemed:?}");
    assert_eq!(tampered.world.ran(), ["genuine"]);
}

#[test]
fn p09_a_call_of_one_seat_is_worth_nothing_on_the_channel_of_another() {
    let tampered = Tampered::start("astray");
    let world = &tampered.world;
    let (alice, vendor, mallory) = (world.alice(), world.vendor(), world.mallory());
    alice.add_contact("vendor-b", &vendor);
    alice.add_contact("vendor-c", &mallory);
    let arguments = [
        "share",
        "open",
        "--agent",
        "you",
        "--verb",
        "test.append",
        "--verb",
        "test.sh",
        "--to",
        "vendor-b",
        "--to",
        "vendor-c",
    ];
    let opened = alice.json(&arguments).unwrap_or_else(|said| panic!("{said:?}"));
    let seat = |number: usize| Share {
        id: opened["share"]["id"].as_str().expect("an id").to_owned(),
        handle: opened["recipients"][number]["handle"].as_str().expect("a handle").to_owned(),
        second: None,
        fingerprint: opened["fingerprint"].as_str().expect("a fingerprint").to_owned(),
        words: String::new(),
        deadline: String::new(),
    };
    // A channel that stays open while the other seat's call is sent on it.
    world.script("wait", "echo ready\nsleep 60\n");
    let open = vendor.start(&seat(0), &["test.sh", "name=wait"]);
    open.stdout.line_with("ready");
    assert_eq!(mallory.call(&seat(1), &["test.append", "name=second"]).status, 0);

    let mut stray = mallory.start(&seat(1), &["test.append", "name=stray"]);

    assert_eq!(tampered.answer("astray"), "NoSeat");
    stray.signal(rustix::process::Signal::INT);
    stray.wait();
    assert_eq!(world.ran(), ["second"]);
    assert_eq!(world.events("call_started").len(), 2);
}

#[test]
fn se17_a_broker_that_keeps_a_call_until_later_finds_it_worthless() {
    let tampered = Tampered::start("kept");
    let share = tampered.open();
    let begun = std::time::Instant::now();
    let mut kept = tampered.world.vendor().start(&share, &["test.append", "name=keep"]);
    // Longer than a test waits for anything else: a call may live for 30 s.
    std::thread::sleep(Duration::from_secs(15));
    assert!(tampered.answers("kept").is_empty(), "{:?}", begun.elapsed());
    assert_eq!(tampered.answer("kept"), "BadCall");
    let _ = kept.ended();
    assert!(tampered.world.ran().is_empty());
    let refused = tampered.world.events("call_refused");
    assert!(
        refused[0]["reason"].as_str().is_some_and(|why| why.contains("too late")),
        "{refused:?}"
    );
}

#[test]
fn se17_a_broker_that_lies_about_the_clock_is_not_believed() {
    let tampered = Tampered::start("clock");
    let share = tampered.open();
    assert_eq!(tampered.append(&share, "before"), 0);
    for lie in ["clock-forged", "clock-repeated"] {
        tampered.attack(lie);
        assert_eq!(tampered.append(&share, "under-a-lie"), 255, "{lie}");
    }
    tampered.attack("");
    assert_eq!(tampered.append(&share, "after"), 0);
    assert_eq!(tampered.world.ran(), ["before", "after"]);
}

#[test]
fn p09_a_broker_that_talks_nonsense_is_replaced_and_the_share_lives() {
    let tampered = Tampered::start("nonsense");
    let share = tampered.open();
    let monitor = tampered.world.process("--as-monitor").expect("it runs");
    let broker = tampered.world.process("--as-broker").expect("it runs");

    let junk = tampered.append(&share, "junk");

    assert_eq!(tampered.world.process("--as-monitor"), Some(monitor), "it never ended");
    until("another broker runs", || {
        tampered.world.process("--as-broker").filter(|other| *other != broker)
    });
    assert_eq!(junk, 0, "the client came back with the same call");
    assert_eq!(tampered.append(&share, "after"), 0);
    assert_eq!(tampered.world.ran(), ["junk", "after"]);
    assert_eq!(tampered.world.events("broker_restarted").len(), 1);
}

fn field<'a>(status: &'a str, name: &str) -> Vec<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in\n{status}")).split_whitespace().collect()
}

#[test]
fn p09_the_broker_is_nobody_and_can_open_nothing() {
    let world = World::start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["log.follow:service=web"]);
    let follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("web line 9");
    let broker = world.process("--as-broker").expect("it runs");

    let status = fs::read_to_string(format!("/proc/{broker}/status")).expect("read its status");
    let own = (world.accounts.broker.uid.to_string(), world.accounts.broker.gid.to_string());
    assert_eq!(field(&status, "Uid"), [own.0.as_str(); 4], "{status}");
    assert_eq!(field(&status, "Gid"), [own.1.as_str(); 4], "{status}");
    assert!(field(&status, "Groups").iter().all(|group| **group == *own.1), "{status}");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        if set != "CapBnd" {
            assert_eq!(field(&status, set), ["0000000000000000"], "{set} in\n{status}");
        }
    }
    assert_eq!(field(&status, "NoNewPrivs"), ["1"], "{status}");
    assert_eq!(field(&status, "Seccomp"), ["2"], "{status}");
    for task in fs::read_dir(format!("/proc/{broker}/task")).expect("list its threads") {
        let path = task.expect("a thread").path().join("status");
        let status = fs::read_to_string(path).expect("read a thread's status");
        assert_eq!(field(&status, "Seccomp"), ["2"], "{status}");
        assert_eq!(field(&status, "CapEff"), ["0000000000000000"], "{status}");
    }
    for entry in fs::read_dir(format!("/proc/{broker}/fd")).expect("list its descriptors") {
        let path = entry.expect("a descriptor").path();
        let target = fs::read_link(&path).expect("read it").display().to_string();
        let number = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let known = ["socket:", "pipe:", "anon_inode:"].iter().any(|kind| target.starts_with(kind));
        assert!(known || target == "/dev/null", "{number:?} is {target}");
    }
    let root = fs::metadata(format!("/proc/{broker}/mem")).expect("look at its memory");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&root), 0, "it is not dumpable");
    let status = world.root().json(&["status"]).expect("status");
    assert_eq!(status["warnings"], serde_json::json!([]), "it is fully confined: {status}");
}
