//! Verbs on other hosts: a real sshd, another account there, and nothing of it left when the share is over.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::account::Accounts;
use tests::background::as_user;
use tests::owner::Share;
use tests::sshd::Sshd;
use tests::wait;
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."far.tail"]
summary = "Last lines of a file there"
effect  = "read"
run     = { ssh = { target = "{host}", argv = ["tail", "-n", "{lines}", "--", "@HOME@/log/{service}"] } }
[verb."far.tail".params]
host    = { type = "string", one_of = ["web", "db"], default = "web" }
service = { type = "string", one_of = ["web", "db"], required = true }
lines   = { type = "int", min = 1, max = 500, default = 3 }

[verb."far.echo"]
summary = "Says one argument back"
effect  = "read"
run     = { ssh = { target = "web", argv = ["printf", "%s", "{text}"], remote_end = "none" } }
[verb."far.echo".params]
text = { type = "string", required = true }

[verb."far.sh"]
summary = "Runs one of the test's own scripts there"
effect  = "read"
run     = { ssh = { target = "web", argv = ["sh", "@HOME@/script/{name}"] } }
timeout = "30m"
[verb."far.sh".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."far.stay"]
summary = "The same, and goes on there when it is ended here"
effect  = "read"
run     = { ssh = { target = "web", argv = ["sh", "@HOME@/script/{name}"], remote_end = "none" } }
timeout = "30m"
[verb."far.stay".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }

[verb."far.limit"]
summary = "The same, and ends there by a clock"
effect  = "read"
run     = { ssh = { target = "web", argv = ["sh", "@HOME@/script/{name}"], remote_end = "timeout" } }
timeout = "2s"
[verb."far.limit".params]
name = { type = "string", pattern = "[a-z0-9-]+", required = true }
"#;

/// A world whose targets are one sshd, for which the owner has a key as `identity` says.
fn world(identity: impl Fn(&Sshd, &Accounts) -> String) -> (World, Sshd) {
    let accounts = Accounts::shared();
    let sshd = Sshd::start(&accounts.bob);
    let identity = identity(&sshd, &accounts);
    let Setup { policy, .. } = Setup::default();
    let verbs = ["tail", "echo", "sh", "stay", "limit"];
    let held: String = verbs.map(|verb| format!("\"far.{verb}\" = {{}}, ")).concat();
    let policy = policy
        .replacen("verbs = { \"log.tail\"", &format!("verbs = {{ {held}\"log.tail\""), 1)
        .replace("[\"log.*\"", "[\"far.*\", \"log.*\"");
    let targets =
        sshd.target("web", &identity) + &sshd.target("db", &format!("{identity}\njump = \"web\""));
    let verbs = Setup::default().verbs + VERBS;
    let world = Setup { targets, verbs, policy, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    (world, sshd)
}

pub(crate) fn own(sshd: &Sshd, accounts: &Accounts) -> String {
    format!("identity = {{ own = \"{}\" }}", sshd.key_of(&accounts.alice).display())
}

pub(crate) fn held(sshd: &Sshd, _: &Accounts) -> String {
    format!("identity = {{ held = \"{}\" }}", sshd.key().display())
}

fn open(world: &World) -> Share {
    world.alice().open(&["far.tail", "far.echo", "far.sh", "far.stay", "far.limit"])
}

/// Programs of an account's that run now, with a word in their arguments.
pub(crate) fn running(uid: u32, word: &str) -> Vec<u32> {
    let pids = fs::read_dir("/proc").expect("list processes").flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        status.contains(&format!("\nUid:\t{uid}\t"))
            && String::from_utf8_lossy(&line).contains(word)
    })
    .collect()
}

pub(crate) fn until_kept(world: &World) {
    wait::until("a connection is kept", || {
        let shares = fs::read_dir(world.home.join("run/openscope.d/shares")).ok()?;
        shares.flatten().find(|share| share.path().join("to-web").exists()).map(drop)
    });
}

#[test]
fn a_verb_runs_on_its_target_and_later_ones_through_the_connection_that_is_kept() {
    let (world, sshd) = world(own);
    world.script(
        "streams",
        "echo out; echo err >&2; printf '\\377\\000\\033[31m'; id -un; exit 7\n",
    );
    let share = open(&world);
    let said = world.vendor().call(&share, &["far.tail", "service=web"]);
    assert_eq!(
        (said.status, said.stdout.as_str()),
        (0, "web line 7\nweb line 8\nweb line 9\n"),
        "{}",
        said.stderr
    );
    until_kept(&world);
    let logins = sshd.logins();
    for _ in 0..3 {
        let said = world.vendor().run(&share, &["call", "far.sh", "name=streams"]);
        assert_eq!(said.status, 7, "{}", said.stderr);
        assert!(
            said.stdout.starts_with("out\n")
                && said.stdout.ends_with(&format!("{}\n", world.accounts.bob.name)),
            "{}",
            said.stdout
        );
        assert!(said.stderr.contains("err\n"), "{}", said.stderr);
    }
    assert_eq!(sshd.logins(), logins, "nobody logged in again");
    let far = world.vendor().call(&share, &["far.tail", "host=db", "service=db", "lines=1"]);
    assert_eq!(
        (far.status, far.stdout.as_str()),
        (0, "db line 9\n"),
        "through another: {}",
        far.stderr
    );
    // Each ssh names the files that were made for it.
    let home = world.home.display().to_string();
    let kept = || running(world.accounts.alice.uid, &home);
    assert!(!kept().is_empty());
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(kept(), [0; 0], "when revoke returns, no connection is left");
    wait::until("nothing of the share is left", || {
        let left = fs::read_dir(world.home.join("run/openscope.d/shares")).ok()?.count();
        (left == 0).then_some(())
    });
}

#[test]
fn ru6_a_value_is_one_argument_there_whatever_is_in_it() {
    let (world, _sshd) = world(own);
    let share = open(&world);
    let hostile = [
        "$(touch @HOME@/drop/owned)",
        "`id`",
        "; id",
        "a && id",
        "a | id",
        "> /tmp/x",
        "'; id; '",
        "\"; id; \"",
        "\\'; id; \\'",
        "\\",
        "\\\\",
        "!!",
        "*",
        "~root",
        "${IFS}",
        "a  b",
        "",
        "é—日本",
        "-oProxyCommand=id",
        "%h %p",
        "{a,b}",
        "#x",
        "$'\\x41'",
        "=ls",
        "^a^b",
    ];
    for text in hostile {
        let text = world.fill(text);
        let said = world.vendor().call(&share, &["far.echo", &format!("text={text}")]);
        if text.starts_with('-') {
            assert_eq!(said.status, 126, "{text}: {}", said.stderr);
            continue;
        }
        assert_eq!((said.status, said.stdout.as_str()), (0, text.as_str()), "{}", said.stderr);
    }
    assert!(!world.drop_file("owned").exists());
    for control in ["a\nid", "a\rid", "\u{1b}[2J", "a\u{85}b", "\u{7f}"] {
        let said = world.vendor().call(&share, &["far.echo", &format!("text={control}")]);
        assert_eq!(said.status, 126, "{control:?}");
        assert!(said.stderr.contains("may not contain control characters"), "{}", said.stderr);
    }
}

#[test]
fn ru8_what_runs_there_ends_with_its_call_as_its_verb_says() {
    let (world, _sshd) = world(own);
    world.script("wait", "trap '' HUP PIPE\nwhile :; do echo tick; sleep 0.2; done\n");
    let bob = world.accounts.bob.uid;
    let there = || running(bob, "script/wait");
    let share = open(&world);
    let follow = world.vendor().start(&share, &["far.sh", "name=wait"]);
    follow.stdout.line_with("tick");
    assert!(!there().is_empty());
    let revoked = world.alice().revoke(&share);
    assert_eq!((revoked.status, revoked.stdout.contains("goes on")), (0, false), "{revoked:?}");
    wait::until("the far end is dead", || there().is_empty().then_some(()));

    let share = open(&world);
    until_kept_after(&world, &share);
    let follow = world.vendor().start(&share, &["far.sh", "name=wait"]);
    follow.stdout.line_with("tick");
    follow.signal(rustix::process::Signal::INT);
    wait::until("it is dead through the kept connection too", || there().is_empty().then_some(()));

    let limited = world.vendor().call(&share, &["far.limit", "name=wait"]);
    assert_eq!(limited.status, 124, "{}", limited.stderr);
    wait::until("its clock has ended it", || there().is_empty().then_some(()));

    let stay = world.vendor().start(&share, &["far.stay", "name=wait"]);
    stay.stdout.line_with("tick");
    let revoked = world.alice().revoke(&share);
    assert_eq!(revoked.status, 0, "{revoked:?}");
    assert!(
        revoked.stdout.contains("goes on where nothing of here can end it: far.stay on web"),
        "{}",
        revoked.stdout
    );
    assert!(!there().is_empty(), "as was said");
    for pid in there() {
        let pid = rustix::process::Pid::from_raw(pid.cast_signed()).expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    }
}

#[test]
fn ru8_what_goes_on_there_of_a_call_that_its_recipient_gave_up_is_named_by_revoke() {
    let (world, _sshd) = world(own);
    world.script("wait", "while :; do echo tick; sleep 0.2; done\n");
    let share = open(&world);
    for verb in ["far.stay", "far.sh"] {
        let given_up = world.vendor().start(&share, &[verb, "name=wait"]);
        given_up.stdout.line_with("tick");
        given_up.signal(rustix::process::Signal::INT);
        let mut given_up = given_up;
        given_up.wait();
    }
    let ended = wait::until("both ends are on record", || {
        let ended = world.events("call_ended");
        (ended.len() == 2).then_some(ended)
    });
    let beyond: Vec<&str> = ended.iter().filter_map(|end| end["beyond"].as_str()).collect();
    assert_eq!(beyond, ["far.stay on web"]);
    let revoked = world.alice().revoke(&share);
    assert!(
        revoked.stdout.contains("goes on where nothing of here can end it: far.stay on web"),
        "{revoked:?}"
    );
    assert!(!revoked.stdout.contains("far.sh"), "{revoked:?}");
}

#[test]
fn ru8_what_may_go_on_there_is_named_after_the_daemon_went_down_in_the_middle() {
    let (world, _sshd) = world(own);
    world.script("wait", "while :; do echo tick; sleep 0.2; done\n");
    let share = open(&world);
    let stays = world.vendor().start(&share, &["far.stay", "name=wait"]);
    let ends = world.vendor().start(&share, &["far.sh", "name=wait"]);
    for call in [&stays, &ends] {
        call.stdout.line_with("tick");
    }
    let monitor = world.process("--as-monitor").expect("it runs");
    let pid = rustix::process::Pid::from_raw(monitor.cast_signed()).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is there");
    let ended = wait::until("both ends are on record", || {
        let ended = world.events("call_ended");
        (ended.len() == 2).then_some(ended)
    });
    assert!(ended.iter().all(|end| end["ending"] == "interrupted"), "{ended:?}");
    let beyond: Vec<&str> = ended.iter().filter_map(|end| end["beyond"].as_str()).collect();
    assert_eq!(beyond, ["far.stay on web"]);
    wait::until("another monitor serves", || world.root().json(&["status"]).ok());
    let revoked = world.alice().revoke(&share);
    let goes_on = "goes on where nothing of here can end it: far.stay on web";
    assert!(revoked.stdout.contains(goes_on), "{revoked:?}");
}

#[test]
fn a_host_that_is_lost_in_the_middle_of_a_call_is_told_so_over_a_kept_connection_too() {
    let (world, sshd) = world(own);
    world.script("wait", "while :; do echo tick; sleep 0.2; done\n");
    world.script("leave", "exit 255\n");
    let share = open(&world);
    until_kept_after(&world, &share);
    let left = world.vendor().call(&share, &["far.sh", "name=leave"]);
    assert_eq!((left.status, left.stderr.contains("lost")), (255, false), "its own: {left:?}");
    let mut follow = world.vendor().start(&share, &["far.sh", "name=wait"]);
    follow.stdout.line_with("tick");
    sshd.cut();
    assert_eq!(follow.wait().code(), Some(255));
    let said = follow.stderr.text();
    assert!(said.contains("the verb's host was not reached, or lost"), "{said}");
    let ended = world.last_end();
    let why = ended["ending"].to_string();
    assert!(why.contains("target_lost") && why.contains("the connection was lost"), "{why}");
}

fn until_kept_after(world: &World, share: &Share) {
    assert_eq!(world.vendor().call(share, &["far.echo", "text=x"]).status, 0);
    until_kept(world);
}

#[test]
fn a_host_that_is_not_the_one_that_root_pinned_is_not_spoken_to() {
    let (world, mut sshd) = world(own);
    let share = open(&world);
    let lost = |why: &str| {
        let said = world.vendor().call(&share, &["far.echo", "text=x"]);
        assert_eq!((said.status, said.stdout.as_str()), (255, ""), "{}", said.stderr);
        assert!(
            said.stderr.contains("the verb's host was not reached, or lost"),
            "{}",
            said.stderr
        );
        assert!(
            !said.stderr.contains("127.0.0.1"),
            "the recipient hears nothing of it: {}",
            said.stderr
        );
        let ended = world.last_end();
        assert!(ended["ending"].to_string().contains(why), "{ended}");
    };
    sshd.stop();
    lost("Connection refused");
    let far = world.vendor().call(&share, &["far.tail", "host=db", "service=db"]);
    assert_eq!((far.status, far.stderr.contains("127.0.0.1")), (255, false), "{}", far.stderr);
    sshd.change_host_key();
    sshd.serve();
    lost("Host key verification failed");
}

/// The sockets at which keys are served now.
fn bells(world: &World) -> Vec<PathBuf> {
    let all = fs::read_dir(world.home.join("run/openscope.d/agents")).expect("list them");
    all.flatten().map(|entry| entry.path()).collect()
}

#[test]
fn a_held_key_lets_in_whom_it_should_and_serves_nobody_else() {
    let (world, sshd) = world(held);
    world.script("wait", "echo here; sleep 30\n");
    let alice = &world.accounts.alice;
    let mut cat = Command::new("cat");
    cat.arg(sshd.key());
    as_user(&mut cat, alice);
    assert!(!cat.output().expect("run cat").status.success(), "the owner cannot read it");
    let share = open(&world);
    let call = world.vendor().start(&share, &["far.sh", "name=wait"]);
    call.stdout.line_with("here");
    let sockets = bells(&world);
    assert!(!sockets.is_empty(), "the call's keys are served");
    for socket in &sockets {
        assert_eq!(
            listed(socket, Some(alice)),
            None,
            "to the call, and to nothing else of its owner's"
        );
        assert_eq!(listed(socket, None), None, "and not to root");
    }
    for process in running(world.accounts.keys.uid, "--as-keys") {
        let environment = fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        assert!(!String::from_utf8_lossy(&environment).contains("PRIVATE"));
    }
    call.signal(rustix::process::Signal::INT);
    wait::until("the call's keys are gone with it", || bells(&world).is_empty().then_some(()));
    let logins = sshd.logins();
    let said = world.vendor().call(&share, &["far.tail", "service=web", "lines=1"]);
    assert_eq!((said.status, said.stdout.as_str()), (0, "web line 9\n"), "{}", said.stderr);
    assert_eq!(
        sshd.logins(),
        logins + 1,
        "each call logs in: a connection that is kept is the owner's to use"
    );
    let kept = world.home.join("run/openscope.d/shares").join(&share.id).join("to-web");
    assert!(!kept.exists());
    let far = world.vendor().call(&share, &["far.tail", "host=db", "service=db", "lines=1"]);
    assert_eq!((far.status, far.stdout.as_str()), (0, "db line 9\n"), "{}", far.stderr);
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert!(bells(&world).is_empty(), "no socket is left");
    assert_eq!(running(world.accounts.keys.uid, "--as-keys"), [0; 0], "and nobody who serves");
}

/// What an agent says that it has, to a process of an account, or of root.
fn listed(socket: &Path, account: Option<&tests::account::Account>) -> Option<String> {
    UnixStream::connect(socket).ok()?;
    let mut command = Command::new("ssh-add");
    if let Some(account) = account {
        as_user(&mut command, account);
    }
    let output = command.arg("-L").env("SSH_AUTH_SOCK", socket).output().expect("run ssh-add");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Two words, of which the second would take up the first again where a shell knows history.
const WORDS: [(&str, &str); 8] = [
    ("`id -un`", "!#:2"),
    ("$(id)", "!!"),
    ("'; id; '", "!$"),
    ("\\'; id; \\'", "!#:3-4"),
    ("a!b", "^a^b"),
    ("*", "~"),
    ("", "{a,b}"),
    ("\\", "\\\\'"),
];

#[test]
fn ru6_no_login_shell_reads_a_line_as_anything_but_its_words() {
    let catalog = "[ssh.web]\nhost = \"h\"\nhost_key = \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF\"\n[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = { ssh = { target = \"web\", argv = [\"printf\", \"<%s>\", \"{one}\", \"{two}\"], remote_end = \"END\" } }\n[verb.\"a.b\".params]\none = { type = \"string\", required = true }\ntwo = { type = \"string\", required = true }\n";
    for end in ["none", "hangup", "timeout"] {
        let source = policy::Source { name: "v".to_owned(), text: catalog.replace("END", end) };
        let policy = policy::load(&[source], &[]).expect("it is good");
        let verb = policy.catalog().verbs().next().expect("a verb");
        let policy::Run::Ssh(ssh) = &verb.run else { panic!("it is another") };
        for (one, two) in WORDS {
            let given = [("one", one), ("two", two)].map(|(name, value)| {
                (name.parse().expect("a name"), policy::Value::text(value).expect("a value"))
            });
            let line = ssh.line(&given.into_iter().collect(), 20);
            for shell in ["sh", "dash", "bash", "tcsh", "zsh", "fish"] {
                let mut command = Command::new(shell);
                // As sshd does; the input stays open, as a connection's.
                let child = command.arg("-c").arg(&line).stdin(std::process::Stdio::piped());
                let output = child.stdout(std::process::Stdio::piped()).spawn();
                let mut child = output.expect("run the shell");
                let held = child.stdin.take();
                let output = child.wait_with_output().expect("it ends");
                drop(held);
                let said = String::from_utf8_lossy(&output.stdout).into_owned();
                assert_eq!(said, format!("<{one}><{two}>"), "{shell}: {line}");
            }
        }
    }
}
