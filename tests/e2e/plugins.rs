//! Keys that an age plugin keeps: a plugin of the tests' own, as a process of its own, opens what the daemon sealed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use tests::installed::plugins;
use tests::owner::{Said, Share};
use tests::terminal::AtTerminal;
use tests::wait::until;
use tests::world::World;

/// Of one secret: as plugins print it now, and as `age-plugin-yubikey` does.
const TAG: &str = "age1tag1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp4783a6c8";
const YUBIKEY: &str = "age1yubikey1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp47dnz2m5";
/// The same key, as only a plugin could seal to it.
const FOREIGN: &str = "age1se1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp47tkte6j";
const IDENTITY: &str =
    "AGE-PLUGIN-OSPTEST-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0JQWP3GCG";

struct Hardware {
    world: World,
    share: Share,
}

impl Hardware {
    /// A share with whoever has the key.
    fn start(key: &str) -> Self {
        let world = World::start();
        let said = world.alice().run(&["contact", "add", "vendor-b", key]);
        assert_eq!(said.status, 0, "{said:?}");
        let share = world.alice().open(&["test.true", "log.tail:service=web"]);
        let this = Self { world, share };
        this.write("hardware.txt", &format!("#    Recipient: {key}\n{IDENTITY}\n"));
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.world.vendor().home().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.at(name);
        fs::write(&path, text).expect("write a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set its mode");
        let vendor = &self.world.accounts.vendor;
        chown(&path, Some(vendor.uid), Some(vendor.gid)).expect("give it away");
    }

    /// The client, with a plugin in its `PATH` that behaves so.
    fn bare(&self, behaviour: &str) -> Command {
        let mut command = self.world.vendor().bare();
        command.env("PATH", format!("{}:/usr/bin:/bin", plugins().display()));
        command.env("OSPTEST_PLUGIN", behaviour).env("OSPTEST_PLUGIN_RAN", self.at("ran"));
        command
    }

    fn command(&self, behaviour: &str, words: &[&str]) -> Command {
        let mut command = self.bare(behaviour);
        let Share { handle, fingerprint, .. } = &self.share;
        command.args(["--passport", handle, "--fingerprint", fingerprint]);
        command.arg("--identity").arg(self.at("hardware.txt")).args(words);
        command
    }

    fn run(&self, behaviour: &str, words: &[&str]) -> Said {
        self.command(behaviour, words).output().expect("run the client").into()
    }

    fn at_terminal(&self, behaviour: &str, words: &[&str]) -> AtTerminal {
        AtTerminal::start(&self.command(behaviour, words), &self.world.accounts.vendor, 24, 200)
    }

    /// As what the plugin has been run so far.
    fn ran(&self) -> String {
        fs::read_to_string(self.at("ran")).unwrap_or_default()
    }
}

#[test]
fn a_key_that_a_plugin_keeps_opens_what_was_sealed_to_it_without_a_plugin() {
    for key in [TAG, YUBIKEY] {
        let hardware = Hardware::start(key);
        assert_eq!(hardware.ran(), "", "neither the owner's side nor looking runs one");
        let said = hardware.run("", &["call", "log.tail", "service=web", "lines=2"]);
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (0, "web line 8\nweb line 9\n"),
            "{said:?}"
        );
        assert_eq!(hardware.ran(), "identity-v1\n");
        assert_eq!(hardware.world.events("seat_redeemed").len(), 1);
        // Smaller, and sealed to the same key: its file says which that is.
        let said = hardware.run("", &["narrow", "--verb", "test.true", "--json"]);
        let document: Value = serde_json::from_str(&said.stdout).expect("JSON");
        let narrowed = document["handle"].as_str().expect("a handle");
        let mut inspect = hardware.bare("");
        inspect.args(["inspect", "--passport", narrowed, "--identity"]);
        let said: Said =
            inspect.arg(hardware.at("hardware.txt")).output().expect("run the client").into();
        assert!(said.status == 0 && said.stdout.contains("test.true"), "{said:?}");
    }
}

#[test]
fn keys_and_doctor_name_the_plugin_and_do_not_run_it() {
    let hardware = Hardware::start(TAG);
    let identity = hardware.at("hardware.txt");
    let look = |path: &str, words: &[&str]| -> Said {
        let mut command = hardware.bare("");
        command.env("PATH", path).arg("--identity").arg(&identity).args(words);
        command.output().expect("run the client").into()
    };
    let with = plugins().display().to_string();
    let keys = look(&with, &["keys"]);
    assert!(keys.stdout.contains("opens through age-plugin-osptest\n"), "{keys:?}");
    assert!(keys.stdout.contains(TAG), "{keys:?}");
    let document: Value =
        serde_json::from_str(&look(&with, &["keys", "--json"]).stdout).expect("JSON");
    let kept = &document["identities"][0]["plugins"][0];
    assert_eq!(
        (&kept["program"], &kept["installed"]),
        (&"age-plugin-osptest".into(), &true.into())
    );
    assert_eq!(look(&with, &["doctor"]).status, 0);
    assert_eq!(hardware.ran(), "");

    let keys = look("/usr/bin", &["keys"]);
    assert!(keys.stdout.contains("age-plugin-osptest, which is NOT INSTALLED"), "{keys:?}");
    let doctor = look("/usr/bin", &["doctor"]);
    assert_eq!(doctor.status, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("`age-plugin-osptest`, which no directory"), "{doctor:?}");
}

#[test]
fn a_plugins_questions_go_to_the_person_and_without_one_it_is_said_what_was_asked() {
    let hardware = Hardware::start(TAG);
    let said = hardware.run("pin", &["list"]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("no terminal to ask at: the PIN of the test's key"), "{said:?}");
    assert!(!said.stderr.contains('\u{1b}'), "{said:?}");

    let mut person = hardware.at_terminal("pin", &["list"]);
    person.sees("age-plugin-osptest: the PIN of the test's key");
    until("nothing that is typed is shown", || person.is_raw().then_some(()));
    person.types("1234\r");
    person.sees("log.tail");
    assert_eq!(person.wait().code(), Some(0));
    assert!(!person.shown.text().contains("1234"));

    let mut person = hardware.at_terminal("confirm", &["list"]);
    person.sees("use the key? (y: use it, n: do not)");
    person.types("n\r");
    person.sees("not confirmed");
    assert_eq!(person.wait().code(), Some(125));
    let mut person = hardware.at_terminal("confirm", &["list"]);
    person.sees("use the key?");
    person.types("y\r");
    assert_eq!(person.wait().code(), Some(0));
}

#[test]
fn a_plugin_that_is_missing_crashes_or_refuses_is_named_with_what_to_do() {
    let hardware = Hardware::start(TAG);
    let mut command = hardware.command("", &["list"]);
    let said: Said = command.env("PATH", "/usr/bin:/bin").output().expect("run the client").into();
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("`age-plugin-osptest` is not installed"), "{said:?}");
    assert!(said.stderr.contains("   = install it"), "{said:?}");

    let said = hardware.run("crash", &["list", "--json"]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("`age-plugin-osptest` broke off"), "{said:?}");
    assert!(said.stdout.contains("\"kind\":\"plugin\""), "{said:?}");

    let said = hardware.run("refuse", &["list"]);
    assert_eq!(said.status, 125, "{said:?}");
    assert!(said.stderr.contains("the test's key is not plugged in"), "{said:?}");
    assert!(!said.stderr.contains('\u{1b}'), "{said:?}");
    assert!(hardware.world.events("seat_redeemed").is_empty());
}

#[test]
fn a_plugin_that_hangs_is_left_with_ctrl_c() {
    let hardware = Hardware::start(TAG);
    let mut person = hardware.at_terminal("hang", &["list"]);
    person.sees("age-plugin-osptest: touch the test's key");
    person.types("\u{3}");
    assert_eq!(person.wait().signal(), Some(2));
    let uid = hardware.world.accounts.vendor.uid;
    until("the plugin is gone as well", || (!runs("age-plugin-osptest", uid)).then_some(()));
}

/// Whether this account runs a program of this name.
fn runs(program: &str, uid: u32) -> bool {
    let processes = fs::read_dir("/proc").expect("list processes").flatten();
    processes.map(|entry| entry.path()).any(|path| {
        let status = fs::read_to_string(path.join("status")).unwrap_or_default();
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        status.contains(&format!("Uid:\t{uid}\t"))
            && String::from_utf8_lossy(&line).contains(program)
    })
}

#[test]
fn only_a_file_of_the_persons_own_says_what_is_run() {
    let hardware = Hardware::start(TAG);
    let Share { handle, .. } = &hardware.share;
    // The handle is for the plugin's key: that alone runs nothing.
    let own = hardware.at("identity.txt");
    let inspect = |words: &[&str]| -> Said {
        let mut command = hardware.bare("");
        command.args(["inspect", "--passport", handle]).args(words);
        command.output().expect("run the client").into()
    };
    let said = inspect(&["--identity", own.to_str().expect("text")]);
    assert!(said.status == 125 && said.stderr.contains("none of your keys"), "{said:?}");
    // A second value comes from others.
    let second = hardware.at("hardware.txt");
    let said = inspect(&["--secret-file", second.to_str().expect("text")]);
    assert!(said.status == 125 && said.stderr.contains("age plugin keeps"), "{said:?}");
    assert_eq!(hardware.ran(), "");
}

#[test]
fn an_owner_is_told_what_to_ask_for_where_only_a_plugin_could_seal() {
    let world = World::start();
    let said = world.alice().run(&["contact", "add", "vendor-b", FOREIGN]);
    assert_eq!(said.status, 2, "{said:?}");
    for told in ["`age1se1…`", "`age-plugin-se`", "`age1tag1…`"] {
        assert!(said.stderr.contains(told), "{told} in {}", said.stderr);
    }
    let said = world.alice().run(&["contact", "add", "vendor-b", IDENTITY]);
    assert!(said.status == 2 && said.stderr.contains("secret key"), "{said:?}");
}
