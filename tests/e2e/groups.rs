//! Rights that follow the groups of the system, and leave with them.

use tests::account::{Account, Accounts, run};
use tests::world::{Setup, World};

/// An OS group that is gone with the test.
struct Group(String);

impl Group {
    fn make() -> Self {
        let name = format!("osptest-g{}", std::process::id());
        assert!(run("groupadd", &["--force", &name]), "make the group {name}");
        Self(name)
    }

    fn add(&self, account: &Account) {
        assert!(run("gpasswd", &["--add", &account.name, &self.0]));
    }

    fn remove(&self, account: &Account) {
        assert!(run("gpasswd", &["--delete", &account.name, &self.0]));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _gone = run("groupdel", &[&self.0]);
    }
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
