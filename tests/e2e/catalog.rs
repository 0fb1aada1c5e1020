//! The ready catalog, verb by verb, each against what it is for.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tests::account::Accounts;
use tests::background::Background;
use tests::owner::Share;
use tests::postgres::Postgres;
use tests::service::Service;
use tests::sshd::Sshd;
use tests::terminal::AtTerminal;
use tests::wait;
use tests::web::{Web, get};
use tests::world::{Setup, World};

/// What systemd's programs are told by the catalog, done by runit: there is no systemd in a test.
const SYSTEMCTL: &str = r#"#!/bin/sh
for unit; do :; done
case "$*" in
    "--no-ask-password restart $unit") exec sv -w 10 restart "@HOME@/service/$unit" ;;
    "--no-pager --lines=0 status $unit") exec sv status "@HOME@/service/$unit" ;;
esac
echo "unknown: $*" >&2; exit 64
"#;
const JOURNALCTL: &str = r#"#!/bin/sh
follow= unit= lines=
for word; do
    case "$word" in
        --no-pager | --quiet) ;;
        --follow) follow=-f ;;
        --unit=*) unit=${word#--unit=} ;;
        --lines=*) lines=${word#--lines=} ;;
        *) echo "unknown: $word" >&2; exit 64 ;;
    esac
done
exec tail $follow -n "$lines" "@HOME@/log/$unit"
"#;

fn example(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/verbs").join(path);
    fs::read_to_string(path).expect("read the example")
}

fn world() -> (World, Sshd) {
    let accounts = Accounts::shared();
    let mut sshd = Sshd::start(&accounts.alice);
    let identity = format!("identity = {{ own = \"{}\" }}", sshd.key_of(&accounts.alice).display());
    let targets = sshd.target("web-1", &identity)
        + &sshd.target("web-2", &format!("{identity}\njump = \"web-1\""));
    let policy = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"ssh.*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"ssh.*\"]\nto = [\"own/vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";
    let verbs = example("verbs.d/ssh.toml").replace("/var/log", "@HOME@/log");
    let world = Setup { targets, verbs, policy: policy.to_owned(), ..Setup::default() }.start();
    sshd.prefer(&programs(&world));
    world.alice().add_contact("vendor-b", &world.vendor());
    (world, sshd)
}

/// What stands for systemd's programs, and what they tell of.
fn programs(world: &World) -> PathBuf {
    let programs = world.home.join("bin");
    fs::create_dir(&programs).expect("make a directory");
    for (name, text) in [("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)] {
        fs::write(programs.join(name), world.fill(text)).expect("write a program");
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(programs.join(name), executable).expect("set its mode");
    }
    let lines: String = (1..=9).map(|line| format!("nginx line {line}\n")).collect();
    fs::write(world.home.join("log/nginx.service"), lines).expect("write a log");
    programs
}

/// Each verb that ships is named by a test of this file, or of the notes.
#[test]
fn no_verb_of_the_catalog_is_without_a_test() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/verbs/verbs.d");
    let tests = concat!(include_str!("catalog.rs"), include_str!("notes.rs"));
    let mut count = 0;
    for file in fs::read_dir(shipped).expect("read the directory").flatten() {
        let text = fs::read_to_string(file.path()).expect("read the example");
        let headings = text.lines().filter_map(|line| line.strip_prefix("[verb."));
        for name in headings.filter_map(|rest| rest.strip_suffix("\"]")) {
            assert!(tests.contains(&format!("{name}\"")), "{name}");
            count += 1;
        }
    }
    assert!(count > 25, "{count} verbs");
}

fn call(world: &World, share: &Share, words: &[&str]) -> (i32, String, String) {
    let said = world.vendor().call(share, words);
    (said.status, said.stdout, said.stderr)
}

#[test]
fn each_verb_of_this_machines_catalog_does_what_it_says() {
    let names = [
        "host.disk",
        "host.memory",
        "host.load",
        "host.processes",
        "host.sockets",
        "host.top",
        "host.note",
        "log.tail",
        "app.errors",
        "log.follow",
        "log.search",
        "journal.tail",
        "journal.follow",
        "service.status",
        "service.restart",
    ];
    let policy = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";
    let verbs = example("verbs.d/host.toml")
        .replace("/var/log", "@HOME@/log")
        .replace("run_as = \"app\"", "run_as = \"@BOB@\"")
        .replace("/usr/bin/systemctl", "@HOME@/bin/systemctl")
        .replace("/usr/bin/journalctl", "@HOME@/bin/journalctl")
        .replace("\"--stderr\"", "\"--stderr\", \"--socket\", \"@HOME@/log/socket\"");
    let world = Setup { verbs, policy: policy.to_owned(), ..Setup::default() }.start();
    programs(&world);
    let application = world.home.join("log/app");
    fs::create_dir(&application).expect("make a directory");
    fs::write(application.join("error.log"), "an old one\nno memory\n").expect("write its log");
    let bob = &world.accounts.bob;
    chown(&application, Some(bob.uid), Some(bob.gid)).expect("give it away");
    fs::set_permissions(&application, fs::Permissions::from_mode(0o700)).expect("close it");
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&names);
    let call = |words: &[&str]| call(&world, &share, words);
    for (words, part) in [
        (&["host.disk"][..], "Mounted on"),
        (&["host.memory"], "available"),
        (&["host.load"], "load average"),
        (&["host.processes", "by=rss"], "COMMAND"),
        (&["host.sockets"], "LISTEN"),
        (&["app.errors", "lines=1"], "no memory\n"),
    ] {
        let (status, said, fault) = call(words);
        assert_eq!((status, said.contains(part)), (0, true), "{words:?}: {said}{fault}");
    }
    assert_eq!(call(&["host.processes", "by=args"]).0, 126);

    let command = world.vendor().command(&share, &["call", "host.top"]);
    let mut person = AtTerminal::start(&command, &world.accounts.vendor, 30, 100);
    person.sees("load average");
    person.types("q");
    assert!(person.wait().success(), "{}", person.shown.text());

    let at = world.home.join("log/socket");
    let syslog = UnixDatagram::bind(&at).expect("listen as a log");
    fs::set_permissions(&at, fs::Permissions::from_mode(0o666)).expect("open it for all");
    let mut note = world.vendor().start(&share, &["host.note"]);
    note.say("the disk was full");
    note.close_stdin();
    note.stderr.line_with("from-outside: the disk was full");
    assert_eq!(note.wait().code(), Some(0));
    let mut noted = [0; 256];
    let length = syslog.recv(&mut noted).expect("a line");
    assert!(noted[..length].ends_with(b"from-outside: the disk was full"));

    let log = |name: &str| format!("path={}/log/{name}", world.home.display());
    let (status, tail, said) = call(&["log.tail", &log("web"), "lines=2"]);
    assert_eq!((status, tail.as_str()), (0, "web line 8\nweb line 9\n"), "{said}");
    assert_eq!(call(&["log.tail", &format!("path={}/script/append", world.home.display())]).0, 126);
    let (status, found, said) = call(&["log.search", &log("web"), "text=line 7"]);
    assert_eq!((status, found.as_str()), (0, "7:web line 7\n"), "{said}");
    assert_eq!(call(&["log.search", &log("web"), "text=line ."]).0, 1);
    let path = world.home.join("log/web");
    for (verb, more) in
        [("log.follow", log("web")), ("journal.follow", "service=nginx.service".into())]
    {
        let follow = world.vendor().start(&share, &[verb, &more, "lines=1"]);
        follow.stdout.line_with("line 9");
        let path =
            if verb == "log.follow" { path.clone() } else { world.home.join("log/nginx.service") };
        let before = fs::read_to_string(&path).expect("read the log");
        fs::write(&path, before + "a new line\n").expect("write on");
        follow.stdout.line_with("a new line");
    }
    let (status, tail, said) = call(&["journal.tail", "service=nginx.service", "lines=1"]);
    assert_eq!((status, tail.as_str()), (0, "a new line\n"), "{said}");

    let service = Service::start(&world, "nginx.service");
    let pid = service.pid();
    let (status, _, said) = call(&["service.restart", "service=nginx.service"]);
    assert_eq!(status, 0, "{said}");
    wait::until("it has another pid", || service.pid().filter(|now| Some(*now) != pid));
    let (status, up, said) = call(&["service.status", "service=nginx.service"]);
    assert_eq!((status, up.starts_with("run: ")), (0, true), "{up}{said}");
    assert_eq!(world.alice().revoke(&share).status, 0);
}

#[test]
fn each_verb_of_the_ssh_catalog_does_what_it_says() {
    let (world, _sshd) = world();
    let share = world.alice().open(&[
        "ssh.tail_logs",
        "ssh.follow_logs",
        "ssh.restart_service",
        "ssh.service_status",
        "ssh.host_metrics",
        "ssh.read_file",
        "ssh.list_dir",
        "ssh.top",
    ]);
    let call = |words: &[&str]| call(&world, &share, words);
    let (status, tail, said) = call(&["ssh.tail_logs", "service=nginx.service", "lines=2"]);
    assert_eq!((status, tail.as_str()), (0, "nginx line 8\nnginx line 9\n"), "{said}");

    let follow =
        world.vendor().start(&share, &["ssh.follow_logs", "service=nginx.service", "lines=1"]);
    follow.stdout.line_with("nginx line 9");
    let log = world.home.join("log/nginx.service");
    let before = fs::read_to_string(&log).expect("read the log");
    fs::write(&log, before + "a new line\n").expect("write on");
    follow.stdout.line_with("a new line");

    let service = Service::start(&world, "nginx.service");
    let pid = service.pid();
    let (status, _, said) = call(&["ssh.restart_service", "service=nginx.service", "host=web-2"]);
    assert_eq!(status, 0, "{said}");
    wait::until("it has another pid", || service.pid().filter(|now| Some(*now) != pid));
    let (status, up, said) = call(&["ssh.service_status", "service=nginx.service"]);
    assert_eq!((status, up.starts_with("run: ")), (0, true), "{up}{said}");

    let (status, metrics, said) = call(&["ssh.host_metrics"]);
    assert_eq!((status, metrics.contains("MemAvailable:")), (0, true), "{said}");
    let logs = world.home.join("log");
    let path = format!("path={}/web", logs.display());
    let (status, read, said) = call(&["ssh.read_file", &path, "bytes=10"]);
    assert_eq!((status, read.as_str()), (0, "web line 1"), "{said}");
    let (status, listed, said) = call(&["ssh.list_dir"]);
    assert_eq!((status, listed.contains("nginx.service")), (0, true), "{said}");
    let command = world.vendor().command(&share, &["call", "ssh.top"]);
    let mut person = AtTerminal::start(&command, &world.accounts.vendor, 30, 100);
    person.sees("load average");
    person.types("q");
    assert!(person.wait().success(), "{}", person.shown.text());
    let outside = format!("path={}/script/append", world.home.display());
    assert_eq!(call(&["ssh.read_file", &outside]).0, 126);
    assert_eq!(world.alice().revoke(&share).status, 0);
}

#[test]
fn each_verb_of_the_service_catalog_does_what_it_says() {
    let accounts = Accounts::shared();
    let app = Web::app(&accounts.alice);
    let policy = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";
    let port = app.port.to_string();
    let targets = ["8081", "3000", "5432"]
        .iter()
        .fold(example("targets.d/services.toml"), |text, usual| text.replace(usual, &port));
    let verbs = example("verbs.d/services.toml");
    let world = Setup { targets, verbs, policy: policy.to_owned(), ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&[
        "tickets.get_issue",
        "tickets.comment",
        "dev.open",
        "staging.connect",
    ]);
    let call = |words: &[&str]| call(&world, &share, words);
    let (status, issue, said) = call(&["tickets.get_issue", "key=OPS-1"]);
    assert_eq!(status, 0, "{said}");
    assert!(issue.contains("/rest/issue/OPS-1?fields=summary%2Cstatus%2Cdescription"), "{issue}");
    let (status, comment, said) = call(&["tickets.comment", "key=OPS-1", "text=\"}"]);
    assert_eq!(status, 0, "{said}");
    assert!(comment.contains("/rest/issue/OPS-1/comment"), "{comment}");
    assert_eq!(call(&["tickets.get_issue", "key=../admin"]).0, 126);
    for (name, path) in [("dev", "/page"), ("staging.connect", "/page")] {
        let client = Background::start(world.vendor().command(&share, &["forward", name]));
        let line = client.stdout.line_with("127.0.0.1:");
        let at = line.trim_start_matches("http://").trim_end_matches('/');
        let page = get(at.parse().expect("an address"), path);
        assert_eq!(page.status, 200, "{name}");
        assert!(page.text().contains("\"path\": \"/page\""), "{name}: {}", page.text());
    }
    assert_eq!(world.alice().revoke(&share).status, 0);
}

#[test]
fn each_verb_of_the_file_catalog_does_what_it_says() {
    let policy = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";
    let verbs = ["/srv/reports", "/srv/inbox", "/var/log/syslog"]
        .iter()
        .zip(["@HOME@/drop", "@HOME@/drop", "@HOME@/log/web"])
        .fold(example("verbs.d/files.toml"), |text, (usual, here)| text.replace(usual, here));
    let world = Setup { verbs, policy: policy.to_owned(), ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["reports.list", "reports.get", "inbox.put", "syslog.tail"]);
    let there = format!("path={}", world.drop_file("note").display());
    let local = world.vendor().home().join("note");
    fs::write(&local, "for you").expect("write a file");
    let run = |words: &[&str]| {
        let said = world.vendor().run(&share, words);
        assert_eq!(said.status, 0, "{said:?}");
        said.stdout
    };
    let sent = run(&["put", "inbox.put", &local.display().to_string(), &there, "--json"]);
    assert!(sent.contains("\"replaced\":false"), "{sent}");
    assert!(run(&["call", "reports.list"]).contains("\"name\":\"note\""));
    assert_eq!(run(&["get", "reports.get", &there, "--output", "-"]), "for you");
    assert!(run(&["call", "syslog.tail", "lines=1"]).starts_with("web line"));
}

#[test]
fn each_verb_of_the_database_catalog_does_what_it_says() {
    let postgres = Postgres::start();
    postgres.tell("create database shop");
    postgres.tell("create role helper login");
    postgres.tell_in(
        "shop",
        "create table customers (id int primary key, name text);
         create table orders (id int primary key, customer int, state text, total numeric(10,2), placed timestamp);
         insert into customers values (1, 'Ada');
         insert into orders values (17, 1, 'open', 12.50, '2026-11-20 10:00:00'), (18, 1, 'sent', 1, '2026-11-21 10:00:00');
         grant select on orders, customers to helper",
    );
    let accounts = Accounts::shared();
    let file = tests::installed::base().join("events.db");
    let mut command = std::process::Command::new("python3");
    command
        .arg("-c")
        .arg("import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])");
    command.arg(&file).arg(
        "create table events (at text, kind text, text text); insert into events values ('2026-11-20', 'start', 'a 100% start'), ('2026-11-21', 'stop', 'x')",
    );
    tests::world::must(command);
    std::os::unix::fs::chown(&file, Some(accounts.alice.uid), None).expect("give it away");
    let policy = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";
    let targets = example("targets.d/databases.toml")
        .replace("host = \"127.0.0.1\"", &format!("socket = \"{}\"", postgres.socket().display()))
        .replace("5432", &postgres.port.to_string())
        .replace("/var/lib/events/events.db", &file.display().to_string());
    // Whoever has the socket is who they are there.
    postgres.tell(&format!("alter role helper rename to \"{}\"", accounts.alice.name));
    let targets = targets.replace(", user = \"helper\"", "");
    let verbs = example("verbs.d/databases.toml");
    let world = Setup { targets, verbs, policy: policy.to_owned(), ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    let share = world.alice().open(&["shop.order", "shop.orders", "events.last"]);
    let call = |words: &[&str]| call(&world, &share, words);
    let (status, order, said) = call(&["shop.order", "id=17"]);
    let wanted = "{\"id\":17,\"state\":\"open\",\"total\":12.50,\"placed\":\"2026-11-20 10:00:00\",\"customer\":\"Ada\"}\n";
    assert_eq!((status, order.as_str()), (0, wanted), "{said}");
    let (status, orders, said) = call(&["shop.orders", "states=open,sent", "limit=1"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(
        orders,
        "id  state  total  placed\n--  -----  -----  -------------------\n18  sent   1.00   2026-11-21 10:00:00\n"
    );
    assert_eq!(call(&["shop.orders", "states=open,' or true --"]).0, 126);
    let (status, events, said) = call(&["events.last", "kind=start", "text=100%"]);
    let wanted = "{\"at\":\"2026-11-20\",\"kind\":\"start\",\"text\":\"a 100% start\"}\n";
    assert_eq!((status, events.as_str()), (0, wanted), "{said}");
    assert_eq!(world.alice().revoke(&share).status, 0);
}
