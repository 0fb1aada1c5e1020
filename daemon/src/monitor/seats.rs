//! Joining: whoever shows the passport and the redeem key's word gets the seat, once and for good.

use std::sync::Arc;

use policy::{Passport, SeatId, ShareId};
use sha2::{Digest as _, Sha256};
use wire::call::{ClockStatement, Signed};
use wire::frame::{Join, Joined, Refusal, Update, VERSION};
use wire::privsep::{ChannelId, ToBroker};

use super::Monitor;
use super::audit::{Event, Holder, Said};
use super::calls::Batch;
use super::permit::busy;
use super::share::Place;
use crate::clock::Instants;

/// Somebody at the door, as the broker tells it.
pub(super) struct Visitor {
    pub(super) channel: ChannelId,
    pub(super) share: ShareId,
    pub(super) seat: SeatId,
    pub(super) holder: [u8; 32],
}

impl Monitor {
    /// Answers one join. A seat is bound durably before the answer leaves.
    pub(super) fn take_join(
        &mut self,
        visitor: &Visitor,
        join: &Join,
        batch: &mut Batch,
        now: Instants,
    ) {
        let channel = visitor.channel;
        match self.join(visitor, join, now) {
            Ok(mut joined) => {
                let said = self.said_before(visitor.share, visitor.seat, &joined.standing);
                joined.standing.notes = u32::try_from(said.len()).unwrap_or(u32::MAX);
                let joined = Box::new(joined);
                batch.answer(ToBroker::Joined { channel, joined });
                for note in said {
                    batch.answer(ToBroker::Noted { channel, note });
                }
            }
            Err(refusal) => batch.answer(ToBroker::NotJoined { channel, refusal }),
        }
    }

    fn join(&mut self, visitor: &Visitor, join: &Join, now: Instants) -> Result<Joined, Refusal> {
        let share = self.shares.get_mut(&visitor.share).filter(|share| share.over.is_none());
        let share = share.ok_or(Refusal::NoSeat)?;
        if !share.admits(visitor.seat, &self.config.limits, now.boot) {
            return Err(busy("calls_per_second_per_seat"));
        }
        let passport = self.check_passport(visitor, join)?;
        let share = self.shares.get(&visitor.share).ok_or(Refusal::NoSeat)?;
        if !share.has_room_for((visitor.seat, visitor.holder), &passport.digest()) {
            return Err(Refusal::Busy { limit: "passports shown for one seat".into() });
        }
        self.check_holder(visitor, join, &passport, now)?;
        let share = self.shares.get_mut(&visitor.share).ok_or(Refusal::NoSeat)?;
        let place =
            Place { seat: visitor.seat, holder: visitor.holder, passport: passport.digest() };
        share.remember(&place, Arc::clone(&passport));
        share.bound_channels(&place);
        share.channels.insert(visitor.channel, place);
        let clock = ClockStatement { nonce: join.nonce, now: share.now(now) };
        let clock =
            Signed::new(&clock, self.identity.signing_key()).map_err(|_| Refusal::Failed)?;
        let standing = self.standing(visitor.share, visitor.seat, &passport, now)?;
        Ok(Joined { share: visitor.share, seat: visitor.seat, clock, standing })
    }

    fn check_passport(&mut self, visitor: &Visitor, join: &Join) -> Result<Arc<Passport>, Refusal> {
        let shown = Sha256::digest(&join.passport).into();
        let known = self.shares.get(&visitor.share);
        if let Some(passport) = known.and_then(|share| share.verified(&shown, visitor.seat)) {
            return Ok(passport);
        }
        let root = self.identity.public_key();
        let passport = policy::passport::verify(&join.passport, &root);
        let genuine = passport.ok().filter(|passport| {
            let authority = passport.authority();
            join.version == VERSION
                && authority.share == visitor.share
                && authority.seat == visitor.seat
        });
        if genuine.is_none() {
            self.count_stranger(visitor.share, 1);
        }
        genuine.map(Arc::new).ok_or(Refusal::NoSeat)
    }

    /// Puts on record that somebody was turned away: a few times a minute, then as a count.
    pub(super) fn turn_away(&mut self, visitor: &Visitor, reason: &str, now: Instants) {
        let Some(share) = self.shares.get_mut(&visitor.share) else { return };
        if !share.turned_away.admits(now.boot) {
            return self.count_stranger(visitor.share, 1);
        }
        let (at, reason) = (visitor.holder(), Said::new(reason));
        if let Err(fault) = self.audit.record(Event::RedeemRefused { at, reason }, now) {
            tracing::error!(%fault, "a refused redemption is not on record");
        }
    }

    /// What a holder is told of their seat.
    pub(super) fn standing(
        &mut self,
        id: ShareId,
        seat: SeatId,
        passport: &Passport,
        now: Instants,
    ) -> Result<Update, Refusal> {
        let widened = self.widened(id, seat, passport);
        let share = self.shares.get(&id).ok_or(Refusal::NoSeat)?;
        let recipient = share.seat(seat).ok_or(Refusal::NoSeat)?.recipient.clone();
        let standing = share.standing(recipient, self.groups_of(share, now));
        let (bytes, passport) = match &widened {
            Some((bytes, widened)) => (Some(bytes.clone()), &**widened),
            None => (None, passport),
        };
        let menu = self.policy.menu(&standing, passport, share.clock.clone().read(now));
        // Whoever holds less of it has less time as well.
        let deadline = share.lease.deadline.min(share.lease.hard_stop).min(passport.not_after());
        Ok(Update { deadline, passport: bytes, menu, notes: 0 })
    }
}

impl Visitor {
    fn holder(&self) -> Holder {
        Holder::new(self.share, self.seat, self.holder)
    }
}
