//! Verbs that ask services: what of them is taken, what is asked, and what can never be.

use policy::{Arguments, Input, Level, Policy, Reflects, Run, Value, Verb, lint};

use crate::world::{HOLDS_ALL, Shared, source, text};

const WEB: &str = r#"
[http.web]
url = "http://127.0.0.1:3000/app/"
methods = ["GET", "HEAD", "POST"]
paths = ["/", "/docs/*", "/api/v1"]
query = ["q"]
"#;

fn verb(run: &str, params: &str) -> String {
    let params =
        if params.is_empty() { String::new() } else { format!("[verb.\"a.b\".params]\n{params}") };
    format!("[verb.\"a.b\"]\nsummary = \"s\"\neffect = \"write\"\nrun = {{ {run} }}\n{params}")
}

fn load(targets: &str, verbs: &str) -> Result<Policy, String> {
    let sources = [source("verbs.d/v.toml", verbs), source("targets.d/t.toml", targets)];
    let joined = |faults: Vec<policy::TextFault>| {
        faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    policy::load(&sources, &[]).map_err(joined)
}

/// A share of what is asked for here.
fn shared(verbs: &str, request: &str) -> Shared {
    let sources = [source("v.toml", &(WEB.to_owned() + verbs))];
    let policy = policy::load(&sources, &[source("p.toml", HOLDS_ALL)]).unwrap();
    Shared::under(policy, &[request])
}

fn the_verb(policy: &Policy) -> &Verb {
    policy.catalog().verb(&"a.b".parse().unwrap()).unwrap()
}

fn given(pairs: &[(&str, &str)]) -> Arguments {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), Value::text(*value).unwrap()))
        .collect()
}

/// The request of a verb of these words, for these arguments.
fn asked(run: &str, params: &str, pairs: &[(&str, &str)]) -> (String, String, String) {
    let policy = load(WEB, &verb(run, params)).unwrap();
    let Run::Http(http) = &the_verb(&policy).run else { panic!() };
    let request = http.request(&given(pairs));
    (request.method, request.path, String::from_utf8(request.body).unwrap())
}

const KEY: &str = "key = { type = \"string\", required = true }";

#[test]
fn an_argument_is_one_part_of_what_is_asked() {
    let get = "http = { target = \"web\", path = \"/docs/{key}\", query = { q = \"{key}\" } }";
    let (method, path, body) = asked(get, KEY, &[("key", "a b/?&=#é")]);
    assert_eq!((method.as_str(), body.as_str()), ("GET", ""));
    assert_eq!(path, "/app/docs/a%20b%2F%3F&=%23%C3%A9?q=a%20b%2F%3F%26%3D%23%C3%A9");
    let form = "http = { target = \"web\", method = \"POST\", path = \"/api/v1\", form = { a = \"x{key}\", b = \"1\" } }";
    let (_, path, body) = asked(form, KEY, &[("key", "&b=2")]);
    assert_eq!((path.as_str(), body.as_str()), ("/app/api/v1", "a=x%26b%3D2&b=1"));
    let json = "http = { target = \"web\", method = \"POST\", path = \"/api/v1\", json = { a = [\"{key}\", { b = \"<{key}>\" }, 3, false] } }";
    let (_, _, body) = asked(json, KEY, &[("key", "\"],\"x")]);
    assert_eq!(body, r#"{"a":["\"],\"x",{"b":"<\"],\"x>"},3,false]}"#);
}

#[test]
fn an_argument_that_would_leave_its_place_in_the_path_is_refused() {
    let get = "http = { target = \"web\", path = \"/docs/{key}\" }";
    let shared = shared(&verb(get, KEY), "a.b");
    for good in ["a", "OPS-1", "a b", "...", "é", "a?b", "a@b", "a:b,c"] {
        assert!(shared.admits("a.b", [("key", text(good))]), "{good}");
    }
    for bad in ["", ".", "..", "a/b", "/", "a\\b", "%2e", "a;b", "a\nb", "\u{7f}"] {
        assert!(!shared.admits("a.b", [("key", text(bad))]), "{bad:?}");
    }
}

/// Paths that servers, proxies and libraries have been found to read in two ways, and plain ones outside.
const CONFUSED: [&str; 48] = [
    "",
    "docs/a",
    "//docs/a",
    "/docs//a",
    "/docs/../secret",
    "/docs/./a",
    "/docs/..",
    "/docs/.",
    "/docs/%2e%2e/secret",
    "/docs/%2E%2E/secret",
    "/docs/.%2e/secret",
    "/docs/%2e/a",
    "/docs/..%2fsecret",
    "/docs/%2fsecret",
    "/docs%2fa",
    "/docs/a%2Fb",
    "/docs\\a",
    "/docs/..\\secret",
    "/docs/%5c..%5csecret",
    "/docs/%5C",
    "/docs/..;/secret",
    "/docs/.;/a",
    "/docs/;/a",
    "/docs/..;x=1/secret",
    "/docs/%252e%252e/secret",
    "/docs/%25",
    "/docs/a%00",
    "/docs/a%0a",
    "/docs/a%0d%0aX:1",
    "/docs/a%7f",
    "/docs/%c0%ae%c0%ae/secret",
    "/docs/%C0%AE%C0%AE/secret",
    "/docs/%e0%80%af",
    "/docs/a?x",
    "/docs/a#x",
    "/docs/ a",
    "/docs/a\n",
    "/docs/\u{e9}",
    "/docs/%",
    "/docs/%4",
    "/docs/%zz",
    "/docs/%61",
    "/docs/a%40b",
    "/docs/a%3Ab",
    "/docs/a%2Cb",
    "/docs/a;v=1",
    "/docs",
    "/secret",
];

#[test]
fn no_path_that_is_read_in_two_ways_and_none_that_is_not_listed_is_ever_asked() {
    let shared = shared(&verb("forward = { http = \"web\" }", ""), "a.b");
    let admits = |path: &str, query: &str| {
        let pairs = [("method", text("GET")), ("path", text(path)), ("query", text(query))];
        shared.admits("a.b", pairs)
    };
    for good in [
        "/",
        "/docs/",
        "/docs/a.txt",
        "/docs/a%20b/c:v=1@x",
        "/api/v1",
        "/docs/%C3%A9",
        "/docs/...",
    ] {
        assert!(admits(good, ""), "{good}");
    }
    let through: Vec<_> = CONFUSED.into_iter().filter(|path| admits(path, "")).collect();
    assert_eq!(through, Vec::<&str>::new(), "of {} paths", CONFUSED.len());
    for good in ["q=1", "q=a%20b&q=2", "q", ""] {
        assert!(admits("/", good), "{good}");
    }
    for bad in ["x=1", "q=1&x=1", "q=1;x=1", "%71x=1", "q=1#x", "q=a b", "q=%00", "Q=1", "q=\u{e9}"]
    {
        assert!(!admits("/", bad), "{bad}");
    }
}

#[test]
fn a_share_pins_a_service_to_methods_and_paths() {
    let shared = shared(&verb("forward = { http = \"web\" }", ""), "a.b:method=GET,path=/docs/*");
    let admits = |method, path| {
        shared.admits("a.b", [("method", text(method)), ("path", text(path)), ("query", text(""))])
    };
    assert!(admits("GET", "/docs/a"));
    for (method, path) in [
        ("POST", "/docs/a"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("HEAD", "/docs/a"),
        ("PUT", "/docs/a"),
    ] {
        assert!(!admits(method, path), "{method} {path}");
    }
}

#[test]
fn what_a_reflecting_verb_takes_is_what_its_profile_lists() {
    let policy = load(WEB, &verb("forward = { http = \"web\" }", "")).unwrap();
    let verb = the_verb(&policy);
    let names: Vec<_> = verb.parameters.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["method", "path", "query"]);
    assert_eq!(verb.run.reflects(), Some(Reflects::Http));
    assert!(matches!(verb.input(), Input::Stdin(_)));
    // As the menu shows it, so that a page that asks for what is not shared does not have to be refused by the daemon.
    let query = &verb.parameters[&"query".parse().unwrap()].constraint;
    for (text, fits) in [("", true), ("q=1&q", true), ("x=1", false), ("q=1;x=1", false)] {
        assert_eq!(query.permits(&Value::text(text).unwrap()), fits, "{text}");
    }
    assert_eq!(verb.input_for(&given(&[("method", "GET")])), Input::Nothing);
    assert!(matches!(verb.input_for(&given(&[("method", "POST")])), Input::Stdin(_)));
}

#[test]
fn each_fault_of_a_service_is_named() {
    let web = |keys: &str| load(&format!("[http.web]\n{keys}"), "").unwrap_err();
    for (keys, said) in [
        ("paths = [\"/*\"]", "`url` is missing"),
        ("url = \"http://h/\"", "`paths` is missing"),
        ("url = \"http://h\"\npaths = [\"/*\"]", "write `http://h/`"),
        ("url = \"http://h/a\"\npaths = [\"/*\"]", "ends in `/`"),
        ("url = \"ftp://h/\"\npaths = [\"/*\"]", "only http and https"),
        ("url = \"http://u@h/\"\npaths = [\"/*\"]", "it names a user"),
        ("url = \"http://h/\"\npaths = []", "is none"),
        ("url = \"http://h/\"\npaths = [\"/a*\"]", "`*` stands only after `/`"),
        ("url = \"http://h/\"\npaths = [\"/../*\"]", "in its one spelling"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nmethods = [\"get\"]", "no method"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nmethods = []", "is none"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nrequest_headers = [\"Host\"]", "small letters"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nrequest_headers = [\"host\"]", "never crosses"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nca = \"x\"", "leave `ca` out"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nhost_header = \"a b\"", "a host's name"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\ncredential = {}", "`file` is missing"),
        ("url = \"http://h/\"\npaths = [\"/*\"]\nurls = []", "did you mean `url`?"),
    ] {
        assert!(web(keys).contains(said), "{keys}: {}", web(keys));
    }
    let tcp = |keys: &str| load(&format!("[tcp.db]\n{keys}"), "").unwrap_err();
    assert!(tcp("host = \"h\"").contains("`port` is missing"));
    assert!(tcp("host = \"h/\"\nport = 1").contains("is not a host"));
    for number in ["0", "257", "-1"] {
        let said = tcp(&format!("host = \"h\"\nport = 1\nconnections = {number}"));
        assert!(said.contains("`connections` is a number from 1 to 256"), "{said}");
    }
    let twice = load(&(WEB.to_owned() + "[http.\"web\"]\n"), "").unwrap_err();
    assert!(twice.contains("duplicate") || twice.contains("already"), "{twice}");
}

#[test]
fn each_fault_of_a_verb_that_asks_is_named() {
    let with = |run: &str, params: &str| load(WEB, &verb(run, params)).unwrap_err();
    for (run, params, said) in [
        ("http = { path = \"/\" }", "", "`target` is missing"),
        ("http = { target = \"wb\", path = \"/\" }", "", "did you mean `web`?"),
        ("http = { target = \"web\" }", "", "`path` is missing"),
        ("http = { target = \"web\", path = \"/x\" }", "", "not among the `paths`"),
        ("http = { target = \"web\", path = \"/docs/../\" }", "", "in its one spelling"),
        (
            "http = { target = \"web\", path = \"/\", method = \"PUT\" }",
            "",
            "may not be asked of `web`",
        ),
        ("http = { target = \"web\", path = \"/\", json = {} }", "", "a `GET` has no body"),
        (
            "http = { target = \"web\", path = \"/\", headers = { host = \"x\" } }",
            "",
            "never crosses",
        ),
        ("http = { target = \"web\", path = \"/{key}\" }", "", "not a declared parameter"),
        ("http = { target = \"web\", path = \"/\" }", KEY, "never uses it"),
        ("forward = { http = \"web\" }", KEY, "declares no parameters"),
        ("forward = { tcp = \"web\" }", "", "declare it in targets.d, as `[tcp.NAME]`"),
        ("forward = {}", "", "`forward` is"),
        ("forward = { http = \"web\" }, exec = { argv = [\"/bin/true\"] }", "", "one executor"),
        (
            "http = { target = \"web\", path = \"/docs/{keys}\" }",
            "keys = { type = \"string[]\", required = true }",
            "is a list",
        ),
    ] {
        assert!(with(run, params).contains(said), "{run}: {}", with(run, params));
    }
}

#[test]
fn lint_names_what_goes_in_the_clear_and_what_nobody_reads() {
    let far = WEB.replace("127.0.0.1", "10.0.0.1") + "credential = { file = \"t\" }\n";
    let reads = verb("forward = { http = \"web\" }", "").replace("\"write\"", "\"read\"");
    let found = |policy: &Policy| {
        let found = lint(policy);
        found.into_iter().map(|one| (one.level, one.code)).collect::<Vec<_>>()
    };
    let policy = load(&far, &reads).unwrap();
    assert_eq!(found(&policy), [(Level::Warning, "in-the-clear"), (Level::Note, "asks-more")]);
    let near = far.replace("10.0.0.1", "127.0.0.1");
    let near = load(&near, &reads.replace("\"read\"", "\"write\"")).unwrap();
    assert_eq!(found(&near), [(Level::Note, "first-listener")]);
    let tcp = "[tcp.db]\nhost = \"h\"\nport = 1\n";
    let bare = verb("forward = { tcp = \"db\" }\noutput = { redact = [] }", "");
    let bare = bare.replace(" }\noutput = { redact = [] } }", " } }\noutput = { redact = [] }");
    assert_eq!(
        found(&load(tcp, &bare).unwrap()),
        [(Level::Note, "unmasked"), (Level::Note, "unread")]
    );
    let masked = load(tcp, &verb("forward = { tcp = \"db\" }", "")).unwrap_err();
    assert!(masked.contains("masking the secrets in it would break it"), "{masked}");
}

#[test]
fn a_service_is_looked_at_by_what_a_share_of_it_could_ask() {
    let look = |effect: &str, methods: &str, request: &str, denied: &str| {
        let web = WEB.replace("\"GET\", \"HEAD\", \"POST\"", methods);
        let sources = [source(
            "v.toml",
            &(web + &verb("forward = { http = \"web\" }", "").replace("write", effect)),
        )];
        let rules = format!("{HOLDS_ALL}{denied}");
        let policy = policy::load(&sources, &[source("p.toml", &rules)]).unwrap();
        let surface = policy.surface(&crate::world::subject());
        let scope = surface.derive(&[request.parse().unwrap()]).unwrap();
        let request = surface.look(the_verb(&policy), &scope)?;
        assert!(!request.is_reflected && request.body.is_empty());
        Some(format!("{} {}", request.method, request.path))
    };
    let all = "\"GET\", \"HEAD\", \"POST\"";
    let deny = |path: &str| {
        format!("[[deny]]\nuser = \"*\"\nverbs = {{ \"a.b\" = {{ path = \"{path}\" }} }}\n")
    };
    for (methods, request, denied, wanted) in [
        (all, "a.b", String::new(), Some("HEAD /app/")),
        ("\"GET\"", "a.b", String::new(), Some("GET /app/")),
        ("\"POST\"", "a.b:method=POST", String::new(), None),
        (all, "a.b:method=GET", String::new(), Some("GET /app/")),
        (all, "a.b:method=POST", String::new(), None),
        (all, "a.b:path=/docs/*", String::new(), Some("HEAD /app/docs/")),
        (all, "a.b:path=/docs/deep/one", String::new(), Some("HEAD /app/docs/deep/one")),
        (all, "a.b:path=/docs/one|/api/v1", String::new(), Some("HEAD /app/api/v1")),
        (all, "a.b:query=q=1", String::new(), None),
        (all, "a.b", deny("/"), Some("HEAD /app/docs/")),
    ] {
        let found = look("read", methods, request, &denied);
        assert_eq!(found.as_deref(), wanted, "{methods} {request}");
        // What says that it changes something may do so at a GET.
        let found = look("write", methods, request, &denied);
        let wanted = wanted.filter(|request| request.starts_with("HEAD "));
        assert_eq!(found.as_deref(), wanted, "{methods} {request}");
    }
}
