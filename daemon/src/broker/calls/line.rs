//! Our ends of what a verb reads and writes: of pipes, or of its terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, fcntl_dupfd_cloexec, read, write};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::{Instant, Sleep, sleep_until};
use wire::terminal::WindowSize;

/// What a verb writes.
pub(super) enum Reader {
    Pipe(Receiver),
    /// At its end once no process has the other end open.
    Terminal(AsyncFd<OwnedFd>),
}

/// What a verb reads.
pub(super) enum Writer {
    Pipe(Sender),
    Terminal(Keys),
}

/// How often it is looked whether a terminal takes keys already.
const LOOK: Duration = Duration::from_millis(5);

/// The end of a terminal into which keys go.
pub(super) struct Keys {
    terminal: AsyncFd<OwnedFd>,
    /// When to look again, until it takes them.
    look: Option<Pin<Box<Sleep>>>,
}

impl Keys {
    fn new(terminal: AsyncFd<OwnedFd>) -> Self {
        Self { terminal, look: Some(Box::pin(sleep_until(Instant::now()))) }
    }

    /// Pending as long as keys that came now would be read as lines by whoever only hands them on: see `Pair::relayed`
    /// of the monitor, which says so by these modes. No other verb begins with them.
    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(look) = &mut self.look {
            ready!(look.as_mut().poll(cx));
            if awaits_relay(&self.terminal) {
                look.as_mut().reset(Instant::now() + LOOK);
            } else {
                self.look = None;
            }
        }
        Poll::Ready(())
    }
}

fn awaits_relay(terminal: impl AsFd) -> bool {
    let modes = LocalModes::EXTPROC | LocalModes::ICANON;
    tcgetattr(terminal).is_ok_and(|now| now.local_modes.contains(modes))
}

/// Both directions of a terminal, each with a descriptor of its own. It hangs up once both are closed.
pub(super) fn terminal(ours: OwnedFd) -> io::Result<(Reader, Writer)> {
    fcntl_setfl(&ours, fcntl_getfl(&ours)? | OFlags::NONBLOCK)?;
    let other = fcntl_dupfd_cloexec(&ours, 3)?;
    let reader = Reader::Terminal(watched(ours, Interest::READABLE)?);
    Ok((reader, Writer::Terminal(Keys::new(watched(other, Interest::WRITABLE)?))))
}

#[expect(
    deprecated,
    reason = "its successor is unsafe for descriptors that close early; an `OwnedFd` does not"
)]
fn watched(descriptor: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, interest)
}

impl Writer {
    /// Tells whoever is before the terminal that it has another size. A pipe has none.
    pub(super) fn resize(&self, size: WindowSize) -> Result<(), Errno> {
        let Self::Terminal(Keys { terminal, .. }) = self else { return Err(Errno::NOTTY) };
        let (ws_row, ws_col) = (size.rows(), size.columns());
        tcsetwinsize(terminal, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 })
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(pipe) => pipe.as_fd(),
            Self::Terminal(terminal) => terminal.as_fd(),
        }
    }
}

impl AsyncRead for Reader {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let terminal = match self.get_mut() {
            Self::Pipe(pipe) => return Pin::new(pipe).poll_read(cx, buffer),
            Self::Terminal(terminal) => terminal,
        };
        loop {
            let mut ready = ready!(terminal.poll_read_ready(cx))?;
            let space = buffer.initialize_unfilled();
            if let Ok(read) = ready.try_io(|terminal| Ok(read(terminal, &mut *space)?)) {
                return Poll::Ready(read.map(|length| buffer.advance(length)));
            }
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let terminal = match self.get_mut() {
            Self::Pipe(pipe) => return Pin::new(pipe).poll_write(cx, bytes),
            Self::Terminal(keys) => {
                ready!(keys.poll_taken(cx));
                &keys.terminal
            }
        };
        loop {
            let mut ready = ready!(terminal.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|terminal| Ok(write(terminal, bytes)?)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
