//! Every type of parameter against values that would be something else wherever something read them, by every sort of verb
//! that hands values on: each arrives as it was, or is refused, and nothing of it is carried out.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use policy::{Kind, Value};
use serde_json::json;
use tests::account::Accounts;
use tests::owner::{Said, Share};
use tests::sshd::Sshd;
use tests::web::Web;
use tests::world::{Setup, World};

/// What a shell, a program, a server or a database would take for its own. `@HOME@/open` is anybody's to write.
const CORPUS: [&str; 60] = [
    "plain",
    "",
    " ",
    "a  b ",
    "$(touch @HOME@/open/pwned)",
    "`touch @HOME@/open/pwned`",
    "; touch @HOME@/open/pwned",
    "&& touch @HOME@/open/pwned",
    "|| touch @HOME@/open/pwned",
    "| touch @HOME@/open/pwned",
    "& touch @HOME@/open/pwned &",
    "> @HOME@/open/pwned",
    "a\ntouch @HOME@/open/pwned",
    "a\r\ntouch @HOME@/open/pwned",
    "'; touch @HOME@/open/pwned; '",
    "\"; touch @HOME@/open/pwned; \"",
    "\\'; touch @HOME@/open/pwned; \\'",
    "${IFS}touch${IFS}@HOME@/open/pwned",
    "$'\\x3btouch @HOME@/open/pwned'",
    "(touch @HOME@/open/pwned)",
    "{touch,@HOME@/open/pwned}",
    "<(touch @HOME@/open/pwned)",
    "\\",
    "\\\\",
    "'",
    "\"",
    "!!",
    "*",
    "?",
    "[a-z]",
    "~root",
    "%s%n%x",
    "%p %h",
    "-oProxyCommand=touch @HOME@/open/pwned",
    "--help",
    "-",
    "{text}",
    "{{v}}",
    "#x",
    "=x",
    "^a^b",
    "é—日本🦀",
    "\u{202e}gnp",
    "\u{feff}x",
    "a\u{1b}]52;c;aGk=\u{7}",
    "' or 1=1 --",
    "'; drop table kept; --",
    "\"); drop table kept; --",
    "?1",
    ":v",
    "a&b=c#d",
    "%2e%2e%2f",
    "../../etc/passwd",
    "0x10",
    "1e9",
    "-1",
    "9223372036854775808",
    "true",
    "null",
    "[\"a\",\"b\"]",
];
/// Values of the other types, some of them in spellings that are not theirs.
const TYPED: [&str; 24] = [
    "0",
    "007",
    "9223372036854775807",
    "-9223372036854775808",
    "false",
    "TRUE",
    "@HOME@/open",
    "@HOME@/open/a b;c",
    "@HOME@/open/../open",
    "//etc",
    "/",
    "127.0.0.1",
    "127.1",
    "0177.0.0.1",
    "::1",
    "::ffff:127.0.0.1",
    "fe80::1%eth0",
    "127.0.0.1; id",
    "http://h.example/",
    "http://h.example/a'b(c)",
    "http://h.example/%2e%2e/x",
    "http://u:p@h.example/",
    "javascript:alert(1)",
    "https://h.example/?q=$(id)",
];
const KINDS: [(&str, Kind); 11] = Kind::ALL;

/// How a verb hands its value on.
#[derive(Clone, Copy)]
enum Way {
    Exec,
    Environment,
    Ssh,
    Http,
    Query,
    Form,
    File,
    Sql,
}

impl Way {
    const ALL: [(&str, Self); 8] = [
        ("exec", Self::Exec),
        ("env", Self::Environment),
        ("ssh", Self::Ssh),
        ("http", Self::Http),
        ("query", Self::Query),
        ("form", Self::Form),
        ("file", Self::File),
        ("sql", Self::Sql),
    ];

    fn run(self) -> &'static str {
        match self {
            Self::Exec => "exec = { argv = [\"/usr/bin/printf\", \"<%s>\", \"{v}\"] }",
            Self::Ssh => "ssh = { target = \"far\", argv = [\"printf\", \"<%s>\", \"{v}\"] }",
            Self::Http => {
                "http = { target = \"app\", method = \"POST\", path = \"/api/x\", json = { v = \"{v}\" } }"
            }
            Self::Environment => {
                "exec = { argv = [\"/usr/bin/printenv\", \"OPENSCOPE_V\"], env = { OPENSCOPE_V = \"{v}\" } }"
            }
            Self::Query => {
                "http = { target = \"app\", path = \"/api/x\", query = { v = \"{v}\", w = \"kept\" } }"
            }
            Self::Form => {
                "http = { target = \"app\", method = \"POST\", path = \"/api/x\", form = { v = \"{v}\", w = \"kept\" } }"
            }
            Self::File => "file = { list = \"{v}\" }",
            Self::Sql => {
                "sql = { target = \"rows\", statement = \"select $1 as v\", values = [\"{v}\"] }"
            }
        }
    }

    /// Whether values of this type go this way: a database's file has no lists, and what is written into one field is a
    /// string like any other.
    fn takes(self, kind: Kind) -> bool {
        match self {
            Self::Exec | Self::Ssh | Self::Http => true,
            Self::Sql => kind.each() == kind,
            Self::Environment | Self::Query | Self::Form => kind == Kind::Text,
            Self::File => kind == Kind::Path,
        }
    }

    /// How many have to arrive, and to be refused, for the rest to mean something.
    fn least(self) -> (u32, u32) {
        match self {
            Self::Exec | Self::Ssh | Self::Http | Self::Sql => (60, 60),
            Self::Environment | Self::Query | Self::Form => (60, 0),
            Self::File => (1, 60),
        }
    }

    /// What the verb prints of a value.
    fn printed(self, value: &Value) -> String {
        let items = value.items().iter().map(|item| format!("<{item}>"));
        match self {
            // With nothing to print, printf prints its form once.
            Self::Exec | Self::Ssh if value.items().is_empty() => "<>".to_owned(),
            Self::Exec | Self::Ssh => items.collect(),
            Self::Environment => format!("{value}\n"),
            Self::Query | Self::Form => {
                json!([["v", value.to_string()], ["w", "kept"]]).to_string()
            }
            Self::File => String::new(),
            Self::Http | Self::Sql => {
                let json = |value: &Value| match value {
                    Value::Int(number) => json!(number),
                    Value::Bool(truth) if matches!(self, Self::Sql) => json!(i64::from(*truth)),
                    Value::Bool(truth) => json!(truth),
                    Value::Text(_) | Value::List(_) => json!(value.to_string()),
                };
                match value {
                    Value::List(_) => value.items().iter().map(json).collect::<serde_json::Value>(),
                    one => json(one),
                }
                .to_string()
            }
        }
    }
}

fn world(sshd: &Sshd, app: &Web) -> World {
    let key = sshd.key_of(&Accounts::shared().alice);
    let targets = sshd.target("far", &format!("identity = {{ own = \"{}\" }}", key.display()))
        + &format!(
            "[http.app]\nurl = \"http://127.0.0.1:{}/\"\nmethods = [\"GET\", \"POST\"]\npaths = [\"/api/*\"]\nquery = [\"v\", \"w\"]\n[sql.rows]\nsqlite = \"@HOME@/drop/rows.db\"\n",
            app.port
        );
    let mut verbs = String::new();
    for (way, sort) in Way::ALL {
        for (name, kind) in KINDS.into_iter().filter(|(_, kind)| sort.takes(*kind)) {
            let is_path = kind.each() == Kind::Path;
            let beneath = if is_path { ", subtree = \"@HOME@/open\"" } else { "" };
            let verb = verb(way, name);
            verbs += &format!(
                "[verb.\"{verb}\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ {} }}\noutput = {{ redact = [] }}\n[verb.\"{verb}\".params]\nv = {{ type = \"{name}\"{beneath}, required = true }}\n",
                sort.run()
            );
        }
    }
    let policy = "[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n[[allow]]\nagent = \"you\"\nverbs = [\"*\"]\n[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n";
    let limits = "refusals_in_a_row = 100000\nrefusals_per_share = 100000\n".to_owned();
    let world = Setup { targets, verbs, policy: policy.to_owned(), limits, ..Setup::default() };
    let world = world.start();
    let open = world.home.join("open");
    fs::create_dir(&open).expect("make a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("open it for all");
    let rows = world.drop_file("rows.db");
    let mut make = std::process::Command::new("python3");
    make.args([
        "-c",
        "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])",
    ]);
    make.arg(&rows).arg("create table kept (x); insert into kept values (1)");
    tests::world::must(make);
    std::os::unix::fs::chown(&rows, Some(world.accounts.alice.uid), None).expect("give it away");
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

fn verb(way: &str, kind: &str) -> String {
    format!("{way}.of_{}", kind.replace("[]", "_list"))
}

/// What arrived as it was, and what was refused.
#[derive(Default)]
struct Count {
    arrived: u32,
    refused: u32,
}

fn ask(
    world: &World,
    share: &Share,
    (way, sort): (&str, Way),
    kind: (&str, Kind),
    text: &str,
) -> bool {
    let said = world.vendor().call(share, &[&verb(way, kind.0), &format!("v={text}")]);
    let Ok(value) = Value::parse(kind.1, text) else {
        assert_eq!(
            (said.status, said.stdout.as_str()),
            (2, ""),
            "{way} {} {text:?}: {said:?}",
            kind.0
        );
        return false;
    };
    // Refused: an option, a control character, outside the subtree; never half of it.
    if said.status == 126 {
        assert_eq!(said.stdout, "", "{way} {} {text:?}: {said:?}", kind.0);
        return false;
    }
    assert!(said.status == 0 || is_opened(sort, kind.1), "{way} {} {text:?}: {said:?}", kind.0);
    let printed = match sort {
        // It is opened by the runner, and goes by its descriptor; what is not there is not opened.
        Way::Exec if is_opened(sort, kind.1) => {
            assert!([0, 125].contains(&said.status), "{text:?}: {said:?}");
            return said.status == 0;
        }
        // Of the one directory that it may list, in which there is nothing.
        Way::File => {
            assert!([0, 1, 125].contains(&said.status), "{text:?}: {said:?}");
            assert_eq!(said.stdout, "", "{text:?}");
            return said.status == 0;
        }
        Way::Exec | Way::Environment | Way::Ssh => said.stdout.clone(),
        Way::Query => echoed(&said)["query"].to_string(),
        Way::Form => echoed(&said)["form"].to_string(),
        Way::Http => {
            let echoed = echoed(&said);
            let body = echoed["body"].as_str().expect("what was sent");
            serde_json::from_str::<serde_json::Value>(body).expect("JSON")["v"].to_string()
        }
        Way::Sql => {
            serde_json::from_str::<serde_json::Value>(&said.stdout).expect("a row")["v"].to_string()
        }
    };
    assert_eq!((said.status, printed), (0, sort.printed(&value)), "{way} {} {text:?}", kind.0);
    true
}

/// What the service says that it was asked.
fn echoed(said: &Said) -> serde_json::Value {
    serde_json::from_str(&said.stdout).expect("JSON")
}

/// Whether its value is a path that the runner opens.
fn is_opened(sort: Way, kind: Kind) -> bool {
    matches!(sort, Way::Exec | Way::File) && kind.each() == Kind::Path
}

#[test]
fn ru6_no_value_of_any_type_is_more_than_a_value_by_any_way() {
    let (sshd, app) = (Sshd::start(&Accounts::shared().bob), Web::app(&Accounts::shared().bob));
    let world = world(&sshd, &app);
    let names: Vec<String> = Way::ALL
        .into_iter()
        .flat_map(|(way, sort)| {
            let kinds = KINDS.into_iter().filter(move |(_, kind)| sort.takes(*kind));
            kinds.map(move |(name, _)| verb(way, name))
        })
        .collect();
    let share = world.alice().open(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for way in Way::ALL {
        for kind in KINDS.into_iter().filter(|(_, kind)| way.1.takes(*kind)) {
            let is_list = kind.1.each() != kind.1;
            for text in CORPUS.iter().chain(&TYPED).map(|text| world.fill(text)) {
                let text = if is_list { json!([text, text]).to_string() } else { text };
                let count = counts.entry(way.0).or_default();
                if ask(&world, &share, way, kind, &text) {
                    count.arrived += 1;
                } else {
                    count.refused += 1;
                }
            }
        }
    }
    assert_eq!(
        fs::read_dir(world.home.join("open")).expect("look").count(),
        0,
        "something was carried out"
    );
    let mut kept = std::process::Command::new("python3");
    kept.args(["-c", "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select x from kept').fetchall())"]);
    kept.arg(world.drop_file("rows.db"));
    assert_eq!(tests::world::must(kept), "[(1,)]\n");
    for (way, Count { arrived, refused }) in &counts {
        let (_, sort) = Way::ALL.into_iter().find(|(name, _)| name == way).expect("a way");
        let least = sort.least();
        assert!(
            *arrived >= least.0 && *refused >= least.1,
            "{way}: {arrived} arrived, {refused} refused"
        );
        let line = format!(
            "injection corpus, {way}: {arrived} arrived as they were, {refused} refused, 0 escaped\n"
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
