//! What stands between a client of others that cannot be told of a token, or of our names, and our server at an address: it
//! shows the one and says the other. All else passes as it came, in either direction.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// An address at which everybody is introduced to the server; it is closed when it is dropped.
pub struct Introduced {
    pub at: SocketAddr,
    is_closed: Arc<AtomicBool>,
}

/// How.
struct Words {
    here: SocketAddr,
    server: SocketAddr,
    token: String,
    names: &'static [(&'static str, &'static str)],
}

impl Introduced {
    /// Opens it. Of `names`, what the client says is replaced by what we say.
    ///
    /// # Panics
    /// When there is no address to be had.
    pub fn to(
        server: SocketAddr,
        token: &str,
        names: &'static [(&'static str, &'static str)],
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen");
        let at = listener.local_addr().expect("an address");
        let words = Arc::new(Words { here: at, server, token: token.to_owned(), names });
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&is_closed);
        thread::spawn(move || {
            for client in listener.incoming() {
                if closed.load(Ordering::Relaxed) {
                    return;
                }
                let words = Arc::clone(&words);
                // Whoever hangs up in the middle of a word is nobody's concern.
                thread::spawn(move || client.and_then(|client| words.introduce(&client)));
            }
        });
        Self { at, is_closed }
    }
}

impl Drop for Introduced {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.at);
    }
}

impl Words {
    /// One request, and its answer to the end.
    fn introduce(&self, client: &TcpStream) -> io::Result<()> {
        let (head, body) = asked(client)?;
        let mut server = TcpStream::connect(self.server)?;
        server.write_all(self.said(&head, &body).as_bytes())?;
        let (mut gone, other) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || {
            let _ = io::copy(&mut gone, &mut io::sink());
            other.shutdown(Shutdown::Both)
        });
        let _ = io::copy(&mut server, &mut &*client);
        client.shutdown(Shutdown::Both)
    }

    fn said(&self, head: &str, body: &str) -> String {
        let ours = |text: &str| {
            let says = |text: String, (theirs, ours): &(&str, &str)| text.replace(theirs, ours);
            self.names.iter().fold(text.to_owned(), says)
        };
        let body = ours(body);
        let length = body.len().to_string();
        // Only what names this address names the other: a foreign host stays one.
        let head = ours(head).replace(&self.here.to_string(), &self.server.to_string());
        let is_own = |line: &&str| {
            !["connection", "content-length"].iter().any(|name| field(line, name).is_some())
        };
        let mut said: Vec<&str> = head.lines().filter(is_own).collect();
        let token = format!("Authorization: Bearer {}", self.token);
        let length = format!("Content-Length: {length}");
        said.extend(["Connection: close", &token, &length, "", &body]);
        said.join("\r\n")
    }
}

/// A request's line and fields, without the empty line, and its body.
fn asked(client: &TcpStream) -> io::Result<(String, String)> {
    let mut client = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head.lines().find_map(|line| field(line, "content-length")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    client.read_exact(&mut body)?;
    head.truncate(head.len() - "\r\n\r\n".len());
    Ok((head, String::from_utf8(body).map_err(io::Error::other)?))
}

/// The value of the field, where the line is of that name.
fn field<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (known, value) = line.split_once(':')?;
    known.eq_ignore_ascii_case(name).then(|| value.trim())
}
