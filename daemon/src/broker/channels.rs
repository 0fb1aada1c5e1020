//! Whoever comes through a leg: from a first packet to a seat that is theirs.

mod arrival;
mod channel;
mod end;
mod place;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use policy::{SeatId, ShareId};
use tokio::sync::oneshot;
use wire::channel::{Route, route_of};
use wire::frame::{Farewell, Joined, Refusal, Update};
use wire::privsep::{ChannelId, FromBroker};

pub(super) use channel::Channel;
use place::Places;

use super::Broker;
use super::farewell::close;
use super::lock::lock;
use super::shares::Door;

/// The monitor's answer to one who wants a seat.
type Answer = Result<Box<Joined>, Refusal>;

/// All channels, joined or on their way.
#[derive(Default)]
pub(super) struct Channels {
    places: Places,
    asking: BTreeMap<ChannelId, oneshot::Sender<Answer>>,
    joined: BTreeMap<ChannelId, Arc<Channel>>,
    by_door: BTreeMap<Door, VecDeque<ChannelId>>,
    last: u64,
}

impl Channels {
    /// A number for one more channel.
    fn number(&mut self) -> ChannelId {
        self.last = self.last.wrapping_add(1);
        ChannelId(self.last)
    }

    /// Adds a joined channel. The one that must go for it, when the seat has too many: the oldest, since whoever comes
    /// back after losing the network has not noticed yet that the old one is dead.
    fn add(&mut self, channel: Arc<Channel>, limit: usize) -> Option<Arc<Channel>> {
        let of_seat = self.by_door.entry(channel.door).or_default();
        of_seat.push_back(channel.id);
        let oldest = if of_seat.len() > limit { of_seat.pop_front() } else { None };
        self.joined.insert(channel.id, channel);
        oldest.and_then(|id| self.joined.get(&id).cloned())
    }

    fn remove(&mut self, channel: &Channel) {
        self.joined.remove(&channel.id);
        let Some(of_seat) = self.by_door.get_mut(&channel.door) else { return };
        of_seat.retain(|id| *id != channel.id);
        if of_seat.is_empty() {
            self.by_door.remove(&channel.door);
        }
    }

    fn of(&self, wanted: impl Fn(Door) -> bool) -> Vec<Arc<Channel>> {
        self.joined.values().filter(|channel| wanted(channel.door)).cloned().collect()
    }
}

impl Broker {
    /// Hands the monitor's answer to the channel that asked. One that is gone meanwhile must not stay in the monitor's
    /// books.
    pub(super) fn joined(&self, channel: ChannelId, answer: Answer) {
        let asking = lock(&self.channels).asking.remove(&channel);
        let given = answer.is_ok();
        let heard = asking.is_some_and(|asking| asking.send(answer).is_ok());
        if given && !heard {
            self.monitor.say(&FromBroker::ChannelGone { channel });
        }
    }

    /// Tells every channel of a seat how it stands now.
    pub(super) fn update(&self, share: ShareId, seat: SeatId, update: &Update) {
        let channels = lock(&self.channels).of(|door| door == Door { share, seat });
        for channel in channels {
            channel.news.update(update.clone());
        }
    }

    /// A flow is over. A channel that is still on it after the grace has lost its client: a client that moved to another
    /// leg has shown itself there.
    pub(super) fn guest_left(&self, route: Route) {
        let left = lock(&self.channels).of(|_| true);
        let left = left.into_iter().filter(|channel| route_of(&channel.connection) == Some(route));
        for channel in left {
            let grace = self.bounds.grace;
            self.tasks.spawn(async move {
                tokio::time::sleep(grace).await;
                if route_of(&channel.connection) == Some(route) {
                    channel.give_up();
                    close(&channel.connection, Farewell::Unreachable);
                }
            });
        }
    }
}
