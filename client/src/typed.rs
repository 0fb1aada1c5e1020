//! What is typed at our terminal while a verb has it.

use std::io;
use std::os::fd::OwnedFd;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read};
use rustix::stdio::stdin;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::console::{Console, size};
use crate::escape::{Escape, Left};
use crate::source::{Break, Given};

/// Keys that are taken at once: a paste comes in a few pieces.
const PIECE: usize = 16 * 1024;

/// A person before our terminal, which is a verb's from here on.
#[derive(Debug)]
pub(crate) struct Typed {
    keys: AsyncFd<OwnedFd>,
    sizes: Signal,
    quit: Signal,
    escape: Escape,
    _console: Console,
}

impl Typed {
    /// Begins. Needs a runtime.
    pub(crate) fn begin() -> io::Result<Self> {
        #[expect(
            deprecated,
            reason = "its successor is unsafe for descriptors that close early; an `OwnedFd` does not"
        )]
        let keys = AsyncFd::with_interest(fcntl_dupfd_cloexec(stdin(), 3)?, Interest::READABLE)?;
        let (sizes, quit) = (signal(SignalKind::window_change())?, signal(SignalKind::quit())?);
        // Last: from here on there is something to be undone.
        Ok(Self { keys, sizes, quit, escape: Escape::default(), _console: Console::give()? })
    }

    /// What is typed next, or another size. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Given, Break> {
        loop {
            let keys = tokio::select! {
                biased;
                _ = self.quit.recv() => return Err(Break::Left),
                _ = self.sizes.recv() => return Ok(Given::Size(size())),
                keys = pressed(&self.keys) => keys.map_err(Break::Unreadable)?,
            };
            if keys.is_empty() {
                return Ok(Given::Bytes(Bytes::new()));
            }
            let passed = self.escape.pass(&keys).map_err(|Left| Break::Left)?;
            if !passed.is_empty() {
                return Ok(Given::Bytes(passed.into()));
            }
        }
    }
}

/// The next keys, none once the terminal is gone. Nobody else is to block on it: it is asked again before it is read.
async fn pressed(keys: &AsyncFd<OwnedFd>) -> Result<Vec<u8>, Errno> {
    let mut piece = vec![0; PIECE];
    loop {
        let ready = keys.readable().await;
        let mut ready = ready.map_err(|fault| Errno::from_io_error(&fault).unwrap_or(Errno::IO))?;
        match is_there(keys)?.then(|| read(keys, &mut *piece)) {
            None | Some(Err(Errno::AGAIN)) => ready.clear_ready(),
            Some(Err(Errno::INTR)) => {}
            Some(Err(errno)) => return Err(errno),
            Some(Ok(length)) => {
                piece.truncate(length);
                return Ok(piece);
            }
        }
    }
}

fn is_there(keys: &AsyncFd<OwnedFd>) -> Result<bool, Errno> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut [PollFd::new(keys, PollFlags::IN)], Some(&now)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(errno) => Err(errno),
    }
}
