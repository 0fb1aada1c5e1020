//! WebSockets: a server and a client that are not ours, and a service that says byte for byte what a test wants.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tempfile::TempDir;

use crate::background::Background;
use crate::installed::base;
use crate::wait;

/// Debian's python3-websockets, as a server and as a client.
const PROGRAM: &str = include_str!("web/socket.py");
/// A handshake's key and its answer, as RFC 6455 has them.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A running server.
pub struct Sockets {
    scratch: TempDir,
    server: Background,
    pub port: u16,
}

impl Sockets {
    /// # Panics
    /// When there is no python3-websockets.
    pub fn start() -> Self {
        let scratch = TempDir::new_in(base()).expect("make its directory");
        let port = crate::sshd::free_port();
        std::fs::write(scratch.path().join("talk.py"), PROGRAM).expect("write the program");
        let server = Background::start(talk(&scratch, &["serve", &port.to_string()]));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait::until("the server answers", || TcpStream::connect(address).ok().map(drop));
        Self { scratch, server, port }
    }

    /// What it has been asked and how that ended, one line each.
    pub fn told(&self) -> String {
        self.server.stderr.text()
    }

    /// Waits for such a line.
    pub fn tells(&self, part: &str) -> String {
        self.server.stderr.line_with(part)
    }

    /// A client, under way.
    pub fn client(&self, words: &[&str]) -> Background {
        Background::start(talk(&self.scratch, words))
    }

    /// What a client says until it ends.
    pub fn say(&self, words: &[&str]) -> String {
        let mut client = self.client(words);
        client.wait();
        String::from_utf8_lossy(&client.stdout.to_end()).into_owned() + &client.stderr.text()
    }
}

fn talk(scratch: &TempDir, words: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONUNBUFFERED", "1").arg(scratch.path().join("talk.py")).args(words);
    command
}

/// A connection to a service of the test's own, with the head of its request.
pub struct Asked {
    pub head: String,
    /// What came with the head.
    pub rest: Vec<u8>,
    pub stream: TcpStream,
}

/// A service of the test's own: every connection on which something is asked.
pub struct Raw {
    pub port: u16,
    asked: Receiver<Asked>,
}

impl Raw {
    /// # Panics
    /// When there is no port.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("take a port");
        let port = listener.local_addr().expect("an address").port();
        let (asks, asked) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let asks = asks.clone();
                std::thread::spawn(move || hear(stream, &asks));
            }
        });
        Self { port, asked }
    }

    /// The next that is asked.
    ///
    /// # Panics
    /// When nothing is.
    pub fn next(&self) -> Asked {
        self.asked.recv_timeout(Duration::from_secs(20)).expect("it is asked")
    }
}

fn hear(mut stream: TcpStream, asks: &Sender<Asked>) {
    if let Some((head, rest)) = head(&mut stream) {
        let _ = asks.send(Asked { head, rest, stream });
    }
}

/// The head of a message, and what came with it. None where the other side hangs up before.
pub fn head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set a limit");
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = all.split_off(end + 4);
            return Some((String::from_utf8_lossy(&all).into_owned(), rest));
        }
        match stream.read(&mut piece) {
            Ok(some @ 1..) => all.extend_from_slice(&piece[..some]),
            Ok(0) | Err(_) => return None,
        }
    }
}

/// An answer that is none to a WebSocket: its head, and as much of a body as it says that it has.
///
/// # Panics
/// When there is none.
pub fn answer(stream: &mut TcpStream) -> (String, String) {
    let (head, mut body) = head(stream).expect("an answer");
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut lengths = lines.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = lengths.next().map_or(0, |(_, length)| length.parse().expect("a length"));
    let mut rest = vec![0; length.saturating_sub(body.len())];
    stream.read_exact(&mut rest).expect("all of it");
    body.extend(rest);
    (head, String::from_utf8(body).expect("text"))
}

impl Asked {
    /// Agrees to a WebSocket, with these bytes in it in the same breath.
    pub fn agree(&mut self, bytes: &[u8]) {
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
        );
        self.say(&[head.as_bytes(), bytes].concat());
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("answer");
    }
}

/// A request for a WebSocket at an address, with these bytes in the same breath.
pub fn ask(to: SocketAddr, path: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(to).expect("connect");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {to}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), bytes].concat()).expect("ask");
    stream
}
