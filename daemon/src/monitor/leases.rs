//! Leases: the daemon's durable record of its shares. Public keys and dates; no secret of a share.

mod store;

use std::path::{Path, PathBuf};

use policy::{AgentName, Approve, Budget, Recipient, Scope, SeatId, ShareId, Timestamp};
use serde::{Deserialize, Serialize};

use super::audit::{Event, Record};
use crate::clock::{BootId, Instants};

/// The store's name in the state directory.
const STORE: &str = "leases";

/// Whose authority a share hands on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owner {
    /// As the kernel told it.
    pub(crate) uid: u32,
    /// The user's name then.
    pub(crate) user: String,
    /// The agent that they acted as.
    pub(crate) agent: AgentName,
}

/// How a share, or one seat of it, came to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum How {
    /// A person ended the share.
    Revoked,
    /// Its time was over, or policy withdrew it.
    Expired,
    /// A person ended this seat.
    Kicked,
    /// It never began: opening it failed half-way.
    Failed,
}

/// When and how something ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ended {
    pub(crate) at: Timestamp,
    pub(crate) how: How,
}

/// One recipient's place in a share.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seat {
    pub(crate) id: SeatId,
    /// For whom it was made.
    pub(crate) recipient: Recipient,
    /// The public key by which the relay pairs it.
    pub(crate) rendezvous: [u8; 32],
    /// The public key that signs its redemption.
    pub(crate) redeem: [u8; 32],
    /// The key that holds it, once it is redeemed.
    pub(crate) holder: Option<[u8; 32]>,
    /// SHA-256 of the passport that it was given.
    pub(crate) passport: [u8; 32],
    /// To whom it was handed on, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) sub_holders: Vec<SubHolder>,
    pub(crate) ended: Option<Ended>,
}

/// A key to which a seat was handed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SubHolder {
    /// The redeem key that a passport named.
    pub(crate) redeem: [u8; 32],
    /// The key that redeemed it.
    pub(crate) holder: [u8; 32],
    /// The key that handed it on.
    pub(crate) by: [u8; 32],
}

impl Seat {
    /// The key that holds what this redeem key stands for.
    pub(crate) fn holder_of(&self, redeem: &[u8; 32]) -> Option<[u8; 32]> {
        if self.redeem == *redeem {
            return self.holder;
        }
        self.sub_holders.iter().find(|sub| sub.redeem == *redeem).map(|sub| sub.holder)
    }

    /// Whether the key is one to which the seat was handed on.
    pub(crate) fn is_sub_holder(&self, key: &[u8; 32]) -> bool {
        self.sub_holders.iter().any(|sub| sub.holder == *key)
    }

    /// Whether the key has a place here, its own or one that was handed on.
    pub(crate) fn is_held_by(&self, key: &[u8; 32]) -> bool {
        self.holder == Some(*key) || self.is_sub_holder(key)
    }

    /// For whom `key` acts: the seat's own holder first, whoever handed on to it last.
    pub(crate) fn acting_for(&self, key: &[u8; 32]) -> Vec<[u8; 32]> {
        let parent = |key: &[u8; 32]| {
            self.sub_holders.iter().find(|sub| sub.holder == *key).map(|sub| sub.by)
        };
        let above = std::iter::successors(parent(key), parent);
        let mut above: Vec<_> = above.take(policy::passport::MAX_BLOCKS).collect();
        above.reverse();
        above
    }
}

/// One share, as it has to survive a crash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lease {
    pub(crate) id: ShareId,
    pub(crate) owner: Owner,
    /// When it was opened, on both clocks.
    pub(crate) opened: Instants,
    /// The boot that it was opened in, and that it ends with.
    pub(crate) boot: BootId,
    /// When it ends as it stands.
    pub(crate) deadline: Timestamp,
    /// Past which it is never extended.
    pub(crate) hard_stop: Timestamp,
    /// What is shared as it stands.
    pub(crate) scope: Scope,
    /// How often a seat may be handed on.
    pub(crate) depth: u8,
    /// Calls that may be made.
    pub(crate) calls_max: u64,
    /// What its owner, or a rule when it was opened, lets be used.
    pub(crate) budget: Budget,
    /// What its owner demands beyond policy.
    pub(crate) approve: Approve,
    /// The relays that its handles name.
    pub(crate) relays: Vec<String>,
    /// Where in the audit log it begins.
    pub(crate) recorded_from: u64,
    pub(crate) seats: Vec<Seat>,
    pub(crate) ended: Option<Ended>,
}

/// Why a lease was not kept or not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseFault {
    #[error("the leases in `{}` cannot be opened", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: Box<sled::Error>,
    },
    #[error("the leases cannot be written")]
    Write(#[source] Box<sled::Error>),
    #[error("the leases cannot be read")]
    Read(#[source] Box<sled::Error>),
    #[error("a lease cannot be encoded")]
    Encode(#[source] serde_cbor::Error),
}

/// The store. What `put` has returned from is on the disk.
#[derive(Debug)]
pub(crate) struct Leases {
    path: PathBuf,
    /// None after a write error, until it could be opened again.
    store: Option<sled::Db>,
}

impl Leases {
    /// Opens the store in `state`, or makes it.
    pub(crate) fn open(state: &Path) -> Result<Self, LeaseFault> {
        let path = state.join(STORE);
        let store = Some(store::open(&path)?);
        Ok(Self { path, store })
    }

    /// Keeps `lease`, over what was kept for its share before.
    pub(crate) fn put(&mut self, lease: &Lease) -> Result<(), LeaseFault> {
        self.put_all([lease])
    }

    /// Keeps them all, with one wait for the disk.
    pub(crate) fn put_all<'a>(
        &mut self,
        leases: impl IntoIterator<Item = &'a Lease>,
    ) -> Result<(), LeaseFault> {
        let encode = |lease: &'a Lease| Ok((lease.id, serde_cbor::to_vec(lease)?));
        let encoded: Vec<(ShareId, Vec<u8>)> =
            leases.into_iter().map(encode).collect::<Result<_, _>>().map_err(LeaseFault::Encode)?;
        self.write(|store| {
            encoded.iter().try_for_each(|(share, bytes)| {
                store.insert(share.as_bytes(), bytes.as_slice()).map(drop)
            })
        })
    }

    /// Forgets these shares, with one wait for the disk.
    pub(crate) fn forget(&mut self, shares: &[ShareId]) -> Result<(), LeaseFault> {
        self.write(|store| {
            shares.iter().try_for_each(|share| store.remove(share.as_bytes()).map(drop))
        })
    }

    /// Every lease, and how many could not be read: those are over, since nobody knows them.
    pub(crate) fn all(&mut self) -> Result<(Vec<Lease>, usize), LeaseFault> {
        let (mut leases, mut unreadable) = (Vec::new(), 0);
        for entry in self.store()?.iter() {
            let (key, bytes) = entry.map_err(|error| LeaseFault::Read(Box::new(error)))?;
            match serde_cbor::from_slice::<Lease>(&bytes) {
                Ok(lease) if key == lease.id.as_bytes() => leases.push(lease),
                Ok(_) | Err(_) => unreadable += 1,
            }
        }
        Ok((leases, unreadable))
    }

    fn write(
        &mut self,
        act: impl FnOnce(&sled::Db) -> Result<(), sled::Error>,
    ) -> Result<(), LeaseFault> {
        let store = self.store()?;
        let written = act(store).and_then(|()| store.flush().map(drop));
        // After a failed write sled's memory and the disk may differ: only the disk is trusted.
        written.map_err(|error| {
            self.store = None;
            LeaseFault::Write(Box::new(error))
        })
    }

    fn store(&mut self) -> Result<&sled::Db, LeaseFault> {
        let store = match self.store.take() {
            Some(store) => store,
            None => store::open(&self.path)?,
        };
        Ok(self.store.insert(store))
    }
}

/// Takes one record of a lease's share into account: an ending on record counts although its lease could not be written, and
/// so does a redemption.
pub(crate) fn overrule(lease: &mut Lease, record: &Record) {
    let ended = |how| Some(Ended { at: record.time, how });
    match &record.event {
        Event::ShareRevoked { .. } => lease.ended = lease.ended.or(ended(How::Revoked)),
        Event::ShareExpired { .. } => lease.ended = lease.ended.or(ended(How::Expired)),
        Event::SeatKicked { seat, .. } => {
            if let Some(seat) = lease.seats.iter_mut().find(|known| known.id == *seat) {
                seat.ended = seat.ended.or(ended(How::Kicked));
            }
        }
        Event::SeatRedeemed { at, .. } => {
            if let Some(seat) = lease.seats.iter_mut().find(|known| known.id == at.seat) {
                seat.holder.get_or_insert(at.holder.0);
            }
        }
        Event::SeatHandedOn { at, redeem, .. } => {
            let seat = lease.seats.iter_mut().find(|known| known.id == at.seat);
            if let (Some(seat), Some(by)) = (seat, at.acting_for.last())
                && seat.holder_of(&redeem.0).is_none()
            {
                let (redeem, holder, by) = (redeem.0, at.holder.0, by.0);
                seat.sub_holders.push(SubHolder { redeem, holder, by });
            }
        }
        Event::DaemonStarted { .. }
        | Event::DaemonStopped { .. }
        | Event::BrokerRestarted { .. }
        | Event::PolicyReloaded { .. }
        | Event::PolicyRejected { .. }
        | Event::ShareOpened { .. }
        | Event::ServicesAsked { .. }
        | Event::OpenRefused { .. }
        | Event::ShareExtended { .. }
        | Event::RedeemRefused { .. }
        | Event::CallStarted { .. }
        | Event::CallRefused { .. }
        | Event::CallEnded { .. }
        | Event::NoteLeft { .. }
        | Event::ConsentRequested { .. }
        | Event::AccessRequested { .. }
        | Event::AccessRefused { .. }
        | Event::ConsentGiven { .. }
        | Event::ConsentRefused { .. }
        | Event::RequestEnded { .. }
        | Event::ContactAdded { .. }
        | Event::ContactRemoved { .. }
        | Event::AdminUsed { .. }
        | Event::AuditRecovered { .. }
        | Event::EndingsDropped { .. }
        | Event::UnsignedFailures { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::audit::{Expiry, Hex, Holder, Recorded, Said, Who};
    use std::time::Duration;

    fn seat(id: u8) -> Seat {
        Seat {
            id: SeatId(id),
            recipient: Recipient::Bearer,
            rendezvous: [1; 32],
            redeem: [2; 32],
            holder: None,
            passport: [3; 32],
            sub_holders: vec![],
            ended: None,
        }
    }

    fn lease(id: u8) -> Lease {
        Lease {
            id: ShareId::from_random([id; 8]),
            owner: Owner { uid: 1000, user: "alice".into(), agent: "you".parse().unwrap() },
            opened: Instants { wall: Timestamp(5), boot: Duration::from_millis(1) },
            boot: BootId::named("a"),
            deadline: Timestamp(1_000),
            hard_stop: Timestamp(2_000),
            scope: Scope::default(),
            depth: 0,
            calls_max: 7,
            budget: Budget::default(),
            approve: Approve::Never,
            relays: vec!["relay.example.com:443".into()],
            recorded_from: 99,
            seats: vec![seat(0), seat(1)],
            ended: None,
        }
    }

    fn record(event: Event) -> Record {
        Record { seq: 1, time: Timestamp(50), event }
    }

    fn who() -> Who {
        Who { uid: 1000, user: "alice".into(), agent: Some("you".parse().unwrap()) }
    }

    #[test]
    fn p11_a_lease_is_there_after_the_store_was_closed() {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        leases.put(&lease(1)).unwrap();
        let mut redeemed = lease(2);
        redeemed.seats[0].holder = Some([9; 32]);
        leases.put(&lease(2)).unwrap();
        leases.put(&redeemed).unwrap();
        drop(leases);
        let mut leases = Leases::open(dir.path()).unwrap();
        assert_eq!(leases.all().unwrap(), (vec![lease(1), redeemed], 0));
        leases.forget(&[lease(1).id]).unwrap();
        assert_eq!(leases.all().unwrap().0.len(), 1);
    }

    #[test]
    fn p11_what_put_returned_from_survives_a_process_that_never_closes() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut leases = Leases::open(from.path()).unwrap();
        leases.put(&lease(1)).unwrap();
        // What is in the files now is what a kill -9 would leave.
        std::fs::create_dir(to.path().join(STORE)).unwrap();
        for entry in std::fs::read_dir(from.path().join(STORE)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                std::fs::copy(entry.path(), to.path().join(STORE).join(entry.file_name())).unwrap();
            }
        }
        assert_eq!(Leases::open(to.path()).unwrap().all().unwrap().0, [lease(1)]);
    }

    #[test]
    fn a_lease_that_cannot_be_read_is_counted_and_never_live() {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        leases.put(&lease(1)).unwrap();
        let other = serde_cbor::to_vec(&lease(3)).unwrap();
        leases
            .write(|store| store.insert(lease(2).id.as_bytes(), other.as_slice()).map(drop))
            .unwrap();
        leases.write(|store| store.insert([7; 8], &b"junk"[..]).map(drop)).unwrap();
        assert_eq!(leases.all().unwrap(), (vec![lease(1)], 2));
    }

    #[test]
    fn after_a_failed_write_the_store_is_opened_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut leases = Leases::open(dir.path()).unwrap();
        leases.put(&lease(1)).unwrap();
        let failed = leases.write(|_| Err(sled::Error::Io(std::io::Error::other("full"))));
        assert!(matches!(failed, Err(LeaseFault::Write(_))));
        assert!(leases.store.is_none());
        leases.put(&lease(2)).unwrap();
        assert_eq!(leases.all().unwrap().0.len(), 2);
    }

    #[test]
    fn p11_an_ending_on_record_counts_although_its_lease_could_not_be_written() {
        let (mut one, mut two) = (lease(1), lease(2));
        let revoked = Event::ShareRevoked {
            by: who(),
            share: one.id,
            reason: Said::default(),
            calls: 0,
            alive: vec![],
        };
        let expired = Event::ShareExpired { share: two.id, why: Expiry::Deadline, calls: 0 };
        overrule(&mut one, &record(revoked));
        overrule(&mut two, &record(expired));
        let ended = |how| Some(Ended { at: Timestamp(50), how });
        assert_eq!(one.ended, ended(How::Revoked));
        assert_eq!(two.ended, ended(How::Expired));
    }

    #[test]
    fn p11_a_kick_and_a_redemption_on_record_count_for_their_seat_alone() {
        let kicked = Event::SeatKicked {
            by: who(),
            share: lease(1).id,
            seat: SeatId(1),
            recipient: Recipient::Bearer,
            reason: Said::new(""),
            calls: 0,
        };
        let at = Holder::new(lease(1).id, SeatId(0), [8; 32]);
        let redeemed = Event::SeatRedeemed { at, recipient: Recipient::Bearer };
        let mut lease = lease(1);
        overrule(&mut lease, &record(kicked));
        overrule(&mut lease, &record(redeemed));
        let [first, second] = &lease.seats[..] else { panic!("two seats") };
        assert_eq!((first.holder, first.ended), (Some([8; 32]), None));
        assert_eq!(second.holder, None);
        assert!(matches!(second.ended, Some(Ended { how: How::Kicked, .. })));
        assert_eq!(lease.ended, None);
    }

    #[test]
    fn p11_who_was_handed_a_seat_is_read_from_the_record_and_bound_once() {
        let handed_on = |redeem, holder, above: &[u8]| {
            let acting_for = above.iter().map(|key| Hex([*key; 32])).collect();
            let at = Holder { acting_for, ..Holder::new(lease(1).id, SeatId(0), [holder; 32]) };
            record(Event::SeatHandedOn {
                at,
                recipient: Recipient::Bearer,
                redeem: Hex([redeem; 32]),
                until: Timestamp(9),
                scope: Recorded::of(&Scope::default()),
                reason: Said::default(),
            })
        };
        let mut lease = lease(1);
        lease.seats[0].holder = Some([8; 32]);
        overrule(&mut lease, &handed_on(20, 10, &[8]));
        overrule(&mut lease, &handed_on(20, 11, &[8]));
        overrule(&mut lease, &handed_on(21, 12, &[8, 10]));
        let seat = &lease.seats[0];
        assert_eq!(seat.holder_of(&[20; 32]), Some([10; 32]));
        assert_eq!(seat.acting_for(&[12; 32]), [[8; 32], [10; 32]]);
        assert_eq!(seat.acting_for(&[8; 32]), Vec::<[u8; 32]>::new());
        assert!(seat.is_held_by(&[8; 32]) && seat.is_held_by(&[12; 32]));
        assert!(!seat.is_held_by(&[11; 32]) && !seat.is_sub_holder(&[8; 32]));
        assert_eq!(lease.seats[1].sub_holders, []);
    }

    #[test]
    fn a_lease_of_before_seats_were_handed_on_is_read() {
        let bytes = serde_cbor::to_vec(&lease(1)).unwrap();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(!text.contains("sub_holders"), "as it was written then");
        assert_eq!(serde_cbor::from_slice::<Lease>(&bytes).unwrap(), lease(1));
    }
}
