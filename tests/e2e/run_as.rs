//! Verbs that run as an account of the catalog's: with a secret that their owner must not use.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use tests::account::Accounts;
use tests::world::{Setup, World, must};

const VERBS: &str = r#"
[verb."vault.who"]
summary = "Says as whom it runs"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/who"], run_as = "@ACCOUNT@" } }

[verb."vault.print"]
summary = "Prints a secret"
effect  = "read"
output  = { redact = [] }
run     = { exec = { argv = ["/bin/cat", "--", "{file}"], run_as = "@ACCOUNT@", read = [] } }
[verb."vault.print".params]
file = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."vault.get"]
summary = "Carries it"
effect  = "read"
output  = { redact = [] }
run     = { file = { get = "@HOME@/drop/vault/secret", run_as = "@ACCOUNT@" } }

[verb."vault.mine"]
summary = "The same, as the owner"
effect  = "read"
output  = { redact = [] }
run     = { file = { get = "@HOME@/drop/vault/secret" } }

[verb."vault.stay"]
summary = "Is never done"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/stay"], run_as = "@ACCOUNT@" } }
"#;

fn world(account: &str) -> World {
    let verbs = Setup::default().verbs + &VERBS.replace("@ACCOUNT@", account);
    let policy = Setup::default()
        .policy
        .replacen("verbs = { \"log.tail\"", "verbs = { \"vault.*\" = {}, \"log.tail\"", 1)
        .replace("[\"log.*\"", "[\"vault.*\", \"log.*\"");
    let world = Setup { verbs, policy, ..Setup::default() }.start();
    world.script("who", "id -un; id -Gn; echo \"$HOME $USER\"\n");
    world.script("stay", "trap '' TERM HUP\necho here\nsetsid sleep 339 &\nwait\n");
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

/// A file that the account alone may read, in a directory that it alone may enter.
fn hide(world: &World) {
    let bob = &world.accounts.bob;
    let vault = world.drop_file("vault");
    fs::create_dir(&vault).expect("make a directory");
    fs::write(vault.join("secret"), "the account's own\n").expect("write a file");
    for (path, mode) in [(vault.join("secret"), 0o600), (vault, 0o700)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("close it");
        chown(&path, Some(bob.uid), Some(bob.gid)).expect("give it away");
    }
}

#[test]
fn p03_a_verb_that_says_so_runs_as_the_account_of_the_catalog_and_the_owner_gets_nothing_by_it() {
    let bob = Accounts::shared().bob.name.clone();
    let world = world(&bob);
    hide(&world);
    let verbs = ["vault.who", "vault.print", "vault.get", "vault.mine"];
    let share = world.alice().open(&verbs);
    let call = |words: &[&str]| {
        let said = world.vendor().call(&share, words);
        (said.status, said.stdout, said.stderr)
    };
    let (status, who, said) = call(&["vault.who"]);
    assert_eq!(status, 0, "{said}");
    let lines: Vec<&str> = who.lines().collect();
    assert_eq!(lines.first().copied(), Some(bob.as_str()), "{who}");
    assert!(!lines[1].contains("root") && !lines[1].contains("alice"), "{who}");
    assert!(lines[2].ends_with(&format!(" {bob}")), "{who}");

    let file = format!("file={}", world.drop_file("vault/secret").display());
    assert_eq!(call(&["vault.print", &file]).1, "the account's own\n");
    assert_eq!(call(&["vault.get"]).1, "the account's own\n");
    // Neither the owner, nor a verb that runs as they.
    let (status, stdout, said) = call(&["vault.mine"]);
    assert_eq!((status, stdout.as_str()), (1, ""), "{said}");

    let started = world.events("call_started");
    let as_whom: Vec<_> = started.iter().map(|one| one["run_as"].as_str()).collect();
    let bobs = Some(bob.as_str());
    assert_eq!(as_whom, [bobs, bobs, bobs, None], "the record says as whom");
    assert!(started.iter().all(|one| one["owner"]["user"] == world.accounts.alice.name.as_str()));

    let doctor = world.alice().run(&["doctor", "--agent", "you"]).stdout;
    let wanted = format!("account {bob}, as which verbs run");
    let found = doctor.lines().find(|line| line.contains(&wanted)).expect("it is named");
    assert!(found.starts_with("ok"), "{doctor}");

    let words = ["share", "open", "--agent", "you", "--to", "vendor-b", "--plan"];
    let plan = world.alice().run(&[&words[..], &["--verb", "vault.who"]].concat());
    let wanted = format!("\n      as {bob}, with what that account may\n");
    assert!(plan.stdout.contains(&wanted), "{}", plan.stdout);
}

#[test]
fn p06_what_runs_as_another_account_ends_with_the_share() {
    let world = world(&Accounts::shared().bob.name);
    let share = world.alice().open(&["vault.stay"]);
    let running = world.vendor().start(&share, &["vault.stay"]);
    running.stdout.line_with("here");
    assert_eq!(world.alice().revoke(&share).status, 0);
    let left = std::process::Command::new("pgrep").args(["-f", "^sleep 339"]).output();
    let left = left.expect("look for them").stdout;
    assert!(left.is_empty(), "they live on: {}", String::from_utf8_lossy(&left));
}

#[test]
fn p03_no_verb_runs_as_the_daemons_accounts_or_as_one_that_is_root_by_another_name() {
    let accounts = Accounts::shared();
    for (account, why) in [
        (accounts.broker.name.as_str(), "the daemon itself does"),
        (accounts.keys.name.as_str(), "the daemon itself does"),
        ("osptest-nobody-such", "there is no account"),
    ] {
        let world = world(account);
        let mut check = world.daemon_command();
        check.arg("--check-config");
        let checked = must(check);
        let warned =
            format!("warning: `vault.who` cannot be called: it says `run_as = \"{account}\"`");
        assert!(checked.contains(&warned), "{checked}");
        let doctor = world.alice().run(&["doctor", "--agent", "you"]);
        let found = doctor.stdout.lines().find(|line| line.contains(account)).expect("it is named");
        assert!(found.starts_with("FAILS"), "{}", doctor.stdout);
        let share = world.alice().open(&["vault.who"]);
        let said = world.vendor().call(&share, &["vault.who"]);
        assert_eq!((said.status, said.stdout.as_str()), (125, ""), "{}", said.stderr);
        let ended = world.last_end();
        assert!(ended["ending"].to_string().contains(why), "{ended}");
    }
}
