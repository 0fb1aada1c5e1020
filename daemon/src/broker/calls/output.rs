//! What a running call writes: two pipes, one limit.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use wire::frame::{STDERR, STDOUT};

use super::super::cap::Budget;
use super::super::lock::lock;
use super::line::Reader;
use super::pipe::{Piece, Pipe, Scratch};
use crate::redact::{Redactor, Rules};

/// Both of a call's streams.
pub(super) struct Output {
    pipes: [Pipe; 2],
    budget: Budget,
    /// Which pipe was read last: the other is asked first, so that neither waits for the other to fall silent.
    last: usize,
}

impl Output {
    /// With `rules`, the secrets in it are masked.
    pub(super) fn new(
        stdout: OwnedFd,
        stderr: OwnedFd,
        output_max: u64,
        rules: Option<&Arc<Rules>>,
    ) -> io::Result<Self> {
        let redactor = || rules.map(|rules| Redactor::new(Arc::clone(rules)));
        let stdout = Pipe::new(STDOUT, stdout, redactor())?;
        let pipes = [stdout, Pipe::new(STDERR, stderr, redactor())?];
        Ok(Self { pipes, budget: Budget::new(output_max), last: 1 })
    }

    /// Of a terminal, where both streams are one.
    pub(super) fn of_terminal(
        terminal: Reader,
        output_max: u64,
        rules: Option<&Arc<Rules>>,
    ) -> Self {
        let redactor = rules.map(|rules| Redactor::new(Arc::clone(rules)));
        let pipes = [Pipe::of(STDOUT, Some(terminal), redactor), Pipe::of(STDERR, None, None)];
        Self { pipes, budget: Budget::new(output_max), last: 1 }
    }

    /// Bytes passed on, of standard output and of standard error.
    pub(super) fn passed(&self) -> (u64, u64) {
        let [stdout, stderr] = &self.pipes;
        (stdout.passed(), stderr.passed())
    }

    /// How many secrets were masked, in both.
    pub(super) fn redactions(&self) -> u64 {
        self.pipes.iter().map(Pipe::redactions).fold(0, u64::saturating_add)
    }

    /// Whether something waits for the rest of its line.
    pub(super) fn holds(&self) -> bool {
        self.pipes.iter().any(Pipe::holds)
    }

    /// What waits for the rest of its line goes on.
    pub(super) fn flush(&mut self) {
        self.pipes.iter_mut().for_each(Pipe::flush);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.pipes.iter().all(Pipe::has_ended)
    }

    pub(super) fn is_over_limit(&self) -> bool {
        self.budget.is_over()
    }

    /// The next piece of either.
    pub(super) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &Mutex<Scratch>,
    ) -> Poll<Piece> {
        let scratch = &mut *lock(scratch);
        for place in self.places() {
            let Some(pipe) = self.pipes.get_mut(place) else { continue };
            if let Poll::Ready(piece) = pipe.poll_piece(cx, scratch, &mut self.budget) {
                self.last = place;
                return Poll::Ready(piece);
            }
        }
        Poll::Pending
    }

    /// The next piece of either, if there is one now.
    pub(super) fn take_piece(&mut self, scratch: &Mutex<Scratch>) -> Option<Piece> {
        let scratch = &mut *lock(scratch);
        self.pipes.iter_mut().find_map(|pipe| pipe.take_piece(scratch, &mut self.budget))
    }

    fn places(&self) -> [usize; 2] {
        if self.last == 0 { [1, 0] } else { [0, 1] }
    }
}
