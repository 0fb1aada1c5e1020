//! Who may wait at a door, as plain data: strangers cost memory and handshakes, so there is a bound, and whoever has
//! said nothing for longest makes room, so that they cannot keep the recipient out.

use std::collections::{BTreeMap, VecDeque};

use tokio_util::sync::CancellationToken;
use wire::privsep::ChannelId;

use super::super::shares::Door;

/// Who may be on their way to one seat at once. A stranger needs the seat's secret to get so far, or is the relay; to crowd
/// the recipient out, this many would have to come within the recipient's one round trip.
const PER_SEAT: usize = 16;

/// The same for all seats together: with one stream's window each, 64 MiB.
const IN_ALL: usize = 256;

/// Those who are on their way to a seat.
#[derive(Default)]
pub(super) struct Places {
    doors: BTreeMap<Door, VecDeque<Waiting>>,
    count: usize,
}

struct Waiting {
    id: ChannelId,
    /// Cancelled when it has to make room. None once it has asked: what the monitor looks at is not taken away.
    evict: Option<CancellationToken>,
}

impl Places {
    /// Takes a place at `door`, if need be another's. What tells it to make room in its turn; `None` when there is none.
    pub(super) fn enter(&mut self, door: Door, id: ChannelId) -> Option<CancellationToken> {
        let of_seat = self.doors.get(&door).map_or(0, VecDeque::len);
        if of_seat >= PER_SEAT {
            self.evict(door)?;
        } else if self.count >= IN_ALL {
            return None;
        }
        let evict = CancellationToken::new();
        let waiting = Waiting { id, evict: Some(evict.clone()) };
        self.doors.entry(door).or_default().push_back(waiting);
        self.count = self.count.saturating_add(1);
        Some(evict)
    }

    fn evict(&mut self, door: Door) -> Option<()> {
        let waiting = self.doors.get_mut(&door)?;
        let place = waiting.iter().position(|waiting| waiting.evict.is_some())?;
        let evicted = waiting.remove(place)?;
        self.count = self.count.saturating_sub(1);
        evicted.evict?.cancel();
        Some(())
    }

    /// The channel has said its first word: it keeps its place until it leaves.
    pub(super) fn settle(&mut self, door: Door, id: ChannelId) {
        let waiting = self.doors.get_mut(&door);
        let mine = waiting.and_then(|waiting| waiting.iter_mut().find(|waiting| waiting.id == id));
        if let Some(mine) = mine {
            mine.evict = None;
        }
    }

    /// Gives the place back.
    pub(super) fn leave(&mut self, door: Door, id: ChannelId) {
        let Some(waiting) = self.doors.get_mut(&door) else { return };
        let before = waiting.len();
        waiting.retain(|waiting| waiting.id != id);
        self.count = self.count.saturating_sub(before.saturating_sub(waiting.len()));
        if waiting.is_empty() {
            self.doors.remove(&door);
        }
    }

    /// Sends away whoever waits for a seat that `over` names.
    pub(super) fn clear(&mut self, over: impl Fn(Door) -> bool) {
        let at = self.doors.iter().filter(|(door, _)| over(**door));
        at.flat_map(|(_, waiting)| waiting)
            .filter_map(|waiting| waiting.evict.as_ref())
            .for_each(CancellationToken::cancel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{SeatId, ShareId};

    fn door(seat: u8) -> Door {
        Door { share: ShareId::from_random([1; 8]), seat: SeatId(seat) }
    }

    fn full(places: &mut Places, seat: u8) -> Vec<CancellationToken> {
        (0..PER_SEAT as u64).map(|id| places.enter(door(seat), ChannelId(id)).unwrap()).collect()
    }

    #[test]
    fn se8_whoever_has_been_silent_for_longest_makes_room_for_the_next() {
        let mut places = Places::default();
        let waiting = full(&mut places, 0);
        assert!(waiting.iter().all(|waiting| !waiting.is_cancelled()));
        let next = places.enter(door(0), ChannelId(100)).unwrap();
        assert!(waiting[0].is_cancelled());
        assert!(!waiting[1].is_cancelled() && !next.is_cancelled());
    }

    #[test]
    fn whoever_has_asked_is_not_sent_away_for_a_stranger() {
        let mut places = Places::default();
        let waiting = full(&mut places, 0);
        places.settle(door(0), ChannelId(0));
        places.enter(door(0), ChannelId(100)).unwrap();
        assert!(!waiting[0].is_cancelled());
        assert!(waiting[1].is_cancelled());
    }

    #[test]
    fn where_all_have_asked_the_next_is_not_let_in() {
        let mut places = Places::default();
        let _waiting = full(&mut places, 0);
        (0..PER_SEAT as u64).for_each(|id| places.settle(door(0), ChannelId(id)));
        assert!(places.enter(door(0), ChannelId(100)).is_none());
        places.leave(door(0), ChannelId(3));
        assert!(places.enter(door(0), ChannelId(100)).is_some());
    }

    #[test]
    fn the_bound_over_all_seats_is_exact_and_a_place_that_is_left_is_free() {
        let mut places = Places::default();
        let seats = u8::try_from(IN_ALL / PER_SEAT).unwrap();
        let _waiting: Vec<_> = (0..seats).flat_map(|seat| full(&mut places, seat)).collect();
        assert!(places.enter(door(200), ChannelId(7)).is_none());
        places.leave(door(0), ChannelId(0));
        places.leave(door(0), ChannelId(0));
        assert!(places.enter(door(200), ChannelId(7)).is_some());
        assert!(places.enter(door(201), ChannelId(8)).is_none());
    }

    #[test]
    fn the_end_of_a_share_sends_away_only_its_own() {
        let mut places = Places::default();
        let (mine, other) = (full(&mut places, 0), full(&mut places, 1));
        places.clear(|over| over == door(0));
        assert!(mine.iter().all(CancellationToken::is_cancelled));
        assert!(!other.iter().any(CancellationToken::is_cancelled));
    }
}
