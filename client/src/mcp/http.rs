//! The same server at an address of this machine, for gateways and for hosts that do not start it themselves. Whoever asks
//! there acts as the recipient: so they show a token, and no web page that was led here is answered.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::geteuid;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::server::Server;
use crate::conduct::Stops;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gate::Gate;
use crate::listen::{Places, bind};
use crate::report::is_over;
use crate::session::{Over, Session};
use crate::start::print;

/// Where the server is asked.
const PATH: &str = "/mcp";
/// Connections at one time.
const CONNECTIONS_MAX: usize = 64;
/// How long one may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest question: a call's standard input may be in it.
const QUESTION_MAX: usize = 16 << 20;
/// The shortest token that a file may hold.
const TOKEN_MIN: usize = 24;
/// The most of a file that is read for one.
const TOKEN_MAX: usize = 4096;

/// Where, and with whose token.
pub(crate) struct At {
    pub(crate) listen: SocketAddr,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) json: bool,
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Serves until the share is over, or somebody ends it.
pub(super) async fn run(session: &Session, server: Server, at: &At) -> Result<Exit, Failure> {
    let token = at.token_file.as_deref().map_or_else(Token::draw, Token::read)?;
    let (listener, here) = bind(at.listen, "--http").await?;
    let machine = |fault: io::Error| Failure::of(Exit::NOT_RUN, "listen", &fault);
    let mut stops = Stops::listen().map_err(machine)?;
    let ended = CancellationToken::new();
    let _end = ended.clone().drop_guard();
    let calls = server.calls();
    let config = StreamableHttpServerConfig::default()
        .with_max_request_body_bytes(QUESTION_MAX)
        .with_allowed_hosts([here.ip().to_string(), "localhost".to_owned()])
        .with_cancellation_token(ended.clone());
    let service = StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let door = Arc::new(Door { gate: Gate::at(here), token: token.digest(), service });
    announce(here, at, &token);
    drop(token);
    let mut views = session.views();
    let places = Places::new(CONNECTIONS_MAX);
    loop {
        tokio::select! {
            stop = stops.next() => {
                return Ok(if stop == Exit::INTERRUPTED { Exit::DONE } else { stop });
            }
            changed = views.changed() => {
                let over = views.borrow_and_update().over().cloned();
                if let Some(over) = over.or_else(|| changed.is_err().then_some(Over::Closed)) {
                    return Err(is_over(&over));
                }
            }
            accepted = places.accept(&listener) => {
                let (stream, place) = accepted.map_err(machine)?;
                let door = Arc::clone(&door);
                calls.beside(async move |ended| {
                    tokio::select! {
                        biased;
                        () = ended.cancelled() => {}
                        () = door.serve(stream) => {}
                    }
                    drop(place);
                });
            }
        }
    }
}

fn announce(here: SocketAddr, at: &At, token: &Token) {
    let url = format!("http://{here}{PATH}");
    // Whoever wrote the file knows it.
    let token = at.token_file.is_none().then(|| token.0.as_str());
    if at.json {
        let document = json!({
            "schema": "openscope.mcp.http/1",
            "event": "listening",
            "url": url,
            "token": token,
        });
        return print(&document.to_string());
    }
    print(&url);
    if let Some(token) = token {
        print(&format!("Authorization: Bearer {token}"));
    }
}

/// What is shown by whoever may ask.
struct Token(Zeroizing<String>);

impl Token {
    fn draw() -> Result<Self, Failure> {
        let mut random = Zeroizing::new([0; 32]);
        getrandom::fill(random.as_mut())
            .map_err(|fault| Failure::of(Exit::NOT_RUN, "machine", &fault))?;
        Ok(Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*random))))
    }

    /// From a file that nobody else may read.
    fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = |why: String| {
            let told = format!("{}: {why}", path.display());
            Failure::new(Exit::USAGE, "token", told).hint(format!(
                "put {TOKEN_MIN} or more letters, digits, `-`, `_`, `.` or `~` into it, and `chmod 600` it"
            ))
        };
        let unread = |fault: &dyn std::fmt::Display| wrong(format!("cannot be read: {fault}"));
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|fault| unread(&fault))?;
        let about = rustix::fs::fstat(&file).map_err(|fault| unread(&fault))?;
        let owners = [0, geteuid().as_raw()];
        let is_open = Mode::from_raw_mode(about.st_mode).intersects(Mode::RWXG | Mode::RWXO);
        if is_open || !owners.contains(&about.st_uid) {
            return Err(wrong("others may read or write it".to_owned()));
        }
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return Err(wrong("is no file".to_owned()));
        }
        let mut text = Zeroizing::new(vec![0; TOKEN_MAX]);
        let length =
            rustix::io::read(&file, text.as_mut_slice()).map_err(|fault| unread(&fault))?;
        let text = std::str::from_utf8(text.get(..length).unwrap_or_default());
        let text = text.unwrap_or_default().trim_ascii();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+/=".contains(&byte);
        if text.len() < TOKEN_MIN || length == TOKEN_MAX || !text.bytes().all(is_plain) {
            return Err(wrong("holds no token".to_owned()));
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Who is let in, and to what.
struct Door {
    gate: Gate,
    /// Of the token: what is compared says nothing of how near a guess was.
    token: [u8; 32],
    service: StreamableHttpService<Server, LocalSessionManager>,
}

impl Door {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let service = service_fn(|request| {
            let door = Arc::clone(&self);
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let mut connection = hyper::server::conn::http1::Builder::new();
        connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        if let Err(fault) = connection.serve_connection(TokioIo::new(stream), service).await {
            tracing::debug!(%fault, "a host's connection ended");
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let refused = self.gate.refuses(request.method(), request.uri(), request.headers());
        if let Some((status, why)) = refused {
            return told(status, why);
        }
        if !self.is_shown(request.headers()) {
            let mut answer = told(StatusCode::UNAUTHORIZED, "the token is missing, or another");
            answer.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return answer;
        }
        if request.uri().path() != PATH {
            return told(StatusCode::NOT_FOUND, "ask for /mcp");
        }
        self.service.handle(request).await
    }

    fn is_shown(&self, headers: &HeaderMap) -> bool {
        let mut shown = headers.get_all(AUTHORIZATION).iter();
        let (Some(one), None) = (shown.next(), shown.next()) else { return false };
        let token = one.to_str().ok().and_then(|text| text.split_once(' '));
        token.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case("Bearer")
                && <[u8; 32]>::from(Sha256::digest(token.trim())) == self.token
        })
    }
}

fn told(status: StatusCode, why: &'static str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from_static(why.as_bytes())).boxed());
    *answer.status_mut() = status;
    // A place is for who may be there.
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
