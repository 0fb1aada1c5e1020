//! Frames on their way into a stream.

use std::collections::VecDeque;

use bytes::Bytes;
use wire::channel::{SendStream, WriteError};
use wire::frame::TAKEN;

/// Whole frames in order, and how much of the first is sent. A stream that takes over begins with a whole frame.
#[derive(Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Bytes>,
    sent: usize,
    waiting: usize,
}

impl Outgoing {
    pub(super) fn push(&mut self, frame: impl Into<Bytes>) {
        let frame = frame.into();
        self.waiting = self.waiting.saturating_add(frame.len());
        self.frames.push_back(frame);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Begins again on another stream, with `first` before what was not sent whole. What was said of the input is out
    /// of date by then, and in `first`.
    pub(super) fn restart(&mut self, first: Bytes) {
        self.sent = 0;
        self.frames.retain(|frame| frame.first() != Some(&TAKEN));
        self.waiting = self.frames.iter().map(Bytes::len).fold(0, usize::saturating_add);
        if self.frames.front() != Some(&first) {
            self.waiting = self.waiting.saturating_add(first.len());
            self.frames.push_front(first);
        }
    }

    /// Sends as much as the stream takes at once. Dropping the future loses nothing.
    pub(super) async fn send(&mut self, stream: &mut SendStream) -> Result<(), WriteError> {
        let Some(first) = self.frames.front() else { return Ok(()) };
        let rest = first.slice(self.sent..);
        let mut chunks: Vec<Bytes> =
            std::iter::once(rest).chain(self.frames.iter().skip(1).cloned()).collect();
        let written = stream.write_chunks(&mut chunks).await?;
        self.advance(written.bytes);
        Ok(())
    }

    fn advance(&mut self, bytes: usize) {
        self.sent = self.sent.saturating_add(bytes);
        while let Some(first) = self.frames.front().map(Bytes::len).filter(|len| *len <= self.sent)
        {
            self.sent = self.sent.saturating_sub(first);
            self.waiting = self.waiting.saturating_sub(first);
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(outgoing: &Outgoing) -> Vec<&[u8]> {
        outgoing.frames.iter().map(AsRef::as_ref).collect()
    }

    #[test]
    fn a_frame_is_gone_when_its_last_byte_is() {
        let mut outgoing = Outgoing::default();
        outgoing.push(&b"one"[..]);
        outgoing.push(&b"three"[..]);
        outgoing.advance(4);
        assert_eq!(frames(&outgoing), [b"three"]);
        assert_eq!((outgoing.sent, outgoing.waiting()), (1, 5));
        outgoing.advance(4);
        assert!(outgoing.is_empty());
        assert_eq!((outgoing.sent, outgoing.waiting()), (0, 0));
    }

    #[test]
    fn another_stream_gets_the_half_sent_frame_whole_and_once_says_that_it_started() {
        let mut outgoing = Outgoing::default();
        outgoing.push(&b"three"[..]);
        outgoing.advance(2);
        outgoing.restart(Bytes::from_static(b"started"));
        assert_eq!(frames(&outgoing), [&b"started"[..], b"three"]);
        outgoing.restart(Bytes::from_static(b"started"));
        assert_eq!(frames(&outgoing), [&b"started"[..], b"three"]);
        assert_eq!(outgoing.waiting(), 12);
    }

    #[test]
    fn another_stream_hears_of_the_input_as_it_is_now() {
        let mut outgoing = Outgoing::default();
        outgoing.push(&[TAKEN, 0][..]);
        outgoing.push(&b"output"[..]);
        outgoing.restart(Bytes::from_static(b"started"));
        assert_eq!(frames(&outgoing), [&b"started"[..], b"output"]);
        assert_eq!(outgoing.waiting(), 13);
    }
}
