//! Paths and requests that can be read in more than one way: none makes a service answer for what is not listed.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tests::reflect::{forward, verb, world};
use tests::wait;
use tests::web::{Noted, Web, get};

/// Ways to write a path that leads out, or that could be read as one that does.
const PATHS: [&str; 72] = [
    "/secret.txt",
    "/docs/../secret.txt",
    "/docs/..",
    "/docs/.",
    "/docs/./../secret.txt",
    "/docs/a/../../secret.txt",
    "/docs/x/../../../secret.txt",
    "/docs/%2e%2e/secret.txt",
    "/docs/%2E%2E/secret.txt",
    "/docs/%2e./secret.txt",
    "/docs/.%2e/secret.txt",
    "/docs/.%2E/secret.txt",
    "/docs/%2e/secret.txt",
    "/docs/..%2fsecret.txt",
    "/docs/..%2Fsecret.txt",
    "/docs/%2e%2e%2fsecret.txt",
    "/docs/%2e%2e%2Fsecret.txt",
    "/docs%2f..%2fsecret.txt",
    "/docs%2F%2e%2e%2Fsecret.txt",
    "/%64ocs/../secret.txt",
    "/docs/..%5csecret.txt",
    "/docs/..%5Csecret.txt",
    "/docs/%5c../secret.txt",
    "/docs/%5c%2e%2e%5csecret.txt",
    "/docs\\..\\secret.txt",
    "/docs/..\\secret.txt",
    "/docs/..;/secret.txt",
    "/docs/..;x=1/secret.txt",
    "/docs/.;/../secret.txt",
    "/docs/;/../secret.txt",
    "/docs/;../secret.txt",
    "/docs/..%3b/secret.txt",
    "/docs/..%3B/secret.txt",
    "/docs/%3b/../secret.txt",
    "//secret.txt",
    "//docs/../secret.txt",
    "/docs//../secret.txt",
    "/docs//../../secret.txt",
    "/docs///../secret.txt",
    "/./secret.txt",
    "/.//secret.txt",
    "/docs/../../../../../../secret.txt",
    "/docs/%00/../secret.txt",
    "/docs/..%00/secret.txt",
    "/secret.txt%00",
    "/docs/a.txt%00/../../secret.txt",
    "/docs/%c0%ae%c0%ae/secret.txt",
    "/docs/%C0%AE%C0%AE/secret.txt",
    "/docs/%e0%80%ae%e0%80%ae/secret.txt",
    "/docs/%c0%ae%c0%ae%c0%afsecret.txt",
    "/docs/..%c0%afsecret.txt",
    "/docs/..%c1%9csecret.txt",
    "/docs/..%e0%80%afsecret.txt",
    "/docs/..%uff0fsecret.txt",
    "/docs/%u002e%u002e/secret.txt",
    "/docs/\u{ff0e}\u{ff0e}/secret.txt",
    "/docs/%252e%252e/secret.txt",
    "/docs/%252e%252e%252fsecret.txt",
    "/docs/..%252fsecret.txt",
    "/docs/%25%32%65%25%32%65/secret.txt",
    "/docs/%%32%65%%32%65/secret.txt",
    "/docs/%2/../secret.txt",
    "/docs/%zz/../secret.txt",
    "/docs/..#/secret.txt",
    "/docs/../secret.txt?/docs/",
    "/docs?/../secret.txt",
    "/docs#/../secret.txt",
    "/docs/..?/secret.txt",
    "/docs/..%3f/secret.txt",
    "/docs/..%23/secret.txt",
    "/docs/..\t/secret.txt",
    "/docs/.. /secret.txt",
];

/// Requests that are not what they seem, whole: `@` is the local address.
const REQUESTS: [&str; 36] = [
    // Not a path.
    "GET secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET ../secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET * HTTP/1.1\r\nHost: @\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET http://@/secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET http://127.0.0.1/docs/../secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET https://@/secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET file:///secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET //@/secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "CONNECT @ HTTP/1.1\r\nHost: @\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    // Another version, or none.
    "GET /secret.txt\r\n\r\n",
    "GET /docs/a.txt HTTP/0.9\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /secret.txt HTTP/1.0\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1 HTTP/1.1\r\nHost: @\r\nX: GET /secret.txt\r\n\r\n",
    "GET /docs/a.txt GET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    // A second request in the first one's body.
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nContent-Length: 50\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\nX: 0123456789\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nContent-Length: 0\r\nContent-Length: 50\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nContent-Length: 0, 50\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nContent-Length: +0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\nXGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding: identity, chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\nGET /secret.txt HTTP/1.1\r\n\r\n\r\n0\r\n\r\n",
    // Lines that are cut elsewhere.
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nUser-Agent: x\r\n GET /secret.txt HTTP/1.1\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nUser-Agent: x\n\nGET /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\nHost: @\n\nGET /secret.txt HTTP/1.1\nHost: @\n\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nUser-Agent: x\r\rGET /secret.txt HTTP/1.1\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nUser-Agent: x\0y\r\nAccept: GET /secret.txt\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nUser-Agent: \u{10a}\u{10d}GET /secret.txt HTTP/1.1\r\n\r\n",
    "GET /docs/a.txt\r\nX: /secret.txt HTTP/1.1\r\nHost: @\r\n\r\n",
    // Fields by which some servers go instead.
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nX-Original-URL: /secret.txt\r\nX-Rewrite-URL: /secret.txt\r\n\r\n",
    "GET /docs/a.txt HTTP/1.1\r\nHost: @\r\nX-HTTP-Method-Override: DELETE\r\nConnection: keep-alive, host\r\n\r\n",
];

/// Methods that are not granted, or none.
const METHODS: [&str; 10] =
    ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "GETT", "WEBSOCKET", "PROPFIND"];

fn is_listed(noted: &Noted) -> bool {
    let is_path =
        noted.path == "/" || noted.path == "/index.html" || noted.path.starts_with("/docs/");
    let line = noted.line.as_str();
    let as_written = line.starts_with("GET /docs/") || line.starts_with("GET / ");
    let probe = line.starts_with("HEAD / ");
    is_path && !noted.path.contains("..") && (as_written || probe)
}

/// Says bytes as they are, and whatever is answered within a moment.
fn send(to: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_read_timeout(Some(Duration::from_millis(1500))).expect("set a limit");
    let _ = stream.write_all(bytes);
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn no_spelling_makes_a_service_answer_for_what_is_not_listed() {
    let files = Web::nginx_that_notes();
    let targets = format!(
        "[http.files]\nurl = \"http://127.0.0.1:{}/\"\npaths = [\"/\", \"/docs/*\"]\nquery = [\"q\"]\n",
        files.port
    );
    let world = world(targets, &verb("files.open", "http = \"files\""), &["files.open"]);
    let share = world.alice().open(&["files.open"]);
    let here = forward(&world, &share, "files");
    let of_path =
        |path: &&str| format!("GET {path} HTTP/1.1\r\nHost: @\r\nConnection: close\r\n\r\n");
    let of_method = |method: &&str| {
        format!("{method} /docs/a.txt HTTP/1.1\r\nHost: @\r\nConnection: close\r\n\r\n")
    };
    let as_they_are = REQUESTS.iter().map(|request| (*request).to_owned());
    let all: Vec<String> = PATHS
        .iter()
        .map(of_path)
        .chain(METHODS.iter().map(of_method))
        .chain(as_they_are)
        .map(|request| request.replace('@', &here.at.to_string()))
        .collect();
    assert_eq!(get(here.at, "/docs/a.txt").status, 200);
    let before = files.noted().len();
    let shown: Vec<String> = std::thread::scope(|scope| {
        let at = here.at;
        let asked = all.chunks(10).map(|some| {
            scope.spawn(move || some.iter().map(|one| send(at, one.as_bytes())).collect::<Vec<_>>())
        });
        asked
            .collect::<Vec<_>>()
            .into_iter()
            .flat_map(|one| one.join().expect("they are sent"))
            .collect()
    });
    assert_eq!((all.len(), shown.len()), (118, 118));
    // What is asked after all of them is noted after all of them.
    assert_eq!(get(here.at, "/docs/a.txt?q=last").status, 200);
    let noted = wait::until("the last is noted", || {
        let noted = files.noted();
        noted.iter().any(|one| one.line.contains("q=last")).then_some(noted)
    });
    let outside: Vec<&Noted> = noted.iter().filter(|one| !is_listed(one)).collect();
    assert!(outside.is_empty(), "{outside:#?}");
    for (request, answer) in all.iter().zip(&shown) {
        assert!(!answer.contains("not listed"), "{request:?}: {answer}");
    }
    let asked = noted.len() - before - 1;
    let line = format!(
        "path confusion corpus: {} spellings, {asked} of them asked, 0 outside what is listed\n",
        all.len()
    );
    let _ = std::io::stderr().write_all(line.as_bytes());
    assert!(asked < 20, "{noted:#?}");
}
