//! The shares that can be reached, and by which keys.

use std::collections::BTreeMap;

use policy::{SeatId, ShareId};
use relay::protocol::RendezvousKey;
use wire::channel::ChannelKey;
use wire::privsep::Admission;

/// One seat of one share: a door.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Door {
    pub(super) share: ShareId,
    pub(super) seat: SeatId,
}

/// The admitted shares.
#[derive(Default)]
pub(super) struct Shares {
    shares: BTreeMap<ShareId, Share>,
    doors: BTreeMap<RendezvousKey, Door>,
}

struct Share {
    key: ChannelKey,
    rendezvous: Vec<RendezvousKey>,
}

impl Shares {
    /// Adds a share, or replaces it. The keys of seats that it no longer has.
    pub(super) fn admit(&mut self, admission: &Admission) -> Vec<RendezvousKey> {
        let share = admission.share;
        let before = self.forget(share);
        let rendezvous: Vec<_> =
            admission.seats.iter().map(|seat| RendezvousKey(seat.rendezvous)).collect();
        for (seat, key) in admission.seats.iter().zip(&rendezvous) {
            self.doors.insert(*key, Door { share, seat: seat.seat });
        }
        let gone = before.into_iter().filter(|key| !rendezvous.contains(key)).collect();
        let key = ChannelKey::from_seed(admission.channel_key);
        self.shares.insert(share, Share { key, rendezvous });
        gone
    }

    /// Forgets a share and its channel key. The keys of its seats.
    pub(super) fn forget(&mut self, share: ShareId) -> Vec<RendezvousKey> {
        let keys = self.shares.remove(&share).map(|share| share.rendezvous).unwrap_or_default();
        for key in &keys {
            self.doors.remove(key);
        }
        keys
    }

    /// Forgets one seat of a share. Its key.
    pub(super) fn forget_seat(&mut self, door: Door) -> Vec<RendezvousKey> {
        let keys: Vec<_> =
            self.doors.iter().filter(|(_, of)| **of == door).map(|(key, _)| *key).collect();
        self.doors.retain(|_, of| *of != door);
        if let Some(share) = self.shares.get_mut(&door.share) {
            share.rendezvous.retain(|key| !keys.contains(key));
        }
        keys
    }

    /// Whether the seat is admitted still.
    pub(super) fn has(&self, door: Door) -> bool {
        self.doors.values().any(|of| *of == door)
    }

    /// Whose seat's key this is.
    pub(super) fn door(&self, key: RendezvousKey) -> Option<Door> {
        self.doors.get(&key).copied()
    }

    /// By what the share's channels know this end.
    pub(super) fn channel_key(&self, share: ShareId) -> Option<ChannelKey> {
        self.shares.get(&share).map(|share| share.key.clone())
    }

    /// The keys of a share's seats; none when it is not admitted, or no longer.
    pub(super) fn rendezvous(&self, share: ShareId) -> Vec<RendezvousKey> {
        self.shares.get(&share).map(|share| share.rendezvous.clone()).unwrap_or_default()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<ShareId> {
        self.shares.keys().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::privsep::SeatAdmission;

    fn admission(share: u8, keys: &[u8]) -> Admission {
        let seats = keys.iter().enumerate().map(|(index, key)| SeatAdmission {
            seat: SeatId(u8::try_from(index).unwrap()),
            rendezvous: [*key; 32],
        });
        let share = ShareId::from_random([share; 8]);
        Admission { share, channel_key: [7; 32], seats: seats.collect() }
    }

    #[test]
    fn a_key_leads_to_its_seat_until_the_share_is_forgotten() {
        let mut shares = Shares::default();
        let both = admission(1, &[7, 8]);
        assert!(shares.admit(&both).is_empty());
        let door = Door { share: both.share, seat: SeatId(1) };
        assert_eq!(shares.door(RendezvousKey([8; 32])), Some(door));
        assert!(shares.channel_key(both.share).is_some());
        assert_eq!(shares.forget(both.share), [7, 8].map(|key| RendezvousKey([key; 32])));
        assert_eq!(shares.door(RendezvousKey([8; 32])), None);
        assert!(shares.channel_key(both.share).is_none());
        assert!(shares.all().is_empty());
    }

    #[test]
    fn a_seat_is_forgotten_alone() {
        let mut shares = Shares::default();
        let both = admission(1, &[7, 8]);
        shares.admit(&both);
        let door = |seat| Door { share: both.share, seat: SeatId(seat) };
        assert_eq!(shares.forget_seat(door(0)), [RendezvousKey([7; 32])]);
        assert_eq!((shares.has(door(0)), shares.has(door(1))), (false, true));
        assert_eq!(shares.rendezvous(both.share), [RendezvousKey([8; 32])]);
        assert!(shares.channel_key(both.share).is_some());
    }

    #[test]
    fn a_share_that_is_admitted_again_has_only_its_new_seats() {
        let mut shares = Shares::default();
        shares.admit(&admission(1, &[7, 8]));
        assert_eq!(shares.admit(&admission(1, &[8, 9])), [RendezvousKey([7; 32])]);
        assert_eq!(shares.door(RendezvousKey([7; 32])), None);
        assert!(shares.door(RendezvousKey([9; 32])).is_some());
    }
}
