//! Real users, made for the tests and removed with the last world that uses them.

use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock, Weak};

/// One user of the test's.
#[derive(Clone, Debug)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// The users of this test process.
#[derive(Debug)]
pub struct Accounts {
    pub alice: Account,
    pub bob: Account,
    pub vendor: Account,
    pub mallory: Account,
    pub broker: Account,
    pub relay: Account,
}

impl Accounts {
    /// The users; made when nobody else uses them now.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Mutex<Weak<Accounts>>> = OnceLock::new();
        let mut shared = SHARED.get_or_init(Mutex::default).lock().expect("no test dies in here");
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::make());
            *shared = Arc::downgrade(&made);
            made
        })
    }

    fn make() -> Self {
        let one = |role| Account::make(&format!("osptest-{role}{}", std::process::id()));
        Self {
            alice: one("al"),
            bob: one("bo"),
            vendor: one("ve"),
            mallory: one("ma"),
            broker: one("br"),
            relay: one("re"),
        }
    }

    fn all(&self) -> [&Account; 6] {
        [&self.alice, &self.bob, &self.vendor, &self.mallory, &self.broker, &self.relay]
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        for account in self.all() {
            run("userdel", &["-r", &account.name]);
        }
    }
}

impl Account {
    fn make(name: &str) -> Self {
        run("userdel", &["-r", name]);
        let made = run("useradd", &["--create-home", "--user-group", "--shell", "/bin/sh", name]);
        assert!(made, "make the user {name} (the tests run as root)");
        Self { name: name.to_owned(), uid: id("-u", name), gid: id("-g", name) }
    }

    /// The user's home directory.
    pub fn home(&self) -> std::path::PathBuf {
        format!("/home/{}", self.name).into()
    }
}

fn id(what: &str, name: &str) -> u32 {
    let output = Command::new("id").args([what, name]).output().expect("run id");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

/// Whether a program that is expected to be quiet succeeded. The user database has one lock: try again.
fn run(program: &str, arguments: &[&str]) -> bool {
    (0..50).any(|_| {
        let output = Command::new(program).args(arguments).output().expect("run the program");
        let locked = String::from_utf8_lossy(&output.stderr).contains("cannot lock");
        if locked {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        output.status.success() || (program == "userdel" && !locked)
    })
}
