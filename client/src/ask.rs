//! One asking for more of the share: signed, waited for, and asked again under the same id when the channel is lost.

use std::sync::Arc;
use std::time::Duration;

use policy::{RequestId, Timestamp};
use tokio::time::timeout;
use wire::access::{AccessStatement, Wanted, Why};
use wire::call::{CallId, Signed};
use wire::frame::{Frame, Refusal};

use crate::call::{CallFault, LIFE, Reached};
use crate::frames::FrameEnd;
use crate::session::Shared;
use crate::way::{Next, Stream, Way};

/// What was given comes by another stream than the word that it was, and may come after it.
const ARRIVES: Duration = Duration::from_secs(2);

/// A daemon that closes the channel so often without a word does not know what this is.
const MOST_UNANSWERED: u32 = 3;

/// What happens to an asking.
#[derive(Debug)]
pub enum Asked {
    /// It waits for the owner, under this number.
    Pending(RequestId),
    /// The channel was lost; it is asked again when there is another.
    Lost,
    /// The share has it; last.
    Granted,
    /// It is refused; last.
    Refused(Refusal),
}

/// One asking.
#[derive(Debug)]
pub struct Ask {
    way: Way,
    statement: AccessStatement,
    stream: Option<Stream>,
    /// The owner was asked: what is given then is new.
    has_waited: bool,
    is_granted: bool,
    is_withdrawn: bool,
    /// How often it was sent since the daemon last said anything of it.
    unanswered: u32,
    reached: Reached,
}

impl Ask {
    pub(crate) fn new(shared: Arc<Shared>, id: CallId, wanted: Wanted, reason: Why) -> Self {
        let authority = shared.seat.authority();
        let statement = AccessStatement {
            daemon: shared.seat.handle().daemon_key,
            share: authority.share,
            seat: authority.seat,
            passport: shared.view.borrow().standing.passport.digest(),
            id,
            wanted,
            reason,
            not_after: Timestamp(0),
        };
        Self {
            way: Way::new(shared),
            statement,
            stream: None,
            has_waited: false,
            is_granted: false,
            is_withdrawn: false,
            unanswered: 0,
            reached: Reached::Nothing,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.statement.id
    }

    /// What it asks for.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.statement.wanted
    }

    /// Takes it back. The events go on until the daemon has said that it knows.
    pub fn withdraw(&mut self) {
        self.is_withdrawn = true;
        if let Some(stream) = &mut self.stream {
            stream.send.reset();
        }
    }

    /// What happens next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Nothing more will be known.
    pub async fn next(&mut self) -> Result<Asked, CallFault> {
        loop {
            if self.is_granted {
                self.arrival().await;
                return Ok(Asked::Granted);
            }
            if let Some(stream) = &mut self.stream {
                let frame = stream.frames.next().await;
                if let Some(event) = self.step(frame)? {
                    return Ok(event);
                }
            } else if let Some(event) = self.open().await? {
                return Ok(event);
            }
        }
    }

    async fn open(&mut self) -> Result<Option<Asked>, CallFault> {
        if self.is_withdrawn {
            return Err(CallFault::Cancelled(self.reached));
        }
        match self.way.next().await {
            Ok(Next::Lost) => return Ok(Some(Asked::Lost)),
            Err(over) => return Err(CallFault::Over(over, self.reached)),
            Ok(Next::Place(place)) => {
                let first = self.signed()?;
                if let Some(stream) = self.way.open(place, &first).await? {
                    self.reached = Reached::Sent;
                    self.unanswered += 1;
                    self.stream = Some(stream);
                }
            }
        }
        Ok(None)
    }

    /// What a stream of it begins with: signed anew, since its time may have passed.
    fn signed(&self) -> Result<Vec<u8>, CallFault> {
        let shared = &self.way.shared;
        let not_after = shared.view.borrow().now().plus(LIFE);
        let statement = AccessStatement { not_after, ..self.statement.clone() };
        let signed = Signed::new(&statement, &shared.signer).map_err(CallFault::TooLarge)?;
        let frame = Frame::Ask(signed).encode();
        frame.map_err(|fault| CallFault::Protocol(Some(FrameEnd::Frame(fault))))
    }

    fn step(&mut self, frame: Result<Frame, FrameEnd>) -> Result<Option<Asked>, CallFault> {
        match frame {
            Ok(Frame::Pending(request)) => {
                (self.has_waited, self.unanswered) = (true, 0);
                Ok(Some(Asked::Pending(request)))
            }
            Ok(Frame::Granted) => {
                self.is_granted = true;
                Ok(None)
            }
            Ok(Frame::Refused(_)) if self.is_withdrawn => Err(CallFault::Cancelled(self.reached)),
            Ok(Frame::Refused(refusal)) => {
                self.stream = None;
                Ok(Some(Asked::Refused(refusal)))
            }
            Ok(_) => Err(CallFault::Protocol(None)),
            Err(FrameEnd::Frame(fault)) => Err(CallFault::Protocol(Some(FrameEnd::Frame(fault)))),
            Err(FrameEnd::Read(_) | FrameEnd::Finished) => {
                if let Some(stream) = self.stream.take() {
                    self.way.broke(&stream)?;
                }
                if self.unanswered < MOST_UNANSWERED {
                    Ok(None)
                } else {
                    Err(CallFault::Unanswered)
                }
            }
        }
    }

    /// Waits until the passport here is another than it was, where something was given.
    async fn arrival(&self) {
        if self.has_waited {
            let before = self.statement.passport;
            let mut views = self.way.shared.view.subscribe();
            let arrived = views.wait_for(|view| {
                view.over().is_some() || view.standing.passport.digest() != before
            });
            let _in_time = timeout(ARRIVES, arrived).await.is_ok();
        }
    }
}
