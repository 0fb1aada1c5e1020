//! Rights that follow the groups of the system, and leave with them.

use std::process::Command;

use tests::account::{Account, Accounts};
use tests::world::{Setup, World};

/// An OS group that is gone with the test.
struct Group(String);

impl Group {
    fn make() -> Self {
        let name = format!("osptest-g{}", std::process::id());
        run("groupadd", &["--force", &name]);
        Self(name)
    }

    fn add(&self, account: &Account) {
        run("gpasswd", &["--add", &account.name, &self.0]);
    }

    fn remove(&self, account: &Account) {
        run("gpasswd", &["--delete", &account.name, &self.0]);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        run("groupdel", &[&self.0]);
    }
}

/// The user database has one lock, and other tests make users.
fn run(program: &str, arguments: &[&str]) {
    let done = (0..50).any(|_| {
        let output = Command::new(program).args(arguments).output().expect("run the program");
        std::thread::sleep(std::time::Duration::from_millis(20));
        output.status.success()
    });
    assert!(done || std::thread::panicking(), "{program} {arguments:?}");
}

/// Bob holds and shares what he does as one of this group alone.
fn on_call(group: &Group) -> World {
    let setup = Setup::default();
    let role = format!(
        "[[role]]\nname = \"on-call\"\ngroups = [\"{}\"]\n[[allow]]\nrole = \"on-call\"\n",
        group.0
    );
    let policy = setup.policy.replace("[[allow]]\nuser = \"@ALICE@\"\n", &role);
    let policy = policy.replace("@ALICE@", "@BOB@");
    Setup { policy, ..setup }.start()
}

#[test]
fn p01_who_leaves_the_group_that_a_rule_names_loses_what_runs_under_it() {
    let group = Group::make();
    let accounts = Accounts::shared();
    group.add(&accounts.bob);
    let world = on_call(&group);
    world.bob().add_contact("vendor-b", &world.vendor());
    let share = world.bob().open(&["log.follow:service=web", "test.true"]);
    let mut follow = world.vendor().start(&share, &["log.follow", "service=web"]);
    follow.stdout.line_with("");
    assert_eq!(world.vendor().call(&share, &["test.true"]).status, 0);

    group.remove(&accounts.bob);
    assert_eq!(follow.wait().code(), Some(126), "within seconds of it");
    assert_eq!(world.vendor().call(&share, &["--unlisted", "test.true"]).status, 126);
    let said = world.bob().try_open(&["test.true"], &["--to", "vendor-b"]);
    assert!(said.is_err() || !world.events("call_refused").is_empty());
}
