//! A verb's output on its way to ours, on a thread of its own: a reader that pauses must not stop the channel.

use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, write};
use serde_json::json;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc::{self, Sender, error::SendError};

use crate::neutral::Neutral;
use crate::screen::Screen;

/// Pieces of at most 64 KiB that wait to be written.
const WAITING: usize = 16;

/// A piece of output.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Of the verb's standard output.
    Stdout(Bytes),
    /// Of the verb's standard error.
    Stderr(Bytes),
}

/// How output is shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Style {
    /// Byte by byte where it does not go to a terminal; without control sequences where it does.
    Plain,
    /// As a screen, of which our terminal is shown what is fit for it.
    Screen,
    /// Each piece as a line of JSON on standard output.
    Json,
}

/// The writing end.
#[derive(Debug)]
pub(crate) struct Output {
    pieces: Sender<Piece>,
    thread: JoinHandle<()>,
    fault: Arc<Mutex<Option<Errno>>>,
}

/// Nothing more can be written to standard output.
#[derive(Debug)]
pub(crate) struct Closed;

impl Output {
    /// Starts to write.
    pub(crate) fn start(style: Style) -> io::Result<Self> {
        let mut writer = Writer::new(style);
        Self::begin(move |piece| {
            let Some(piece) = piece else {
                writer.leave();
                return Ok(());
            };
            writer.write(piece)
        })
    }

    /// The same, until something on standard output was waited for; what it came with is written.
    pub(crate) fn until(
        style: Style,
        mut is_seen: impl FnMut(&[u8]) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let mut writer = Writer::new(style);
        Self::begin(move |piece| {
            let Some(piece) = piece else { return Ok(()) };
            let seen = matches!(&piece, Piece::Stdout(bytes) if is_seen(bytes));
            writer.write(piece)?;
            if seen { Err(Errno::CANCELED) } else { Ok(()) }
        })
    }

    /// Has each piece taken this way, and none after one that was not.
    pub(crate) fn with(
        mut take: impl FnMut(Piece) -> Result<(), Errno> + Send + 'static,
    ) -> io::Result<Self> {
        Self::begin(move |piece| piece.map_or(Ok(()), &mut take))
    }

    fn begin(
        mut take: impl FnMut(Option<Piece>) -> Result<(), Errno> + Send + 'static,
    ) -> io::Result<Self> {
        let (pieces, mut waiting) = mpsc::channel::<Piece>(WAITING);
        let fault = Arc::new(Mutex::new(None));
        let found = Arc::clone(&fault);
        let work = move || loop {
            let piece = waiting.blocking_recv();
            let is_last = piece.is_none();
            let taken = take(piece);
            if let Err(errno) = taken {
                *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(errno);
            }
            if is_last || taken.is_err() {
                return;
            }
        };
        let thread = thread::Builder::new().name("output".to_owned()).spawn(work)?;
        Ok(Self { pieces, thread, fault })
    }

    /// Room for one piece. Dropping the future loses nothing.
    pub(crate) async fn room(&self) -> Result<mpsc::Permit<'_, Piece>, Closed> {
        self.pieces.reserve().await.map_err(|_: SendError<()>| Closed)
    }

    /// Comes back when no more is taken.
    pub(crate) async fn closed(&self) {
        self.pieces.closed().await;
    }

    /// Waits until all is written.
    pub(crate) fn finish(self) -> Result<(), Errno> {
        drop(self.pieces);
        let _ended = self.thread.join();
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        fault.map_or(Ok(()), Err)
    }
}

struct Writer {
    style: Style,
    stdout: Target,
    stderr: Target,
}

/// One of our standard streams.
struct Target {
    filter: Filter,
}

/// What is done to what goes there.
enum Filter {
    Nothing,
    Neutral(Neutral),
    Screen(Box<Screen>),
}

impl Filter {
    fn of(style: Style, is_terminal: bool) -> Self {
        match (style, is_terminal) {
            (_, false) => Self::Nothing,
            (Style::Screen, true) => Self::Screen(Box::default()),
            (Style::Plain | Style::Json, true) => Self::Neutral(Neutral::default()),
        }
    }
}

impl Writer {
    fn new(style: Style) -> Self {
        let target = |is_terminal| Target { filter: Filter::of(style, is_terminal) };
        Self {
            style,
            stdout: target(io::stdout().is_terminal()),
            stderr: target(io::stderr().is_terminal()),
        }
    }

    fn leave(&mut self) {
        self.stdout.leave(rustix::stdio::stdout());
        self.stderr.leave(rustix::stdio::stderr());
    }

    fn write(&mut self, piece: Piece) -> Result<(), Errno> {
        let (out, err) = (rustix::stdio::stdout(), rustix::stdio::stderr());
        match (self.style, piece) {
            (Style::Plain | Style::Screen, Piece::Stdout(bytes)) => self.stdout.write(out, &bytes),
            (Style::Plain | Style::Screen, Piece::Stderr(bytes)) => {
                // Where nobody reads our standard error, the verb's goes nowhere; its standard output still counts.
                let _unread = self.stderr.write(err, &bytes);
                Ok(())
            }
            (Style::Json, Piece::Stdout(bytes)) => {
                write_all(out, line("stdout", &bytes).as_bytes())
            }
            (Style::Json, Piece::Stderr(bytes)) => {
                write_all(out, line("stderr", &bytes).as_bytes())
            }
        }
    }
}

impl Target {
    /// As it was found.
    fn leave(&mut self, to: BorrowedFd<'_>) {
        if let Filter::Screen(screen) = &mut self.filter {
            let _the_terminal_is_gone = write_all(to, screen.leave().as_bytes());
        }
    }

    fn write(&mut self, to: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
        match &mut self.filter {
            Filter::Nothing => write_all(to, bytes),
            Filter::Neutral(neutral) => write_all(to, neutral.text(bytes).as_bytes()),
            Filter::Screen(screen) => write_all(to, screen.text(bytes).as_bytes()),
        }
    }
}

/// A piece as a line of JSON: text where it is text.
fn line(stream: &str, bytes: &[u8]) -> String {
    let event = if let Ok(text) = str::from_utf8(bytes) {
        json!({ "schema": "openscope.call/1", "event": stream, "text": text })
    } else {
        let base64 = BASE64_STANDARD.encode(bytes);
        json!({ "schema": "openscope.call/1", "event": stream, "base64": base64 })
    };
    format!("{event}\n")
}

/// Writes all of it, however little goes at once.
pub(crate) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match write(to, bytes) {
            Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => drop(poll(&mut [PollFd::new(&to, PollFlags::OUT)], None)?),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Comes back when nobody reads our standard output any more, even while there is nothing to write.
pub(crate) async fn unread() {
    // A file or a device cannot be watched, and needs no watching.
    #[expect(
        deprecated,
        reason = "its successor is unsafe for descriptors that close early; an `OwnedFd` does not"
    )]
    let watch = || {
        let stdout = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3).ok()?;
        AsyncFd::with_interest(stdout, Interest::ERROR).ok()
    };
    let Some(stdout) = watch() else { return std::future::pending().await };
    if stdout.ready(Interest::ERROR).await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_piece_of_text_is_json_text_and_any_other_is_base64() {
        let text: serde_json::Value = serde_json::from_str(&line("stdout", b"a\n")).unwrap();
        assert_eq!((text["event"].as_str(), text["text"].as_str()), (Some("stdout"), Some("a\n")));
        let other: serde_json::Value = serde_json::from_str(&line("stderr", b"\xff")).unwrap();
        assert_eq!(other["base64"], "/w==");
        assert_eq!(line("stdout", b"a\nb\n").matches('\n').count(), 1);
    }

    #[test]
    fn ru1_output_that_does_not_go_to_a_terminal_is_byte_exact() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        Target { filter: Filter::Nothing }.write(writer.as_fd(), &bytes).unwrap();
        drop(writer);
        let mut got = Vec::new();
        io::Read::read_to_end(&mut std::fs::File::from(reader), &mut got).unwrap();
        assert_eq!(got, bytes);
    }

    #[test]
    fn output_that_goes_to_a_terminal_has_no_control_sequences() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut target = Target { filter: Filter::of(Style::Plain, true) };
        target.write(writer.as_fd(), b"a\x1b[").unwrap();
        target.write(writer.as_fd(), b"2Jb\n").unwrap();
        drop(writer);
        let text = io::read_to_string(std::fs::File::from(reader)).unwrap();
        assert_eq!(text, "ab\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_told() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        assert_eq!(write_all(writer.as_fd(), b"x"), Err(Errno::PIPE));
    }
}
