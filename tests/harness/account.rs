//! Real users, made for the tests and removed when their process is gone.

use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use crate::installed::base;

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
    pub keys: Account,
    pub relay: Account,
}

/// Waits until the test process is gone, however it went, and removes what it has made.
const JANITOR: &str = r#"
trap '' HUP INT TERM
read -r _
base=$1; shift
for exe in /proc/[0-9]*/exe; do
    case "$(readlink "$exe")" in
        "$base"/*) pid=${exe#/proc/}; kill -9 "${pid%/exe}" ;;
    esac
done
for user; do pkill -9 -u "$user"; done
while read -r _ place _; do
    case "$place" in "$base"/*) umount -l "$place" ;; esac
done </proc/mounts
rm -rf "$base"
for user; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        userdel -r "$user"
        getent passwd "$user" || break
        sleep 0.3
    done
done
"#;

impl Accounts {
    /// The users, made when the first world needs them.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Accounts>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| {
            let accounts = Self::make();
            accounts.leave_a_janitor();
            Arc::new(accounts)
        }))
    }

    fn make() -> Self {
        let one = |role| Account::make(&format!("osptest-{role}{}", std::process::id()));
        Self {
            alice: one("al"),
            bob: one("bo"),
            vendor: one("ve"),
            mallory: one("ma"),
            broker: one("br"),
            keys: one("ke"),
            relay: one("re"),
        }
    }

    fn all(&self) -> [&Account; 7] {
        let Self { alice, bob, vendor, mallory, broker, keys, relay } = self;
        [alice, bob, vendor, mallory, broker, keys, relay]
    }

    /// A killed test process removes nothing itself: another one, which outlives it, does.
    #[expect(clippy::zombie_processes, reason = "it outlives whoever could wait for it")]
    fn leave_a_janitor(&self) {
        let mut janitor = Command::new("setsid");
        janitor.args(["sh", "-c", JANITOR, "janitor"]).arg(base());
        janitor.args(self.all().map(|account| &account.name));
        janitor.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut janitor = janitor.spawn().expect("start the janitor");
        // Open, and inherited by nobody, for as long as this process lives.
        std::mem::forget(janitor.stdin.take());
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

/// Whether a program that changes the user database succeeded. The database has one lock: try again.
pub fn run(program: &str, arguments: &[&str]) -> bool {
    (0..50).any(|_| {
        let output = Command::new(program).args(arguments).output().expect("run the program");
        let locked = String::from_utf8_lossy(&output.stderr).contains("cannot lock");
        if locked {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        output.status.success() || (program == "userdel" && !locked)
    })
}
