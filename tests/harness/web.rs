//! Web servers of our own: nginx for what lies in files, and a small program for what has to be made.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::account::Account;
use crate::background::{Background, as_user};
use crate::installed::base;
use crate::wait;

/// What answers with what it was asked, streams, hangs and fails as it is told.
const APP: &str = include_str!("web/app.py");

/// A running server.
pub struct Web {
    server: Option<Background>,
    scratch: TempDir,
    pub port: u16,
}

impl Web {
    /// nginx, with files of its own.
    ///
    /// # Panics
    /// When there is no nginx.
    pub fn nginx() -> Self {
        Self::nginx_with(Self::new(), "", "access_log off;")
    }

    /// The same, which writes down each request as it came: its line, its method, and the path that nginx makes of it.
    pub fn nginx_that_notes() -> Self {
        let web = Self::new();
        let file = web.scratch.path().join("access.log");
        let form = r#"log_format whole escape=json '{"line":"$request","method":"$request_method","path":"$uri"}';"#;
        let log = format!("{form} access_log {} whole;", file.display());
        Self::nginx_with(web, "", &log)
    }

    /// The same over TLS, as who shows this certificate.
    pub fn nginx_tls((certificate, key): (&str, &str)) -> Self {
        let web = Self::new();
        let here = web.scratch.path();
        fs::write(here.join("certificate"), certificate).expect("write the certificate");
        fs::write(here.join("key"), key).expect("write the key");
        let here = here.display();
        let tls = format!(
            "access_log off; ssl_certificate {here}/certificate; ssl_certificate_key {here}/key;"
        );
        Self::nginx_with(web, " ssl", &tls)
    }

    fn nginx_with(mut web: Self, tls: &str, more: &str) -> Self {
        fs::create_dir_all(web.root().join("docs")).expect("make its directories");
        fs::create_dir_all(web.scratch.path().join("tmp")).expect("make its directories");
        fs::write(web.root().join("index.html"), "<p>home</p>\n").expect("write a page");
        fs::write(web.root().join("docs/a.txt"), "0123456789\n").expect("write a page");
        fs::write(web.root().join("secret.txt"), "not listed\n").expect("write a page");
        let here = web.scratch.path().display();
        let configuration = format!(
            "daemon off; worker_processes 1; pid {here}/pid; error_log {here}/error.log;\n\
             user root;\n\
             events {{ worker_connections 512; }}\n\
             http {{ {more} keepalive_requests 1000000; default_type text/plain;\n\
             client_body_temp_path {here}/tmp; proxy_temp_path {here}/tmp; fastcgi_temp_path {here}/tmp;\n\
             uwsgi_temp_path {here}/tmp; scgi_temp_path {here}/tmp;\n\
             sendfile on; server {{ listen 127.0.0.1:{}{tls}; root {here}/root; }} }}\n",
            web.port
        );
        let file = web.scratch.path().join("nginx.conf");
        fs::write(&file, configuration).expect("write its configuration");
        let mut command = Command::new("/usr/sbin/nginx");
        command.arg("-c").arg(&file).arg("-p").arg(web.scratch.path());
        web.start(command);
        web
    }

    /// The program that says what it was asked, as this account.
    ///
    /// # Panics
    /// When there is no Python.
    pub fn app(account: &Account) -> Self {
        let mut web = Self::new();
        let file = web.scratch.path().join("app.py");
        fs::write(&file, APP).expect("write the program");
        let mut command = Command::new("python3");
        as_user(&mut command, account);
        command.arg(&file).arg(web.port.to_string());
        web.start(command);
        web
    }

    fn new() -> Self {
        let scratch = TempDir::new_in(base()).expect("make its directory");
        crate::sshd::open_to_all(scratch.path());
        Self { server: None, scratch, port: crate::sshd::free_port() }
    }

    fn start(&mut self, command: Command) {
        self.server = Some(Background::start(command));
        let address = self.address();
        wait::until("the server answers", || TcpStream::connect(address).ok().map(drop));
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(rustix::process::Signal::TERM);
            server.wait();
        }
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Where its files are.
    pub fn root(&self) -> PathBuf {
        self.scratch.path().join("root")
    }

    /// What [`Self::nginx_that_notes`] has noted.
    pub fn noted(&self) -> Vec<Noted> {
        let bytes = fs::read(self.scratch.path().join("access.log")).expect("it notes");
        let text = String::from_utf8_lossy(&bytes);
        let noted = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        text.lines().map(noted).collect()
    }

    /// What it has been asked so far, one line each.
    pub fn asked(&self) -> String {
        self.server.as_ref().map(|server| server.stderr.text()).unwrap_or_default()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A request, as nginx got it.
#[derive(Debug, serde::Deserialize)]
pub struct Noted {
    pub line: String,
    pub method: String,
    pub path: String,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// 0 where the connection broke before it.
    pub status: u16,
    /// The status line and the fields, as they came.
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The value of a header field.
    pub fn field(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut found = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.trim())
    }
}

/// Sends bytes as they are, and reads the answer to the end of the connection.
///
/// # Panics
/// When what comes is no answer.
pub fn exchange(to: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set a limit");
    stream.write_all(request).expect("ask");
    let mut all = Vec::new();
    // A server that has refused may cut the connection before all of the question is read.
    let _ = stream.read_to_end(&mut all);
    read(&all)
}

/// Sends bytes as they are, and reads the one answer to them: the connection stays.
///
/// # Panics
/// When the connection ends before that.
pub fn exchange_on(stream: &mut TcpStream, request: &[u8]) -> Answer {
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set a limit");
    stream.write_all(request).expect("ask");
    let (mut all, mut piece) = (Vec::new(), [0; 4096]);
    while !is_whole(&all) {
        let more = stream.read(&mut piece).expect("read the answer");
        assert_ne!(more, 0, "it hung up after {}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&piece[..more]);
    }
    read(&all)
}

/// Whether an answer has come to the end that its fields name.
fn is_whole(all: &[u8]) -> bool {
    let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let (head, body) = all.split_at(end + 4);
    let answer = Answer { status: 0, head: String::from_utf8_lossy(head).into(), body: Vec::new() };
    match answer.field("content-length") {
        Some(length) => body.len() >= length.parse().expect("a length"),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}

fn read(all: &[u8]) -> Answer {
    let Some(end) = all.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Answer { status: 0, head: String::new(), body: all.to_vec() };
    };
    let (head, body) = all.split_at(end + 4);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { whole(body) } else { body.to_vec() };
    Answer { status, head, body }
}

fn whole(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks.windows(2).position(|two| two == b"\r\n").expect("a chunk's length");
        let length = std::str::from_utf8(&chunks[..end]).expect("a length");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
}

/// A request on a connection of its own.
pub fn ask(to: SocketAddr, method: &str, path: &str, fields: &[&str], body: &[u8]) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {to}\r\nConnection: close\r\n");
    for field in fields {
        request.push_str(field);
        request.push_str("\r\n");
    }
    if !body.is_empty() {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    let mut request = request.into_bytes();
    request.extend_from_slice(body);
    exchange(to, &request)
}

/// The same, with nothing but a path.
pub fn get(to: SocketAddr, path: &str) -> Answer {
    ask(to, "GET", path, &[], b"")
}
