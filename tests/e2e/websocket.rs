//! WebSockets of a service that is reflected: granted apart, each a call, ended from both sides.

use std::io::{ErrorKind, Read as _, Write as _};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tests::reflect::{Forward, forward, forward_with, record, verb, world_with};
use tests::socket::{Raw, Sockets, answer, ask, head};
use tests::wait;
use tests::web::{exchange, get};
use tests::world::World;

struct Scene {
    world: World,
    live: Sockets,
    raw: Raw,
}

fn scene() -> Scene {
    let (live, raw) = (Sockets::start(), Raw::start());
    let targets = format!(
        r#"
[http.live]
url = "http://127.0.0.1:{live}/base/"
methods = ["GET", "WEBSOCKET"]
paths = ["/*"]
query = ["room"]
request_headers = ["origin"]
host_header = "live.internal"
credential = {{ file = "token" }}

[http.plain]
url = "http://127.0.0.1:{live}/"
methods = ["GET"]
paths = ["/*"]

[http.raw]
url = "http://127.0.0.1:{raw}/"
methods = ["GET", "WEBSOCKET"]
paths = ["/*"]

[http.brief]
url = "http://127.0.0.1:{raw}/"
methods = ["WEBSOCKET"]
paths = ["/*"]
idle = "1s"
upload_max = "64KiB"
"#,
        live = live.port,
        raw = raw.port
    );
    let small = "output = { max = \"128KiB\", redact = [] }";
    let verbs = ["live", "plain", "raw"]
        .map(|app| verb(&format!("{app}.open"), &format!("http = \"{app}\"")));
    let brief = verb("brief.open", "http = \"brief\"")
        .replace("output = { max = \"1GiB\", redact = [] }", small);
    let names = ["live.open", "plain.open", "raw.open", "brief.open"];
    let secrets = vec![("token".to_owned(), "tok-3141592653\n".to_owned())];
    let world = world_with(targets, &(verbs.concat() + &brief), &names, secrets);
    Scene { world, live, raw }
}

fn url(here: &Forward, path: &str) -> String {
    format!("ws://{}{path}", here.at)
}

/// Everything until the other side hangs up; and whether it did so as it should.
fn rest(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => {}
        Err(fault) => assert_eq!(fault.kind(), ErrorKind::ConnectionReset, "{fault}"),
    }
    all
}

#[test]
fn a_websocket_carries_text_and_bytes_both_ways_and_is_a_call_on_record() {
    let Scene { world, live, raw: _raw } = scene();
    let share = world.alice().open(&["live.open"]);
    let here = forward_with(&world, &share, &["forward", "live", "--inspect"]);
    let origin = format!("origin=http://{}", here.at);
    let said = live.say(&["echo", &url(&here, "/x?room=1"), "1048576", &origin]);
    let wanted = "protocol chat.v2\ncompressed True\ntext grüße\nbytes 1048576 True\nclosed 1000\n";
    assert_eq!(said, wanted);
    let asked = live.tells("open /base/x?room=1");
    let as_own =
        "host=live.internal origin=http://live.internal token=Bearer tok-3141592653 other=None";
    assert!(asked.ends_with(as_own), "{asked}");
    live.tells("closed /base/x?room=1 1000");
    let opened = here.client.stderr.line_with("WEBSOCKET /x?room=1 101");
    assert!(opened.starts_with("#1 "), "{opened}");
    let ended = here.client.stderr.line_with("#1 ended");
    assert!(ended.contains(" B up, ") && !ended.contains("down:"), "{ended}");
    wait::until("its end is on record", || record(&world).contains("call_ended").then_some(()));
    let started = world.events("call_started");
    assert_eq!(started.len(), 1, "{started:?}");
    let called = started[0].to_string();
    for part in ["\"method\":\"WEBSOCKET\"", "\"path\":\"/x\"", "\"query\":\"room=1\""] {
        assert!(called.contains(part), "{part}: {called}");
    }
    assert!(!record(&world).contains("tok-3141592653"));
}

#[test]
fn a_service_that_closes_is_heard_to_its_last_word() {
    let Scene { world, live, raw } = scene();
    let share = world.alice().open(&["live.open", "raw.open"]);
    let here = forward(&world, &share, "live");
    assert_eq!(
        live.say(&["hear", &url(&here, "/bye")]),
        "open\nheard last words\nended 4001 enough\n"
    );
    assert_eq!(live.say(&["hear", &url(&here, "/cut")]), "open\nheard half\nended 1006 \n");
    // What is said in the same breath as a head is not lost, on either side; and all of it comes before the end.
    let here = forward(&world, &share, "raw");
    let mut local = ask(here.at, "/x", b"from here");
    let mut service = raw.next();
    let long: Vec<u8> = (0..300_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    service.agree(&long);
    let mut heard = service.rest.clone();
    while heard.len() < 9 {
        let mut piece = [0; 9];
        let some = service.stream.read(&mut piece).expect("hear");
        assert!(some > 0, "{heard:?}");
        heard.extend_from_slice(&piece[..some]);
    }
    assert_eq!(heard, b"from here");
    drop(service);
    let (answer, mut body) = head(&mut local).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    body.extend(rest(&mut local));
    assert!(body == long, "{} of {} bytes", body.len(), long.len());
}

#[test]
fn a_websocket_that_is_not_granted_is_refused_here_and_there() {
    let Scene { world, live, raw: _raw } = scene();
    let share = world.alice().open(&["plain.open", "live.open:method=GET"]);
    for app in ["plain", "live"] {
        let here = forward(&world, &share, app);
        assert_eq!(live.say(&["hear", &url(&here, "/x")]), "refused 403\n");
        let mut stream = ask(here.at, "/x", b"");
        let (answer, told) = answer(&mut stream);
        assert!(
            answer.starts_with("HTTP/1.1 403 ") && told.contains("WebSockets"),
            "{answer}{told}"
        );
        // What the local address turns away is turned away by the daemon as well.
        let verb = format!("{app}.open");
        let called = world.vendor().call(&share, &[&verb, "method=WEBSOCKET", "path=/x"]);
        assert_eq!(called.status, 126, "{called:?}");
        // Another protocol is not asked for at all.
        let lines = format!(
            "GET /plain HTTP/1.1\r\nHost: {}\r\nUpgrade: h2c\r\nConnection: Upgrade, close\r\n\r\n",
            here.at
        );
        assert_eq!(exchange(here.at, lines.as_bytes()).status, 200);
        live.tells("plain upgrade=None");
    }
    assert!(!live.told().contains("open "), "{}", live.told());
}

#[test]
fn a_page_of_another_site_is_refused_and_so_is_half_a_handshake() {
    let Scene { world, live, raw: _raw } = scene();
    let share = world.alice().open(&["live.open"]);
    let here = forward(&world, &share, "live");
    for origin in ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"] {
        let said = live.say(&["hear", &url(&here, "/x"), &format!("origin={origin}")]);
        assert_eq!(said, "refused 403\n", "{origin}");
    }
    let lines = |more: &str| {
        let lines =
            format!("GET /x HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n{more}\r\n\r\n", here.at);
        exchange(here.at, lines.as_bytes()).status
    };
    assert_eq!(lines("Connection: close"), 400);
    let led = "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
    assert_eq!(lines(led), 403);
    assert!(!live.told().contains("open "), "{}", live.told());
    // Who says nothing of where it comes from is a program of this machine.
    assert_eq!(
        live.say(&["hear", &url(&here, "/bye")]),
        "open\nheard last words\nended 4001 enough\n"
    );
}

#[test]
fn a_share_pins_websockets_to_paths() {
    let Scene { world, live, raw: _raw } = scene();
    let share = world.alice().open(&["live.open:method=WEBSOCKET,path=/rooms/*"]);
    let here = forward(&world, &share, "live");
    assert!(live.say(&["hear", &url(&here, "/rooms/bye")]).contains("ended 4001"));
    for path in ["/bye", "/rooms", "/rooms/../bye", "/rooms/%2e%2e/bye"] {
        let said = live.say(&["hear", &url(&here, path)]);
        assert!(said == "refused 403\n" || said == "refused 400\n", "{path}: {said}");
    }
    assert_eq!(get(here.at, "/rooms/plain").status, 403);
    let called = world.vendor().call(&share, &["live.open", "method=WEBSOCKET", "path=/bye"]);
    assert_eq!(called.status, 126, "{called:?}");
    let asked = live.told();
    assert_eq!(asked.matches("open ").count(), 1, "{asked}");
}

#[test]
fn what_a_service_answers_instead_is_passed_back() {
    let Scene { world, live, raw } = scene();
    let share = world.alice().open(&["live.open", "raw.open"]);
    let here = forward(&world, &share, "live");
    assert_eq!(live.say(&["hear", &url(&here, "/refuse")]), "refused 404\n");
    let mut stream = ask(here.at, "/refuse", b"");
    let (answered, body) = answer(&mut stream);
    assert!(
        answered.starts_with("HTTP/1.1 404 ") && body == "no socket here\n",
        "{answered}{body}"
    );
    // Whoever agrees to something else, or to what nobody asked for, has given no answer.
    let here = forward(&world, &share, "raw");
    let other = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n";
    for is_socket in [true, false] {
        let mut local = if is_socket {
            ask(here.at, "/x", b"")
        } else {
            let mut local = std::net::TcpStream::connect(here.at).expect("connect");
            let lines = format!("GET /x HTTP/1.1\r\nHost: {}\r\n\r\n", here.at);
            local.write_all(lines.as_bytes()).expect("ask");
            local
        };
        let mut service = raw.next();
        let wants = service.head.to_ascii_lowercase();
        assert_eq!(wants.contains("upgrade: websocket"), is_socket, "{wants}");
        service.say(other.as_bytes());
        let (answer, _) = head(&mut local).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
}

#[test]
fn revoking_ends_it_on_both_sides() {
    let Scene { world, live, raw: _raw } = scene();
    let share = world.alice().open(&["live.open"]);
    let mut here = forward(&world, &share, "live");
    let mut client = live.client(&["hear", &url(&here, "/first")]);
    client.stdout.line_with("heard first");
    let revoked = world.alice().run(&["share", "revoke", &share.id]);
    assert!(revoked.stdout.contains("1 running call ended"), "{revoked:?}");
    assert_eq!(world.process("openscope-reach"), None);
    assert_eq!(client.stdout.line_with("ended"), "ended 1006 ");
    live.tells("closed /base/first 1006");
    assert_eq!(here.client.wait().code(), Some(255));
    client.wait();
}

#[test]
fn a_local_program_that_goes_takes_its_connection_with_it() {
    let Scene { world, live, raw } = scene();
    let share = world.alice().open(&["live.open", "raw.open"]);
    let here = forward(&world, &share, "live");
    let client = live.client(&["hear", &url(&here, "/first")]);
    client.stdout.line_with("heard first");
    client.signal(Signal::KILL);
    live.tells("closed /base/first 1006");
    // Also one to a service that does not care.
    let here = forward(&world, &share, "raw");
    let mut local = ask(here.at, "/x", b"");
    let mut service = raw.next();
    service.agree(b"");
    head(&mut local).expect("an answer");
    drop(local);
    assert_eq!(service.stream.read(&mut [0; 8]).expect("its end"), 0);
    wait::until("nothing listens any more", || {
        std::thread::sleep(Duration::from_millis(100));
        service.stream.write_all(b"x").err()
    });
    wait::until("both are over", || (world.events("call_ended").len() == 2).then_some(()));
}

#[test]
fn a_websocket_is_bounded_in_silence_and_in_bytes_both_ways() {
    let Scene { world, live: _live, raw } = scene();
    let share = world.alice().open(&["brief.open"]);
    let here = forward_with(&world, &share, &["forward", "brief", "--inspect"]);
    let open = || {
        let mut local = ask(here.at, "/x", b"");
        let mut service = raw.next();
        service.agree(b"");
        head(&mut local).expect("an answer");
        (local, service)
    };
    // A word in time is enough; none is not.
    let begun = Instant::now();
    let (mut local, mut service) = open();
    for _ in 0..4 {
        std::thread::sleep(Duration::from_millis(400));
        service.say(b"x");
        local.read_exact(&mut [0]).expect("hear");
    }
    assert!(begun.elapsed() > Duration::from_millis(1500));
    assert_eq!(rest(&mut local), b"");
    let told = here.client.stderr.line_with("#1 ended");
    assert!(told.contains("0 B up, 4 B down:"), "{told}");
    assert!(record(&world).contains("nothing was said on the connection for 1 s"));
    // Up.
    let (mut local, mut service) = open();
    let _ = local.write_all(&vec![b'u'; 65536]);
    let mut heard = vec![0; 65536];
    service.stream.read_exact(&mut heard).expect("all that it may say");
    let _ = local.write_all(b"u");
    assert_eq!(rest(&mut service.stream), b"");
    assert!(here.client.stderr.line_with("#2 ended").contains("more than it takes"));
    // Down.
    let (mut local, mut service) = open();
    let sent = service.stream.write_all(&vec![b'd'; 1 << 20]);
    drop((sent, service));
    assert!(rest(&mut local).len() <= 128 << 10);
    assert!(here.client.stderr.line_with("#3 ended").contains("wrote more than it may"));
}
