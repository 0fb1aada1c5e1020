//! Services of the owner's: asked as the catalog says, or had at an address of the recipient's machine.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::background::Background;
use tests::owner::Share;
use tests::wait;
use tests::web::{Answer, Web, ask, exchange, exchange_on, get};
use tests::world::{Setup, World};

const VERBS: &str = r#"
[verb."issue.get"]
summary = "One issue"
effect  = "read"
run     = { http = { target = "app", path = "/issue/{key}", query = { fields = "{fields}" }, headers = { accept = "application/json" } } }
[verb."issue.get".params]
key    = { type = "string", required = true }
fields = { type = "string", default = "summary" }

[verb."issue.note"]
summary = "Says something on an issue"
effect  = "write"
run     = { http = { target = "app", method = "POST", path = "/issue/{key}/note", json = { text = "{text}", times = "{times}", from = ["a {text}", 7, true] } } }
[verb."issue.note".params]
key   = { type = "string", required = true }
text  = { type = "string", required = true }
times = { type = "int", default = 1 }

[verb."app.open"]
summary = "The application"
effect  = "write"
run     = { forward = { http = "app" } }
timeout = "30m"
output  = { max = "1GiB", redact = [] }

[verb."app.safe"]
summary = "The application, without what is secret in its answers"
effect  = "write"
run     = { forward = { http = "app" } }

[verb."web.open"]
summary = "The files"
effect  = "read"
run     = { forward = { http = "files" } }
timeout = "30m"
output  = { max = "4GiB", redact = [] }

[verb."port.open"]
summary = "A port"
effect  = "write"
run     = { forward = { tcp = "port" } }
timeout = "30m"
output  = { max = "1GiB", redact = [] }
"#;

struct Scene {
    world: World,
    app: Web,
    files: Web,
}

fn scene() -> Scene {
    let accounts = tests::account::Accounts::shared();
    let (app, files) = (Web::app(&accounts.bob), Web::nginx());
    let targets = format!(
        r#"
[http.app]
url = "http://127.0.0.1:{}/api/"
methods = ["GET", "HEAD", "POST", "PUT"]
paths = ["/*"]
query = ["fields", "q"]
request_headers = ["x-mine", "cookie"]
response_headers = ["set-cookie"]
host_header = "app.internal"
credential = {{ file = "token" }}
body_max = "8MiB"

[http.files]
url = "http://127.0.0.1:{}/"
paths = ["/", "/docs/*", "/big"]

[tcp.port]
host = "127.0.0.1"
port = {}
"#,
        app.port, files.port, app.port
    );
    let Setup { policy, .. } = Setup::default();
    let names = ["issue.get", "issue.note", "app.open", "app.safe", "web.open", "port.open"];
    let held: String = names.map(|verb| format!("\"{verb}\" = {{}}, ")).concat();
    let policy = policy
        .replacen("verbs = { \"log.tail\"", &format!("verbs = {{ {held}\"log.tail\""), 1)
        .replace("[\"log.*\"", "[\"issue.*\", \"app.*\", \"web.*\", \"port.*\", \"log.*\"");
    let verbs = Setup::default().verbs + VERBS;
    let secrets = vec![("token".to_owned(), "tok-3141592653\n".to_owned())];
    let world = Setup { targets, verbs, policy, secrets, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    Scene { world, app, files }
}

/// The recipient's end of a service, as long as it lives.
struct Forward {
    client: Background,
    at: SocketAddr,
}

fn forward(world: &World, share: &Share, verb: &str) -> Forward {
    let client = Background::start(world.vendor().command(share, &["forward", verb]));
    let line = client.stdout.line_with("127.0.0.1:");
    let at = line.trim_start_matches("http://").trim_end_matches('/');
    Forward { client, at: at.parse().expect("an address") }
}

/// All that is on record, one event a line.
fn record(world: &World) -> String {
    world.audit().iter().map(|event| format!("{event}\n")).collect()
}

fn log(world: &World) -> String {
    world.daemon.as_ref().expect("it runs").stderr.text()
}

fn said(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"))
}

#[test]
fn a_verb_asks_what_the_catalog_writes_with_the_credential_that_the_owner_cannot_read() {
    let Scene { world, app, files: _files } = scene();
    let share = world.alice().open(&["issue.get", "issue.note"]);
    let one = world.vendor().call(&share, &["issue.get", "key=OPS-1", "fields=a&b=c/é"]);
    assert_eq!(one.status, 0, "{}", one.stderr);
    let asked: Value = serde_json::from_str(&one.stdout).expect("JSON");
    assert_eq!(asked["path"], "/api/issue/OPS-1?fields=a%26b%3Dc%2F%C3%A9");
    assert_eq!(asked["fields"]["host"], "app.internal");
    assert_eq!(asked["fields"]["accept"], "application/json");
    let note = ["issue.note", "key=OPS-1", "text=\"}, {\"x", "times=3"];
    let note = world.vendor().call(&share, &note);
    let asked: Value = serde_json::from_str(&note.stdout).expect("JSON");
    let body: Value = serde_json::from_str(asked["body"].as_str().unwrap()).expect("JSON");
    let text = "\"}, {\"x";
    let wanted = serde_json::json!({
        "text": text, "times": 3, "from": [format!("a {text}"), 7, true],
    });
    assert_eq!((body, &asked["method"]), (wanted, &Value::from("POST")));
    for key in ["", ".", "..", "a/b", "a%2fb", "a\\b", "a;b", "../../admin", "a\nb"] {
        let refused = world.vendor().call(&share, &["issue.get", &format!("key={key}")]);
        assert_eq!(refused.status, 126, "{key:?}: {}", refused.stderr);
    }
    let odd = world.vendor().call(&share, &["issue.get", "key=a b?c#d"]);
    assert!(odd.stdout.contains("/api/issue/a%20b%3Fc%23d?"), "{}", odd.stdout);
    let asked = app.asked();
    assert!(!asked.contains("admin") && !asked.contains("2f"), "{asked}");
    let record = record(&world);
    assert!(!record.contains("tok-3141592653") && !log(&world).contains("tok-3141592653"));
}

#[test]
fn what_a_service_refuses_is_a_failure_and_one_that_is_away_is_told_so() {
    let Scene { world, mut app, files: _files } = scene();
    let share = world.alice().open(&["issue.get"]);
    let gone = world.vendor().call(&share, &["issue.get", "key=gone"]);
    assert_eq!((gone.status, gone.stdout.as_str()), (22, "no such thing\n"));
    assert!(gone.stderr.contains("the service answered 404 Not Found"), "{}", gone.stderr);
    app.stop();
    let lost = world.vendor().call(&share, &["issue.get", "key=a"]);
    assert_eq!(lost.status, 255, "{}", lost.stderr);
    assert!(!lost.stderr.contains("127.0.0.1"), "{}", lost.stderr);
    assert!(record(&world).contains("Connection refused"), "{}", record(&world));
}

#[test]
fn a_service_is_had_at_a_local_address_and_asked_by_method_and_path() {
    let Scene { world, app, files } = scene();
    let share = world.alice().open(&["app.open", "web.open"]);
    let web = forward(&world, &share, "web");
    let page = get(web.at, "/docs/a.txt");
    assert_eq!((page.status, page.text().as_str()), (200, "0123456789\n"));
    assert_eq!(page.field("content-length"), Some("11"));
    assert!(page.field("etag").is_some() && page.field("server").is_none(), "{}", page.head);
    let part = ask(web.at, "GET", "/docs/a.txt", &["Range: bytes=2-4"], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    let head = ask(web.at, "HEAD", "/docs/a.txt", &[], b"");
    assert_eq!((head.status, head.body.len(), head.field("content-length")), (200, 0, Some("11")));
    let etag = page.field("etag").unwrap();
    let same = ask(web.at, "GET", "/docs/a.txt", &[&format!("If-None-Match: {etag}")], b"");
    assert_eq!((same.status, same.body.len()), (304, 0));
    assert_eq!(get(web.at, "/docs/none").status, 404);
    for path in ["/secret.txt", "/docs", "/docs/../secret.txt", "/docs/%2e%2e/secret.txt"] {
        let refused = get(web.at, path);
        assert!(matches!(refused.status, 400 | 403), "{path}: {}", refused.status);
        assert!(!refused.text().contains("not listed"), "{path}");
    }
    assert_eq!(ask(web.at, "POST", "/docs/a.txt", &[], b"x").status, 403);
    assert_eq!(get(web.at, "/docs/a.txt?x=1").status, 403);
    drop((web, files));

    let app_here = forward(&world, &share, "app.open");
    let fields = ["X-Mine: 1", "X-Other: 2", "Cookie: a=b", "Connection: x-mine2", "X-Mine2: 3"];
    let answer = ask(app_here.at, "GET", "/x?q=1", &fields, b"");
    let asked = said(&answer);
    assert_eq!((&asked["path"], &asked["method"]), (&"/api/x?q=1".into(), &"GET".into()));
    let told = &asked["fields"];
    assert_eq!((&told["x-mine"], &told["cookie"]), (&"1".into(), &"a=b".into()));
    assert_eq!(
        (&told["host"], &told["authorization"]),
        (&"app.internal".into(), &"Bearer tok-3141592653".into())
    );
    assert!(told.get("x-other").is_none() && told.get("x-mine2").is_none(), "{told}");
    assert!(answer.field("x-inner").is_none(), "{}", answer.head);
    let body = vec![b'y'; 3 << 20];
    let put = said(&ask(app_here.at, "PUT", "/x", &["Content-Type: text/x"], &body));
    assert_eq!(
        (&put["length"], &put["fields"]["content-type"]),
        (&(3 << 20).into(), &"text/x".into())
    );
    let chunked = format!(
        "POST /x HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        app_here.at
    );
    assert_eq!(said(&exchange(app_here.at, chunked.as_bytes()))["body"], "abcde");
    let big = get(app_here.at, "/big");
    assert_eq!((big.status, big.body.len()), (200, 16 << 20));
    assert!(big.body.chunks(65536).all(|block| block.starts_with(b"0000000\n0000001\n")));
    let moved = get(app_here.at, "/moved");
    assert_eq!((moved.status, moved.field("location")), (302, Some("/there")));
    let over = ask(app_here.at, "POST", "/x", &[], &vec![b'y'; 9 << 20]);
    assert!(matches!(over.status, 413 | 502), "{}", over.head);
    let record = record(&world);
    assert!(record.contains("\"path\":\"/docs/a.txt\""), "each request is on record: {record}");
    assert!(!record.contains("tok-3141592653") && !record.contains("a=b"), "{record}");
    drop(app);
}

#[test]
fn each_request_of_one_connection_is_decided_on_its_own() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["web.open"]);
    let web = forward(&world, &share, "web.open");
    let mut kept = TcpStream::connect(web.at).expect("connect");
    for (path, status) in [
        ("/docs/a.txt", 200),
        ("/secret.txt", 403),
        ("/docs/../secret.txt", 400),
        ("/docs/a.txt", 200),
        ("/", 200),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", web.at);
        let answer = exchange_on(&mut kept, request.as_bytes());
        assert_eq!(answer.status, status, "{path}: {}", answer.head);
        assert!(!answer.text().contains("not listed"), "{path}");
    }
    let began = world.events("call_started");
    let paths: Vec<_> = began.iter().map(|call| &call["arguments"]["path"]).collect();
    assert_eq!(paths, ["/docs/a.txt", "/docs/a.txt", "/"]);
}

#[test]
fn a_share_narrows_a_service_to_methods_and_paths() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["app.open:method=GET|HEAD,path=/issue/*,query=''"]);
    let here = forward(&world, &share, "app.open");
    assert_eq!(get(here.at, "/issue/1").status, 200);
    for (method, path) in
        [("POST", "/issue/1"), ("GET", "/other"), ("GET", "/issue"), ("GET", "/issue/1?q=1")]
    {
        assert_eq!(ask(here.at, method, path, &[], b"").status, 403, "{method} {path}");
    }
    // What the local address turns away is turned away by the daemon as well.
    for wrong in [
        &["method=POST", "path=/issue/1"][..],
        &["path=/other"],
        &["path=/issue/1", "query=q=1"],
        &["path=/issue/../x"],
    ] {
        let call = [&["app.open"][..], wrong].concat();
        assert_eq!(world.vendor().call(&share, &call).status, 126, "{wrong:?}");
    }
    let whole = world.vendor().call(&share, &["app.open", "path=/issue/1"]);
    assert!(whole.stdout.starts_with("HTTP/1.1 200 OK\r\n"), "{}", whole.stdout);
}

#[test]
fn secrets_in_an_answer_are_masked_where_the_verb_does_not_say_otherwise() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["app.safe", "app.open"]);
    let safe = forward(&world, &share, "app.safe");
    let masked = get(safe.at, "/secret");
    assert_eq!(masked.status, 200, "{masked:?}");
    assert!(!masked.text().contains("hunter2"), "{}", masked.text());
    let plain = forward(&world, &share, "app.open");
    let whole = get(plain.at, "/secret");
    assert!(whole.text().contains("hunter2"), "{}", whole.text());
    assert_eq!(whole.field("set-cookie"), Some("sid=abc123"));
}

#[test]
fn a_stream_comes_as_it_is_made_and_ends_with_the_share() {
    let Scene { world, app, files: _files } = scene();
    let share = world.alice().open(&["app.open"]);
    let mut here = forward(&world, &share, "app.open");
    let mut stream = TcpStream::connect(here.at).expect("connect");
    let ask = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", here.at);
    stream.write_all(ask.as_bytes()).expect("ask");
    let begun = Instant::now();
    let (mut heard, mut piece) = (String::new(), [0; 4096]);
    while !heard.contains("data: 5") {
        let read = stream.read(&mut piece).expect("hear");
        assert!(read > 0, "{heard}");
        heard.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(world.process("openscope-reach").is_some());
    let revoked = world.alice().run(&["share", "revoke", &share.id]);
    assert_eq!(revoked.status, 0, "{}", revoked.stderr);
    assert!(revoked.stdout.contains("1 running call ended"), "{revoked:?}");
    assert_eq!(world.process("openscope-reach"), None);
    assert_eq!(here.client.wait().code(), Some(255));
    drop(app);
}

#[test]
fn a_local_program_that_hangs_up_ends_its_call_and_no_other() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["app.open"]);
    let here = forward(&world, &share, "app.open");
    let hang = |path: &str| {
        let mut stream = TcpStream::connect(here.at).expect("connect");
        let ask = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", here.at);
        stream.write_all(ask.as_bytes()).expect("ask");
        stream
    };
    let stays = hang("/events");
    let leaves = hang("/hang");
    wait::until("both run", || (world.events("call_started").len() >= 2).then_some(()));
    drop(leaves);
    wait::until("one has ended", || record(&world).contains("cancelled").then_some(()));
    assert_eq!(get(here.at, "/x").status, 200);
    let mut first = [0; 16];
    (&stays).read_exact(&mut first).expect("it goes on");
}

#[test]
fn what_breaks_off_does_not_look_whole() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["app.open"]);
    let here = forward(&world, &share, "app.open");
    let cut = get(here.at, "/cut");
    let is_seen_to_be_half = cut.field("content-length") == Some("100") && cut.body.len() < 100;
    assert!(cut.status == 0 || is_seen_to_be_half, "{cut:?}");
    assert_eq!(get(here.at, "/reset").status, 502);
    assert_eq!(get(here.at, "/x").status, 200);
}

#[test]
fn nobody_is_answered_who_was_led_here() {
    let Scene { world, app, files: _files } = scene();
    let share = world.alice().open(&["app.open"]);
    let here = forward(&world, &share, "app.open");
    let raw = |lines: &str| exchange(here.at, format!("{lines}\r\n\r\n").as_bytes()).status;
    let host = format!("Host: {}", here.at);
    assert_eq!(raw("GET /led HTTP/1.1\r\nHost: evil.example\r\nConnection: close"), 421);
    assert_eq!(
        raw(&format!("GET http://127.0.0.1/led HTTP/1.1\r\n{host}\r\nConnection: close")),
        400
    );
    assert_eq!(
        raw(&format!(
            "GET /led HTTP/1.1\r\n{host}\r\nOrigin: http://evil.example\r\nConnection: close"
        )),
        403
    );
    assert_eq!(
        raw(&format!(
            "GET /led HTTP/1.1\r\n{host}\r\nSec-Fetch-Site: cross-site\r\nConnection: close"
        )),
        403
    );
    assert_eq!(raw(&format!("CONNECT led:80 HTTP/1.1\r\n{host}\r\nConnection: close")), 400);
    let smuggled = format!(
        "POST /led HTTP/1.1\r\n{host}\r\nConnection: close\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /led2 HTTP/1.1\r\n{host}"
    );
    raw(&smuggled);
    assert!(!app.asked().contains("/led2"), "{}", app.asked());
    let body = format!(
        "GET /led HTTP/1.1\r\n{host}\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd"
    );
    assert_eq!(raw(&body), 400);
    assert!(!app.asked().contains("GET"), "{}", app.asked());
}

#[test]
fn a_share_does_not_open_while_its_service_is_away_and_warns_of_one_that_is_unwell() {
    let Scene { world, mut app, files } = scene();
    std::fs::remove_file(files.root().join("index.html")).expect("remove the page");
    let warned = world
        .alice()
        .run(&["share", "open", "--agent", "you", "--verb", "web.open", "--to", "vendor-b"]);
    assert_eq!(warned.status, 0, "{}", warned.stderr);
    assert!(
        warned.stderr.contains("warning: `files`: it answers 403 Forbidden"),
        "{}",
        warned.stderr
    );
    let asked = world.events("services_asked").pop().expect("it is on record");
    assert_eq!(asked["asked"], serde_json::json!(["files: HEAD /"]));
    // Where the share may not use HEAD, nor have that page.
    let verb = "web.open:method=GET,path=/docs/*";
    let pinned =
        world.alice().run(&["share", "open", "--agent", "you", "--verb", verb, "--to", "vendor-b"]);
    assert_eq!(pinned.status, 0, "{}", pinned.stderr);
    let asked = world.events("services_asked").pop().expect("it is on record");
    assert_eq!(asked["asked"], serde_json::json!(["files: GET /docs/"]));
    // Nobody has consented to a call yet.
    let waits = ["share", "open", "--agent", "you", "--verb", "web.open", "--approve", "each"];
    let waits = world.alice().run(&[&waits[..], &["--to", "vendor-b"]].concat());
    assert_eq!(waits.status, 0, "{}", waits.stderr);
    assert_eq!(world.events("services_asked").len(), 2);
    app.stop();
    let refused = world
        .alice()
        .run(&["share", "open", "--agent", "you", "--verb", "app.open", "--to", "vendor-b"]);
    assert_ne!(refused.status, 0);
    assert!(refused.stderr.contains("`app` is not there"), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was opened"), "{}", refused.stderr);
    wait::until("nothing of it is left", || {
        let left = world.alice().run(&["share", "list", "--json"]);
        (left.stdout.matches("osp_").count() == 3).then_some(())
    });
}

#[test]
fn a_port_is_had_at_a_local_address() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["port.open"]);
    let here = forward(&world, &share, "port");
    let answer = exchange(here.at, b"GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(said(&answer)["path"], "/api/x");
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let Scene { world, app: _app, files: _files } = scene();
    let share = world.alice().open(&["app.open", "issue.get"]);
    let refused = world.vendor().run(&share, &["forward", "app.open", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.status, 2, "{}", refused.stderr);
    let called = world.vendor().run(&share, &["forward", "issue.get"]);
    assert!(called.stderr.contains("is called, and not forwarded"), "{}", called.stderr);
    let taken = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let at = taken.local_addr().expect("an address").to_string();
    let taken = world.vendor().run(&share, &["forward", "app.open", "--listen", &at]);
    assert_eq!(taken.status, 125, "{}", taken.stderr);
}
