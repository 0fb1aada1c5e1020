//! One call from its first byte to its receipt, with what a person may do meanwhile.

use std::fmt;
use std::io;
use std::time::Duration;

use policy::RequestId;
use rustix::io::Errno;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use crate::call::{Call, CallFault, Event, Receipt};
use crate::exit::Exit;
use crate::output::{Output, Piece, unread};
use crate::source::{Break, Given, Source};
use wire::frame::Refusal;

/// How long we wait to hear that a cancelled call is dead.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How a call went.
#[derive(Debug)]
pub(crate) enum Went {
    /// It ended by itself, or the daemon ended it.
    Ended(Box<Receipt>),
    /// It was refused.
    Refused(Refusal),
    /// We ended it, with this exit status; with the receipt, when it came in time.
    Stopped(Exit, Option<Box<Receipt>>),
    /// Nothing more is known.
    Fault(CallFault),
}

/// What is worth a word while a call lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Notice {
    /// The channel is gone, for now.
    Lost,
    /// Somebody has to consent first.
    Pending(RequestId),
    /// What is typed from here on is the verb's standard input.
    Typed,
    /// Our terminal is the verb's from here on.
    Given,
    /// Our standard input cannot be read; the call is ended, since the verb would take what it has for all of it.
    Unreadable(Errno),
}

impl fmt::Display for Notice {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => out.write_str(
                "the channel was lost; connecting again, and the call goes on or its outcome is told",
            ),
            Self::Typed => out.write_str(
                "the verb reads what you type, until Ctrl+D; `--no-stdin` gives it nothing",
            ),
            Self::Given => out.write_str(
                "the verb has this terminal until it ends, Ctrl+C included; `~.` after Enter ends it from here",
            ),
            Self::Unreadable(errno) => {
                write!(out, "standard input cannot be read, and the call is ended: {errno}")
            }
            Self::Pending(request) => {
                write!(out, "pending: waits for consent on the owner's side, request {request}")
            }
        }
    }
}

/// What ends a call from here.
#[derive(Debug)]
pub(crate) struct Stops {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    limit: Option<Instant>,
}

impl Stops {
    /// From now on Ctrl+C and SIGTERM end the call and not this program.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            limit: None,
        })
    }

    /// The same, and so does this moment.
    #[must_use]
    pub(crate) fn at(self, limit: Option<Instant>) -> Self {
        Self { limit, ..self }
    }

    /// The next one. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Exit {
        let limit = self.limit.unwrap_or_else(Instant::now);
        tokio::select! {
            () = sleep_until(limit), if self.limit.is_some() => Exit::TIMED_OUT,
            _ = self.interrupt.recv() => Exit::INTERRUPTED,
            _ = self.terminate.recv() => Exit::TERMINATED,
            _ = self.hangup.recv() => Exit::TERMINATED,
        }
    }
}

/// Runs a call to its end.
pub(crate) async fn conduct(
    call: &mut Call,
    source: &mut Source,
    output: &Output,
    stops: &mut Stops,
    notice: impl Fn(Notice),
) -> Went {
    let mut stopped: Option<(Exit, Instant)> = None;
    let mut waiting: Option<Piece> = None;
    let mut reader_left = std::pin::pin!(unread());
    loop {
        let limit = stopped.map_or_else(Instant::now, |(_, limit)| limit);
        let wanted = call.wants_input() && stopped.is_none();
        if let Some(words) = source.begins_with().filter(|_| wanted) {
            notice(words);
        }
        let stop = tokio::select! {
            biased;
            stop = stops.next() => stop,
            () = sleep_until(limit), if stopped.is_some() => return stopped_with(stopped, None),
            () = &mut reader_left, if stopped.is_none() => Exit::PIPE,
            () = output.closed(), if stopped.is_none() => Exit::PIPE,
            room = output.room(), if waiting.is_some() && stopped.is_none() => match (room, waiting.take()) {
                (Ok(room), Some(piece)) => {
                    room.send(piece);
                    continue;
                }
                _ => Exit::PIPE,
            },
            piece = source.next(), if wanted => match piece {
                Ok(Given::Bytes(piece)) => {
                    call.give(&piece);
                    continue;
                }
                Ok(Given::Size(size)) => {
                    call.resize(size);
                    continue;
                }
                Err(Break::Left) => Exit::INTERRUPTED,
                Err(Break::Unreadable(errno)) => {
                    notice(Notice::Unreadable(errno));
                    Exit::NOT_RUN
                }
            },
            event = call.next(), if waiting.is_none() || stopped.is_some() => match event {
                Ok(Event::Started | Event::Wanted) => continue,
                Ok(Event::Stdout(bytes)) => {
                    waiting = Some(Piece::Stdout(bytes));
                    continue;
                }
                Ok(Event::Stderr(bytes)) => {
                    waiting = Some(Piece::Stderr(bytes));
                    continue;
                }
                Ok(Event::Pending(request)) => {
                    notice(Notice::Pending(request));
                    continue;
                }
                Ok(Event::Lost) => {
                    notice(Notice::Lost);
                    continue;
                }
                Ok(Event::Refused(refusal)) => return Went::Refused(refusal),
                Ok(Event::Ended(receipt)) if stopped.is_some() => return stopped_with(stopped, Some(receipt)),
                Ok(Event::Ended(receipt)) => return Went::Ended(receipt),
                Err(CallFault::Cancelled(_)) => return stopped_with(stopped, None),
                Err(fault) => return Went::Fault(fault),
            },
        };
        // A second Ctrl+C does not wait for the daemon.
        if stopped.is_some() {
            return stopped_with(stopped, None);
        }
        stopped = Some((stop, Instant::now() + LAST_WORDS));
        call.cancel();
    }
}

fn stopped_with(stopped: Option<(Exit, Instant)>, receipt: Option<Box<Receipt>>) -> Went {
    Went::Stopped(stopped.map_or(Exit::INTERRUPTED, |(exit, _)| exit), receipt)
}
