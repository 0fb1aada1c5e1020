//! The way of one stream to the daemon: on the road that there is, and on the next when that one is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::frames::FrameReader;
use crate::road::{Giving, Road};
use crate::session::{Link, Over, Shared};

/// A daemon that ends the stream without a word so often is not asked again.
const MOST_BROKEN: u32 = 3;
/// Whoever holds the channel and has no room is asked again after this.
const NO_ROOM: Duration = Duration::from_millis(300);

/// Finds a road for one stream, again and again.
#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) shared: Arc<Shared>,
    /// The number of the channel that was tried last.
    tried: Option<u64>,
    broken: u32,
    told_loss: bool,
    not_before: Option<Instant>,
}

/// Where a stream can be opened now.
#[derive(Debug)]
pub(crate) enum Next {
    /// Here.
    Place(Place),
    /// Nowhere for now; said once for each loss.
    Lost,
}

/// A road, and the number of its channel.
#[derive(Debug)]
pub(crate) struct Place {
    road: Road,
    number: u64,
}

/// A stream that is open.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) send: Giving,
    pub(crate) frames: FrameReader,
    on: Place,
}

/// No further stream is worth it.
#[derive(Debug)]
pub(crate) struct Spent;

impl Way {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, tried: None, broken: 0, told_loss: false, not_before: None }
    }

    /// A channel that was not tried yet. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Result<Next, Over> {
        if let Some(moment) = self.not_before {
            sleep_until(moment).await;
            self.not_before = None;
        }
        let mut views = self.shared.view.subscribe();
        loop {
            let link = views.borrow_and_update().link.clone();
            match link {
                Link::Up(road, number) if self.tried != Some(number) => {
                    return Ok(Next::Place(Place { road, number }));
                }
                Link::Over(over) => return Err(over),
                Link::Down if !self.told_loss => {
                    self.told_loss = true;
                    return Ok(Next::Lost);
                }
                Link::Up(..) | Link::Down => {}
            }
            if views.changed().await.is_err() {
                return Err(Over::Closed);
            }
        }
    }

    /// A stream that begins with these bytes; nothing where it cannot be opened there.
    pub(crate) async fn open(&mut self, on: Place, first: &[u8]) -> Result<Option<Stream>, Spent> {
        if let Some((send, take)) = on.road.open(first).await {
            self.told_loss = false;
            return Ok(Some(Stream { send, frames: FrameReader::new(take), on }));
        }
        if on.road.is_ours() {
            self.tried = Some(on.number);
        } else {
            // Its holder has no room for now, or is gone, which is told.
            self.stumble()?;
            self.not_before = Some(Instant::now() + NO_ROOM);
        }
        Ok(None)
    }

    /// The stream broke: with its channel, or alone.
    pub(crate) fn broke(&mut self, stream: &Stream) -> Result<(), Spent> {
        let is_up = matches!(self.shared.view.borrow().link, Link::Up(..));
        match (stream.on.road.is_lost(stream.frames.stream()), is_up) {
            (true, _) => self.tried = Some(stream.on.number),
            (false, true) => self.stumble()?,
            (false, false) => {}
        }
        Ok(())
    }

    /// Once more there was no good reason for an end.
    fn stumble(&mut self) -> Result<(), Spent> {
        if self.broken >= MOST_BROKEN {
            return Err(Spent);
        }
        self.broken += 1;
        Ok(())
    }
}
