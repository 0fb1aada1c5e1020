//! Databases: what the catalog asks of them, and what nobody can make them do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::account::Account;
use tests::background::as_user;
use tests::owner::{Said, Share};
use tests::postgres::Postgres;
use tests::wait;
use tests::world::{Setup, World, must};

const POLICY: &str = "[[allow]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\n[[delegate]]\nuser = \"@ALICE@\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\nmax_ttl = \"30m\"\n[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n";

/// Statements with values, each a verb `db.NAME`.
struct Catalog<'c> {
    targets: String,
    verbs: &'c [(&'c str, &'c str, &'c str)],
    secrets: Vec<(&'c str, String)>,
}

impl Catalog<'_> {
    fn start(&self) -> World {
        let verb = |(name, statement, more): &(&str, &str, &str)| {
            let statement = Value::from(*statement);
            format!(
                "[verb.\"db.{name}\"]\nsummary = \"s\"\neffect = \"read\"\ntimeout = \"10m\"\nrun = {{ sql = {{ target = \"shop\", statement = {statement}{more}\n"
            )
        };
        let verbs = self.verbs.iter().map(verb).collect();
        let secrets = self.secrets.iter();
        let secrets = secrets.map(|(name, text)| ((*name).to_owned(), text.clone())).collect();
        let (targets, policy) = (self.targets.clone(), POLICY.to_owned());
        let world = Setup { targets, verbs, policy, secrets, ..Setup::default() }.start();
        world.alice().add_contact("vendor-b", &world.vendor());
        world
    }

    fn names(&self) -> Vec<String> {
        self.verbs.iter().map(|(name, ..)| format!("db.{name}")).collect()
    }
}

/// All verbs, shared.
fn open(world: &World, catalog: &Catalog<'_>) -> Share {
    let names = catalog.names();
    world.alice().open(&names.iter().map(String::as_str).collect::<Vec<_>>())
}

fn server(postgres: &Postgres, role: &str, more: &str) -> String {
    format!(
        "[sql.shop]\npostgres = {{ host = \"127.0.0.1\", port = {}, database = \"postgres\", user = \"{role}\" }}\npassword = \"password\"\n{more}\n",
        postgres.port
    )
}

fn password(role: &str) -> (&'static str, String) {
    ("password", format!("pw-of-{role}-31415\n"))
}

/// No value, or these.
const BARE: &str = " } }";

fn call(world: &World, share: &Share, words: &[&str]) -> Said {
    world.vendor().call(share, words)
}

/// The rows of a call that has to succeed.
fn rows(world: &World, share: &Share, words: &[&str]) -> Vec<Value> {
    let said = call(world, share, words);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{words:?}: {}", said.stdout);
    said.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// All that is on record, one event a line, and all that the daemon has said.
fn told(world: &World) -> String {
    let record: String = world.audit().iter().map(|event| format!("{event}\n")).collect();
    record + &world.daemon.as_ref().expect("it runs").stderr.text()
}

/// Values that have been something else than data somewhere.
const CORPUS: [&str; 17] = [
    "",
    "'",
    "''",
    "\"",
    "\\",
    "\\'; drop table orders; --",
    "'; drop table orders; --",
    "1 or 1=1",
    "') or ('1'='1",
    "/* */ --",
    "$1",
    "$$; delete from orders; $$",
    "{text}",
    "%s %n ?1 :a @b",
    "é ☃ 𝕏 \u{202e}abc",
    "a\nb\tc\r",
    "E'\\x00' || chr(0)",
];

const TEXT: &str = "\n[verb.\"db.NAME\".params]\ntext = { type = \"string\", required = true }";

fn of_text(name: &str) -> String {
    format!(", values = [\"{{text}}\"] }} }}{}", TEXT.replace("NAME", name))
}

#[test]
fn rows_of_a_server_arrive_as_objects_and_as_a_table() {
    let postgres = Postgres::start();
    let order = ", values = [\"{id}\", \"{state}\", \"lit{{eral\", 7, true] } }\n[verb.\"db.order\".params]\nid = { type = \"int\", required = true }\nstate = { type = \"string\", one_of = [\"open\", \"closed\"], default = \"open\" }";
    let several = ", values = [\"{ids}\"] } }\n[verb.\"db.several\".params]\nids = { type = \"int[]\", required = true }";
    let catalog = Catalog {
        targets: server(&postgres, "reader", ""),
        verbs: &[
            (
                "order",
                "select *, $3 as said, $4::int + 1 as eight, $5::bool as yes from orders where id = $1 and state = $2",
                order,
            ),
            ("several", "select id from orders where id = any($1) order by id", several),
            ("same", "select 1 as a, 2 as a, 'x' as a_2, 3 as a", BARE),
            (
                "odd",
                "select 'NaN'::float8 as nan, 1e300::float8 as big, 9007199254740993 as exact, 12345678901234567890.123456789 as money, '\\x00ff'::bytea as bytes, array[1,2] as list, '{ \"k\" : [ 1.0,\n 2 ] }'::json as doc, interval '1 day' as time, null as nothing",
                BARE,
            ),
            ("table", "select id, state, more from orders order by id", ", format = \"table\" } }"),
            ("none", "select id, state from orders where false", ", format = \"table\" } }"),
            (
                "many",
                "select n, repeat('x', 1000) as wide from generate_series(1, 5000) as n",
                BARE,
            ),
        ],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    let one = rows(&world, &share, &["db.order", "id=1"]);
    assert_eq!(
        one,
        [json!({
            "id": 1, "state": "open", "total": 12.50, "placed": one[0]["placed"], "paid": true,
            "more": { "a": [1, 2.50] }, "said": "lit{eral", "eight": 8, "yes": true,
        })]
    );
    assert!(one[0]["placed"].as_str().is_some_and(|when| when.starts_with("2026-11-20")));
    assert!(rows(&world, &share, &["db.order", "id=1", "state=closed"]).is_empty());
    let several = rows(&world, &share, &["db.several", "ids=3,1,9"]);
    assert_eq!(several, [json!({ "id": 1 }), json!({ "id": 3 })]);
    let same = call(&world, &share, &["db.same"]);
    assert_eq!(same.stdout, "{\"a\":1,\"a_3\":2,\"a_2\":\"x\",\"a_4\":3}\n");
    let odd = call(&world, &share, &["db.odd"]);
    for part in [
        "\"nan\":\"NaN\"",
        "\"big\":1e+300",
        "\"exact\":9007199254740993",
        "\"money\":12345678901234567890.123456789",
        "\"bytes\":\"\\\\x00ff\"",
        "\"list\":\"{1,2}\"",
        "\"doc\":{\"k\":[1.0,2]}",
        "\"time\":\"1 day\"",
        "\"nothing\":null",
    ] {
        assert!(odd.stdout.contains(part), "{part}: {}", odd.stdout);
    }
    assert_eq!(odd.stdout.lines().count(), 1);
    let table = call(&world, &share, &["db.table"]);
    assert_eq!(
        table.stdout,
        "id  state   more\n--  ------  --------------\n1   open    {\"a\":[1,2.50]}\n2   closed\n3   open    \"text\"\n"
    );
    assert_eq!(call(&world, &share, &["db.none"]).stdout, "id  state\n--  -----\n");
    let many = rows(&world, &share, &["db.many"]);
    assert_eq!((many.len(), &many[4999]["n"]), (5000, &json!(5000)));
    // All of it on one connection.
    assert_eq!(
        postgres.tell("select count(*) from pg_stat_activity where usename = 'reader'"),
        "1\n"
    );
    assert!(!told(&world).contains("pw-of-reader"));
    let plan = world.alice().run(&[
        "share", "open", "--agent", "you", "--verb", "db.order", "--to", "vendor-b", "--plan",
    ]);
    assert_eq!(plan.status, 0, "{}", plan.stderr);
}

#[test]
fn whatever_a_value_says_it_is_a_value() {
    let postgres = Postgres::start();
    let file = sqlite_file("corpus");
    let echo = of_text("echo");
    let verbs = [("echo", "select $1 as said", echo.as_str())];
    let secrets = vec![password("reader")];
    for targets in
        [server(&postgres, "reader", ""), format!("[sql.shop]\nsqlite = \"{}\"\n", file.display())]
    {
        let catalog = Catalog { targets, verbs: &verbs, secrets: secrets.clone() };
        let world = catalog.start();
        let share = open(&world, &catalog);
        for text in CORPUS {
            let said = rows(&world, &share, &["db.echo", &format!("text={text}")]);
            assert_eq!(said, [json!({ "said": text })]);
        }
    }
    assert_eq!(postgres.tell("select count(*) from orders"), "3\n");
}

/// What would change something, or get out, and a part of why it does not.
const WRITES: [(&str, &str, &str); 27] = [
    ("insert", "insert into orders values (9, 'x', 1)", "gives no rows"),
    ("returning", "insert into orders values (9, 'x', 1) returning id", "read-only transaction"),
    ("cte", "with gone as (delete from orders returning id) select * from gone", "read-only"),
    ("nextval", "select nextval('numbers')", "read-only"),
    ("setval", "select setval('numbers', 7)", "read-only"),
    ("into", "select * into copied from orders", "gives no rows"),
    ("create", "create table made as select 1", "gives no rows"),
    ("temporary", "create temp table made as select 1", "gives no rows"),
    ("copy_file", "copy orders to '/tmp/osptest-copied'", "gives no rows"),
    ("copy_program", "copy (select 1) to program 'touch /tmp/osptest-copied'", "gives no rows"),
    ("copy_out", "copy orders to stdout", "gives no rows"),
    ("copy_in", "copy orders from stdin", "gives no rows"),
    ("writable", "set transaction read write", "gives no rows"),
    ("commit", "commit", "gives no rows"),
    ("config", "select set_config('transaction_read_only', 'off', false)", "before any query"),
    ("usual", "select set_config('default_transaction_read_only', 'off', false)", ""),
    ("two", "select 1; delete from orders", "multiple commands"),
    ("ended", "select 1; commit; delete from orders; select 2", "multiple commands"),
    ("analyze", "explain analyze delete from orders", "read-only"),
    ("locked", "select * from orders for update", "read-only"),
    ("block", "do $$ begin delete from orders; end $$", "gives no rows"),
    ("function", "select wipe()", "read-only"),
    ("procedure", "call wiped()", "gives no rows"),
    ("lock", "lock table orders", "gives no rows"),
    ("listen", "listen something", "gives no rows"),
    ("prepared", "prepare later as delete from orders", "gives no rows"),
    ("program", "select * from pg_read_file('/etc/passwd')", "permission denied"),
];

#[test]
fn a_role_that_may_write_writes_nothing_on_a_server() {
    let postgres = Postgres::start();
    let mut verbs: Vec<_> = WRITES.iter().map(|(name, text, _)| (*name, *text, BARE)).collect();
    verbs.push(("advisory", "select pg_advisory_lock(7)", BARE));
    verbs.push(("name", "select set_config('application_name', 'other', false)", BARE));
    verbs.push(("named", "show application_name", BARE));
    let catalog = Catalog {
        targets: server(&postgres, "writer", ""),
        verbs: &verbs,
        secrets: vec![password("writer")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    for (name, statement, why) in WRITES {
        let said = call(&world, &share, &[&format!("db.{name}")]);
        if why.is_empty() {
            assert_eq!(said.status, 0, "{statement}: {}", said.stderr);
        } else {
            assert_eq!(said.status, 1, "{statement}: {}{}", said.stdout, said.stderr);
            assert!(said.stderr.contains(why), "{statement}: {}", said.stderr);
        }
    }
    assert_eq!(postgres.tell("select count(*) from orders"), "3\n");
    assert_eq!(
        postgres.tell("select count(*) from pg_class where relname in ('copied', 'made')"),
        "0\n"
    );
    assert_eq!(postgres.tell("select last_value, is_called from numbers"), "1|f\n");
    assert!(!Path::new("/tmp/osptest-copied").exists());
    // Nothing of a call is left in the session that the next one has.
    assert_eq!(call(&world, &share, &["db.advisory"]).status, 0);
    assert_eq!(postgres.tell("select count(*) from pg_locks where locktype = 'advisory'"), "0\n");
    assert_eq!(call(&world, &share, &["db.name"]).status, 0);
    let named = rows(&world, &share, &["db.named"]);
    assert_eq!(named, [json!({ "application_name": "openscope" })]);
}

#[test]
fn a_server_does_no_more_of_what_takes_too_long_or_is_revoked() {
    let postgres = Postgres::start();
    let sleep = ", values = [\"{s}\"] } }\n[verb.\"db.sleep\".params]\ns = { type = \"int\", required = true }";
    let catalog = Catalog {
        targets: server(&postgres, "reader", "statement_timeout = \"2s\"\nrows_max = 10"),
        verbs: &[
            ("sleep", "select $1::int as s from pg_sleep($1::int) as asleep", sleep),
            ("rows", "select generate_series(1, 1000000000) as n", BARE),
            ("ten", "select generate_series(1, 10) as n", BARE),
            ("half", "select 1 / (4 - n) as n from generate_series(1, 6) as n", BARE),
            ("wrong", "select no_such_column from orders", BARE),
            ("few", "select $1::int", BARE),
        ],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let names = catalog.names();
    let mut words = vec!["share", "open", "--agent", "you", "--to", "vendor-b"];
    words.extend(names.iter().flat_map(|name| ["--verb", name.as_str()]));
    let warned = world.alice().run(&words);
    assert_eq!(warned.status, 0, "{}", warned.stderr);
    for part in [
        "`db.wrong` cannot be put: column",
        "`db.few` cannot be put: the statement has 1 placeholders, and the catalog has 0",
    ] {
        assert!(warned.stderr.contains(part), "{}", warned.stderr);
    }
    let share = open(&world, &catalog);
    assert_eq!(rows(&world, &share, &["db.sleep", "s=1"]), [json!({ "s": 1 })]);
    let late = call(&world, &share, &["db.sleep", "s=60"]);
    assert_eq!(late.status, 1);
    assert!(late.stderr.contains("statement timeout"), "{}", late.stderr);
    assert_eq!(postgres.runs("pg_sleep"), 0);
    let cut = call(&world, &share, &["db.rows"]);
    assert_eq!((cut.status, cut.stdout.lines().count()), (3, 10), "{}", cut.stderr);
    assert!(cut.stderr.contains("there are more than 10 rows"), "{}", cut.stderr);
    assert_eq!(rows(&world, &share, &["db.ten"]).len(), 10);
    assert_eq!(call(&world, &share, &["db.wrong"]).status, 1);
    let few = call(&world, &share, &["db.few"]);
    assert!(few.status == 1 && few.stderr.contains("1 placeholders"), "{}", few.stderr);
    let half = call(&world, &share, &["db.half"]);
    assert_eq!((half.status, half.stdout.lines().count()), (1, 3), "{}", half.stderr);
    assert!(half.stderr.contains("division by zero"), "{}", half.stderr);
}

#[test]
fn revoke_ends_what_a_server_does() {
    let postgres = Postgres::start();
    let catalog = Catalog {
        targets: server(&postgres, "reader", "statement_timeout = \"10m\""),
        verbs: &[("sleep", "select pg_sleep(600)", BARE), ("one", "select 1 as one", BARE)],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    let asleep = world.vendor().start(&share, &["db.sleep"]);
    postgres.wait_for("pg_sleep(600)");
    // Others go on beside it.
    assert_eq!(rows(&world, &share, &["db.one"]), [json!({ "one": 1 })]);
    // Whoever goes ends what was theirs, and nothing else.
    let gone = world.vendor().start(&share, &["db.sleep"]);
    wait::until("both run", || (postgres.runs("pg_sleep(600)") == 2).then_some(()));
    drop(gone);
    wait::until("one has ended", || (postgres.runs("pg_sleep(600)") == 1).then_some(()));
    assert_eq!(world.alice().revoke(&share).status, 0);
    assert_eq!(postgres.runs("pg_sleep(600)"), 0, "revoke has returned, and it still runs");
    wait::until("no session is left", || {
        let sessions = "select count(*) from pg_stat_activity where usename = 'reader'";
        (postgres.tell(sessions) == "0\n").then_some(())
    });
    drop(asleep);
}

#[test]
fn what_a_server_was_not_seen_to_end_is_named() {
    let postgres = Postgres::start();
    let catalog = Catalog {
        targets: server(&postgres, "reader", "statement_timeout = \"10m\""),
        verbs: &[("sleep", "select pg_sleep(600)", BARE)],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    let asleep = world.vendor().start(&share, &["db.sleep"]);
    let at_it = "select pid from pg_stat_activity where query like '%pg_sleep(600)%' and wait_event = 'PgSleep'";
    let backend = wait::until("the server is at it", || {
        Some(postgres.tell(at_it).trim().to_owned()).filter(|pid| !pid.is_empty())
    });
    assert!(tests::account::run("kill", &["-STOP", &backend]));
    let revoked = world.alice().revoke(&share);
    assert!(tests::account::run("kill", &["-CONT", &backend]));
    assert_eq!(revoked.status, 0, "{}", revoked.stderr);
    let goes_on = "db.sleep on shop, for at most 600s";
    assert!(revoked.stdout.contains(goes_on), "{}", revoked.stdout);
    let ended = world.last_end();
    assert_eq!((&ended["ending"], &ended["beyond"]), (&json!("revoked"), &json!(goes_on)));
    drop(asleep);
}

#[test]
fn more_calls_than_connections_take_their_turn() {
    let postgres = Postgres::start();
    let catalog = Catalog {
        targets: server(&postgres, "reader", ""),
        verbs: &[("nap", "select 1 as one from pg_sleep(0.5)", BARE)],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    let begun = Instant::now();
    let naps: Vec<_> = (0..7).map(|_| world.vendor().start(&share, &["db.nap"])).collect();
    for nap in &naps {
        nap.stdout.line_with("\"one\":1");
    }
    assert!(begun.elapsed() > Duration::from_secs(1), "more than four at a time");
    let sessions = "select count(*) from pg_stat_activity where usename = 'reader'";
    assert_eq!(postgres.tell(sessions), "4\n");
}

/// What opening a share says that is refused.
fn refused(targets: String, secrets: Vec<(&str, String)>) -> (World, String) {
    let catalog = Catalog { targets, verbs: &[("one", "select 1 as one", BARE)], secrets };
    let world = catalog.start();
    let words = ["share", "open", "--agent", "you", "--verb", "db.one", "--to", "vendor-b"];
    let said = world.alice().run(&words);
    assert_ne!(said.status, 0, "{}", said.stdout);
    assert!(said.stderr.contains("nothing was opened"), "{}", said.stderr);
    (world, said.stderr)
}

#[test]
fn a_role_that_is_not_let_in_or_may_do_all_opens_nothing() {
    let postgres = Postgres::start();
    let wrong = vec![("password", "pw-that-is-wrong-2718\n".to_owned())];
    let (world, said) = refused(server(&postgres, "reader", ""), wrong);
    assert!(said.contains("password authentication failed for user \"reader\""), "{said}");
    assert!(!said.contains("pw-that-is-wrong") && !told(&world).contains("pw-that-is-wrong"));
    drop(world);
    for (role, why) in [
        ("almighty", "the role `almighty` is a superuser"),
        ("shown", "it wants to see the password, and may be anybody"),
        ("hashed", "it wants to see the password, and may be anybody"),
        ("trusted", "it lets us in without knowing the password"),
    ] {
        let (world, said) = refused(server(&postgres, role, ""), vec![password(role)]);
        assert!(said.contains(why), "{role}: {said}");
        drop(world);
    }
}

#[test]
fn a_server_is_believed_by_its_certificate_and_a_socket_by_its_place() {
    let postgres = Postgres::start();
    let ca = ("ca.pem", postgres.ca());
    let one = [(
        "one",
        "select 1 as one, (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls",
        BARE,
    )];
    // What is asked for the password in plain gets it once it is known who asks.
    for role in ["secured", "shown", "hashed"] {
        let catalog = Catalog {
            targets: server(&postgres, role, "ca = \"ca.pem\""),
            verbs: &one,
            secrets: vec![password(role), ca.clone()],
        };
        let world = catalog.start();
        let share = open(&world, &catalog);
        let said = rows(&world, &share, &["db.one"]);
        assert_eq!(said, [json!({ "one": 1, "tls": true })], "{role}");
    }
    let other = Postgres::start();
    let (_world, said) = refused(
        server(&postgres, "secured", "ca = \"ca.pem\""),
        vec![password("secured"), ("ca.pem", other.ca())],
    );
    assert!(said.contains("no TLS: invalid peer certificate"), "{said}");
    let alice = tests::account::Accounts::shared().alice.name.clone();
    postgres.tell(&format!("create role \"{alice}\" login; grant select on orders to \"{alice}\""));
    let targets = format!(
        "[sql.shop]\npostgres = {{ socket = \"{}\", port = {}, database = \"postgres\" }}\n",
        postgres.socket().display(),
        postgres.port
    );
    let verbs = [("who", "select current_user as who, count(*) as n from orders", BARE)];
    let catalog = Catalog { targets, verbs: &verbs, secrets: Vec::new() };
    let world = catalog.start();
    let share = open(&world, &catalog);
    assert_eq!(rows(&world, &share, &["db.who"]), [json!({ "who": alice, "n": 3 })]);
}

#[test]
fn a_server_that_goes_is_told_of_and_one_that_comes_back_is_asked_again() {
    let mut postgres = Postgres::start();
    let catalog = Catalog {
        targets: server(&postgres, "reader", ""),
        verbs: &[
            ("one", "select 1 as one", BARE),
            ("sleep", "select pg_sleep(5)", BARE),
            (
                "secret",
                "select 'AKIAIOSFODNN7EXAMPLE' as id, 'password=hunter2hunter2' as said",
                BARE,
            ),
        ],
        secrets: vec![password("reader")],
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    assert_eq!(rows(&world, &share, &["db.one"]).len(), 1);
    let secret = call(&world, &share, &["db.secret"]);
    assert_eq!(secret.status, 0);
    assert!(!secret.stdout.contains("AKIAIOSFODNN7EXAMPLE"), "{}", secret.stdout);
    let mut asleep = world.vendor().start(&share, &["db.sleep"]);
    postgres.wait_for("pg_sleep");
    postgres.stop();
    assert_eq!(asleep.wait().code(), Some(255), "{}", asleep.stderr.text());
    let lost = call(&world, &share, &["db.one"]);
    assert_eq!(lost.status, 255, "{}", lost.stderr);
    assert!(!lost.stderr.contains("127.0.0.1"), "{}", lost.stderr);
    assert!(told(&world).contains("Connection refused"));
    postgres.serve();
    assert_eq!(rows(&world, &share, &["db.one"]).len(), 1);
}

fn sqlite_file(name: &str) -> PathBuf {
    let alice = &tests::account::Accounts::shared().alice;
    let place = tests::installed::base().join(format!("sqlite-{name}"));
    fs::create_dir_all(&place).expect("make a directory");
    std::os::unix::fs::chown(&place, Some(alice.uid), Some(alice.gid)).expect("give it away");
    let file = place.join("events.db");
    sqlite(
        alice,
        &file,
        "create table events (id integer primary key, kind text, size real, raw blob); insert into events values (1, 'start', 1.5, x'00ff'), (2, 'stop', null, null), (3, 'start', 1e300, x'')",
    );
    file
}

/// Has somebody's program write into a file.
fn sqlite(account: &Account, file: &Path, sql: &str) {
    let mut command = Command::new("python3");
    as_user(&mut command, account);
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()";
    command.arg("-c").arg(program).arg(file).arg(sql);
    must(command);
}

#[test]
fn rows_of_a_file_arrive_and_nothing_is_written_to_it() {
    let file = sqlite_file("rows");
    let events = ", values = [\"{kind}\", \"{ids}\"] } }\n[verb.\"db.events\".params]\nkind = { type = \"string\", required = true }\nids = { type = \"int[]\", default = [1, 2, 3] }";
    let writes = [
        ("insert", "insert into events values (9, 'x', 1, null)", "not authorized"),
        ("returning", "delete from events returning id", "not authorized"),
        ("create", "create table made (a)", "not authorized"),
        ("temporary", "create temp table made (a)", "not authorized"),
        ("attach", "attach database '/tmp/osptest-attached.db' as other", "not authorized"),
        ("vacuum", "vacuum into '/tmp/osptest-attached.db'", "gives no rows"),
        ("writable", "pragma query_only = off", "not authorized"),
        ("pragma", "pragma writable_schema", "not authorized"),
        ("begin", "begin immediate", "not authorized"),
        ("extension", "select load_extension('/tmp/x.so')", "not authorized"),
        ("two", "select 1; select 2", "only one statement"),
        ("named", "select :a", "is no placeholder"),
        ("question", "select ?", "is no placeholder"),
        ("gap", "select $2", "2 placeholders"),
        ("wrong", "select no_such from events", "no such column"),
        ("long", "select zeroblob(900000000) as much", "too big"),
    ];
    let mut verbs: Vec<_> = writes.iter().map(|(name, text, _)| (*name, *text, BARE)).collect();
    verbs.push((
        "events",
        "select id, kind, size, raw from events where kind = $1 and id in (select value from json_each($2)) order by id",
        events,
    ));
    verbs.push(("table", "select id, kind, size from events", ", format = \"table\" } }"));
    verbs.push((
        "forever",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n",
        BARE,
    ));
    verbs.push((
        "rows",
        "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n",
        BARE,
    ));
    let catalog = Catalog {
        targets: format!(
            "[sql.shop]\nsqlite = \"{}\"\nstatement_timeout = \"2s\"\nrows_max = 100\n",
            file.display()
        ),
        verbs: &verbs,
        secrets: Vec::new(),
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    let events = call(&world, &share, &["db.events", "kind=start"]);
    assert_eq!(
        events.stdout,
        "{\"id\":1,\"kind\":\"start\",\"size\":1.5,\"raw\":\"\\\\x00ff\"}\n{\"id\":3,\"kind\":\"start\",\"size\":1e+300,\"raw\":\"\\\\x\"}\n",
        "{}",
        events.stderr
    );
    assert_eq!(rows(&world, &share, &["db.events", "kind=start", "ids=3,2"]).len(), 1);
    let table = call(&world, &share, &["db.table"]);
    assert_eq!(
        table.stdout,
        "id  kind   size\n--  -----  ------\n1   start  1.5\n2   stop\n3   start  1e+300\n"
    );
    let before = fs::read(&file).expect("read it");
    for (name, statement, why) in writes {
        let said = call(&world, &share, &[&format!("db.{name}")]);
        assert_eq!(said.status, 1, "{statement}: {}{}", said.stdout, said.stderr);
        assert!(said.stderr.contains(why), "{statement}: {}", said.stderr);
    }
    assert_eq!(fs::read(&file).expect("read it"), before);
    assert!(!Path::new("/tmp/osptest-attached.db").exists());
    let late = call(&world, &share, &["db.forever"]);
    assert_eq!(late.status, 1);
    assert!(late.stderr.contains("took longer than its 2000 ms"), "{}", late.stderr);
    let cut = call(&world, &share, &["db.rows"]);
    assert_eq!((cut.status, cut.stdout.lines().count()), (3, 100), "{}", cut.stderr);
    let forever = world.vendor().start(&share, &["db.forever"]);
    wait::until("it runs", || busy(&world).then_some(()));
    assert_eq!(world.alice().revoke(&share).status, 0);
    drop(forever);
}

/// Whether something of the daemon's computes now.
fn busy(world: &World) -> bool {
    (world.events("call_started").len()) > world.events("call_ended").len()
}

#[test]
fn a_file_that_is_written_ahead_is_read_where_its_owner_may_write_beside_it() {
    let alice = tests::account::Accounts::shared().alice.clone();
    let file = sqlite_file("ahead");
    sqlite(
        &alice,
        &file,
        "pragma journal_mode = wal; insert into events values (4, 'late', 1, null)",
    );
    let catalog = Catalog {
        targets: format!("[sql.shop]\nsqlite = \"{}\"\n", file.display()),
        verbs: &[("count", "select count(*) as n from events", BARE)],
        secrets: Vec::new(),
    };
    let world = catalog.start();
    let share = open(&world, &catalog);
    assert_eq!(rows(&world, &share, &["db.count"]), [json!({ "n": 4 })]);
    sqlite(&alice, &file, "insert into events values (5, 'later', 1, null)");
    assert_eq!(rows(&world, &share, &["db.count"]), [json!({ "n": 5 })]);
    // Root's directory, in which the owner cannot make what belongs beside it.
    let place = file.parent().expect("a directory");
    std::os::unix::fs::chown(place, Some(0), Some(0)).expect("take it away");
    assert_eq!(call(&world, &share, &["db.count"]).status, 0, "what it takes is there");
    for beside in ["events.db-shm", "events.db-wal"] {
        fs::remove_file(place.join(beside)).expect("remove it");
    }
    let said = call(&world, &share, &["db.count"]);
    assert_eq!(said.status, 255, "{}{}", said.stdout, said.stderr);
}

#[test]
fn a_file_that_is_no_database_or_another_users_opens_nothing() {
    let file = sqlite_file("strange");
    let target = |path: &Path| format!("[sql.shop]\nsqlite = \"{}\"\n", path.display());
    let place = file.parent().expect("a directory").to_owned();
    let (none, link) = (place.join("none.db"), place.join("link.db"));
    fs::write(place.join("text.db"), "this is no database, and long enough to be seen as none")
        .expect("write it");
    std::os::unix::fs::symlink(&file, &link).expect("make a link");
    for path in [none.as_path(), &link, &place.join("text.db"), Path::new("/etc/shadow")] {
        let (world, said) = refused(target(path), Vec::new());
        assert!(said.contains(&path.display().to_string()), "{said}");
        drop(world);
    }
    assert!(!none.exists());
}
