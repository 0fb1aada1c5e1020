//! Who speaks: what every statement of a holder's has to be before anything that it asks for is looked at.

use std::sync::Arc;

use policy::{Passport, Recipient, Timestamp};
use wire::call::{CALL_LIFE_MS, Claims, HolderStatement, Signed};
use wire::frame::Refusal;
use wire::privsep::ChannelId;

use super::Monitor;
use super::permit::busy;
use crate::clock::Instants;

/// A statement whose signature is its holder's.
pub(super) struct Spoken<S> {
    pub(super) statement: S,
    pub(super) holder: [u8; 32],
    pub(super) recipient: Recipient,
}

/// On what a genuine statement stands.
pub(super) struct Footing {
    pub(super) passport: Arc<Passport>,
    /// The share's clock when it was looked at.
    pub(super) now: Timestamp,
}

impl Monitor {
    /// Checks share, channel, rate and signature. What fails here is nobody's word, and not on record by itself.
    pub(super) fn spoken<S: HolderStatement>(
        &mut self,
        channel: ChannelId,
        signed: &Signed,
        now: Instants,
    ) -> Result<Spoken<S>, Refusal> {
        let statement = signed.read_unverified::<S>().map_err(|_| Refusal::BadCall)?;
        let claimed = statement.claims();
        let share = self.shares.get_mut(&claimed.share).filter(|share| share.over.is_none());
        let share = share.ok_or(Refusal::NoSeat)?;
        let place = share.channels.get(&channel).filter(|place| place.seat == claimed.seat);
        let holder = place.ok_or(Refusal::NoSeat)?.holder;
        if !share.admits(claimed.seat, &self.config.limits, now.boot) {
            return Err(busy("calls_per_second_per_seat"));
        }
        let seat = share.seat(claimed.seat).filter(|seat| seat.ended.is_none());
        let recipient = seat.ok_or(Refusal::NoSeat)?.recipient.clone();
        if signed.verify_signature(&holder).is_err() {
            self.count_stranger(claimed.share, 1);
            return Err(Refusal::BadCall);
        }
        Ok(Spoken { statement, holder, recipient })
    }

    /// Checks what a genuine statement says of itself; what is wrong with it, for the record.
    pub(super) fn footing(
        &mut self,
        claims: &Claims,
        holder: [u8; 32],
        now: Instants,
    ) -> Result<Footing, &'static str> {
        let ours = self.identity.public_key().to_bytes();
        let share = self.shares.get_mut(&claims.share).ok_or("its share is gone")?;
        let now = share.now(now);
        let latest = Timestamp(now.0.saturating_add(CALL_LIFE_MS));
        match share.passport(&claims.passport, (claims.seat, holder)) {
            _ if claims.daemon != ours => Err("made for another daemon"),
            _ if claims.not_after <= now => Err("too late: its not-after has passed"),
            _ if claims.not_after > latest => Err("its not-after is too far ahead"),
            _ if share.unreachable.contains(&claims.seat) => {
                Err("its recipient is no longer a contact")
            }
            None => Err("names a passport that its key has not shown"),
            Some(passport) => Ok(Footing { passport, now }),
        }
    }
}
