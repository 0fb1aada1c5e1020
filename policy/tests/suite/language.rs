//! The whole language of constraints: as configuration writes it, as a request asks for it, as a call meets it.

use policy::{
    Beneath, Capability, Constraint, Decision, DeriveProblem, Element, ParameterProblem, Policy,
    PublicRefusal, Reason, Request, Scope, Value,
};
use proptest::prelude::*;

use crate::world::{HOLDS_ALL, NOW, Shared, call, requests, source, subject, text};

const VERBS: &str = r#"
[verb."a.do"]
summary = "Everything that a verb can take"
effect = "read"
run = { exec = { argv = ["/bin/do", "--name={name}", "{file}", "--at={host}", "--from={page}", "{services}", "--", "{numbers}", "{files}", "{hosts}", "{pages}"] } }
[verb."a.do".params]
name     = { type = "string", max_bytes = 40, default = "x" }
file     = { type = "path", subtree = "/var/log", default = "/var/log" }
host     = { type = "address", default = "10.0.0.1" }
page     = { type = "url", url = "https://*.example.com/", default = "https://www.example.com/" }
services = { type = "string[]", pattern = "-?[a-z][a-z0-9-]*", max_items = 3, default = ["web"] }
numbers  = { type = "int[]", min = 1, max = 9, min_items = 0, default = [] }
files    = { type = "path[]", one_of = ["/etc/hosts", "/etc/fstab"], default = ["/etc/hosts"] }
hosts    = { type = "address[]", cidr = "10.0.0.0/8", default = ["10.0.0.1"] }
pages    = { type = "url[]", default = ["https://www.example.com/"] }

[verb."b.any"]
summary = "The same with as little said as can be"
effect = "read"
run = { exec = { argv = ["/bin/any", "--", "{text}", "{path}", "{address}", "{url}", "{number}", "{texts}", "{paths}", "{addresses}", "{urls}", "{numbers}"] } }
[verb."b.any".params]
text      = { type = "string", default = "" }
path      = { type = "path", subtree = "/", default = "/" }
address   = { type = "address", default = "::1" }
url       = { type = "url", default = "https://example.com/" }
number    = { type = "int", default = 0 }
texts     = { type = "string[]", min_items = 0, default = [] }
paths     = { type = "path[]", subtree = "/", min_items = 0, default = [] }
addresses = { type = "address[]", min_items = 0, default = [] }
urls      = { type = "url[]", min_items = 0, default = [] }
numbers   = { type = "int[]", min_items = 0, default = [] }
"#;

const ALL: &str = "[[allow]]\nuser = \"*\"\nverbs = [\"*\"]\n";
const SHARE_ALL: &str = "[[delegate]]\nuser = \"*\"\nverbs = [\"*\"]\nto = [\"vendor-*\"]\n[[agent]]\nname = \"you\"\nuser = \"alice\"\n";

fn loaded(rules: &str) -> Policy {
    let rules = source("policy.d/x.toml", &format!("{SHARE_ALL}{rules}"));
    policy::load(&[source("verbs.d/x.toml", VERBS)], &[rules])
        .unwrap_or_else(|faults| panic!("{}", faults[0]))
}

fn derived(rules: &str, request: &str) -> Result<Scope, DeriveProblem> {
    let derived = loaded(rules).surface(&subject()).derive(&requests(&[request]));
    derived.map_err(|fault| *fault.problem)
}

fn list(items: &[&str]) -> Value {
    Value::list(items.iter().map(|item| text(item))).unwrap()
}

fn decide(rules: &str, request: &str, verb: &str, name: &str, value: Value) -> Decision {
    let mut shared = Shared::with_scope(HOLDS_ALL, derived(rules, request).unwrap());
    shared.policy = loaded(rules);
    shared.decide_at(call(verb, [(name, value)]), NOW)
}

fn admits(request: &str, name: &str, value: Value) -> bool {
    matches!(decide(ALL, request, "a.do", name, value), Decision::Permit(_))
}

#[track_caller]
fn agrees(request: &str, name: &str, good: &[&str], bad: &[&str]) {
    for value in good {
        assert!(admits(request, name, text(value)), "{request} refuses {value}");
    }
    for value in bad {
        assert!(!admits(request, name, text(value)), "{request} admits {value}");
    }
}

#[test]
fn a_length_counts_bytes_at_under_and_over() {
    agrees("a.do:name#<=4", "name", &["", "abc", "abcd", "éé"], &["abcde", "ééé"]);
    agrees("a.do:name#=2..3", "name", &["ab", "abc"], &["a", "abcd"]);
    agrees("a.do:name#=2", "name", &["ab"], &["a", "abc"]);
    agrees("a.do:name#>=2", "name", &["ab", "é"], &["", "a"]);
    agrees("a.do", "name", &[&"x".repeat(39), &"x".repeat(40)], &[&"x".repeat(41)]);
}

#[test]
fn a_pattern_that_is_asked_for_matches_the_whole_value() {
    agrees("a.do:name=~'web-[0-9]+'", "name", &["web-1"], &["web-", "web-1x", "xweb-1", "web-1\n"]);
    agrees("a.do:name=db|~'web.'", "name", &["db", "web1"], &["web", "dbx"]);
}

#[test]
fn a_subtree_holds_a_path_by_its_components() {
    let good = ["/var/log/nginx", "/var/log/nginx/a", "/var/log/nginx/a/b"];
    let bad = [
        "/var/log",
        "/var/log/nginx2",
        "/var/log/nginx/",
        "/var/log/nginx/../syslog",
        "/var/log/nginx/./a",
        "/var/log/nginx//a",
        "var/log/nginx/a",
        "/etc/passwd",
        "",
    ];
    agrees("a.do:file=/var/log/nginx/", "file", &good, &bad);
    agrees("a.do:file=/var/log/syslog", "file", &["/var/log/syslog"], &["/var/log/syslog/x"]);
    agrees("a.do", "file", &["/var/log", "/var/log/x"], &["/var/logs", "/var", "/"]);
}

#[test]
fn a_network_holds_its_addresses_in_their_one_spelling() {
    let bad = ["10.1.0.0", "9.0.0.1", "::ffff:10.0.0.1", "010.0.0.1", "10.1", "web-1"];
    agrees("a.do:host=10.0.0.0/16", "host", &["10.0.0.0", "10.0.255.255"], &bad);
    agrees("a.do:host=2001:db8::/32", "host", &["2001:db8::1"], &["2001:db9::1", "2001:DB8::1"]);
    agrees("a.do:host=10.0.0.1|::1", "host", &["10.0.0.1", "::1"], &["10.0.0.2"]);
}

#[test]
fn a_url_is_held_by_its_host_and_whole_segments() {
    let bad = [
        "https://api.example.com/v1",
        "https://api.example.com/v10/",
        "https://api.example.com.evil.org/v1/",
        "https://api.example.com@evil.org/v1/",
        "https://api.example.com/v1/../v2/",
        "https://api.example.com/v1/%2e%2e/v2/",
        "http://api.example.com/v1/",
    ];
    let good = ["https://api.example.com/v1/", "https://api.example.com/v1/x?y=z"];
    agrees("a.do:page=https://api.example.com/v1/", "page", &good, &bad);
    agrees("a.do:page=https://*.api.example.com/", "page", &["https://x.api.example.com/"], &bad);
    let exact = "a.do:page='https://api.example.com/'";
    agrees(exact, "page", &["https://api.example.com/"], &["https://api.example.com/x"]);
}

#[test]
fn a_list_is_held_item_by_item_and_by_its_length() {
    let admits = |request: &str, items: &[&str]| admits(request, "services", list(items));
    for request in ["a.do:services=web|db", "a.do:services=web|db,services#<=3"] {
        for good in [&["web"][..], &["db", "web"], &["web", "web", "db"]] {
            assert!(admits(request, good), "{request} {good:?}");
        }
        for bad in
            [&[][..], &["vault"], &["web", "vault"], &["web", "db", "web", "db"], &["web,db"]]
        {
            assert!(!admits(request, bad), "{request} {bad:?}");
        }
    }
    assert!(
        admits("a.do:services#<=2", &["a", "b"]) && !admits("a.do:services#<=2", &["a", "b", "c"])
    );
    assert!(admits("a.do:services[]#<=2", &["ab", "cd"]));
    assert!(!admits("a.do:services[]#<=2", &["ab", "abc"]));
    assert!(!admits("a.do", &["web", "-x"]), "an item that a program would take for an option");
    let refusal = decide(ALL, "a.do", "a.do", "services", text("web"));
    let Decision::Refuse(refusal) = refusal else { panic!("a text is no list") };
    assert!(matches!(
        refusal.public,
        PublicRefusal::Parameter { problem: ParameterProblem::Kind { .. }, .. }
    ));
}

#[test]
fn an_empty_list_is_refused_unless_the_catalog_says_otherwise() {
    assert!(!admits("a.do", "services", list(&[])));
    assert!(!admits("a.do", "hosts", list(&[])));
    assert!(admits("a.do", "numbers", list(&[])));
}

#[test]
fn numbers_paths_addresses_and_urls_come_in_lists_too() {
    let numbers = |items: &[i64]| Value::list(items.iter().copied().map(Value::Int)).unwrap();
    assert!(admits("a.do:numbers<=5", "numbers", numbers(&[1, 5])));
    assert!(!admits("a.do:numbers<=5", "numbers", numbers(&[1, 6])));
    assert!(admits("a.do", "files", list(&["/etc/fstab", "/etc/hosts"])));
    assert!(!admits("a.do", "files", list(&["/etc/fstab", "/etc/shadow"])));
    assert!(admits("a.do:hosts=10.1.0.0/16", "hosts", list(&["10.1.0.1", "10.1.2.3"])));
    assert!(!admits("a.do:hosts=10.1.0.0/16", "hosts", list(&["10.1.0.1", "10.2.0.1"])));
    let pages = "a.do:pages=https://example.com/";
    assert!(admits(pages, "pages", list(&["https://example.com/", "https://example.com/a"])));
    assert!(!admits(
        pages,
        "pages",
        list(&["https://example.com/", "https://example.com.evil.org/"])
    ));
}

#[test]
fn a_rule_that_denies_an_item_denies_every_list_that_has_it() {
    let deny = format!(
        "{ALL}[[deny]]\nuser = \"*\"\nverbs = {{ \"a.do\" = {{ services = \"vault\" }} }}\n"
    );
    let decided = |items: &[&str]| decide(&deny, "a.do", "a.do", "services", list(items));
    assert!(matches!(decided(&["web", "db"]), Decision::Permit(_)));
    for items in [&["vault"][..], &["web", "vault"], &["vault", "web", "db"]] {
        let Decision::Refuse(refusal) = decided(items) else { panic!("{items:?}") };
        assert!(matches!(refusal.reason, Reason::Denied { .. }), "{items:?}");
    }
    let kept = derived(&deny, "a.do:services=web").unwrap();
    assert_eq!(kept.to_string(), "a.do:services=web");
    for request in ["a.do:services=vault", "a.do:services=web|vault"] {
        assert!(matches!(derived(&deny, request), Err(DeriveProblem::Denied { .. })), "{request}");
    }
}

#[test]
fn what_is_listed_for_items_loses_what_a_rule_denies() {
    let rules = "[[allow]]\nuser = \"*\"\nverbs = { \"a.do\" = { services = [\"web\", \"db\", \"vault\"] } }\n\
        [[deny]]\nuser = \"*\"\nverbs = { \"a.do\" = { services = [\"vault\"] } }\n";
    let scope = derived(rules, "a.do").unwrap().to_string();
    assert!(scope.contains("services=db|web") && !scope.contains("vault"), "{scope}");
}

#[test]
fn more_than_is_held_is_not_derived() {
    let rules = "[[allow]]\nuser = \"*\"\nverbs = { \"a.do\" = { file = { subtree = \"/var/log/nginx\" }, \
        hosts = { cidr = \"10.1.0.0/16\" }, services = [\"web\", \"db\"], page = { url = \"https://a.example.com/x/\" } } }\n";
    for good in [
        "a.do:file=/var/log/nginx/a/",
        "a.do:file=/var/log/nginx/",
        "a.do:file=/var/log/nginx",
        "a.do:hosts=10.1.2.0/24",
        "a.do:hosts=10.1.2.3",
        "a.do:services=web",
        "a.do:services=web,services#<=2",
        "a.do:services#<=2",
        "a.do:name#<=10",
        "a.do:page=https://a.example.com/x/y/",
    ] {
        assert!(derived(rules, good).is_ok(), "{good}: {:?}", derived(rules, good));
    }
    for bad in [
        "a.do:file=/var/log/",
        "a.do:file=/var/log/nginx2/",
        "a.do:file=/var/log/syslog",
        "a.do:hosts=10.0.0.0/8",
        "a.do:hosts=10.2.0.1",
        "a.do:services=web|vault",
        "a.do:services=web*",
        "a.do:page=https://a.example.com/",
        "a.do:page=https://*.example.com/",
    ] {
        assert!(matches!(derived(rules, bad), Err(DeriveProblem::Outside { .. })), "{bad}");
    }
    for never in ["a.do:file=/etc/", "a.do:hosts=11.0.0.1", "a.do:numbers<=10", "a.do:services=A"] {
        assert!(matches!(derived(ALL, never), Err(DeriveProblem::NotAccepted { .. })), "{never}");
    }
}

#[test]
fn a_fault_in_a_value_points_at_the_value() {
    for (request, at, says) in [
        ("a.do:file=/var/../etc/", 10, "is not a path: it has a component `.` or `..`"),
        ("a.do:file=/var/log*", 10, "end what it lies beneath in `/`"),
        ("a.do:name=x,host=10.0.0.1/8", 17, "is not a network: write `10.0.0.0/8`"),
        ("a.do:host=::FFFF", 10, "is not an IP address: write `::ffff`"),
        ("a.do:page=https://Example.com/", 10, "write `https://example.com/`"),
        ("a.do:page=https://u@a.example.com/", 10, "it names a user"),
        ("a.do:name=https://*.x/", 10, "`*` stands only at the end"),
        ("a.do:name#<=-1", 12, "`-1` is not a length"),
        ("a.do:name#=3..2", 11, "`3..2` is not a length"),
        ("a.do:name#=3..x", 11, "`x` is not a whole number"),
        ("a.do:name=~'[a-'", 10, "is not a regular expression"),
        ("a.do:name='a'/", 10, "a string is not limited by what lies beneath"),
        ("a.do:host#<=4", 5, "`host` is of type address, which has no `#`"),
        ("a.do:numbers[]#<=4", 5, "which has no `[]#`"),
        ("a.do:name<=4", 5, "which has no `<=` and `>=`"),
        (
            "a.do:hosts=10.1.0.0/16|10.2.0.0/16",
            5,
            "by one network, path or pattern, not by several",
        ),
    ] {
        let fault = loaded(ALL).surface(&subject()).derive(&requests(&[request])).unwrap_err();
        assert!(fault.problem.to_string().contains(says), "{request}: {}", fault.problem);
        assert_eq!(fault.pointer.character(), at, "{request}");
    }
}

#[test]
fn at_most_32_patterns_are_compiled_for_one_scope() {
    let asked = |count: usize| {
        let words: Vec<String> = (0..count).map(|n| format!("~'a{{{n}}}'")).collect();
        derived(ALL, &format!("b.any:text={}", words.join("|"))).map(drop)
    };
    assert_eq!((asked(31), asked(32)), (Ok(()), Ok(())));
    assert_eq!(asked(33), Err(DeriveProblem::TooManyPatterns));
}

#[test]
fn a_list_is_an_argument_for_each_item_and_a_path_is_opened_beneath_its_root() {
    let catalog = loaded(ALL);
    let verb = catalog.catalog().verb(&"a.do".parse().unwrap()).unwrap();
    let mut given =
        call("a.do", [("file", text("/var/log/nginx/a")), ("services", list(&["x", "y"]))]);
    for (name, parameter) in &verb.parameters {
        given.arguments.0.entry(name.clone()).or_insert(parameter.default.clone().unwrap());
    }
    let opened = |parameter: &str, root: &str, rest: &str| {
        Element::Opened(Beneath {
            parameter: parameter.parse().unwrap(),
            root: root.to_owned(),
            rest: rest.to_owned(),
        })
    };
    let plain = |text: &str| Element::Text(text.to_owned());
    assert_eq!(
        verb.command(&given.arguments),
        [
            plain("/bin/do"),
            plain("--name=x"),
            opened("file", "/var/log", "nginx/a"),
            plain("--at=10.0.0.1"),
            plain("--from=https://www.example.com/"),
            plain("x"),
            plain("y"),
            plain("--"),
            opened("files", "/", "etc/hosts"),
            plain("10.0.0.1"),
            plain("https://www.example.com/"),
        ]
    );
}

fn verb_fault(argv: &str, parameter: &str) -> String {
    let text = format!(
        "[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ exec = {{ argv = [\"/bin/echo\", {argv}] }} }}\nparams = {{ x = {{ {parameter} }} }}\n"
    );
    let loaded = policy::load(&[source("v", &text)], &[]);
    loaded.err().map_or_else(String::new, |faults| faults[0].to_string())
}

#[test]
fn a_field_that_does_not_fit_the_type_is_a_fault() {
    for (parameter, says) in [
        ("type = \"path\", required = true", "v:5:25: a path needs a `subtree`"),
        ("type = \"path[]\", required = true", "a path needs a `subtree`"),
        (
            "type = \"string\", subtree = \"/a\"",
            "`subtree` is for parameters of type path, and this one is string",
        ),
        ("type = \"string\", cidr = \"10.0.0.0/8\"", "`cidr` is for parameters of type address"),
        ("type = \"string\", url = \"https://a/\"", "`url` is for parameters of type url"),
        (
            "type = \"address\", pattern = \"a\"",
            "`pattern` is for parameters of type string or path or url",
        ),
        ("type = \"path\", prefix = \"/a\"", "`prefix` is for parameters of type string"),
        ("type = \"int\", max_bytes = 1", "`min_bytes` and `max_bytes` are for"),
        ("type = \"string\", max_items = 1", "are for lists, and this parameter is of type string"),
        ("type = \"string[]\", min = 1", "`min` and `max` are for parameters of type int"),
        (
            "type = \"string\", max_byte = 1",
            "unknown field `max_byte`\n   = did you mean `max_bytes`?",
        ),
        ("type = \"strings\"", "`strings` is no type"),
        (
            "type = \"string\", max_bytes = 4097",
            "v:5:47: a value has at most 4096 bytes: write 0 to 4096",
        ),
        ("type = \"string\", min_bytes = -1", "a value has at most 4096 bytes"),
        ("type = \"string[]\", max_items = 65", "a list has at most 64 items: write 0 to 64"),
        (
            "type = \"string[]\", min_items = 2, max_items = 1",
            "`min_items` 2 is greater than `max_items` 1",
        ),
        ("type = \"string[]\", max_items = 0", "exclude each other"),
        ("type = \"address\", cidr = \"10.0.0.1/8\"", "is not a network: write `10.0.0.0/8`"),
        ("type = \"path\", subtree = \"/a/../b\"", "it has a component `.` or `..`"),
        ("type = \"url\", url = \"https://a.com/x\"", "what other URLs begin with ends in `/`"),
        ("type = \"path\", one_of = [\"a\"]", "`a` is not a path"),
        ("type = \"string[]\", default = [1]", "of type string, and this is int"),
        ("type = \"string[]\", default = []", "the default `` is not accepted"),
        ("type = \"string[]\", default = \"a\"", "of type string[], and this is string"),
        ("type = \"path\", subtree = \"/a\", default = \"/b\"", "the default `/b` is not accepted"),
    ] {
        let fault = verb_fault("\"{x}\"", parameter);
        assert!(fault.contains(says), "{parameter}: {fault}");
    }
    for good in [
        "type = \"string\", max_bytes = 4096, required = true",
        "type = \"string[]\", max_items = 64, required = true",
        "type = \"path[]\", subtree = \"/a/\", pattern = \".*[.]log\", required = true",
        "type = \"url\", url = \"https://*.example.com:8443/\", max_bytes = 100, required = true",
    ] {
        assert_eq!(verb_fault("\"{x}\"", good), "", "{good}");
    }
}

#[test]
fn a_list_and_a_path_are_arguments_of_their_own() {
    for parameter in [
        "type = \"path\", subtree = \"/a\"",
        "type = \"string[]\"",
        "type = \"path[]\", subtree = \"/\"",
    ] {
        let parameter = format!("{parameter}, required = true");
        assert_eq!(verb_fault("\"{x}\"", &parameter), "");
        let fault = verb_fault("\"--file={x}\"", &parameter);
        assert!(fault.contains("it must be an argument of its own"), "{fault}");
    }
}

#[test]
fn a_rule_limits_lists_and_may_not_be_one_that_never_applies() {
    let fault = |limit: &str| {
        let rules = format!("[[allow]]\nuser = \"*\"\nverbs = {{ \"a.do\" = {{ {limit} }} }}\n");
        let loaded = policy::load(&[source("v", VERBS)], &[source("p", &rules)]);
        loaded.err().map_or_else(String::new, |faults| faults[0].to_string())
    };
    for good in [
        "services = \"web\"",
        "services = [\"web\", \"db\"]",
        "services = { max_items = 2, prefix = \"w\" }",
        "numbers = { min = 2 }",
        "file = { subtree = \"/var/log/nginx/\" }",
        "hosts = { cidr = \"10.1.0.0/16\" }",
        "pages = { url = \"https://example.com/\" }",
        "files = \"/etc/hosts\"",
    ] {
        assert_eq!(fault(good), "", "{good}");
    }
    for (bad, says) in [
        ("services = \"WEB\"", "p:3:33: `WEB` is never accepted: the catalog takes"),
        ("services = { min_items = 4 }", "is never accepted"),
        ("numbers = 10", "`10` is never accepted"),
        ("file = { subtree = \"/etc\" }", "/etc/ is never accepted: the catalog takes /var/log/"),
        ("hosts = { cidr = \"11.0.0.0/8\" }", "is never accepted"),
        ("files = \"/etc/shadow\"", "`/etc/shadow` is never accepted"),
        ("page = { url = \"https://example.com/\" }", "is never accepted"),
        ("file = \"../x\"", "`../x` is not a path"),
    ] {
        assert!(fault(bad).contains(says), "{bad}: {}", fault(bad));
    }
}

/// Texts with all that a request gives a meaning to.
fn any_text() -> impl Strategy<Value = String> {
    "[a-z '\"|,=~*/#<>.:%@é\\\\\\[\\]-]{0,6}"
}

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-z ',*~é-][a-z ',*~.é]{0,3}", 0..4)
        .prop_map(|parts| format!("/{}", parts.join("/")))
}

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|address| address.to_string()),
        any::<std::net::Ipv6Addr>()
            .prop_filter("mapped", |address| address.to_ipv4_mapped().is_none())
            .prop_map(|address| address.to_string()),
    ]
}

fn url_prefix() -> impl Strategy<Value = String> {
    let host = proptest::sample::select(vec!["a.com", "*.a.com", "10.0.0.1", "[::1]"]);
    let port = proptest::sample::select(vec!["", ":81"]);
    (host, port, "(/[a-z',*~|%2A]{1,3}){0,2}/")
        .prop_map(|(host, port, path)| format!("https://{host}{port}{path}"))
        .prop_filter("spelling", |url| url.parse::<policy::UrlPrefix>().is_ok())
}

fn url() -> impl Strategy<Value = String> {
    (url_prefix(), "[a-z]{0,2}").prop_filter_map("no value", |(prefix, rest)| {
        let url = format!("{prefix}{rest}");
        (!url.contains("//*")).then_some(url)
    })
}

fn one_of(texts: impl Strategy<Value = String>) -> impl Strategy<Value = Constraint> {
    proptest::collection::btree_set(texts.prop_map(|one| text(&one)), 1..4)
        .prop_map(Constraint::OneOf)
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn length() -> impl Strategy<Value = Constraint> {
    let max = prop_oneof![Just(u32::MAX), 3..60_u32];
    (0..3_u32, max).prop_map(|(min, max)| Constraint::Length { min, max })
}

fn pattern() -> impl Strategy<Value = Constraint> {
    let sources = vec!["[a-z]+", "a'b|c,d", ".*", "", "~\"x\""];
    proptest::sample::select(sources).prop_map(|source| Constraint::Pattern(parsed(source)))
}

fn number() -> impl Strategy<Value = Constraint> {
    let end = || prop_oneof![Just(i64::MIN), Just(i64::MAX), -9..9_i64];
    prop_oneof![
        proptest::collection::btree_set((-9..9_i64).prop_map(Value::Int), 1..4)
            .prop_map(Constraint::OneOf),
        (end(), end())
            .prop_map(|(one, two)| Constraint::Range { min: one.min(two), max: one.max(two) }),
    ]
}

/// A parameter of `b.any` (its list, when that is asked for) and a limit that fits its kind.
fn pinned() -> impl Strategy<Value = (&'static str, Constraint)> {
    let text = prop_oneof![
        one_of(any_text()),
        any_text().prop_map(|start| Constraint::Prefix(parsed(&start))),
        pattern(),
        length(),
    ];
    let both = (text.clone(), text).prop_map(|(one, two)| one.intersect(&two).unwrap_or(one));
    let place = prop_oneof![
        one_of(path()),
        path().prop_map(|root| Constraint::Subtree(parsed(&root))),
        length(),
    ];
    let net = (address(), 0..33_u8).prop_filter_map("no network", |(address, bits)| {
        let trunc: ipnet::IpNet = format!("{address}/{bits}").parse().ok()?;
        trunc.trunc().to_string().parse().ok().map(Constraint::Cidr)
    });
    let web = prop_oneof![
        one_of(url().prop_filter("wildcard", |url| !url.contains("*.a"))),
        url_prefix().prop_map(|prefix| Constraint::Url(parsed(&prefix))),
    ];
    let one = prop_oneof![
        both.prop_map(|limit| ("text", limit)),
        place.prop_map(|limit| ("path", limit)),
        prop_oneof![one_of(address()), net].prop_map(|limit| ("address", limit)),
        web.prop_map(|limit| ("url", limit)),
        number().prop_map(|limit| ("number", limit)),
    ];
    (one, any::<bool>(), proptest::option::of(length())).prop_map(|((name, limit), many, count)| {
        if !many {
            return (name, limit);
        }
        let lists =
            [("text", "texts"), ("path", "paths"), ("address", "addresses"), ("url", "urls")];
        let list = lists.iter().find(|(one, _)| *one == name).map_or("numbers", |(_, list)| list);
        let limit = Constraint::each(limit);
        let both = count.and_then(|count| limit.intersect(&count));
        (list, both.unwrap_or(limit))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn what_is_printed_of_a_capability_asks_for_that_capability((name, limit) in pinned()) {
        let verb: policy::VerbName = "b.any".parse().unwrap();
        let capability = Capability::new(verb, [(name.parse().unwrap(), limit)]);
        let printed = capability.to_string();
        let request: Request = printed.parse().map_err(|fault| TestCaseError::fail(format!("{fault}")))?;
        let derived = loaded(ALL).surface(&subject()).derive(&[request]);
        let derived = derived.map_err(|fault| TestCaseError::fail(format!("{fault}\n{capability:?}")))?;
        prop_assert_eq!(derived, Scope::new([capability]), "{}", printed);
    }

    #[test]
    fn a_perturbed_request_for_anything_never_panics(
        name in proptest::sample::select(vec!["text", "path", "address", "url", "number", "texts", "urls", "numbers"]),
        pin in "(#|\\[\\]#)?(=|<=|>=)~?[a-z0-9'\"*/.:|,~%-]{0,12}",
    ) {
        if let Ok(request) = format!("b.any:{name}{pin}").parse::<Request>() {
            let _ = loaded(ALL).surface(&subject()).derive(&[request]).map_err(|fault| fault.to_string());
        }
    }
}
