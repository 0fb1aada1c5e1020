//! Services at their edges: whom to believe, what breaks off, what is full.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tests::account::Accounts;
use tests::reflect::{forward, record, verb, world, world_with};
use tests::socket::Raw;
use tests::wait;
use tests::web::{Web, ask, get};

/// An authority of the test's own.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("it signs").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a name, good until a year, and its key.
    fn vouch(&self, name: &str, until: i32) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("it signs");
        (certificate.pem(), key.serialize_pem())
    }
}

#[test]
fn only_a_service_that_the_right_authority_vouches_for_is_believed() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let server = |(certificate, key): (String, String)| Web::nginx_tls((&certificate, &key));
    let good = server(ours.vouch("localhost", 4000));
    let late = server(ours.vouch("localhost", 2001));
    let elsewhere = server(ours.vouch("elsewhere.internal", 4000));
    let service = |name: &str, web: &Web, ca: &str| {
        format!(
            "[http.{name}]\nurl = \"https://localhost:{}/\"\npaths = [\"/\", \"/docs/*\"]\nca = \"{ca}\"\n",
            web.port
        )
    };
    let targets = [
        service("good", &good, "ours.pem"),
        service("other", &good, "other.pem"),
        service("late", &late, "ours.pem"),
        service("elsewhere", &elsewhere, "ours.pem"),
        service("unread", &good, "ours.pem").replace("paths", "methods = [\"GET\"]\npaths"),
        service("unread2", &good, "other.pem").replace("paths", "methods = [\"GET\"]\npaths"),
    ];
    let apps = ["good", "other", "late", "elsewhere", "unread", "unread2"];
    let names = apps.map(|app| format!("{app}.open"));
    let verbs = apps.map(|app| verb(&format!("{app}.open"), &format!("http = \"{app}\""))).concat();
    let files =
        vec![("ours.pem".to_owned(), ours.pem.clone()), ("other.pem".to_owned(), other.pem)];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let world = world_with(targets.concat(), &verbs, &names, files);
    let share = world.alice().open(&["good.open", "unread.open"]);
    let here = forward(&world, &share, "good");
    assert_eq!(get(here.at, "/docs/a.txt").text(), "0123456789\n");
    for (app, why) in [
        ("other", "invalid peer certificate: UnknownIssuer"),
        ("late", "invalid peer certificate: certificate expired"),
        ("elsewhere", "invalid peer certificate: certificate not valid for name \"localhost\""),
        ("unread2", "invalid peer certificate: UnknownIssuer"),
    ] {
        let refused =
            world.alice().try_open(&[&format!("{app}.open")], &["--to", "vendor-b"]).unwrap_err();
        let told = &refused.stderr;
        assert!(
            told.contains(&format!("`{app}` is not there")) && told.contains(why),
            "{app}: {told}"
        );
    }
}

/// A port of the test's own, and the first connection to it that says something or is spoken to.
fn port() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let at = listener.local_addr().expect("an address");
    let targets = format!(
        "[tcp.port]\nhost = \"127.0.0.1\"\nport = {0}\n[tcp.brief]\nhost = \"127.0.0.1\"\nport = {0}\nidle = \"1s\"\n",
        at.port()
    );
    (listener, targets)
}

fn port_verbs() -> String {
    verb("port.open", "tcp = \"port\"") + &verb("brief.open", "tcp = \"brief\"")
}

#[test]
fn a_port_that_says_no_more_and_reads_on_hears_all_of_it() {
    const PIECES: usize = 40;
    let (listener, targets) = port();
    let world = world(targets, &port_verbs(), &["port.open", "brief.open"]);
    let share = world.alice().open(&["port.open"]);
    let here = forward(&world, &share, "port");
    // The first was the look whether it is there.
    let service = std::thread::spawn(move || {
        listener.accept().expect("it is looked for");
        let (mut stream, _) = listener.accept().expect("it is asked");
        stream.write_all(b"all that I say").expect("say");
        stream.shutdown(Shutdown::Write).expect("say no more");
        let mut heard = Vec::new();
        let end = stream.read_to_end(&mut heard);
        (heard.len(), end.is_ok())
    });
    let mut local = TcpStream::connect(here.at).expect("connect");
    for _ in 0..PIECES {
        local.write_all(&[b'x'; 8192]).expect("say");
        std::thread::sleep(Duration::from_millis(50));
    }
    local.shutdown(Shutdown::Write).expect("say no more");
    let mut heard = String::new();
    local.read_to_string(&mut heard).expect("hear");
    assert_eq!(heard, "all that I say");
    assert_eq!(service.join().expect("it ends"), (PIECES * 8192, true));
}

#[test]
fn a_port_takes_so_many_connections_of_a_share_and_its_bytes_have_an_end() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let port = listener.local_addr().expect("an address").port();
    let targets = format!(
        "[tcp.few]\nhost = \"127.0.0.1\"\nport = {port}\nconnections = 2\nupload_max = \"64KiB\"\n"
    );
    let verb = verb("few.open", "tcp = \"few\"").replace("\"1GiB\"", "\"64KiB\"");
    let world = world(targets, &verb, &["few.open"]);
    let share = world.alice().open(&["few.open"]);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut word = [0; 4];
                if stream.read_exact(&mut word).is_ok() && &word == b"more" {
                    while stream.write_all(&[b'x'; 4096]).is_ok() {}
                }
                let _ = stream.write_all(&word);
                let mut rest = [0; 4096];
                while stream.read(&mut rest).is_ok_and(|some| some > 0) {}
            });
        }
    });
    let here = forward(&world, &share, "few");
    let greet = || {
        let mut local = TcpStream::connect(here.at).expect("connect");
        local.set_read_timeout(Some(Duration::from_secs(10))).expect("set it");
        local.write_all(b"here").expect("say");
        let mut heard = [0; 4];
        local.read_exact(&mut heard).map(|()| local)
    };
    let (one, two) = (greet().expect("one"), greet().expect("two"));
    assert!(greet().is_err(), "the third is hung up on");
    assert!(record(&world).contains("`connections` of `few` is reached"));
    drop(one);
    wait::until("there is room again", || greet().ok());
    drop(two);
    // Both ways there is an end. A place that was given up is free a moment later.
    let heard = wait::until("more is said", || {
        let mut local = TcpStream::connect(here.at).expect("connect");
        local.write_all(b"more").expect("say");
        let mut heard = Vec::new();
        let _ = local.read_to_end(&mut heard);
        (!heard.is_empty()).then_some(heard.len())
    });
    assert!(heard <= 64 << 10, "{heard}");
    let mut local = wait::until("there is room", || greet().ok());
    let _ = (0..64).try_for_each(|_| local.write_all(&[b'x'; 4096]));
    let _ = local.read_to_end(&mut Vec::new());
    wait::until("both ends are on record", || {
        let told = record(&world);
        (told.contains("\"output_limit\"") && told.contains("\"input_limit\"")).then_some(())
    });
}

#[test]
fn a_port_is_silent_only_so_long() {
    let (listener, targets) = port();
    let world = world(targets, &port_verbs(), &["port.open", "brief.open"]);
    let share = world.alice().open(&["brief.open"]);
    let here = forward(&world, &share, "brief");
    let service = std::thread::spawn(move || {
        listener.accept().expect("it is looked for");
        let (mut stream, _) = listener.accept().expect("it is asked");
        for _ in 0..5 {
            stream.write_all(b"x").expect("say");
            std::thread::sleep(Duration::from_millis(400));
        }
        let begun = Instant::now();
        let end = stream.read(&mut [0; 8]).map_or(0, |some| some);
        (end, begun.elapsed())
    });
    let mut local = TcpStream::connect(here.at).expect("connect");
    let mut heard = Vec::new();
    local.read_to_end(&mut heard).expect("hear");
    // A word in time is enough.
    assert_eq!(heard, b"xxxxx");
    let (end, waited) = service.join().expect("it ends");
    assert!(end == 0 && waited < Duration::from_secs(5), "{end} after {waited:?}");
    wait::until("it is on record", || {
        record(&world).contains("nothing was said on the connection for 1 s").then_some(())
    });
}

#[test]
fn many_requests_with_the_longest_header_fields_are_all_answered_by_one_process() {
    const AT_ONCE: usize = 24;
    const EACH: usize = 10;
    let app = Web::app(&Accounts::shared().bob);
    let targets = format!(
        "[http.app]\nurl = \"http://127.0.0.1:{}/\"\nmethods = [\"GET\", \"HEAD\"]\npaths = [\"/*\"]\nrequest_headers = [\"x-mine\"]\n",
        app.port
    );
    let world = world(targets, &verb("app.open", "http = \"app\""), &["app.open"]);
    let share = world.alice().open(&["app.open"]);
    let here = forward(&world, &share, "app");
    let before = world.process("openscope-reach");
    let field = format!("X-Mine: {}", "y".repeat(31 * 1024));
    let answered: Vec<(String, usize)> = std::thread::scope(|scope| {
        let (at, field) = (here.at, &field);
        let asking = (0..AT_ONCE).map(|who| {
            scope.spawn(move || {
                let one = |number| {
                    let path = format!("/{who}-{number}");
                    let answer = ask(at, "GET", &path, &[field.as_str()], b"");
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
                    let said: serde_json::Value =
                        serde_json::from_slice(&answer.body).expect("JSON");
                    let length = said["fields"]["x-mine"].as_str().map_or(0, str::len);
                    (said["path"].as_str().expect("a path").to_owned(), length)
                };
                (0..EACH).map(one).collect::<Vec<_>>()
            })
        });
        asking
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|one| one.join().expect("all are answered"))
            .collect()
    });
    let paths: BTreeSet<&String> = answered.iter().map(|(path, _)| path).collect();
    assert_eq!((answered.len(), paths.len()), (AT_ONCE * EACH, AT_ONCE * EACH));
    assert!(answered.iter().all(|(_, length)| *length == 31 * 1024));
    assert!(before.is_some() && world.process("openscope-reach") == before);
    wait::until("each has ended", || {
        (world.events("call_ended").len() == AT_ONCE * EACH).then_some(())
    });
    assert!(!record(&world).contains("target_lost"), "{}", record(&world));
}

fn raw(base: &str) -> (Raw, String) {
    let raw = Raw::start();
    let targets = format!(
        "[http.raw]\nurl = \"http://127.0.0.1:{}{base}\"\nmethods = [\"GET\", \"POST\"]\npaths = [\"/*\"]\nbody_max = \"8MiB\"\n",
        raw.port
    );
    (raw, targets)
}

#[test]
fn an_upload_that_is_cut_off_does_not_look_whole_to_the_service() {
    let (service, targets) = raw("/");
    let world = world(targets, &verb("raw.open", "http = \"raw\""), &["raw.open"]);
    let share = world.alice().open(&["raw.open"]);
    let here = forward(&world, &share, "raw");
    let half = "z".repeat(200_000);
    for (how, sent) in [
        ("Content-Length: 400000", half.clone()),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{half}\r\n", half.len())),
        ("Transfer-Encoding: chunked", format!("{:x}\r\n{half}", half.len() * 2)),
    ] {
        let mut local = TcpStream::connect(here.at).expect("connect");
        let lines = format!("POST /x HTTP/1.1\r\nHost: {}\r\n{how}\r\n\r\n{sent}", here.at);
        local.write_all(lines.as_bytes()).expect("ask");
        let mut asked = service.next();
        let mut heard = asked.rest.clone();
        let mut piece = [0; 65536];
        while heard.iter().filter(|byte| **byte == b'z').count() < half.len() {
            let some = asked.stream.read(&mut piece).expect("hear");
            assert!(some > 0, "{how}: it ends early");
            heard.extend_from_slice(&piece[..some]);
        }
        drop(local);
        let mut rest = Vec::new();
        let _ = asked.stream.read_to_end(&mut rest);
        heard.extend_from_slice(&rest);
        assert!(!heard.ends_with(b"0\r\n\r\n"), "{how}: it looks whole");
        assert_eq!(heard.iter().filter(|byte| **byte == b'z').count(), half.len());
        let fields = asked.head.to_ascii_lowercase();
        let says = fields.contains("content-length: 400000");
        assert!(says != fields.contains("transfer-encoding: chunked"), "{fields}");
    }
    wait::until("each is cancelled", || {
        (record(&world).matches("\"cancelled\"").count() >= 3).then_some(())
    });
}

#[test]
fn a_way_back_to_a_service_beneath_a_path_can_be_taken() {
    let (service, targets) = raw("/base/");
    let port = service.port;
    let world = world(targets, &verb("raw.open", "http = \"raw\""), &["raw.open"]);
    let share = world.alice().open(&["raw.open"]);
    let here = forward(&world, &share, "raw");
    let moved = |from: &str, to: &str| {
        let asking = std::thread::spawn({
            let (at, from): (SocketAddr, _) = (here.at, from.to_owned());
            move || get(at, &from)
        });
        let mut asked = service.next();
        asked.say(
            format!("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").as_bytes(),
        );
        let answer = asking.join().expect("it is answered");
        assert_eq!(answer.status, 302);
        (asked.head, answer.field("location").expect("a way").to_owned())
    };
    let own = format!("http://127.0.0.1:{port}");
    for (to, wanted) in [
        ("/base/there".to_owned(), "/there"),
        (format!("{own}/base/there?x=1"), "/there?x=1"),
        (format!("{own}/base"), "/"),
        ("/base/".to_owned(), "/"),
        ("there".to_owned(), "there"),
        ("../there".to_owned(), "../there"),
        ("https://elsewhere.example/base/x".to_owned(), "https://elsewhere.example/base/x"),
        (format!("{own}.elsewhere.example/base/x"), ""),
        ("//elsewhere.example/base/x".to_owned(), "//elsewhere.example/base/x"),
    ] {
        let (asked, at) = moved("/from", &to);
        assert!(asked.starts_with("GET /base/from "), "{asked}");
        assert_eq!(at, if wanted.is_empty() { to } else { wanted.to_owned() });
        if wanted.starts_with('/') && !wanted.contains('?') && !wanted.starts_with("//") {
            let (asked, _) = moved(&at, "/base/end");
            assert!(asked.starts_with(&format!("GET /base{wanted} ")), "{asked}");
        }
    }
}
