//! One joined channel, as the rest of the broker sees it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use policy::SeatId;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::call::Signed;
use wire::channel::Connection;
use wire::frame::{Frame, ShareEnd, Update};
use wire::note::NOTES_KEPT;
use wire::privsep::ChannelId;

use super::super::lock::lock;
use super::super::shares::Door;

/// A channel whose client holds its seat.
pub(in super::super) struct Channel {
    pub(in super::super) id: ChannelId,
    pub(in super::super) door: Door,
    /// The key that its client proved.
    pub(super) holder: [u8; 32],
    pub(in super::super) connection: Connection,
    /// What the client is still to be told.
    pub(in super::super) news: News,
    /// Cancelled when the client has said that it knows of the share's end.
    pub(in super::super) end_seen: CancellationToken,
    /// Calls that the monitor has and has not finished: a client that resets one and opens the next still waits for it.
    pub(in super::super) slots: Arc<Semaphore>,
    /// The tasks of its calls.
    pub(in super::super) calls: TaskTracker,
    given_up: AtomicBool,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let SeatId(seat) = self.door.seat;
        write!(f, "Channel({}, {}/{seat})", self.id.0, self.door.share)
    }
}

impl Channel {
    /// A channel that may have `calls` in flight.
    pub(super) fn new(
        (id, door, holder): (ChannelId, Door, [u8; 32]),
        connection: Connection,
        calls: u32,
    ) -> Self {
        let calls = usize::try_from(calls).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            id,
            door,
            holder,
            connection,
            news: News::default(),
            end_seen: CancellationToken::new(),
            slots: Arc::new(Semaphore::new(calls.min(Semaphore::MAX_PERMITS))),
            calls: TaskTracker::new(),
            given_up: AtomicBool::new(false),
        }
    }

    /// The client has been away for the grace already: its calls need not wait for it once more.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether the grace is used up.
    pub(in super::super) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

/// What a client is still to be told on its control stream: the latest of each kind, however slowly it reads; and of
/// notes as many as are kept anywhere.
#[derive(Default)]
pub(in super::super) struct News {
    untold: Mutex<Untold>,
    more: Notify,
}

#[derive(Default)]
struct Untold {
    update: Option<Update>,
    notes: VecDeque<Signed>,
    end: Option<ShareEnd>,
    end_told: bool,
}

impl News {
    /// The seat stands like this now. A new passport that was not told yet is not lost to a later change.
    pub(super) fn update(&self, update: Update) {
        let mut untold = lock(&self.untold);
        let earlier = untold.update.take().and_then(|update| update.passport);
        let passport = update.passport.or(earlier);
        untold.update = Some(Update { passport, ..update });
        self.more.notify_one();
    }

    /// A note was left.
    pub(super) fn note(&self, note: Signed) {
        let mut untold = lock(&self.untold);
        if untold.notes.len() >= NOTES_KEPT {
            untold.notes.pop_front();
        }
        untold.notes.push_back(note);
        self.more.notify_one();
    }

    /// The share is over.
    pub(super) fn end(&self, end: ShareEnd) {
        lock(&self.untold).end = Some(end);
        self.more.notify_one();
    }

    /// The next frame to send. Dropping the future loses nothing.
    pub(super) async fn next(&self) -> Frame {
        loop {
            if let Some(frame) = self.take() {
                return frame;
            }
            self.more.notified().await;
        }
    }

    /// Whether the end has been told: only then can the client have seen it.
    pub(super) fn end_was_told(&self) -> bool {
        lock(&self.untold).end_told
    }

    fn take(&self) -> Option<Frame> {
        let mut untold = lock(&self.untold);
        if untold.end_told {
            return None;
        }
        if let Some(end) = untold.end.take() {
            // Nothing that stood before matters now.
            (untold.update, untold.notes) = (None, VecDeque::new());
            untold.end_told = true;
            return Some(Frame::Ended(end));
        }
        let update = untold.update.take().map(|update| Frame::Update(Box::new(update)));
        update.or_else(|| untold.notes.pop_front().map(Frame::Noted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Timestamp;

    fn update(deadline: u64, passport: Option<&[u8]>) -> Update {
        let passport = passport.map(<[u8]>::to_vec);
        Update { deadline: Timestamp(deadline), passport, menu: Vec::new(), notes: 0 }
    }

    #[test]
    fn a_slow_reader_gets_the_latest_state_and_the_latest_passport() {
        let news = News::default();
        news.update(update(1, Some(b"first")));
        news.update(update(2, Some(b"second")));
        news.update(update(3, None));
        assert_eq!(news.take(), Some(Frame::Update(Box::new(update(3, Some(b"second"))))));
        assert_eq!(news.take(), None);
    }

    #[test]
    fn the_end_overtakes_all_else() {
        let news = News::default();
        news.update(update(1, None));
        news.end(ShareEnd::Expired);
        assert_eq!(news.take(), Some(Frame::Ended(ShareEnd::Expired)));
        assert_eq!(news.take(), None);
    }
}
