//! Targets and services that hang, reset, answer slowly or for ever: the call ends, says how, and waits for nobody.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use tests::owner::{Said, Share};
use tests::reflect::{forward, verb};
use tests::web::get;
use tests::world::{Setup, World};

/// What is written of a host key that nobody has.
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";

/// A port, and what is done with each connection to it.
fn serve(with: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("take a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let with = with.clone();
            std::thread::spawn(move || with(stream));
        }
    });
    port
}

fn hangs(mut stream: TcpStream) {
    let mut heard = [0; 1024];
    while stream.read(&mut heard).is_ok_and(|some| some > 0) {}
}

/// Closed with something unread: the kernel says so by a reset.
fn resets(mut stream: TcpStream) {
    let _ = stream.read_exact(&mut [0; 4]);
}

/// A byte at a time, whatever is asked.
fn drips(mut stream: TcpStream) {
    while stream.write_all(b"x").is_ok() {
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is asked says how it is answered.
fn answers(mut stream: TcpStream) {
    let mut asked = [0; 1024];
    let length = stream.read(&mut asked).unwrap_or_default();
    let asked = String::from_utf8_lossy(&asked[..length]).into_owned();
    let begin = |mut stream: &TcpStream, more: &str| {
        let _ = write!(stream, "HTTP/1.1 200 OK\r\n{more}\r\n\r\n");
    };
    let piece = format!("1000\r\n{}\r\n", "x".repeat(4096));
    match asked.split_whitespace().nth(1) {
        Some("/hang") => hangs(stream),
        Some("/reset") => {}
        Some("/drip") => {
            begin(&stream, "Content-Length: 1000");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Some("/cut") => {
            begin(&stream, "Content-Length: 1000");
            let _ = stream.write_all(b"only this");
        }
        Some("/for_ever") => {
            begin(&stream, "Transfer-Encoding: chunked");
            while stream.write_all(piece.as_bytes()).is_ok() {}
        }
        Some("/nonsense") => drop(stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")),
        Some("/long_head") => {
            begin(&stream, &format!("X-Long: {}", "x".repeat(1 << 20)));
        }
        Some("/again") => begin(&stream, "Location: /hang\r\nContent-Length: 0"),
        _ => begin(&stream, "Content-Length: 0"),
    }
}

fn call(world: &World, share: &Share, verb: &str) -> (Said, Duration) {
    let begun = Instant::now();
    let said = world.vendor().call(share, &[verb]);
    (said, begun.elapsed())
}

fn ending(world: &World) -> serde_json::Value {
    world.last_end()["ending"].clone()
}

fn start(targets: String, verbs: String) -> World {
    let policy = "[[agent]]\nname = \"you\"\nuser = \"@ALICE@\"\n[[allow]]\nagent = \"you\"\nverbs = [\"*\"]\n[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"own/vendor-*\"]\n";
    let secrets = vec![("token".to_owned(), "tok-3141592653\n".to_owned())];
    let policy = policy.to_owned();
    let world = Setup { targets, verbs, policy, secrets, ..Setup::default() }.start();
    world.alice().add_contact("vendor-b", &world.vendor());
    world
}

#[test]
fn a_service_that_does_not_answer_as_it_should_ends_the_call_and_nothing_else() {
    let port = serve(answers);
    let ways =
        ["hang", "reset", "drip", "cut", "for_ever", "nonsense", "long_head", "again", "well"];
    let verb = |way: &&str| {
        format!(
            "[verb.\"odd.{way}\"]\nsummary = \"s\"\neffect = \"read\"\ntimeout = \"2s\"\noutput = {{ max = \"64KiB\" }}\nrun = {{ http = {{ target = \"odd\", method = \"GET\", path = \"/{way}\" }} }}\n"
        )
    };
    let targets = format!(
        "[http.odd]\nurl = \"http://127.0.0.1:{port}/\"\nmethods = [\"GET\"]\npaths = [\"/*\"]\n"
    );
    let world = start(targets, ways.iter().map(verb).collect());
    let names = ways.map(|way| format!("odd.{way}"));
    let share = world.alice().open(&names.each_ref().map(String::as_str));
    for (way, status, how) in [
        ("hang", 124, json!("timed_out")),
        ("drip", 124, json!("timed_out")),
        ("reset", 255, json!("target_lost")),
        ("cut", 255, json!("target_lost")),
        ("nonsense", 255, json!("target_lost")),
        ("long_head", 255, json!("target_lost")),
        ("for_ever", 137, json!("output_limit")),
    ] {
        let (said, took) = call(&world, &share, &format!("odd.{way}"));
        assert_eq!(said.status, status, "{way}: {said:?}");
        let ended = ending(&world);
        let ended = ended
            .as_object()
            .map_or(ended.clone(), |why| json!(why.keys().next().expect("a reason has a name")));
        assert_eq!(ended, how, "{way}");
        assert!(took < Duration::from_secs(10), "{way} took {took:?}");
        assert!(said.stdout.len() <= 64 * 1024, "{way}");
        assert_eq!(call(&world, &share, "odd.well").0.status, 0, "after {way}");
    }
    // Where it would lead is not gone to.
    assert_ne!(call(&world, &share, "odd.again").0.status, 124);
}

#[test]
fn a_host_that_hangs_or_resets_is_lost_and_keeps_nobody() {
    let ways = [("hang", serve(hangs)), ("reset", serve(resets))];
    let target = |(name, port): &(&str, u16)| {
        format!(
            "[ssh.{name}]\nhost = \"127.0.0.1\"\nport = {port}\nhost_key = \"{KEY}\"\nidentity = {{ own = \".ssh/none\" }}\nconnect_timeout = \"1s\"\n"
        )
    };
    let verb = |(name, _): &(&str, u16)| {
        format!(
            "[verb.\"odd.{name}\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ ssh = {{ target = \"{name}\", argv = [\"id\"] }} }}\n"
        )
    };
    let world = start(ways.iter().map(target).collect(), ways.iter().map(verb).collect());
    let share = world.alice().open(&["odd.hang", "odd.reset"]);
    for (name, _) in ways {
        let (said, took) = call(&world, &share, &format!("odd.{name}"));
        assert_eq!(said.status, 255, "{name}: {said:?}");
        assert!(ending(&world)["target_lost"].is_string(), "{name}: {}", ending(&world));
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    }
    assert_eq!(world.alice().revoke(&share).status, 0);
}

#[test]
fn a_database_that_hangs_resets_or_drips_opens_nothing_and_keeps_nobody() {
    let ways = [("hang", serve(hangs)), ("reset", serve(resets)), ("drip", serve(drips))];
    let target = |(name, port): &(&str, u16)| {
        format!(
            "[sql.{name}]\npostgres = {{ host = \"127.0.0.1\", port = {port}, database = \"d\", user = \"u\" }}\npassword = \"token\"\nconnect_timeout = \"1s\"\n"
        )
    };
    let verb = |(name, _): &(&str, u16)| {
        format!(
            "[verb.\"odd.{name}\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ sql = {{ target = \"{name}\", statement = \"select 1\" }} }}\n"
        )
    };
    let world = start(ways.iter().map(target).collect(), ways.iter().map(verb).collect());
    for (name, _) in ways {
        let begun = Instant::now();
        let verb = format!("odd.{name}");
        let open = ["share", "open", "--agent", "you", "--verb", &verb, "--to", "vendor-b"];
        let said = world.alice().run(&open);
        assert_eq!(said.status, 125, "{name}: {said:?}");
        assert!(said.stderr.contains("nothing was opened"), "{name}: {}", said.stderr);
        assert!(begun.elapsed() < Duration::from_secs(10), "{name} took {:?}", begun.elapsed());
    }
    assert!(world.events("share_opened").is_empty());
}

#[test]
fn a_port_that_hangs_resets_or_drips_is_as_it_is_and_ends_with_the_share() {
    let ways = [("hang", serve(hangs)), ("reset", serve(resets)), ("drip", serve(drips))];
    let target =
        |(name, port): &(&str, u16)| format!("[tcp.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n");
    let names = ["hang.open", "reset.open", "drip.open"];
    let verbs: String = ways
        .iter()
        .map(|(way, _)| verb(&format!("{way}.open"), &format!("tcp = \"{way}\"")))
        .collect();
    let world = tests::reflect::world(ways.iter().map(target).collect(), &verbs, &names);
    let share = world.alice().open(&names);
    let [hang, reset, drip] = names.map(|verb| forward(&world, &share, verb));
    let to = |here: &tests::reflect::Forward| {
        let mut stream = TcpStream::connect(here.at).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set a limit");
        stream.write_all(b"hello").expect("say");
        stream
    };
    let (mut silent, mut broken, mut slow) = (to(&hang), to(&reset), to(&drip));
    let mut heard = [0; 64];
    let begun = Instant::now();
    assert_eq!(broken.read(&mut heard).unwrap_or(0), 0, "it ended, and gave nothing");
    assert!(begun.elapsed() < Duration::from_secs(1));
    // What drips arrives as it comes.
    let begun = Instant::now();
    slow.read_exact(&mut heard[..5]).expect("five");
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(silent.read(&mut heard).is_err(), "nothing comes, and no end");
    assert_eq!(world.alice().revoke(&share).status, 0);
    silent.set_read_timeout(Some(Duration::from_secs(10))).expect("set a limit");
    assert_eq!(silent.read(&mut heard).unwrap_or(0), 0, "it ends with the share");
}

#[test]
fn one_request_too_many_at_a_local_address_is_told_so() {
    let port = serve(answers);
    let targets = format!(
        "[http.odd]\nurl = \"http://127.0.0.1:{port}/\"\nmethods = [\"GET\"]\npaths = [\"/*\"]\n"
    );
    let world = tests::reflect::world(targets, &verb("odd.open", "http = \"odd\""), &["odd.open"]);
    let share = world.alice().open(&["odd.open"]);
    let here = forward(&world, &share, "odd");
    let held: Vec<TcpStream> = (0..24)
        .map(|_| {
            let mut local = TcpStream::connect(here.at).expect("connect");
            write!(local, "GET /hang HTTP/1.1\r\nHost: {}\r\n\r\n", here.at).expect("ask");
            local
        })
        .collect();
    tests::wait::until("all of them are under way", || {
        (world.events("call_started").len() == 24).then_some(())
    });
    let crowded = get(here.at, "/well");
    assert!(crowded.text().contains("as many requests are under way"), "{}", crowded.text());
    drop(held);
    tests::wait::until("there is room again", || {
        get(here.at, "/well").text().is_empty().then_some(())
    });
}
