//! Where a call's standard input comes from.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::OwnedFd;
use std::thread;

use bytes::Bytes;
use policy::Input;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use tokio::sync::mpsc::{self, Receiver, Sender};
use wire::frame::MAX_DATA;
use wire::terminal::WindowSize;

use crate::conduct::Notice;
use crate::place::Place;
use crate::typed::Typed;

/// Pieces that wait to be given: what is read beyond what the verb takes is lost to whoever reads after us.
const WAITING: usize = 1;

/// What a call is given, if its verb takes anything.
#[derive(Debug)]
pub(crate) enum Source {
    /// Nothing.
    Nothing,
    /// Our own standard input, which is not touched before it is wanted.
    Stdin,
    /// What is typed at our terminal, which is the verb's once it is wanted.
    Terminal,
    /// The same, from then on.
    Typed(Box<Typed>),
    /// Our own standard input, on a thread of its own: a read that waits must not hold up the call's end.
    Reading(Receiver<Result<Bytes, Errno>>),
}

/// What a call is given next.
#[derive(Debug)]
pub(crate) enum Given {
    /// A piece of standard input, or keys; none at the end.
    Bytes(Bytes),
    /// Another size of the terminal.
    Size(WindowSize),
}

/// Why nothing more is given, and the call ended.
#[derive(Debug)]
pub(crate) enum Break {
    /// It cannot be read.
    Unreadable(Errno),
    /// Whoever typed has had enough.
    Left,
}

impl Source {
    /// What a verb that takes this is given, where our streams are what they are.
    pub(crate) fn of(input: Input, place: Place) -> Self {
        match (input, place) {
            (Input::Nothing, _) => Self::Nothing,
            (Input::Terminal, Place::Terminal) => Self::Terminal,
            (Input::Stdin(_) | Input::Terminal, _) => Self::Stdin,
        }
    }

    /// All of a file.
    pub(crate) fn of_file(file: File) -> Result<Self, Errno> {
        start(file.into()).map(Self::Reading)
    }

    /// What is to be said before what a person types is read for the first time.
    pub(crate) fn begins_with(&self) -> Option<Notice> {
        match self {
            Self::Stdin if io::stdin().is_terminal() => Some(Notice::Typed),
            Self::Terminal => Some(Notice::Given),
            Self::Stdin | Self::Nothing | Self::Typed(_) | Self::Reading(_) => None,
        }
    }

    /// What is given next. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Given, Break> {
        match self {
            Self::Nothing => Ok(Given::Bytes(Bytes::new())),
            Self::Stdin => {
                let own = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3);
                *self = Self::Reading(own.and_then(start).map_err(Break::Unreadable)?);
                Box::pin(self.next()).await
            }
            Self::Terminal => {
                *self = Self::Typed(Box::new(Typed::begin().map_err(|fault| unreadable(&fault))?));
                Box::pin(self.next()).await
            }
            Self::Typed(typed) => typed.next().await,
            // A thread that is gone has told why.
            Self::Reading(pieces) => {
                let piece = pieces.recv().await.unwrap_or(Ok(Bytes::new()));
                piece.map(Given::Bytes).map_err(Break::Unreadable)
            }
        }
    }
}

fn unreadable(fault: &io::Error) -> Break {
    Break::Unreadable(Errno::from_io_error(fault).unwrap_or(Errno::IO))
}

fn start(from: OwnedFd) -> Result<Receiver<Result<Bytes, Errno>>, Errno> {
    let (pieces, waiting) = mpsc::channel(WAITING);
    let work = move || read_all(&from, &pieces);
    let thread = thread::Builder::new().name("input".to_owned()).spawn(work);
    thread.map(|_| waiting).map_err(|fault| Errno::from_io_error(&fault).unwrap_or(Errno::AGAIN))
}

fn read_all(from: &OwnedFd, pieces: &Sender<Result<Bytes, Errno>>) {
    let mut buffer = vec![0; MAX_DATA];
    loop {
        let piece = read_piece(from, &mut buffer);
        let ended = piece.as_ref().map_or(true, Bytes::is_empty);
        if pieces.blocking_send(piece).is_err() || ended {
            return;
        }
    }
}

fn read_piece(from: &OwnedFd, buffer: &mut [u8]) -> Result<Bytes, Errno> {
    loop {
        match read(from, &mut *buffer) {
            Ok(length) => {
                return Ok(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()));
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(from, PollFlags::IN)], None)?),
            Err(errno) => return Err(errno),
        }
    }
}
