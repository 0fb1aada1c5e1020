//! Whoever comes through a leg: from a first packet to a seat that is theirs.

mod arrival;
mod channel;
mod end;
mod place;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::oneshot;
use wire::call::Signed;
use wire::channel::{Connection, Route, route_of};
use wire::frame::{Farewell, Joined, Refusal, Update};
use wire::privsep::{ChannelId, FromBroker};

pub(super) use channel::Channel;
use place::Places;

use super::Broker;
use super::farewell::close;
use super::lock::lock;
use super::shares::Door;

/// The monitor's answer to one who wants a seat.
enum Answer {
    Seated(Arc<Channel>, Box<Joined>),
    Refused(Refusal),
}

/// One who has asked the monitor for a seat.
struct Asking {
    door: Door,
    holder: [u8; 32],
    connection: Connection,
    answer: oneshot::Sender<Answer>,
}

/// All channels, joined or on their way.
#[derive(Default)]
pub(super) struct Channels {
    places: Places,
    asking: BTreeMap<ChannelId, Asking>,
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

    /// Adds a joined channel. The one that must go for it, when the seat has too many: the oldest of the key that has most,
    /// so that none to whom the seat was handed on crowds another out; whoever comes back after losing the network has
    /// not noticed yet that the old one is dead.
    fn add(&mut self, channel: Arc<Channel>, limit: usize) -> Option<Arc<Channel>> {
        let door = channel.door;
        self.by_door.entry(door).or_default().push_back(channel.id);
        self.joined.insert(channel.id, channel);
        let of_seat = self.by_door.get(&door)?;
        if of_seat.len() <= limit {
            return None;
        }
        let holder = |id: &ChannelId| self.joined.get(id).map(|channel| channel.holder);
        let channels_of = |key| of_seat.iter().filter(|id| holder(id) == key).count();
        // Of several, the last that the search meets is kept: it is to be the oldest.
        let crowding = of_seat.iter().rev().max_by_key(|id| channels_of(holder(id))).copied();
        let most = crowding.and_then(|id| holder(&id));
        let oldest = of_seat.iter().copied().find(|id| holder(id) == most)?;
        if let Some(of_seat) = self.by_door.get_mut(&door) {
            of_seat.retain(|id| *id != oldest);
        }
        self.joined.get(&oldest).cloned()
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
    /// Gives a seat. From here on the channel is among those that hear what the monitor says next, be it the share's end.
    pub(super) fn seated(&self, id: ChannelId, joined: Box<Joined>) {
        let asking = lock(&self.channels).asking.remove(&id);
        let Some(Asking { door, holder, connection, answer }) = asking else {
            // Whoever left meanwhile must not stay in the monitor's books.
            return self.monitor.say(&FromBroker::ChannelGone { channel: id });
        };
        if !lock(&self.shares).has(door) {
            // It ended while the monitor's word was under way.
            self.monitor.say(&FromBroker::ChannelGone { channel: id });
            let _ = answer.send(Answer::Refused(Refusal::NoSeat));
            return;
        }
        let channel =
            Arc::new(Channel::new((id, door, holder), connection, self.bounds.calls_in_flight));
        let limit = self.bounds.channels_per_seat;
        let oldest = lock(&self.channels).add(Arc::clone(&channel), limit);
        if let Some(oldest) = oldest {
            close(&oldest.connection, Farewell::Replaced);
        }
        if answer.send(Answer::Seated(Arc::clone(&channel), joined)).is_err() {
            self.forget(&channel);
        }
    }

    /// Refuses a seat.
    pub(super) fn refused(&self, id: ChannelId, refusal: Refusal) {
        let asking = lock(&self.channels).asking.remove(&id);
        if let Some(Asking { answer, .. }) = asking {
            let _ = answer.send(Answer::Refused(refusal));
        }
    }

    /// Takes a channel out of the books, the monitor's as well.
    fn forget(&self, channel: &Channel) {
        lock(&self.channels).remove(channel);
        self.monitor.say(&FromBroker::ChannelGone { channel: channel.id });
    }

    /// Tells a channel how what its client holds stands now.
    pub(super) fn update(&self, id: ChannelId, update: Update) {
        if let Some(channel) = lock(&self.channels).joined.get(&id) {
            channel.news.update(update);
        }
    }

    /// Tells a channel of a note.
    pub(super) fn noted(&self, id: ChannelId, note: Signed) {
        if let Some(channel) = lock(&self.channels).joined.get(&id) {
            channel.news.note(note);
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
