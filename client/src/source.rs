//! Where a call's standard input comes from.

use std::io::{self, IsTerminal as _};
use std::thread;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use tokio::sync::mpsc::{self, Receiver, Sender};
use wire::frame::MAX_DATA;

/// Pieces that wait to be given: what is read beyond what the verb takes is lost to whoever reads after us.
const WAITING: usize = 1;

/// What a call is given, if its verb takes anything.
#[derive(Debug)]
pub(crate) enum Source {
    /// Nothing.
    Nothing,
    /// Our own standard input, which is not touched before it is wanted.
    Stdin,
    /// Our own standard input, on a thread of its own: a read that waits must not hold up the call's end.
    Reading(Receiver<Result<Bytes, Errno>>),
}

impl Source {
    /// Whether it begins to read what a person types.
    pub(crate) fn begins_at_a_terminal(&self) -> bool {
        matches!(self, Self::Stdin) && io::stdin().is_terminal()
    }

    /// The next piece, an empty one at the end. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Bytes, Errno> {
        match self {
            Self::Nothing => Ok(Bytes::new()),
            Self::Stdin => {
                *self = Self::Reading(start()?);
                Box::pin(self.next()).await
            }
            // A thread that is gone has told why.
            Self::Reading(pieces) => pieces.recv().await.unwrap_or(Ok(Bytes::new())),
        }
    }
}

fn start() -> Result<Receiver<Result<Bytes, Errno>>, Errno> {
    let (pieces, waiting) = mpsc::channel(WAITING);
    let work = move || read_all(&pieces);
    let thread = thread::Builder::new().name("input".to_owned()).spawn(work);
    thread.map(|_| waiting).map_err(|fault| Errno::from_io_error(&fault).unwrap_or(Errno::AGAIN))
}

fn read_all(pieces: &Sender<Result<Bytes, Errno>>) {
    let mut buffer = vec![0; MAX_DATA];
    loop {
        let piece = read_piece(&mut buffer);
        let ended = piece.as_ref().map_or(true, Bytes::is_empty);
        if pieces.blocking_send(piece).is_err() || ended {
            return;
        }
    }
}

fn read_piece(buffer: &mut [u8]) -> Result<Bytes, Errno> {
    let stdin = rustix::stdio::stdin();
    loop {
        match read(stdin, &mut *buffer) {
            Ok(length) => {
                return Ok(Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default()));
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&stdin, PollFlags::IN)], None)?),
            Err(errno) => return Err(errno),
        }
    }
}
