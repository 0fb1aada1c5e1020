//! A request under way: what the local program says goes into a call, and what comes of that is the answer.

use std::io;

use ::http::StatusCode;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::sync::{mpsc, oneshot};
use wire::call::Ending;
use wire::frame::Refusal;

use super::answer::{Head, Pieces};
use super::http::{Answer, told_of};
use super::inspect::{Copied, Inspect};
use super::websocket;
use crate::call::{Call, Event};
use crate::told;

/// Pieces of a body that wait for a local program that is slow.
const AHEAD: usize = 2;
/// The most that is given of a body at once.
const PIECE: usize = 64 * 1024;

/// What goes with a request.
pub(super) struct Sent {
    /// Its body: as it comes, or as it was kept.
    pub(super) body: Either<Incoming, Full<Bytes>>,
    /// The local program's side of a WebSocket, where one is asked for.
    pub(super) upgrade: Option<OnUpgrade>,
    /// What it is told of as.
    pub(super) number: u64,
}

/// A request under way.
pub(super) struct Carried {
    call: Call,
    number: u64,
    upgrade: Option<OnUpgrade>,
    /// What is still to come of the request's body.
    body: Option<Either<Incoming, Full<Bytes>>>,
    /// What has come of it and waits.
    rest: Bytes,
    /// What has come of it, for whoever asks again.
    copy: Copied,
    /// Where the answer is awaited, until it begins.
    answered: Option<oneshot::Sender<Answer>>,
    head: Head,
    /// Where its body goes, once it has begun.
    pieces: Option<mpsc::Sender<io::Result<Bytes>>>,
}

/// What became of a piece of output.
enum Passed {
    On,
    /// The service has agreed to a WebSocket: this is what it has said in it.
    Switched(Bytes),
}

impl Carried {
    pub(super) fn new(call: Call, sent: Sent, answered: oneshot::Sender<Answer>) -> Self {
        let Sent { body, upgrade, number } = sent;
        Self {
            call,
            number,
            // What is said in a WebSocket comes once there is one.
            body: Some(body).filter(|_| upgrade.is_none()),
            upgrade,
            rest: Bytes::new(),
            copy: Copied::default(),
            answered: Some(answered),
            head: Head::default(),
            pieces: None,
        }
    }

    /// Until the call is over, or nobody waits for it any more.
    pub(super) async fn run(mut self, inspect: &Inspect) {
        loop {
            let wanted = self.call.wants_input();
            let event = tokio::select! {
                biased;
                () = nobody_waits(self.answered.as_mut(), self.pieces.as_ref()) => return self.abandon().await,
                piece = next_piece(&mut self.body, &mut self.rest), if wanted => {
                    match piece {
                        Ok(piece) => {
                            if let Some(kept) = self.copy.take(&piece) {
                                inspect.has_body(self.number, kept);
                            }
                            self.call.give(&piece);
                        }
                        // The local program has not said all: half of it is not to look like all of it.
                        Err(()) => return self.abandon().await,
                    }
                    continue;
                }
                event = self.call.next() => event,
            };
            match event {
                Ok(Event::Stdout(bytes)) => match self.pass(bytes).await {
                    Ok(Passed::On) => {}
                    Ok(Passed::Switched(said)) => {
                        let Some(upgrade) = self.upgrade else { return };
                        let carried = websocket::carry(self.call, upgrade, said).await;
                        return inspect.tell_end(self.number, &carried);
                    }
                    Err(()) => return self.abandon().await,
                },
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
    async fn pass(&mut self, bytes: Bytes) -> Result<Passed, ()> {
        let piece = match &self.pieces {
            Some(_) => bytes,
            None => match self.head.take(&bytes) {
                Ok(None) => return Ok(Passed::On),
                Ok(Some((response, rest))) if websocket::is_one(&response) => {
                    // Nobody but who asked for one is given one.
                    let answered = self.upgrade.as_ref().and(self.answered.take()).ok_or(())?;
                    answered.send(websocket::answer(response)).map_err(drop)?;
                    return Ok(Passed::Switched(rest));
                }
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
            Some(pieces) if !piece.is_empty() => {
                pieces.send(Ok(piece)).await.map(|()| Passed::On).map_err(drop)
            }
            Some(_) | None => Ok(Passed::On),
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
    answered: Option<&mut oneshot::Sender<Answer>>,
    pieces: Option<&mpsc::Sender<io::Result<Bytes>>>,
) {
    match (answered, pieces) {
        (Some(answered), _) => answered.closed().await,
        (None, Some(pieces)) => pieces.closed().await,
        (None, None) => std::future::pending().await,
    }
}

/// The next piece of a request's body; an empty one is its end.
async fn next_piece(
    body: &mut Option<Either<Incoming, Full<Bytes>>>,
    rest: &mut Bytes,
) -> Result<Bytes, ()> {
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
