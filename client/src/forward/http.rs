//! HTTP/1.1 for local programs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use ::http::request::Parts;
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::answer::Pieces;
use super::carried::{Carried, Sent};
use super::head::{Asked, Denied, asked};
use super::inspect::{Kept, Told};
use super::websocket;
use super::{CROWDED, Server};

/// How long a local program may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) type Answer = Response<Either<Pieces, Full<Bytes>>>;

/// Serves one connection.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream) {
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).half_close(false);
    let connection = connection.serve_connection(TokioIo::new(stream), service).with_upgrades();
    if let Err(fault) = connection.await {
        tracing::debug!(%fault, "a local program's connection ended");
    }
}

impl Server {
    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Answer {
        let begun = Instant::now();
        let number = self.inspect.number();
        let upgrade = hyper::upgrade::on(&mut request);
        let (parts, body) = request.into_parts();
        let (line, answer) = match self.admit(&parts) {
            Ok(asked) => {
                let line = asked.line.clone();
                let is_socket = websocket::is_asked_for(&parts);
                let upgrade = is_socket.then_some(upgrade);
                let method = if is_socket { &websocket::method() } else { &parts.method };
                self.inspect.keep(number, &asked, Kept::at_first(method));
                let sent = Sent { body: Either::Left(body), upgrade, number };
                (line, self.call(asked, sent).await)
            }
            Err((status, why)) => {
                let line = format!("{} {}", parts.method, parts.uri);
                (line, told_of(status, why))
            }
        };
        let ms = begun.elapsed().as_millis();
        self.inspect.tell(&Told { number, line: &line, status: answer.status().as_u16(), ms });
        answer
    }

    /// The call that a request is, where it is one.
    fn admit(&self, parts: &Parts) -> Result<Asked, Denied> {
        let is_socket = websocket::is_asked_for(parts);
        let method = if is_socket { websocket::method() } else { parts.method.clone() };
        let refused = self.gate.refuses(&method, &parts.uri, &parts.headers);
        let refused = refused.or_else(|| no_request(parts));
        let refused =
            refused.or_else(|| websocket::refuses(parts, &self.entry).filter(|_| is_socket));
        if let Some(denied) = refused {
            return Err(denied);
        }
        let uri = (parts.uri.path(), parts.uri.query());
        asked(&self.entry, &method, uri, &parts.headers)
    }

    /// Calls, and gives the answer once it begins.
    pub(super) async fn call(self: &Arc<Self>, asked: Asked, sent: Sent) -> Answer {
        let Asked { arguments, head, .. } = asked;
        let verb = self.entry.verb.clone();
        let call = match self.caller.request(verb, arguments, head) {
            Ok(call) => call,
            Err(fault) => return told_of(StatusCode::URI_TOO_LONG, &fault.to_string()),
        };
        let (answered, answer) = tokio::sync::oneshot::channel();
        let carried = Carried::new(call, sent, answered);
        let server = Arc::clone(self);
        let (busy, is_busy) = tokio::sync::oneshot::channel();
        self.tasks.spawn(async move {
            let Some(_place) = server.turn().await else {
                let _gone = busy.send(());
                return;
            };
            drop(busy);
            carried.run(&server.inspect).await;
        });
        if is_busy.await.is_ok() {
            return told_of(StatusCode::SERVICE_UNAVAILABLE, CROWDED);
        }
        let gone = || told_of(StatusCode::BAD_GATEWAY, "the service gave no answer");
        answer.await.unwrap_or_else(|_| gone())
    }
}

/// A request that nobody answers alike.
fn no_request(parts: &Parts) -> Option<(StatusCode, &'static str)> {
    let has_body = parts.headers.contains_key(TRANSFER_ENCODING)
        || parts.headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0");
    let plain = matches!(parts.method, Method::GET | Method::HEAD);
    match () {
        () if matches!(parts.method, Method::CONNECT | Method::TRACE) => {
            Some((StatusCode::METHOD_NOT_ALLOWED, "this is not forwarded"))
        }
        () if plain && has_body => {
            Some((StatusCode::BAD_REQUEST, "a request of this kind has no body"))
        }
        () => None,
    }
}

/// An answer of our own.
pub(super) fn told_of(status: StatusCode, why: &str) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(format!("openscope: {why}\n"))));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
