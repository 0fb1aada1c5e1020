//! A user's own daemon: every sort of verb, as that user, without root.

use std::fs;
use std::io::Read as _;
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use tests::account::Accounts;
use tests::background::as_user;
use tests::reflect::forward;
use tests::sshd::Sshd;
use tests::terminal::AtTerminal;
use tests::web::{Web, get};
use tests::world::{Setup, World, must};

const VERBS: &str = r#"
[verb."own.shell"]
summary = "Says who it is, at a terminal"
effect  = "write"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/who"], tty = true } }

[verb."own.wait"]
summary = "Stays, and has a child that hides"
effect  = "read"
run     = { exec = { argv = ["/bin/sh", "@HOME@/script/wait"] } }
timeout = "30m"

[verb."far.who"]
summary = "Who one is there"
effect  = "read"
run     = { ssh = { target = "far", argv = ["id", "-un"] } }

[verb."web.open"]
summary = "A service"
effect  = "write"
run     = { forward = { http = "web" } }

[verb."port.open"]
summary = "A port"
effect  = "write"
run     = { forward = { tcp = "port" } }
output  = { redact = [] }

[verb."web.page"]
summary = "A page"
effect  = "read"
run     = { http = { target = "web", method = "GET", path = "/docs/a.txt" } }

[verb."db.all"]
summary = "What there is"
effect  = "read"
run     = { sql = { target = "book", statement = "select id, name from people order by id" } }

[verb."file.get"]
summary = "Fetches a file"
effect  = "read"
run     = { file = { get = "{path}" } }
output  = { redact = [] }
[verb."file.get".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }

[verb."file.put"]
summary = "Takes a file in"
effect  = "write"
run     = { file = { put = "{path}" } }
[verb."file.put".params]
path = { type = "path", subtree = "@HOME@/drop", required = true }
"#;
const NAMES: [&str; 9] = [
    "own.shell",
    "own.wait",
    "far.who",
    "web.open",
    "port.open",
    "web.page",
    "db.all",
    "file.get",
    "file.put",
];

fn world(sshd: &Sshd, web: &Web) -> World {
    let accounts = Accounts::shared();
    let key = sshd.key_of(&accounts.alice);
    let targets = sshd.target("far", &format!("identity = {{ own = \"{}\" }}", key.display()))
        + &format!(
            "[http.web]\nurl = \"http://127.0.0.1:{0}/\"\npaths = [\"/docs/*\"]\n[tcp.port]\nhost = \"127.0.0.1\"\nport = {0}\n[sql.book]\nsqlite = \"@HOME@/drop/book.db\"\n",
            web.port
        );
    let policy = format!(
        "[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n[[allow]]\nagent = \"you\"\nverbs = {NAMES:?}\n[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n"
    );
    let setup =
        Setup { targets, verbs: VERBS.to_owned(), policy, is_rootless: true, ..Setup::default() };
    let world = setup.start();
    world.script("who", "stty size; id -un\n");
    world.script("wait", "(setsid sleep 334 >/dev/null 2>&1 &)\necho here; exec sleep 334\n");
    let mut book = Command::new("python3");
    as_user(&mut book, &accounts.alice);
    book.args([
        "-c",
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])",
    ]);
    book.arg(world.drop_file("book.db"));
    book.arg("create table people (id integer, name text); insert into people values (1, 'ada')");
    must(book);
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

#[test]
fn p03_each_sort_of_verb_runs_as_whoever_runs_the_daemon() {
    let sshd = Sshd::start(&Accounts::shared().bob);
    let web = Web::nginx();
    let world = world(&sshd, &web);
    let (alice, bob) = (&world.accounts.alice, &world.accounts.bob);
    let share = world.alice().open(&NAMES);
    let said = |words: &[&str]| {
        let said = world.vendor().call(&share, words);
        assert_eq!(said.status, 0, "{words:?}: {said:?}");
        said.stdout
    };

    let command = world.vendor().command(&share, &["call", "own.shell"]);
    let mut person = AtTerminal::start(&command, &world.accounts.vendor, 31, 99);
    person.sees(&format!("31 99\r\n{}\r\n", alice.name));
    person.wait();

    for _ in 0..2 {
        assert_eq!(said(&["far.who"]), format!("{}\n", bob.name));
    }
    assert_eq!(said(&["web.page"]), "0123456789\n");
    assert_eq!(get(forward(&world, &share, "web").at, "/docs/a.txt").text(), "0123456789\n");
    let port = forward(&world, &share, "port");
    let mut stream = TcpStream::connect(port.at).expect("connect");
    std::io::Write::write_all(&mut stream, b"GET /docs/a.txt HTTP/1.0\r\n\r\n").expect("ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("hear");
    assert!(answer.ends_with("0123456789\n"), "{answer}");
    assert_eq!(said(&["db.all"]), "{\"id\":1,\"name\":\"ada\"}\n");

    let here = world.vendor().home().join("letter");
    let path = format!("path={}", world.drop_file("letter").display());
    fs::write(&here, "a letter\n").expect("write a file");
    std::os::unix::fs::chown(&here, Some(world.accounts.vendor.uid), None).expect("give it away");
    let put = world.vendor().run(&share, &["put", "file.put", &here.display().to_string(), &path]);
    assert_eq!(put.status, 0, "{put:?}");
    let there = fs::metadata(world.drop_file("letter")).expect("it arrived");
    assert_eq!((there.uid(), there.mode() & 0o777), (alice.uid, 0o600));
    let back = world.vendor().run(&share, &["get", "file.get", &path, "-o", "-"]);
    assert_eq!((back.status, back.stdout.as_str()), (0, "a letter\n"), "{back:?}");
}

#[test]
fn p06_revoke_ends_all_of_it() {
    let sshd = Sshd::start(&Accounts::shared().bob);
    let web = Web::nginx();
    let world = world(&sshd, &web);
    let share = world.alice().open(&NAMES);
    assert_eq!(world.vendor().call(&share, &["far.who"]).status, 0);
    let mut waits = world.vendor().start(&share, &["own.wait"]);
    waits.stdout.line_with("here");
    let port = forward(&world, &share, "port");
    let mut stream = TcpStream::connect(port.at).expect("connect");
    let revoked = world.alice().revoke(&share);
    assert_eq!(revoked.status, 0, "{revoked:?}");
    let mut left = Command::new("pgrep");
    left.args(["-u", &world.accounts.alice.name, "-f", "sleep 334"]);
    let left = left.output().expect("look for them").stdout;
    assert!(left.is_empty(), "left over: {}", String::from_utf8_lossy(&left));
    assert_eq!(waits.wait().code(), Some(255), "{}", waits.stderr.text());
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}
