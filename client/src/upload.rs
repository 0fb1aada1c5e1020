//! What a call is given as standard input, kept until the daemon has it.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use wire::frame::{Frame, MAX_DATA, STDIN_AHEAD, Taken};
use wire::terminal::WindowSize;

use crate::road::Giving;

/// A standard input on its way. A stream that is lost takes nothing along: the next goes on where the daemon says.
#[derive(Debug, Default)]
pub(crate) struct Upload {
    /// What was given and is not known to have been taken.
    kept: BytesMut,
    /// How much was taken: the place of the first kept byte in the whole.
    taken: u64,
    /// What the daemon has had from an earlier process with the same call, and need not have again.
    skip: u64,
    /// How large the terminal is, where there is one.
    size: Option<WindowSize>,
    stage: Stage,
    way: Way,
}

/// How far the whole is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    /// The daemon has not asked for it.
    #[default]
    Unasked,
    Open,
    /// All of it was given.
    Ended,
    /// The verb reads no more.
    Unwanted,
}

/// One stream.
#[derive(Debug, Default)]
struct Way {
    /// How much of what is kept may go: nothing before the daemon has said on it from where on.
    room: usize,
    /// How much of what is kept has been framed.
    framed: usize,
    is_open: bool,
    /// The size that was said on it.
    sized: Option<WindowSize>,
    end_framed: bool,
    /// What of the frames is not yet written.
    rest: Bytes,
}

/// The daemon says that it has what it was never given, or has not what it had.
#[derive(Debug)]
pub(crate) struct Disorder;

impl Upload {
    /// From here on it goes another way.
    pub(crate) fn restart(&mut self) {
        self.way = Way::default();
    }

    /// Takes in what the daemon says to have.
    pub(crate) fn hear(&mut self, Taken { bytes, until }: Taken) -> Result<(), Disorder> {
        if self.stage == Stage::Unasked {
            (self.taken, self.skip, self.stage) = (bytes, bytes, Stage::Open);
        }
        let news = bytes.checked_sub(self.taken).and_then(|news| usize::try_from(news).ok());
        let news = news.filter(|news| *news <= self.kept.len()).ok_or(Disorder)?;
        self.kept.advance(news);
        self.taken = bytes;
        self.way.framed = self.way.framed.saturating_sub(news);
        self.way.is_open = true;
        match until {
            Some(until) => {
                let room = until.checked_sub(bytes).ok_or(Disorder)?;
                self.way.room = usize::try_from(room).unwrap_or(usize::MAX);
            }
            None if self.stage == Stage::Open => self.stage = Stage::Unwanted,
            None => {}
        }
        Ok(())
    }

    /// Whether the next piece, of at most [`MAX_DATA`], may be given.
    pub(crate) fn has_room(&self) -> bool {
        self.stage == Stage::Open && self.kept.len().saturating_add(MAX_DATA) <= STDIN_AHEAD
    }

    /// Gives the next piece.
    pub(crate) fn give(&mut self, piece: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip = self.skip.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
        self.kept.extend_from_slice(piece.get(skipped..).unwrap_or_default());
    }

    /// That was all of it.
    pub(crate) fn end(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Ended;
        }
    }

    /// The terminal is of this size. Of several that could not be said meanwhile, the last is.
    pub(crate) fn resize(&mut self, size: WindowSize) {
        self.size = Some(size);
    }

    /// Sends as much as the stream takes at once; comes back when some of it went. Dropping the future loses nothing.
    pub(crate) async fn send(&mut self, stream: &mut Giving) -> io::Result<()> {
        if self.way.rest.is_empty() {
            self.way.rest = self.frame().unwrap_or_default();
        }
        if self.way.rest.is_empty() {
            return std::future::pending().await;
        }
        let length = stream.write(&self.way.rest).await?;
        self.way.rest.advance(length);
        Ok(())
    }

    /// The next frame that may go, if there is one.
    fn frame(&mut self) -> Option<Bytes> {
        if let Some(size) = self.resized() {
            return Frame::Resize(size).encode().ok().map(Bytes::from);
        }
        if !self.way.is_open || matches!(self.stage, Stage::Unasked | Stage::Unwanted) {
            return None;
        }
        let end = self.way.framed.saturating_add(MAX_DATA).min(self.kept.len()).min(self.way.room);
        let frame = match self.kept.get(self.way.framed..end) {
            Some(piece) if !piece.is_empty() => {
                self.way.framed = end;
                Frame::Stdin(Bytes::copy_from_slice(piece))
            }
            Some(_) | None if self.may_end() => {
                self.way.end_framed = true;
                Frame::StdinEnd
            }
            Some(_) | None => return None,
        };
        frame.encode().ok().map(Bytes::from)
    }

    /// The size, where it is news.
    fn resized(&mut self) -> Option<WindowSize> {
        let news = self.size.filter(|_| self.way.is_open && self.way.sized != self.size)?;
        self.way.sized = Some(news);
        Some(news)
    }

    fn may_end(&self) -> bool {
        let is_last = self.way.framed == self.kept.len();
        is_last && self.stage == Stage::Ended && !self.way.end_framed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(bytes: u64) -> Taken {
        Taken { bytes, until: Some(bytes + STDIN_AHEAD as u64) }
    }

    fn asked() -> Upload {
        let mut upload = Upload::default();
        upload.hear(taken(0)).unwrap();
        upload
    }

    /// All frames that may go now, as data and whether the end was among them.
    fn frames(upload: &mut Upload) -> (Vec<u8>, bool) {
        let (mut data, mut end) = (Vec::new(), false);
        while let Some(frame) = upload.frame() {
            match frame[0] {
                wire::frame::STDIN => data.extend_from_slice(&frame[wire::frame::HEADER..]),
                _ => end = true,
            }
        }
        (data, end)
    }

    #[test]
    fn nothing_goes_before_the_daemon_asks() {
        let mut upload = Upload::default();
        assert!(!upload.has_room());
        upload.end();
        assert_eq!(frames(&mut upload), (vec![], false));
        upload.hear(taken(0)).unwrap();
        assert!(upload.has_room());
        upload.end();
        assert_eq!(frames(&mut upload), (vec![], true));
        assert_eq!(frames(&mut upload), (vec![], false), "the end is said once");
    }

    #[test]
    fn no_more_is_kept_than_the_daemon_takes_ahead() {
        let mut upload = asked();
        let mut kept = 0;
        while upload.has_room() {
            upload.give(&vec![7; MAX_DATA]);
            kept += MAX_DATA;
        }
        assert_eq!(kept, STDIN_AHEAD);
        assert_eq!(frames(&mut upload).0.len(), STDIN_AHEAD);
        assert_eq!(frames(&mut upload).0.len(), 0);
        upload.hear(taken(MAX_DATA as u64)).unwrap();
        assert!(upload.has_room());
    }

    #[test]
    fn another_stream_goes_on_where_the_daemon_says_and_says_the_end_again() {
        let mut upload = asked();
        upload.give(b"one two three");
        upload.end();
        assert_eq!(frames(&mut upload), (b"one two three".to_vec(), true));
        upload.hear(taken(4)).unwrap();
        upload.restart();
        assert_eq!(frames(&mut upload), (vec![], false), "not before it says so");
        upload.hear(taken(8)).unwrap();
        assert_eq!(frames(&mut upload), (b"three".to_vec(), true));
        upload.restart();
        upload.hear(taken(13)).unwrap();
        assert_eq!(frames(&mut upload), (vec![], true));
    }

    #[test]
    fn what_an_earlier_process_gave_is_not_given_again() {
        let mut upload = Upload::default();
        upload.hear(taken(6)).unwrap();
        upload.give(b"one ");
        upload.give(b"two three");
        assert_eq!(frames(&mut upload).0, b"o three");
    }

    #[test]
    fn a_verb_that_reads_no_more_is_given_no_more() {
        let mut upload = asked();
        upload.give(b"one");
        upload.hear(Taken { bytes: 0, until: None }).unwrap();
        assert!(!upload.has_room());
        upload.end();
        assert_eq!(frames(&mut upload), (vec![], false));
    }

    #[test]
    fn each_stream_is_told_the_size_as_it_is_once_it_may_be() {
        let size = |rows| WindowSize::new(rows, 80).unwrap();
        let resized = |rows| Frame::Resize(size(rows)).encode().unwrap();
        let mut upload = Upload::default();
        upload.resize(size(1));
        upload.resize(size(2));
        assert_eq!(upload.frame(), None);
        upload.hear(taken(0)).unwrap();
        assert_eq!(upload.frame().unwrap(), resized(2));
        assert_eq!(upload.frame(), None, "once");
        upload.restart();
        assert_eq!(upload.frame(), None);
        upload.hear(taken(0)).unwrap();
        upload.end();
        assert_eq!(upload.frame().unwrap(), resized(2));
        assert_eq!(upload.frame().unwrap(), Frame::StdinEnd.encode().unwrap());
        upload.resize(size(3));
        assert_eq!(upload.frame().unwrap(), resized(3), "also after the last key");
    }

    #[test]
    fn no_more_goes_than_the_daemon_has_room_for() {
        let mut upload = Upload::default();
        upload.hear(Taken { bytes: 0, until: Some(2) }).unwrap();
        upload.give(b"four");
        upload.end();
        assert_eq!(frames(&mut upload), (b"fo".to_vec(), false));
        upload.hear(Taken { bytes: 2, until: Some(2) }).unwrap();
        assert_eq!(frames(&mut upload), (vec![], false));
        upload.hear(Taken { bytes: 2, until: Some(9) }).unwrap();
        assert_eq!(frames(&mut upload), (b"ur".to_vec(), true));
    }

    #[test]
    fn a_daemon_cannot_have_what_it_was_not_given_nor_lose_what_it_had() {
        let mut upload = asked();
        upload.give(b"four");
        frames(&mut upload);
        assert!(upload.hear(taken(5)).is_err());
        upload.hear(taken(4)).unwrap();
        assert!(upload.hear(taken(3)).is_err());
    }
}
