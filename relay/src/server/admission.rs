//! Who may knock: bounds on connections, before anything is known about who makes them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use crate::config::Limits;
use crate::lock::lock;

/// Addresses that one party can have many of: a host's IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Neighbourhood(IpAddr);

impl Neighbourhood {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(v4.into()),
            IpAddr::V6(v6) => {
                Self(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into())
            }
        }
    }
}

/// What is done with a connection that begins.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may shake hands.
    Enter(Entry),
    /// It must show first that its address is its own: otherwise a forger could use up another's share.
    Prove,
    /// It is told that the relay is full.
    Refuse,
}

/// The counts, and the bounds on them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: Count,
    by_neighbourhood: HashMap<Neighbourhood, Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    handshakes: u32,
    legs: u32,
}

/// One connection's place in the counts, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    admission: Arc<Admission>,
    neighbourhood: Neighbourhood,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Handshake,
    Leg,
}

impl Admission {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, counts: Mutex::default() }
    }

    /// Judges a connection from `address`; `validated` when it is known to receive what is sent there.
    pub(crate) fn arrive(self: &Arc<Self>, address: IpAddr, validated: bool) -> Verdict {
        let neighbourhood = Neighbourhood::of(address);
        let mut counts = lock(&self.counts);
        let here = counts.by_neighbourhood.get(&neighbourhood).copied().unwrap_or_default();
        if !validated && self.is_crowded(counts.all, here) {
            return Verdict::Prove;
        }
        if self.is_full(counts.all, here) {
            return Verdict::Refuse;
        }
        counts.all.handshakes += 1;
        counts.by_neighbourhood.entry(neighbourhood).or_default().handshakes += 1;
        Verdict::Enter(Entry {
            admission: Arc::clone(self),
            neighbourhood,
            place: Place::Handshake,
        })
    }

    fn is_full(&self, all: Count, here: Count) -> bool {
        all.handshakes >= self.limits.handshakes
            || here.handshakes >= self.limits.handshakes_per_address
            || all.legs >= self.limits.legs
            || here.legs >= self.limits.legs_per_address
    }

    fn is_crowded(&self, all: Count, here: Count) -> bool {
        all.handshakes >= self.limits.handshakes / 2
            || here.handshakes >= self.limits.handshakes_per_address / 2
            || self.is_full(all, here)
    }
}

impl Entry {
    /// Whose it is.
    pub(crate) fn neighbourhood(&self) -> Neighbourhood {
        self.neighbourhood
    }

    /// Counts as a leg from now on, no more as a handshake. Whether there was room.
    #[must_use]
    pub(crate) fn become_leg(&mut self) -> bool {
        let mut counts = lock(&self.admission.counts);
        let limits = &self.admission.limits;
        let here = counts.by_neighbourhood.entry(self.neighbourhood).or_default();
        if here.legs >= limits.legs_per_address {
            return false;
        }
        here.handshakes = here.handshakes.saturating_sub(1);
        here.legs += 1;
        counts.all.handshakes = counts.all.handshakes.saturating_sub(1);
        counts.all.legs += 1;
        self.place = Place::Leg;
        counts.all.legs <= limits.legs
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut counts = lock(&self.admission.counts);
        counts.all.leave(self.place);
        let Some(here) = counts.by_neighbourhood.get_mut(&self.neighbourhood) else { return };
        here.leave(self.place);
        if here.handshakes == 0 && here.legs == 0 {
            counts.by_neighbourhood.remove(&self.neighbourhood);
        }
    }
}

impl Count {
    fn leave(&mut self, place: Place) {
        match place {
            Place::Handshake => self.handshakes = self.handshakes.saturating_sub(1),
            Place::Leg => self.legs = self.legs.saturating_sub(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Arc<Admission> {
        let limits = Limits {
            handshakes: 10,
            handshakes_per_address: 4,
            legs: 3,
            legs_per_address: 2,
            ..Limits::default()
        };
        Arc::new(Admission::new(limits))
    }

    fn peer(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn enter(admission: &Arc<Admission>, last: u8) -> Entry {
        let verdict = admission.arrive(peer(last), true);
        let Verdict::Enter(entry) = verdict else { panic!("{verdict:?}") };
        entry
    }

    fn leg(admission: &Arc<Admission>, last: u8) -> Entry {
        let mut entry = enter(admission, last);
        assert!(entry.become_leg());
        entry
    }

    #[test]
    fn re7_handshakes_of_one_address_are_bounded_and_given_back() {
        let admission = admission();
        let mut entries: Vec<_> = (0..4).map(|_| enter(&admission, 1)).collect();
        assert!(matches!(admission.arrive(peer(1), true), Verdict::Refuse));
        assert!(matches!(admission.arrive(peer(1), false), Verdict::Prove));
        assert!(matches!(admission.arrive(peer(2), true), Verdict::Enter(_)));
        entries.pop();
        assert!(matches!(admission.arrive(peer(1), true), Verdict::Enter(_)));
    }

    #[test]
    fn re7_all_handshakes_together_are_bounded() {
        let admission = admission();
        let entries: Vec<_> = (0..10).map(|last| enter(&admission, last)).collect();
        assert!(matches!(admission.arrive(peer(99), true), Verdict::Refuse));
        drop(entries);
        assert!(matches!(admission.arrive(peer(99), true), Verdict::Enter(_)));
    }

    #[test]
    fn an_unproved_address_must_prove_itself_once_it_is_crowded() {
        let admission = admission();
        let _one = enter(&admission, 1);
        assert!(matches!(admission.arrive(peer(1), false), Verdict::Enter(_)));
        let _two = enter(&admission, 1);
        assert!(matches!(admission.arrive(peer(1), false), Verdict::Prove));
        assert!(matches!(admission.arrive(peer(1), true), Verdict::Enter(_)));
    }

    #[test]
    fn re7_legs_of_one_address_are_bounded() {
        let admission = admission();
        let mut early = enter(&admission, 1);
        let legs = [leg(&admission, 1), leg(&admission, 1)];
        assert!(matches!(admission.arrive(peer(1), true), Verdict::Refuse));
        assert!(!early.become_leg());
        drop(legs);
        assert!(early.become_leg());
    }

    #[test]
    fn re7_all_legs_together_are_bounded() {
        let admission = admission();
        let mut early = enter(&admission, 4);
        let _legs = [leg(&admission, 1), leg(&admission, 2), leg(&admission, 3)];
        assert!(matches!(admission.arrive(peer(5), true), Verdict::Refuse));
        assert!(!early.become_leg());
    }

    #[test]
    fn nothing_is_kept_of_who_has_left() {
        let admission = admission();
        drop((enter(&admission, 1), leg(&admission, 2)));
        assert!(lock(&admission.counts).by_neighbourhood.is_empty());
    }

    #[test]
    fn an_ipv6_network_is_one_neighbourhood_and_a_mapped_address_is_its_ipv4() {
        let of = |text: &str| Neighbourhood::of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
    }
}
