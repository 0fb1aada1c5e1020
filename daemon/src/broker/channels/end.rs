//! The end of a share, or of one seat: its holders are told, and it is as if it had never been.

use std::sync::Arc;
use std::time::Duration;

use policy::{SeatId, ShareId};
use relay::protocol::RendezvousKey;
use tokio::time::{sleep, timeout};
use wire::control::Told;
use wire::frame::{Farewell, ShareEnd};
use wire::privsep::FromBroker;

use super::super::Broker;
use super::super::farewell::close;
use super::super::lock::lock;
use super::super::shares::Door;
use super::channel::Channel;

/// How long the holders have to acknowledge: the monitor waits for 300 ms.
const TELL_LIMIT: Duration = Duration::from_millis(250);

/// How long the calls that the end has ended may take to say so. Their processes are dead by then, or will not die.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// With its key the relay forgets the flow, and what is still on it: the last packet goes first.
const GOODBYE: Duration = Duration::from_millis(100);

impl Broker {
    /// Ends a share here, or one seat of it: no new channel from now on, the holders told, the monitor answered, then
    /// everything forgotten.
    pub(in super::super) fn retire(&self, share: ShareId, seat: Option<SeatId>, end: &ShareEnd) {
        let keys = if let Some(seat) = seat {
            lock(&self.shares).forget_seat(Door { share, seat })
        } else {
            lock(&self.openings).forget(share);
            lock(&self.shares).forget(share)
        };
        let meant = |door: Door| door.share == share && seat.is_none_or(|seat| door.seat == seat);
        let channels = {
            let mut channels = lock(&self.channels);
            channels.places.clear(meant);
            channels.of(meant)
        };
        for channel in &channels {
            channel.news.end(end.clone());
        }
        let broker = self.clone();
        self.tasks.spawn(async move { broker.see_off((share, seat), channels, keys).await });
    }

    async fn see_off(
        &self,
        (share, seat): (ShareId, Option<SeatId>),
        channels: Vec<Arc<Channel>>,
        keys: Vec<RendezvousKey>,
    ) {
        let told = tell_all(&channels).await;
        self.monitor.say(&FromBroker::Told { share, seat, told });
        let _ = timeout(LAST_WORDS, last_words(&channels)).await;
        for channel in &channels {
            close(&channel.connection, Farewell::Ended);
        }
        sleep(GOODBYE).await;
        self.legs.unregister(&keys);
    }
}

async fn tell_all(channels: &[Arc<Channel>]) -> Told {
    if channels.is_empty() {
        return Told::NoChannel;
    }
    let all = async {
        for channel in channels {
            channel.end_seen.cancelled().await;
        }
    };
    match timeout(TELL_LIMIT, all).await {
        Ok(()) => Told::Acknowledged,
        Err(_) => Told::TimedOut,
    }
}

/// Until every call has told its holder how it ended, or has nobody to tell.
async fn last_words(channels: &[Arc<Channel>]) {
    for channel in channels {
        channel.calls.close();
        tokio::select! {
            biased;
            _ = channel.connection.closed() => {}
            () = channel.calls.wait() => {}
        }
    }
}
