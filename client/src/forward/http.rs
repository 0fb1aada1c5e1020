//! HTTP/1.1 for local programs.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use ::http::{HeaderValue, Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::Instant;
use wire::call::Ending;
use wire::frame::Refusal;

use super::Server;
use super::answer::{Head, Pieces};
use super::head::{Asked, asked};
use crate::call::{Call, Event};
use crate::neutral::one_line;
use crate::told;

/// How long a local program may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pieces of a body that wait for a local program that is slow.
const AHEAD: usize = 2;
/// The most that is given of a body at once.
const PIECE: usize = 64 * 1024;

type Answer = Response<Either<Pieces, Full<Bytes>>>;

/// Serves one connection.
pub(super) async fn serve(server: Arc<Server>, stream: TcpStream) {
    let service = service_fn(|request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).half_close(false);
    if let Err(fault) = connection.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%fault, "a local program's connection ended");
    }
}

impl Server {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let begun = Instant::now();
        let (parts, body) = request.into_parts();
        let refused = self.gate.refuses(&parts.method, &parts.uri, &parts.headers);
        if let Some((status, why)) = refused.or_else(|| no_request(&parts)) {
            return told_of(status, why);
        }
        let uri = (parts.uri.path(), parts.uri.query());
        let asked = match asked(&self.entry, &parts.method, uri, &parts.headers) {
            Ok(asked) => asked,
            Err((status, why)) => return told_of(status, why),
        };
        let line = asked.line.clone();
        let answer = self.call(asked, body).await;
        self.tell(|| {
            let took = begun.elapsed().as_millis();
            format!("{} {} {took} ms", one_line(&line, 200), answer.status().as_u16())
        });
        answer
    }

    async fn call(self: &Arc<Self>, asked: Asked, body: Incoming) -> Answer {
        let Asked { arguments, head, .. } = asked;
        let verb = self.entry.verb.clone();
        let call = match self.caller.request(verb, arguments, head) {
            Ok(call) => call,
            Err(fault) => return told_of(StatusCode::URI_TOO_LONG, &fault.to_string()),
        };
        let (answered, answer) = tokio::sync::oneshot::channel();
        let carried = Carried {
            call,
            body: Some(body),
            rest: Bytes::new(),
            answered: Some(answered),
            head: Head::default(),
            pieces: None,
        };
        let server = Arc::clone(self);
        self.tasks.spawn(async move {
            let _place = server.calls.acquire().await;
            carried.run().await;
        });
        let gone = || told_of(StatusCode::BAD_GATEWAY, "the service gave no answer");
        answer.await.unwrap_or_else(|_| gone())
    }
}

/// A request that nobody answers alike.
fn no_request(parts: &::http::request::Parts) -> Option<(StatusCode, &'static str)> {
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

/// A request under way.
struct Carried {
    call: Call,
    /// What is still to come of the request's body.
    body: Option<Incoming>,
    /// What has come of it and waits.
    rest: Bytes,
    /// Where the answer is awaited, until it begins.
    answered: Option<tokio::sync::oneshot::Sender<Answer>>,
    head: Head,
    /// Where its body goes, once it has begun.
    pieces: Option<mpsc::Sender<io::Result<Bytes>>>,
}

impl Carried {
    /// Until the call is over, or nobody waits for it any more.
    async fn run(mut self) {
        loop {
            let wanted = self.call.wants_input();
            let event = tokio::select! {
                biased;
                () = nobody_waits(self.answered.as_mut(), self.pieces.as_ref()) => return self.abandon().await,
                piece = next_piece(&mut self.body, &mut self.rest), if wanted => {
                    match piece {
                        Ok(piece) => self.call.give(&piece),
                        // The local program has not said all: half of it is not to look like all of it.
                        Err(()) => return self.abandon().await,
                    }
                    continue;
                }
                event = self.call.next() => event,
            };
            match event {
                Ok(Event::Stdout(bytes)) => {
                    if self.pass(bytes).await.is_err() {
                        return self.abandon().await;
                    }
                }
                Ok(
                    Event::Started
                    | Event::Wanted
                    | Event::Stderr(_)
                    | Event::Pending(_)
                    | Event::Lost,
                ) => {}
                Ok(Event::Refused(refusal)) => {
                    return self.fail(status_of(&refusal), &told::refusal(&refusal)).await;
                }
                Ok(Event::Ended(receipt)) => {
                    let whole = receipt.is_complete();
                    return match (&receipt.outcome.ending, whole) {
                        (Ending::Exited(0), true) if self.pieces.is_some() => {}
                        (ending, _) => {
                            let why = told::ending(ending);
                            let why = why.unwrap_or_else(|| "the answer is not whole".to_owned());
                            self.fail(status_of_end(ending), &why).await;
                        }
                    };
                }
                Err(fault) => return self.fail(StatusCode::BAD_GATEWAY, &fault.to_string()).await,
            }
        }
    }

    /// Passes output on: the head first, which begins the answer.
    async fn pass(&mut self, bytes: Bytes) -> Result<(), ()> {
        let piece = match &self.pieces {
            Some(_) => bytes,
            None => match self.head.take(&bytes) {
                Ok(None) => return Ok(()),
                Ok(Some((response, rest))) => {
                    let (pieces, taken) = mpsc::channel(AHEAD);
                    self.pieces = Some(pieces);
                    let answer = response.map(|()| Either::Left(Pieces(taken)));
                    let answered = self.answered.take().ok_or(())?;
                    answered.send(answer).map_err(drop)?;
                    rest
                }
                Err(_) => return Err(()),
            },
        };
        match &self.pieces {
            Some(pieces) if !piece.is_empty() => pieces.send(Ok(piece)).await.map_err(drop),
            Some(_) | None => Ok(()),
        }
    }

    /// Ends the answer with an error: as a status, or, once it has begun, by cutting it off.
    async fn fail(self, status: StatusCode, why: &str) {
        if let Some(answered) = self.answered {
            let _ = answered.send(told_of(status, why));
        }
        if let Some(pieces) = self.pieces {
            let _ = pieces.send(Err(io::Error::other(why.to_owned()))).await;
        }
    }

    /// Nobody wants the answer, or can have it: the call ends there too.
    async fn abandon(mut self) {
        self.call.cancel();
        while let Ok(event) = self.call.next().await {
            if matches!(event, Event::Ended(_) | Event::Refused(_)) {
                break;
            }
        }
        self.fail(StatusCode::BAD_GATEWAY, "the answer cannot be read").await;
    }
}

async fn nobody_waits(
    answered: Option<&mut tokio::sync::oneshot::Sender<Answer>>,
    pieces: Option<&mpsc::Sender<io::Result<Bytes>>>,
) {
    match (answered, pieces) {
        (Some(answered), _) => answered.closed().await,
        (None, Some(pieces)) => pieces.closed().await,
        (None, None) => std::future::pending().await,
    }
}

/// The next piece of a request's body; an empty one is its end.
async fn next_piece(body: &mut Option<Incoming>, rest: &mut Bytes) -> Result<Bytes, ()> {
    loop {
        if !rest.is_empty() {
            return Ok(rest.split_to(rest.len().min(PIECE)));
        }
        let Some(incoming) = body else { return std::future::pending().await };
        match incoming.frame().await {
            Some(Ok(frame)) => *rest = frame.into_data().unwrap_or_default(),
            Some(Err(_)) => return Err(()),
            None => {
                *body = None;
                return Ok(Bytes::new());
            }
        }
    }
}

fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Denied(policy::PublicRefusal::Spent) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Denied(_) => StatusCode::FORBIDDEN,
        Refusal::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::NoSeat
        | Refusal::BadCall
        | Refusal::Reused
        | Refusal::Running
        | Refusal::Unrecorded
        | Refusal::Failed => StatusCode::BAD_GATEWAY,
    }
}

fn status_of_end(ending: &Ending) -> StatusCode {
    match ending {
        Ending::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Ending::InputLimit | Ending::BadInput => StatusCode::PAYLOAD_TOO_LARGE,
        Ending::Withdrawn => StatusCode::FORBIDDEN,
        Ending::Exited(_)
        | Ending::Signaled(_)
        | Ending::OutputLimit
        | Ending::Cancelled
        | Ending::Revoked
        | Ending::Expired
        | Ending::Interrupted
        | Ending::NotStarted(_)
        | Ending::TargetLost(_) => StatusCode::BAD_GATEWAY,
    }
}

/// An answer of our own.
fn told_of(status: StatusCode, why: &str) -> Answer {
    let mut answer = Response::new(Either::Right(Full::from(format!("openscope: {why}\n"))));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
