//! One live share as the monitor holds it: the lease, its clock, and what has been asked under it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Alias, Budget, Consent, Groups, Passport, Principal, Recipient, SeatId, Standing, Timestamp,
    Used,
};
use wire::call::{CallId, OutcomeStatement};
use wire::control::Told;
use wire::privsep::ChannelId;

use super::audit::{Hex, Holder};
use super::beyond::Beyond;
use super::calls::{At, Run};
use super::leases::{Lease, Seat};
use super::meter::Meter;
use super::room::Room;
use crate::clock::{Instants, ShareClock};
use crate::config::Limits;

/// Passports that the holder of a seat may show: they may narrow as often, and no stranger's are kept.
const PASSPORTS_MAX: usize = 32;

/// Passports of a widened share that one seat may still call under.
const WIDENED_MAX: usize = 4;

/// The same for each to whom it was handed on, so that none of them uses up another's.
const SUB_PASSPORTS_MAX: usize = 8;

/// Channels of one seat that may make calls at once.
const CHANNELS_MAX: usize = 64;

/// Askings a second of one seat that are looked at: for each, passports are made to see whether they fit.
const ASKINGS: u32 = 10;

/// Refused redemptions a second that are recorded one by one; more are counted.
const TURNED_AWAY: u32 = 2;

/// A live share, or one that is ending.
pub(super) struct Share {
    pub(super) lease: Lease,
    pub(super) clock: ShareClock,
    pub(super) running: BTreeMap<CallKey, Current>,
    /// Calls that have ended, each with what is signed of it whenever it is asked for: their ids do not run again.
    pub(super) past: BTreeMap<CallKey, OutcomeStatement>,
    /// Askings that came to nothing, the oldest first.
    pub(super) asked: VecDeque<CallKey>,
    pub(super) channels: BTreeMap<ChannelId, Place>,
    pub(super) made: u64,
    pub(super) refused: u64,
    pub(super) refused_in_a_row: u32,
    pub(super) second_redeemers: u64,
    /// How many who were turned away are recorded one by one.
    pub(super) turned_away: Meter,
    /// Seats whose recipient is no longer a contact: they may call nothing.
    pub(super) unreachable: BTreeSet<SeatId>,
    pub(super) over: Option<Over>,
    /// Seats that were ended, until nothing of them runs.
    pub(super) leaving: BTreeMap<SeatId, Over>,
    /// What of calls that have ended may go on elsewhere, the oldest first.
    beyond: Vec<(SeatId, Beyond)>,
    /// Consents that hold for all calls of a verb.
    pub(super) consents: Vec<Consent>,
    /// Bytes of output of calls that have ended; of those whose output nobody counted, all that they could.
    pub(super) bytes: u64,
    /// What each running call may write.
    reserved: BTreeMap<Run, u64>,
    passports: BTreeMap<[u8; 32], (Place, Arc<Passport>)>,
    widened: BTreeMap<SeatId, VecDeque<[u8; 32]>>,
    /// What its owner and whoever holds a seat have said to each other.
    pub(super) rooms: BTreeMap<SeatId, Room>,
    meters: BTreeMap<SeatId, Meter>,
    askings: BTreeMap<SeatId, Meter>,
}

/// A key's place in a share, and a passport that it showed for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place {
    pub(super) seat: SeatId,
    pub(super) holder: [u8; 32],
    /// SHA-256 of the passport.
    pub(super) passport: [u8; 32],
}

/// A call's name: its id belongs to the key that signs it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct CallKey {
    pub(super) seat: SeatId,
    pub(super) holder: [u8; 32],
    pub(super) id: CallId,
}

/// A call that runs.
#[derive(Clone, Copy)]
pub(super) struct Current {
    /// What was asked.
    pub(super) content: [u8; 32],
    /// Which run.
    pub(super) run: Run,
}

/// How much that may go on elsewhere is remembered of one share.
const BEYOND_MAX: usize = 32;

/// A share, or a seat, that is over, and is being cleared away.
pub(super) struct Over {
    /// Boot time when it ended.
    pub(super) since: Duration,
    /// Whether the holders know; `None` while the broker has not said.
    pub(super) told: Option<Told>,
    /// Calls that this has ended.
    pub(super) ended_calls: u32,
    /// What of them goes on where nothing of here can end it.
    pub(super) beyond: Vec<String>,
}

impl Share {
    /// Notes what of a call of a seat may go on elsewhere, for whoever has ended the share or the seat, or will.
    pub(super) fn goes_on(&mut self, seat: SeatId, beyond: Beyond) {
        for over in self.over.iter_mut().chain(self.leaving.get_mut(&seat)) {
            over.beyond.push(beyond.words.clone());
        }
        if self.beyond.len() >= BEYOND_MAX {
            self.beyond.remove(0);
        }
        self.beyond.push((seat, beyond));
    }

    /// What may still go on elsewhere of the calls of a seat, or of all.
    pub(super) fn still_beyond(&self, seat: Option<SeatId>, now: Duration) -> Vec<String> {
        let meant = self.beyond.iter().filter(|(of, beyond)| {
            seat.is_none_or(|seat| seat == *of) && beyond.until.is_none_or(|until| until > now)
        });
        meant.map(|(_, beyond)| beyond.words.clone()).collect()
    }

    pub(super) fn new(lease: Lease) -> Self {
        Self {
            clock: ShareClock::opened(lease.opened),
            running: BTreeMap::new(),
            past: BTreeMap::new(),
            asked: VecDeque::new(),
            channels: BTreeMap::new(),
            made: 0,
            refused: 0,
            refused_in_a_row: 0,
            second_redeemers: 0,
            turned_away: Meter::new(TURNED_AWAY, lease.opened.boot),
            unreachable: BTreeSet::new(),
            over: None,
            leaving: BTreeMap::new(),
            beyond: Vec::new(),
            consents: Vec::new(),
            bytes: 0,
            reserved: BTreeMap::new(),
            passports: BTreeMap::new(),
            widened: BTreeMap::new(),
            rooms: BTreeMap::new(),
            meters: BTreeMap::new(),
            askings: BTreeMap::new(),
            lease,
        }
    }

    /// The share's own time.
    pub(super) fn now(&mut self, now: Instants) -> Timestamp {
        self.clock.read(now)
    }

    /// Whether its deadline has come.
    pub(super) fn is_due(&mut self, now: Instants) -> bool {
        let now = self.now(now);
        now >= self.lease.deadline.min(self.lease.hard_stop)
    }

    pub(super) fn seat(&self, seat: SeatId) -> Option<&Seat> {
        self.lease.seats.iter().find(|candidate| candidate.id == seat)
    }

    /// Whether one more message of this seat may be looked at now.
    pub(super) fn admits(&mut self, seat: SeatId, limits: &Limits, now: Duration) -> bool {
        let rate = limits.calls_per_second_per_seat;
        self.meters.entry(seat).or_insert_with(|| Meter::new(rate, now)).admits(now)
    }

    /// Whether one more asking of this seat may be looked at now.
    pub(super) fn admits_asking(&mut self, seat: SeatId, now: Duration) -> bool {
        self.askings.entry(seat).or_insert_with(|| Meter::new(ASKINGS, now)).admits(now)
    }

    /// Whether whoever holds a seat is listened to: it is not over, and its recipient is still a contact.
    pub(super) fn listens_to(&self, seat: SeatId) -> bool {
        let live = self.seat(seat).is_some_and(|seat| seat.ended.is_none());
        live && !self.unreachable.contains(&seat)
    }

    /// The share as it stands, for one recipient of it.
    pub(super) fn standing(&self, recipient: Recipient, groups: Groups) -> Standing {
        Standing {
            owner: self.principal(),
            groups,
            recipient,
            scope: self.lease.scope.clone(),
            opened: self.lease.opened.wall,
            deadline: self.lease.deadline.min(self.lease.hard_stop),
            approve: self.lease.approve,
            budget: self.lease.budget,
            used: self.used(),
            consents: self.consents.clone(),
        }
    }

    /// What is used up, and with it what running calls may still write: a bound may come while they run.
    pub(super) fn used(&self) -> Used {
        let held = self.reserved.values().copied().fold(0, u64::saturating_add);
        Used { calls: self.made, bytes: self.bytes.saturating_add(held) }
    }

    /// The room that there is for a call's output: as much as it wants, or as is left.
    pub(super) fn room(&self, wanted: u64, budget: Budget) -> u64 {
        let left = budget.bytes.map(|most| most.saturating_sub(self.used().bytes));
        left.map_or(wanted, |left| wanted.min(left))
    }

    /// Keeps it for a run.
    pub(super) fn reserve(&mut self, run: Run, room: u64) {
        self.reserved.insert(run, room);
    }

    /// Gives back what was kept for a run; how much that was.
    pub(super) fn release(&mut self, run: Run) -> u64 {
        self.reserved.remove(&run).unwrap_or_default()
    }

    /// Counts what a call has written.
    pub(super) fn count_output(&mut self, written: u64) {
        self.bytes = self.bytes.saturating_add(written);
    }

    pub(super) fn principal(&self) -> Principal {
        let owner = &self.lease.owner;
        Principal { user: owner.user.clone(), agent: owner.agent.clone() }
    }

    /// A passport of `seat` that was verified before, whoever showed it.
    pub(super) fn verified(&self, digest: &[u8; 32], seat: SeatId) -> Option<Arc<Passport>> {
        let (place, passport) = self.passports.get(digest)?;
        (place.seat == seat).then(|| Arc::clone(passport))
    }

    /// A passport that this key showed, and holds.
    pub(super) fn passport(
        &self,
        digest: &[u8; 32],
        (seat, holder): (SeatId, [u8; 32]),
    ) -> Option<Arc<Passport>> {
        let (place, passport) = self.passports.get(digest)?;
        ((place.seat, place.holder) == (seat, holder)).then(|| Arc::clone(passport))
    }

    /// Makes room for one more channel of a seat, its own holder's first: the broker that keeps to the bound never needs it.
    pub(super) fn bound_channels(&mut self, newest: &Place) {
        let of_seat = |(_, of): &(&ChannelId, &Place)| of.seat == newest.seat;
        while self.channels.iter().filter(of_seat).count() >= CHANNELS_MAX {
            let theirs = |at: &(&ChannelId, &Place)| of_seat(at) && at.1.holder == newest.holder;
            let oldest = self.channels.iter().find(theirs);
            let oldest = oldest.or_else(|| self.channels.iter().find(of_seat));
            let Some(oldest) = oldest.map(|(channel, _)| *channel) else { return };
            self.channels.remove(&oldest);
        }
    }

    /// Whether a key may show one more passport for its seat: the seat's own always, others up to a bound.
    pub(super) fn has_room_for(
        &self,
        (seat, holder): (SeatId, [u8; 32]),
        digest: &[u8; 32],
    ) -> bool {
        let own = self.seat(seat).is_some_and(|seat| seat.passport == *digest);
        let of_seat = self.seat(seat).is_some_and(|seat| !seat.is_sub_holder(&holder));
        let limit = if of_seat { PASSPORTS_MAX + WIDENED_MAX } else { SUB_PASSPORTS_MAX };
        let theirs = |place: &Place| (place.seat, place.holder) == (seat, holder);
        let shown = self.passports.values().filter(|(place, _)| theirs(place)).count();
        own || shown < limit || self.passports.contains_key(digest)
    }

    /// Remembers a verified passport of whoever holds it.
    pub(super) fn remember(&mut self, place: &Place, passport: Arc<Passport>) {
        self.passports.insert(place.passport, (*place, passport));
    }

    /// Who makes a call, and for whom, as the record names them.
    pub(super) fn named(&self, at: &At) -> Holder {
        let above = self.seat(at.seat).map(|seat| seat.acting_for(&at.holder)).unwrap_or_default();
        let acting_for = above.into_iter().map(Hex).collect();
        Holder { acting_for, ..Holder::new(at.share, at.seat, at.holder) }
    }

    /// Remembers what a share that was widened gave a seat in the place of its own. Of those the last few
    /// count: calls under an earlier one may be on their way.
    pub(super) fn remember_widened(&mut self, seat: SeatId, passport: Arc<Passport>) {
        let Some(holder) = self.seat(seat).and_then(|seat| seat.holder) else { return };
        let digest = passport.digest();
        let given = self.widened.entry(seat).or_default();
        if !given.contains(&digest) {
            given.push_back(digest);
        }
        while given.len() > WIDENED_MAX {
            given.pop_front().and_then(|old| self.passports.remove(&old));
        }
        self.passports.insert(digest, (Place { seat, holder, passport: digest }, passport));
    }

    /// Calls of `seat` that run now.
    pub(super) fn in_flight(&self, seat: SeatId) -> usize {
        self.running.keys().filter(|call| call.seat == seat).count()
    }

    /// The live seat that is for `alias`; an owner's own contact may be named without `own/`.
    pub(super) fn seat_for(&self, alias: &Alias) -> Option<SeatId> {
        let own = format!("own/{alias}");
        let is_for = |name: &str| {
            self.live_seats().find(|seat| match &seat.recipient {
                Recipient::Contact { alias: to, .. } => to.as_str() == name,
                Recipient::Bearer => false,
            })
        };
        is_for(alias.as_str()).or_else(|| is_for(&own)).map(|seat| seat.id)
    }

    /// Whether a call of it has no end on record yet.
    pub(super) fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// The runs of this share.
    pub(super) fn runs(&self) -> Vec<Run> {
        self.runs_of(None)
    }

    /// The runs of one seat, whoever holds it, or of all.
    pub(super) fn runs_of(&self, seat: Option<SeatId>) -> Vec<Run> {
        let meant = |call: &CallKey| seat.is_none_or(|seat| call.seat == seat);
        let meant = self.running.iter().filter(|(call, _)| meant(call));
        meant.map(|(_, current)| current.run).collect()
    }

    /// The seats that have not been ended.
    pub(super) fn live_seats(&self) -> impl Iterator<Item = &Seat> {
        self.lease.seats.iter().filter(|seat| seat.ended.is_none())
    }
}
