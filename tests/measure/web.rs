//! Reflected HTTP to nginx: requests over sixteen connections that are kept, each decided and on record, against the same
//! nginx asked directly; and one large file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tests::background::Background;
use tests::web::Web;

use crate::figure::Figure;
use crate::reading::{Limit, Reading};
use crate::sample::Samples;
use crate::scene::Scene;

const CONNECTIONS: usize = 16;
const PER_CONNECTION: usize = 1500;
/// Asked one after the other, on one connection.
const ALONE: usize = 500;
const LARGE_MIB: u32 = 1024;
/// What a request may cost over asking directly, in the middle.
const OVER: Limit = Limit::AtMost(1.5);
const BULK: Limit = Limit::AtLeast(150.0);

const VERB: &str = r#"
[verb."web.open"]
summary = "Files"
effect  = "read"
run     = { forward = { http = "files" } }
timeout = "30m"
output  = { max = "4GiB", redact = [] }
"#;

pub fn measure(figure: &Figure) -> Vec<Reading> {
    let files = Web::nginx();
    let large = std::fs::File::create(files.root().join("large")).expect("make a file");
    large.set_len(u64::from(LARGE_MIB) << 20).expect("make it large");
    let scene = Scene::with(|setup| {
        setup.targets =
            format!("[http.files]\nurl = \"http://127.0.0.1:{}/\"\npaths = [\"/*\"]\n", files.port);
        setup.verbs += VERB;
        setup.limits = "calls_per_second_per_seat = 100000\ncalls_per_share = 1000000\n".to_owned();
        setup.policy = setup
            .policy
            .replace("\"test.true\" = {}", "\"test.true\" = {}, \"web.open\" = {}")
            .replace("[\"log.*\"", "[\"web.*\", \"log.*\"");
    });
    let share = scene.open(&["web.open"]);
    let client = Background::start(scene.world.vendor().command(&share, &["forward", "web"]));
    let line = client.stdout.line_with("127.0.0.1:");
    let here: SocketAddr =
        line.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    asked(here, ALONE / 10);
    let (through, direct) = (asked(here, ALONE), asked(files.address(), ALONE));
    let rates: Samples = (0..3).map(|_| rate(here)).collect();
    let over = through.median() - direct.median();
    // The first one reads the file into the kernel's cache, the second is what nginx can do.
    let [_, alone] = [(); 2].map(|()| bulk(files.address()));
    let bulk = bulk(here);
    let spread = format!("{:.0} to {:.0} over {} runs", rates.min(), rates.max(), rates.len());
    let against = format!(
        "{CONNECTIONS} connections, 12 bytes each; nginx alone {:.0}",
        rate(files.address())
    );
    vec![
        figure.read(rates.median(), spread, against),
        Reading {
            figure: "http_over_direct_ms".to_owned(),
            value: over,
            unit: "ms",
            against: format!(
                "p50 {:.2} ms, nginx directly {:.2}",
                through.median(),
                direct.median()
            ),
            limit: OVER,
            spread: format!("p90 {:.2} ms", through.percentile(90)),
        },
        Reading {
            figure: "http_bulk_mib_s".to_owned(),
            value: bulk,
            unit: "MiB/s",
            against: format!("one file of {LARGE_MIB} MiB; nginx alone {alone:.0}"),
            limit: BULK,
            spread: String::new(),
        },
    ]
}

/// MiB a second of the large file.
fn bulk(at: SocketAddr) -> f64 {
    let begun = Instant::now();
    let length = get(&mut connect(at), at, "/large");
    assert_eq!(length, u64::from(LARGE_MIB) << 20);
    f64::from(LARGE_MIB) / begun.elapsed().as_secs_f64()
}

/// Requests a second over all connections together.
fn rate(at: SocketAddr) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut connection = connect(at);
                for _ in 0..PER_CONNECTION {
                    get(&mut connection, at, "/docs/a.txt");
                }
            });
        }
    });
    let all = u32::try_from(CONNECTIONS * PER_CONNECTION).expect("a small number");
    f64::from(all) / begun.elapsed().as_secs_f64()
}

/// How long requests take, one after the other.
fn asked(at: SocketAddr, times: usize) -> Samples {
    let mut connection = connect(at);
    let timed = |_| {
        let begun = Instant::now();
        get(&mut connection, at, "/docs/a.txt");
        begun.elapsed()
    };
    (0..times).map(timed).collect::<Vec<Duration>>().into_iter().collect()
}

fn connect(at: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(at).expect("connect");
    stream.set_nodelay(true).expect("set it");
    BufReader::with_capacity(1 << 18, stream)
}

/// Asks for one thing on a connection that is kept; how many bytes its body had.
fn get(connection: &mut BufReader<TcpStream>, at: SocketAddr, path: &str) -> u64 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    connection.get_mut().write_all(request.as_bytes()).expect("ask");
    let (mut line, mut length, mut is_good) = (String::new(), 0, false);
    loop {
        line.clear();
        connection.read_line(&mut line).expect("an answer");
        is_good |= line.starts_with("HTTP/1.1 200 ");
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line == "\r\n" || line.is_empty() {
            break;
        }
    }
    assert!(is_good, "no answer of {path}");
    let mut left = length;
    while left > 0 {
        let piece = connection.fill_buf().expect("a body").len();
        let taken = left.min(u64::try_from(piece).expect("it fits"));
        assert!(taken > 0, "{path} broke off with {left} bytes to come");
        connection.consume(usize::try_from(taken).expect("it fits"));
        left -= taken;
    }
    length
}
