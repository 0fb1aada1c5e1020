//! One call: signed, streamed, and asked for again under the same id when the channel is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use policy::{Arguments, RequestId, Timestamp, VerbName};
use tokio::time::{Instant, sleep_until};
use wire::call::{CallId, CallStatement, Ending, OutcomeStatement, Signed, StatementFault};
use wire::frame::{Frame, Refusal};
use wire::terminal::{Terminal, WindowSize};

use crate::frames::FrameEnd;
use crate::session::{Over, Shared};
use crate::upload::Upload;
use crate::way::{Next, Spent, Stream, Way};

/// What is signed is worthless after this: within the 30 s that the daemon allows, with room for a slow way.
pub(crate) const LIFE: Duration = Duration::from_secs(25);
/// A call that is still running there is asked after this often.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// What happens to a call.
#[derive(Debug)]
pub enum Event {
    /// It waits for somebody's consent, under this number.
    Pending(RequestId),
    /// It runs.
    Started,
    /// It takes standard input: more can be given, as far as [`Call::wants_input`] says.
    Wanted,
    /// A piece of standard output.
    Stdout(Bytes),
    /// A piece of standard error.
    Stderr(Bytes),
    /// The channel was lost; it is asked for again when there is another.
    Lost,
    /// It is refused; last.
    Refused(Refusal),
    /// It has ended, as the daemon's signature over this receipt says; last.
    Ended(Box<Receipt>),
}

/// How a call ended.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// What the daemon signed.
    pub outcome: OutcomeStatement,
    /// The signed bytes themselves.
    pub signed: Signed,
    /// Bytes of standard output that arrived here.
    pub stdout: u64,
    /// Bytes of standard error that arrived here.
    pub stderr: u64,
}

impl Receipt {
    /// Whether all output that the daemon passed on has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        (self.stdout, self.stderr) == (self.outcome.stdout, self.outcome.stderr)
    }
}

/// Why nothing more is known of a call.
#[derive(Debug, thiserror::Error)]
pub enum CallFault {
    /// The session is over.
    #[error("the session is over")]
    Over(Over, Reached),
    /// It was cancelled before anything is known of it.
    #[error("cancelled")]
    Cancelled(Reached),
    /// The receipt is not the daemon's.
    #[error("the receipt is not signed by this daemon: nothing that came can be trusted")]
    Receipt(#[source] Option<StatementFault>),
    /// What came is not what belongs there.
    #[error("the daemon does not speak as it should")]
    Protocol(#[source] Option<FrameEnd>),
    /// The daemon closes the channel each time that it is asked this.
    #[error("the daemon does not answer this; it may be older than this program")]
    Unanswered,
    /// The call cannot be signed.
    #[error("the call's arguments are too large together")]
    TooLarge(#[source] StatementFault),
    /// The system gives no randomness.
    #[error("this machine gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// How far a call had come.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Reached {
    /// It was not sent.
    Nothing,
    /// It was sent; whether it started is not known.
    Sent,
    /// It started; whether it finished is not known.
    Started,
}

/// One call.
#[derive(Debug)]
pub struct Call {
    way: Way,
    statement: CallStatement,
    content: [u8; 32],
    stream: Option<Stream>,
    /// Whether anything can be given on it.
    gives: bool,
    /// How often it was sent: only a repetition may be told that it is running.
    sent: u32,
    not_before: Option<Instant>,
    reached: Reached,
    is_cancelled: bool,
    /// Where it is made, for a verb that has a terminal.
    terminal: Option<Terminal>,
    upload: Upload,
    stdout: u64,
    stderr: u64,
}

/// What to do after a stream gave a frame or broke.
enum Step {
    Tell(Event),
    Again,
}

impl From<Spent> for CallFault {
    fn from(_: Spent) -> Self {
        Self::Protocol(None)
    }
}

impl Call {
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: CallId,
        verb: VerbName,
        arguments: Arguments,
        head: Vec<u8>,
    ) -> Result<Self, CallFault> {
        let authority = shared.seat.authority();
        let statement = CallStatement {
            daemon: shared.seat.handle().daemon_key,
            share: authority.share,
            seat: authority.seat,
            passport: shared.view.borrow().standing.passport.digest(),
            id,
            verb,
            arguments,
            head,
            not_after: Timestamp(0),
        };
        let too_large = |fault| CallFault::TooLarge(fault);
        // Signed once here, so that what cannot be signed is known before anything is sent.
        Signed::new(&statement, &shared.signer).map_err(too_large)?;
        let content = statement.content().map_err(|fault| too_large(fault.into()))?;
        Ok(Self {
            way: Way::new(shared),
            statement,
            content,
            stream: None,
            gives: false,
            sent: 0,
            not_before: None,
            reached: Reached::Nothing,
            is_cancelled: false,
            terminal: None,
            upload: Upload::default(),
            stdout: 0,
            stderr: 0,
        })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.statement.id
    }

    /// Says at what terminal it is made. Before the first [`Call::next`], and only of a verb that takes one.
    pub fn sits_at(&mut self, terminal: Terminal) {
        self.upload.resize(terminal.size);
        self.terminal = Some(terminal);
    }

    /// Says that the terminal has another size.
    pub fn resize(&mut self, size: WindowSize) {
        if let Some(terminal) = &mut self.terminal {
            terminal.size = size;
            self.upload.resize(size);
        }
    }

    /// Ends it: the daemon kills all that it started. The events go on until its receipt comes.
    pub fn cancel(&mut self) {
        self.is_cancelled = true;
        if let Some(stream) = &mut self.stream {
            stream.send.reset();
        }
    }

    /// Whether the next piece of its standard input, of at most 64 KiB, may be given. Not before [`Event::Wanted`], and
    /// never for a verb that takes none.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        !self.is_cancelled && self.upload.has_room()
    }

    /// Gives the next piece of its standard input; an empty one is the end. It is kept until the daemon has it.
    pub fn give(&mut self, piece: &[u8]) {
        match piece {
            [] => self.upload.end(),
            piece => self.upload.give(piece),
        }
    }

    /// How far it has come.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.reached
    }

    /// What happens next. Dropping the future loses nothing.
    ///
    /// # Errors
    /// Nothing more will be known.
    pub async fn next(&mut self) -> Result<Event, CallFault> {
        loop {
            if let Some(stream) = &mut self.stream {
                let frame = tokio::select! {
                    biased;
                    sent = self.upload.send(&mut stream.send), if self.gives && !self.is_cancelled => {
                        // What broke it is told where we read.
                        self.gives = sent.is_ok();
                        continue;
                    }
                    frame = stream.frames.next() => frame,
                };
                match self.step(frame)? {
                    Step::Tell(event) => return Ok(event),
                    Step::Again => {}
                }
            } else if let Some(event) = self.open().await? {
                return Ok(event);
            }
        }
    }

    /// Opens a stream for the call on the channel that there is, or waits for one.
    async fn open(&mut self) -> Result<Option<Event>, CallFault> {
        if self.is_cancelled {
            return Err(CallFault::Cancelled(self.reached));
        }
        if let Some(moment) = self.not_before {
            sleep_until(moment).await;
            self.not_before = None;
        }
        let place = match self.way.next().await {
            Ok(Next::Place(place)) => place,
            Ok(Next::Lost) => return Ok(Some(Event::Lost)),
            Err(over) => return Err(CallFault::Over(over, self.reached)),
        };
        let first = self.signed()?;
        if let Some(stream) = self.way.open(place, &first).await? {
            self.reached = self.reached.max(Reached::Sent);
            self.sent += 1;
            self.upload.restart();
            (self.stream, self.gives) = (Some(stream), true);
        }
        Ok(None)
    }

    /// What a stream of it begins with: signed anew, since its time may have passed.
    fn signed(&self) -> Result<Vec<u8>, CallFault> {
        let not_after = self.way.shared.view.borrow().now().plus(LIFE);
        let statement = CallStatement { not_after, ..self.statement.clone() };
        let signed = Signed::new(&statement, &self.way.shared.signer);
        let signed = signed.map_err(CallFault::TooLarge)?;
        let terminal = self.terminal.clone().map(Frame::Terminal);
        let frames = terminal.into_iter().chain([Frame::Call(signed)]);
        let frames: Result<Vec<_>, _> = frames.map(|frame| frame.encode()).collect();
        let frames = frames.map_err(|fault| CallFault::Protocol(Some(FrameEnd::Frame(fault))))?;
        Ok(frames.concat())
    }

    fn step(&mut self, frame: Result<Frame, FrameEnd>) -> Result<Step, CallFault> {
        match frame {
            Ok(Frame::Pending(request)) => Ok(Step::Tell(Event::Pending(request))),
            Ok(Frame::Started) => {
                self.reached = Reached::Started;
                Ok(Step::Tell(Event::Started))
            }
            Ok(Frame::Taken(taken)) => {
                self.upload.hear(taken).map_err(|_disorder| CallFault::Protocol(None))?;
                Ok(Step::Tell(Event::Wanted))
            }
            Ok(Frame::Stdout(bytes)) => {
                self.stdout += bytes.len() as u64;
                Ok(Step::Tell(Event::Stdout(bytes)))
            }
            Ok(Frame::Stderr(bytes)) => {
                self.stderr += bytes.len() as u64;
                Ok(Step::Tell(Event::Stderr(bytes)))
            }
            Ok(Frame::Outcome(signed)) => self.receipt(signed).map(Step::Tell),
            Ok(Frame::Refused(Refusal::Running)) if self.sent > 1 => {
                self.stream = None;
                self.not_before = Some(Instant::now() + ASK_AGAIN);
                self.reached = Reached::Started;
                Ok(Step::Again)
            }
            Ok(Frame::Refused(_)) if self.is_cancelled => Err(CallFault::Cancelled(self.reached)),
            Ok(Frame::Refused(refusal)) => {
                self.stream = None;
                Ok(Step::Tell(Event::Refused(refusal)))
            }
            Ok(_) => Err(CallFault::Protocol(None)),
            Err(FrameEnd::Frame(fault)) => Err(CallFault::Protocol(Some(FrameEnd::Frame(fault)))),
            Err(FrameEnd::Read(_) | FrameEnd::Finished) => self.broke().map(|()| Step::Again),
        }
    }

    fn broke(&mut self) -> Result<(), CallFault> {
        if let Some(stream) = self.stream.take() {
            self.way.broke(&stream)?;
        }
        Ok(())
    }

    fn receipt(&mut self, signed: Signed) -> Result<Event, CallFault> {
        self.stream = None;
        let outcome: OutcomeStatement = signed
            .verify(&self.statement.daemon)
            .map_err(|fault| CallFault::Receipt(Some(fault)))?;
        let ours = (self.statement.share, self.statement.id, self.content);
        if (outcome.share, outcome.id, outcome.call) != ours {
            return Err(CallFault::Receipt(None));
        }
        if !matches!(outcome.ending, Ending::NotStarted(_)) {
            self.reached = Reached::Started;
        }
        let (stdout, stderr) = (self.stdout, self.stderr);
        Ok(Event::Ended(Box::new(Receipt { outcome, signed, stdout, stderr })))
    }
}
