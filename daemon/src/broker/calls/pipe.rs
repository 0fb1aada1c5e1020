//! The read end of one of a verb's two pipes.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use rustix::io::Errno;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::unix::pipe::Receiver;
use wire::frame::{HEADER, MAX_DATA, header};

use super::super::cap::{Budget, Verdict};
use super::line::Reader;
use crate::redact::Redactor;

/// Where a piece is read to, with room for a frame's header before it. One serves all calls: it is used within one poll.
pub(in super::super) struct Scratch(Box<[u8]>);

impl Default for Scratch {
    fn default() -> Self {
        Self(vec![0; HEADER + MAX_DATA].into_boxed_slice())
    }
}

/// A pipe that is read to its end.
pub(super) struct Pipe {
    kind: u8,
    receiver: Option<Reader>,
    /// What looks for secrets in it, if anything does.
    redactor: Option<Redactor>,
    /// What has been looked at and waits to go on.
    ready: Vec<u8>,
    has_ended: bool,
    passed: u64,
}

/// What one read gave.
#[derive(Debug)]
pub(super) enum Piece {
    /// A frame to send.
    Frame(Bytes),
    /// The last frame before the limit, if any of it was within; the limit is passed.
    Overflow(Option<Bytes>),
    /// Bytes over the limit.
    Discarded,
    /// Bytes that are held back until more of their line is there, or their time is over.
    Held,
    /// Nobody writes to it any more.
    End,
}

impl Pipe {
    /// Output of this kind of frame.
    pub(super) fn new(kind: u8, read_end: OwnedFd, redactor: Option<Redactor>) -> io::Result<Self> {
        Ok(Self::of(kind, Some(Reader::Pipe(Receiver::from_owned_fd(read_end)?)), redactor))
    }

    /// Output of this kind of frame that comes from there, or is at its end.
    pub(super) fn of(kind: u8, receiver: Option<Reader>, redactor: Option<Redactor>) -> Self {
        let (ready, has_ended) = (Vec::new(), receiver.is_none());
        Self { kind, receiver, redactor, ready, has_ended, passed: 0 }
    }

    /// Bytes that were passed on.
    pub(super) fn passed(&self) -> u64 {
        self.passed
    }

    /// How many secrets were masked in it.
    pub(super) fn redactions(&self) -> u64 {
        self.redactor.as_ref().map_or(0, Redactor::masked)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    pub(super) fn holds(&self) -> bool {
        self.redactor.as_ref().is_some_and(Redactor::holds)
    }

    /// What is held goes on with the next piece.
    pub(super) fn flush(&mut self) {
        if let Some(redactor) = &mut self.redactor {
            redactor.flush(&mut self.ready);
        }
    }

    /// The next piece, once there is one. After the end there is none.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Poll<Piece> {
        if let Some(piece) = self.waiting(budget) {
            return Poll::Ready(piece);
        }
        let Some(receiver) = self.receiver.as_mut() else { return Poll::Pending };
        let mut buffer = ReadBuf::new(scratch.body());
        let read = ready!(Pin::new(receiver).poll_read(cx, &mut buffer));
        let length = read.map_or(0, |()| buffer.filled().len());
        Poll::Ready(self.piece(length, scratch, budget))
    }

    /// The next piece, if there is one now: nobody is left to write, so there is no news to wait for.
    pub(super) fn take_piece(
        &mut self,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Option<Piece> {
        if let Some(piece) = self.waiting(budget) {
            return Some(piece);
        }
        let receiver = self.receiver.as_ref()?;
        match rustix::io::read(receiver, scratch.body()) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(_) => Some(self.piece(0, scratch, budget)),
            Ok(length) => Some(self.piece(length, scratch, budget)),
        }
    }

    fn piece(&mut self, length: usize, scratch: &mut Scratch, budget: &mut Budget) -> Piece {
        if length == 0 {
            self.receiver = None;
            if let Some(redactor) = self.redactor.as_mut().filter(|_| !budget.is_over()) {
                redactor.finish(&mut self.ready);
            }
            return self.waiting(budget).unwrap_or(Piece::End);
        }
        if let Some(redactor) = self.redactor.as_mut().filter(|_| !budget.is_over()) {
            redactor.push(scratch.body().get(..length).unwrap_or_default(), &mut self.ready);
            return self.waiting(budget).unwrap_or(Piece::Held);
        }
        match budget.admit(length) {
            Verdict::Pass => {
                scratch.frame(self.kind, self.count(length)).map_or(Piece::Discarded, Piece::Frame)
            }
            Verdict::Overflow(0) => Piece::Overflow(None),
            Verdict::Overflow(passed) => {
                Piece::Overflow(scratch.frame(self.kind, self.count(passed)))
            }
            Verdict::Discard => Piece::Discarded,
        }
    }

    /// What waits to go on, a frame at a time; and once, after the last of it, the end.
    fn waiting(&mut self, budget: &mut Budget) -> Option<Piece> {
        if self.ready.is_empty() {
            let ends = self.receiver.is_none() && !self.has_ended;
            self.has_ended |= ends;
            return ends.then_some(Piece::End);
        }
        let length = self.ready.len().min(MAX_DATA);
        Some(match budget.admit(length) {
            Verdict::Pass => self.frame(length).map_or(Piece::Discarded, Piece::Frame),
            Verdict::Overflow(passed) => {
                let frame = if passed == 0 { None } else { self.frame(passed) };
                self.ready.clear();
                Piece::Overflow(frame)
            }
            Verdict::Discard => {
                self.ready.clear();
                Piece::Discarded
            }
        })
    }

    fn frame(&mut self, length: usize) -> Option<Bytes> {
        let mut frame = Vec::with_capacity(HEADER.saturating_add(length));
        frame.extend_from_slice(&header(self.kind, length).ok()?);
        frame.extend(self.ready.drain(..length));
        self.count(length);
        Some(Bytes::from(frame))
    }

    fn count(&mut self, passed: usize) -> usize {
        self.passed = self.passed.saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        passed
    }
}

impl Scratch {
    fn body(&mut self) -> &mut [u8] {
        self.0.get_mut(HEADER..).unwrap_or_default()
    }

    /// The first bytes of the body as a frame of exactly that size: what a slow reader leaves lying is what it costs.
    fn frame(&mut self, kind: u8, length: usize) -> Option<Bytes> {
        let header = header(kind, length).ok()?;
        self.0.get_mut(..HEADER)?.copy_from_slice(&header);
        self.0.get(..HEADER.checked_add(length)?).map(Bytes::copy_from_slice)
    }
}
