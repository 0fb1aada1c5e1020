//! What a running call is given: one pipe, one limit.

mod prose;

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use policy::{Content, Stdin};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWrite;
use tokio::net::unix::pipe::Sender;
use wire::frame::{STDIN_AHEAD, Taken};
use wire::privsep::{Given, Unfit};
use wire::terminal::WindowSize;

use super::line::Writer;
use prose::{NotText, Prose};

/// The writing end of a call's standard input. What was taken from the holder and not yet written waits here.
pub(super) struct Input {
    pipe: Option<Writer>,
    waiting: BytesMut,
    form: Form,
    left: u64,
    taken: u64,
    given: u64,
    digest: Sha256,
    stage: Stage,
}

/// What it may be.
enum Form {
    Bytes,
    /// With what looks whether it is.
    Text(Prose),
    /// Keys, of which this was the last.
    Typed(Option<u8>),
}

/// What may be typed in one call: more than anybody does in the life of a share.
const TYPED_MAX: u64 = 1 << 30;

/// The key that ends what is typed. Where a line is begun it ends but that.
const END_KEY: u8 = 4;

/// How far the holder is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// There may be more.
    Open,
    /// That was all of it.
    Ended,
    /// Nothing more is passed on, and the pipe stays open: what the verb has is not the whole, and must not look so.
    Unfit,
    /// The verb reads no more.
    Unread,
}

/// The holder said more than there is room for, or more after the end.
#[derive(Debug)]
pub(super) struct OutOfTurn;

impl Input {
    pub(super) fn new(write_end: OwnedFd, stdin: Stdin) -> io::Result<Self> {
        let form = match stdin.content {
            Content::Bytes => Form::Bytes,
            Content::Text => Form::Text(Prose::default()),
        };
        Ok(Self::of(Writer::Pipe(Sender::from_owned_fd(write_end)?), form, stdin.max))
    }

    /// What is typed at a terminal.
    pub(super) fn typed(terminal: Writer) -> Self {
        Self::of(terminal, Form::Typed(None), TYPED_MAX)
    }

    fn of(pipe: Writer, form: Form, left: u64) -> Self {
        let (waiting, digest, stage) = (BytesMut::new(), Sha256::new(), Stage::Open);
        Self { pipe: Some(pipe), waiting, form, left, taken: 0, given: 0, digest, stage }
    }

    /// The terminal has another size. Once nobody is before it, that is no news to anybody.
    pub(super) fn resize(&self, size: WindowSize) -> Result<(), OutOfTurn> {
        let Form::Typed(_) = self.form else { return Err(OutOfTurn) };
        if let Some(Err(fault)) = self.pipe.as_ref().map(|terminal| terminal.resize(size)) {
            tracing::warn!(%fault, "a call's terminal keeps its size");
        }
        Ok(())
    }

    /// Whether the verb may still be given something.
    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// What the holder may know of it.
    pub(super) fn taken(&self) -> Taken {
        let until = self.given.saturating_add(count(STDIN_AHEAD));
        Taken { bytes: self.taken, until: (self.stage == Stage::Open).then_some(until) }
    }

    /// What the verb was given so far.
    pub(super) fn given(&self) -> Given {
        Given { bytes: self.given, sha256: self.digest.clone().finalize().into() }
    }

    /// Takes the next piece; says what is wrong with the whole, once.
    pub(super) fn take(&mut self, piece: &[u8]) -> Result<Option<Unfit>, OutOfTurn> {
        match self.stage {
            Stage::Ended => return Err(OutOfTurn),
            Stage::Open => {}
            Stage::Unfit | Stage::Unread => return Ok(None),
        }
        if self.waiting.len().saturating_add(piece.len()) > STDIN_AHEAD {
            return Err(OutOfTurn);
        }
        let Some(left) = self.left.checked_sub(count(piece.len())) else {
            return Ok(Some(self.refuse(Unfit::TooLong)));
        };
        self.left = left;
        self.taken = self.taken.saturating_add(count(piece.len()));
        let passed = match &mut self.form {
            Form::Text(prose) => prose.pass(piece, &mut self.waiting),
            form @ (Form::Bytes | Form::Typed(_)) => {
                self.waiting.extend_from_slice(piece);
                form.note(piece);
                Ok(())
            }
        };
        Ok(passed.err().map(|NotText| self.refuse(Unfit::NotText)))
    }

    /// That was all of it: once it is written, the verb sees its end.
    pub(super) fn end(&mut self) -> Option<Unfit> {
        if self.stage != Stage::Open {
            return None;
        }
        if self.form.is_within_a_character() {
            return Some(self.refuse(Unfit::NotText));
        }
        self.waiting.extend_from_slice(self.form.end_keys());
        self.stage = Stage::Ended;
        self.close_if_done();
        None
    }

    /// Nobody is left to read it.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.waiting.clear();
        if self.stage != Stage::Ended {
            self.stage = Stage::Unread;
        }
    }

    /// Writes what waits, as much as the pipe takes. Pending as long as there is nothing to write.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(pipe) = self.pipe.as_mut().filter(|_| !self.waiting.is_empty()) else {
            return Poll::Pending;
        };
        match ready!(Pin::new(pipe).poll_write(cx, &self.waiting)) {
            Ok(length) => self.wrote(length),
            // The verb has closed its standard input: that is its own business.
            Err(_) => self.close(),
        }
        Poll::Ready(())
    }

    fn wrote(&mut self, length: usize) {
        let written = self.waiting.split_to(length.min(self.waiting.len()));
        self.digest.update(&written);
        self.given = self.given.saturating_add(count(written.len()));
        self.close_if_done();
    }

    /// A terminal stays, since it may be given another size: it is the key that ends what is typed.
    fn close_if_done(&mut self) {
        let is_pipe = !matches!(self.form, Form::Typed(_));
        if is_pipe && self.stage == Stage::Ended && self.waiting.is_empty() {
            self.pipe = None;
        }
    }

    fn refuse(&mut self, why: Unfit) -> Unfit {
        self.stage = Stage::Unfit;
        self.waiting.clear();
        why
    }
}

impl Form {
    fn note(&mut self, piece: &[u8]) {
        if let Self::Typed(last) = self {
            *last = piece.last().copied().or(*last);
        }
    }

    fn is_within_a_character(&self) -> bool {
        match self {
            Self::Text(prose) => prose.is_within_a_character(),
            Self::Bytes | Self::Typed(_) => false,
        }
    }

    /// What a person would press now who has no more to say.
    fn end_keys(&self) -> &'static [u8] {
        match self {
            Self::Typed(None | Some(b'\r' | b'\n' | END_KEY)) => &[END_KEY],
            Self::Typed(_) => &[END_KEY, END_KEY],
            Self::Bytes | Self::Text(_) => &[],
        }
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pipe::{PipeFlags, pipe_with};
    use std::future::poll_fn;
    use std::io::Read as _;

    fn input(content: Content, max: u64) -> (Input, std::fs::File) {
        let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        (Input::new(write_end, Stdin { content, max }).unwrap(), read_end.into())
    }

    const AHEAD: u64 = STDIN_AHEAD as u64;

    async fn write(input: &mut Input) {
        poll_fn(|cx| input.poll_write(cx)).await;
    }

    #[tokio::test]
    async fn what_is_taken_is_written_counted_and_hashed_and_then_ends() {
        let (mut input, mut verb) = input(Content::Bytes, 100);
        assert_eq!(input.take(b"\xff\0one").unwrap(), None);
        assert_eq!(input.taken(), Taken { bytes: 5, until: Some(AHEAD) });
        write(&mut input).await;
        assert_eq!(input.taken(), Taken { bytes: 5, until: Some(5 + AHEAD) });
        assert_eq!(input.end(), None);
        assert!(!input.is_open());
        let mut got = Vec::new();
        verb.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"\xff\0one");
        let sha256 = Sha256::digest(b"\xff\0one").into();
        assert_eq!(input.given(), Given { bytes: 5, sha256 });
        assert_eq!(input.taken(), Taken { bytes: 5, until: None });
        assert!(input.take(b"more").is_err());
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_not_yet_written() {
        let (mut input, _verb) = input(Content::Bytes, 100);
        input.take(b"one").unwrap();
        assert_eq!(input.end(), None);
        assert!(input.is_open());
        write(&mut input).await;
        assert!(!input.is_open());
    }

    #[tokio::test]
    async fn a_limit_is_taken_and_a_byte_over_it_is_told_once_and_does_not_look_like_the_end() {
        let (mut input, _verb) = input(Content::Bytes, 4);
        assert_eq!(input.take(b"four").unwrap(), None);
        write(&mut input).await;
        assert_eq!(input.take(b"").unwrap(), None);
        assert_eq!(input.take(b"x").unwrap(), Some(Unfit::TooLong));
        assert_eq!(input.take(b"x").unwrap(), None);
        assert_eq!(input.end(), None);
        assert!(input.is_open());
        assert_eq!(input.taken(), Taken { bytes: 4, until: None });
    }

    #[tokio::test]
    async fn nothing_of_a_piece_that_is_no_text_reaches_the_verb() {
        let (mut input, _verb) = input(Content::Text, 100);
        assert_eq!(input.take(b"good\x07").unwrap(), Some(Unfit::NotText));
        assert!(input.waiting.is_empty() && input.is_open());
        assert_eq!(input.given().bytes, 0);
    }

    #[tokio::test]
    async fn a_text_that_ends_within_a_character_is_none() {
        let (mut input, _verb) = input(Content::Text, 100);
        assert_eq!(input.take(b"\xc3").unwrap(), None);
        assert_eq!(input.end(), Some(Unfit::NotText));
        assert!(input.is_open());
    }

    #[tokio::test]
    async fn a_verb_that_closes_its_input_is_given_no_more_and_that_is_no_error() {
        let (mut input, verb) = input(Content::Bytes, 4);
        drop(verb);
        assert_eq!(input.take(b"four").unwrap(), None);
        write(&mut input).await;
        assert_eq!(input.taken(), Taken { bytes: 4, until: None });
        assert_eq!(input.given().bytes, 0);
        assert_eq!(input.take(b"any number more").unwrap(), None);
        assert_eq!(input.end(), None);
    }

    #[tokio::test]
    async fn no_more_waits_than_there_is_room_for() {
        let (mut input, _verb) = input(Content::Bytes, 1 << 30);
        let full = vec![7; STDIN_AHEAD];
        assert_eq!(input.take(&full).unwrap(), None);
        assert!(input.take(b"x").is_err());
        write(&mut input).await;
        let written = usize::try_from(input.given).unwrap();
        assert_eq!(input.take(&full[..written]).unwrap(), None);
        assert!(input.take(b"x").is_err());
    }
}
