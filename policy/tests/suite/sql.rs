//! Verbs that ask databases: what of them is taken, what is bound to a statement, and what is consented to.

use policy::{
    Arguments, Decision, Effect, Level, Policy, RowFormat, Run, SqlQuery, Value, Verb, Via, lint,
};

use crate::world::{HOLDS_ALL, NOW, Shared, call, source, text};

const SHOP: &str = "[sql.shop]\npostgres = { host = \"db.internal\", database = \"shop\" }\n";

fn verb(run: &str, params: &str) -> String {
    let params =
        if params.is_empty() { String::new() } else { format!("[verb.\"a.b\".params]\n{params}") };
    format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ sql = {{ {run} }} }}\n{params}"
    )
}

fn load(targets: &str, verbs: &str) -> Result<Policy, String> {
    let sources = [source("verbs.d/v.toml", verbs), source("targets.d/t.toml", targets)];
    let joined = |faults: Vec<policy::TextFault>| {
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    policy::load(&sources, &[]).map_err(joined)
}

fn the_verb(policy: &Policy) -> &Verb {
    policy.catalog().verb(&"a.b".parse().unwrap()).unwrap()
}

const ID: &str = "id = { type = \"int\", required = true }\ntext = { type = \"string\", required = true }\nall = { type = \"string[]\", required = true }";
const ALL: &str = "target = \"shop\", statement = \"select '{id}', $1, $2\", values = [\"{id}\", \"{text}\", \"{all}\", \"{{x}}\", 7, false]";

fn given(pairs: &[(&str, Value)]) -> Arguments {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.clone())).collect()
}

#[test]
fn values_stand_beside_the_statement_and_never_in_it() {
    let policy = load(SHOP, &verb(ALL, ID)).unwrap();
    let Run::Sql(sql) = &the_verb(&policy).run else { panic!() };
    let odd = "'; drop table orders; -- $1 {id}";
    let list = Value::list([Value::text("a,b").unwrap(), Value::text("").unwrap()]).unwrap();
    let arguments = given(&[
        ("id", Value::Int(-3)),
        ("text", Value::text(odd).unwrap()),
        ("all", list.clone()),
    ]);
    let values = vec![
        Value::Int(-3),
        Value::text(odd).unwrap(),
        list,
        Value::text("{x}").unwrap(),
        Value::Int(7),
        Value::Bool(false),
    ];
    let statement = "select '{id}', $1, $2".to_owned();
    let wanted = SqlQuery { statement: statement.clone(), values, format: RowFormat::Ndjson };
    assert_eq!(sql.query(&arguments), wanted);
    assert_eq!(sql.placeholders(), 6);
    let command = the_verb(&policy).command(&arguments);
    let words: Vec<String> = command.iter().map(ToString::to_string).collect();
    assert_eq!(words[..2], ["postgres://db.internal/shop".to_owned(), statement]);
    assert_eq!(words[2..4], ["$1=-3".to_owned(), format!("$2={odd}")]);
    assert_eq!(the_verb(&policy).effect, Effect::Read);
}

#[test]
fn tls_is_chosen_by_where_the_server_is() {
    let via = |server: &str, more: &str| {
        let targets = format!("[sql.shop]\npostgres = {{ database = \"shop\", {server} }}\n{more}");
        let one = verb("target = \"shop\", statement = \"select 1\"", "");
        let policy = load(&targets, &one).unwrap();
        let target = policy.sql_targets().next().unwrap();
        target.postgres().unwrap().via.clone()
    };
    let tls = |via: &Via| matches!(via, Via::Tls { .. });
    assert!(tls(&via("host = \"db\"", "")));
    assert!(tls(&via("host = \"127.0.0.1\"", "tls = \"verify\"")));
    assert!(tls(&via("host = \"localhost\"", "ca = \"ca.pem\"")));
    for here in ["127.0.0.1", "127.3.2.1", "::1", "localhost"] {
        assert!(matches!(via(&format!("host = \"{here}\""), ""), Via::Plain(_)), "{here}");
    }
    assert!(matches!(via("host = \"db\"", "tls = \"off\""), Via::Plain(_)));
    assert!(matches!(via("socket = \"/run/postgresql\"", ""), Via::Socket(_)));
}

#[test]
fn each_fault_of_a_database_is_named() {
    let shop = |keys: &str| load(&format!("[sql.shop]\n{keys}"), "").unwrap_err();
    for (keys, said) in [
        ("", "`postgres = { … }` or `sqlite = FILE`"),
        ("sqlite = \"/a\"\npostgres = { host = \"h\", database = \"d\" }", "one of them"),
        ("sqlite = \"a\"", "absolute path"),
        ("sqlite = \"file:/a?mode=rwc\"", "absolute path"),
        ("sqlite = \"/a\"\npassword = \"p\"", "a file has no `password`"),
        ("sqlite = \"/a\"\nconnect_timeout = \"1s\"", "a file has no `connect_timeout`"),
        ("postgres = { database = \"d\" }", "`host`, or `socket`"),
        ("postgres = { host = \"h\", socket = \"/s\", database = \"d\" }", "`host`, or `socket`"),
        ("postgres = { host = \"h\" }", "`database` is missing"),
        ("postgres = { host = \"h/\", database = \"d\" }", "is not a host"),
        ("postgres = { host = \"h\", database = \"\" }", "the name of a database"),
        ("postgres = { host = \"h\", database = \"d\", user = \"a\\u0000b\" }", "name of a role"),
        ("postgres = { host = \"h\", database = \"d\", port = 0 }", "a port is"),
        ("postgres = { socket = \"s\", database = \"d\" }", "absolute path"),
        ("postgres = { socket = \"/s\", database = \"d\" }\nca = \"c\"", "a socket has no TLS"),
        ("postgres = { host = \"h\", database = \"d\" }\ntls = \"prefer\"", "no tls"),
        (
            "postgres = { host = \"h\", database = \"d\" }\ntls = \"off\"\nca = \"c\"",
            "leave `ca` out",
        ),
        ("postgres = { host = \"h\", database = \"d\", password = \"x\" }", "unknown field"),
        ("sqlite = \"/a\"\nrows_max = 0", "`rows_max` is 1 to"),
        ("sqlite = \"/a\"\nstatement_timeout = \"2h\"", "at most 1h"),
        ("sqlit = \"/a\"", "did you mean `sqlite`?"),
    ] {
        assert!(shop(keys).contains(said), "{keys}: {}", shop(keys));
    }
}

#[test]
fn each_fault_of_a_verb_that_asks_a_database_is_named() {
    let with = |run: &str, params: &str| load(SHOP, &verb(run, params)).unwrap_err();
    for (run, params, said) in [
        ("statement = \"select 1\"", "", "`target` is missing"),
        ("target = \"shp\", statement = \"select 1\"", "", "did you mean `shop`?"),
        ("target = \"shop\"", "", "`statement` is missing"),
        ("target = \"shop\", statement = \" \"", "", "a statement is text"),
        ("target = \"shop\", statement = \"select\\u0000\"", "", "a statement is text"),
        ("target = \"shop\", statement = \"s\", format = \"csv\"", "", "no format"),
        ("target = \"shop\", statement = \"s\", values = [\"a{id}\"]", ID, "neither one parameter"),
        ("target = \"shop\", statement = \"s\", values = [\"{other}\"]", "", "not a declared"),
        (
            "target = \"shop\", statement = \"s {id}\"",
            "id = { type = \"int\", required = true }",
            "never uses it",
        ),
        ("target = \"shop\", statement = \"s\", values = [1.5]", "", "string"),
        ("target = \"shop\", statement = \"s\", value = [1]", "", "did you mean `values`?"),
    ] {
        assert!(with(run, params).contains(said), "{run}: {}", with(run, params));
    }
    let many = vec!["1"; 65].join(", ");
    let many = format!("target = \"shop\", statement = \"s\", values = [{many}]");
    assert!(with(&many, "").contains("at most 64 values"));
    let writes =
        verb("target = \"shop\", statement = \"select 1\"", "").replace("\"read\"", "\"write\"");
    assert!(load(SHOP, &writes).unwrap_err().contains("only reads"));
}

/// What is to be consented to of a call.
fn digest(targets: &str, statement: &str, value: &str) -> [u8; 32] {
    let one = verb(
        &format!(
            "target = \"shop\", statement = \"{statement}\", values = [\"{{text}}\", {value}]"
        ),
        "text = { type = \"string\", required = true }",
    );
    let sources = [source("v.toml", &(targets.to_owned() + &one))];
    let rules = format!("{HOLDS_ALL}approve = \"each\"\n");
    let policy = policy::load(&sources, &[source("p.toml", &rules)]).unwrap();
    let shared = Shared::under(policy, &["a.b"]);
    match shared.decide_at(call("a.b", [("text", text("x"))]), NOW) {
        Decision::Ask(question) => question.digest,
        Decision::Permit(_) | Decision::Refuse(_) => panic!("it asks"),
    }
}

#[test]
fn consent_is_to_the_statement_its_values_and_the_database() {
    let one = digest(SHOP, "select $1, $2", "1");
    assert_eq!(one, digest(SHOP, "select $1, $2", "1"));
    assert_ne!(one, digest(SHOP, "select $1, $2 ", "1"));
    assert_ne!(one, digest(SHOP, "select $1, $2", "2"));
    assert_ne!(one, digest(&SHOP.replace("db.internal", "db.other"), "select $1, $2", "1"));
    assert_ne!(one, digest(&(SHOP.to_owned() + "rows_max = 1\n"), "select $1, $2", "1"));
}

#[test]
fn lint_names_what_goes_in_the_clear_and_what_comes_to_nothing() {
    let found = |targets: &str, statement: &str| {
        let one = verb(&format!("target = \"shop\", statement = \"{statement}\""), "");
        let found = lint(&load(targets, &one).unwrap());
        found.into_iter().map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    assert_eq!(found(SHOP, "select 1"), []);
    let open = SHOP.to_owned() + "tls = \"off\"\n";
    assert_eq!(found(&open, "select 1"), [(Level::Warning, "in-the-clear")]);
    assert_eq!(found(&open.replace("db.internal", "127.0.0.1"), "select 1"), []);
    let all = SHOP.replace("database =", "user = \"postgres\", database =");
    assert_eq!(found(&all, "select 1"), [(Level::Note, "superuser")]);
    for good in ["WITH a as (select 1) table a", "-- why\\nselect 1", "(select 1)", "values (1)"] {
        assert_eq!(found(SHOP, good), [], "{good}");
    }
    for bad in ["copy a to stdout", "DELETE from a", "vacuum"] {
        assert_eq!(found(SHOP, bad), [(Level::Note, "no-rows")], "{bad}");
    }
}
