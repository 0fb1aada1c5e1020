//! Who holds a seat, and who holds it for whom: each redeem key has one holder, the first who showed its word.

use policy::passport::{Block, HandedOn};
use policy::{Passport, Recipient};
use wire::call::Redemption;
use wire::frame::{Join, Refusal};

use super::Monitor;
use super::audit::{Durability, Event, Hex, Holder, Recorded, Said};
use super::leases::{Lease, Seat, SubHolder};
use super::seats::Visitor;
use crate::clock::Instants;

/// To how many keys one seat may be handed on: each is a record, a key in the lease, and passports that are kept.
const SUB_HOLDERS_MAX: usize = 32;

/// A place of a seat, and the key that is to hold it from now on.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Binding<'a> {
    /// The seat itself.
    Own([u8; 32]),
    /// What was handed on by this block.
    Sub(SubHolder, &'a Block),
}

/// Why a visitor does not hold the passport that they show.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
enum NotHeld {
    #[error("the seat is held by another key")]
    Another,
    #[error("the redemption is not the redeem key's")]
    Forged,
    #[error("nothing shows that the seat is theirs")]
    Unshown,
    #[error("who handed the passport on did not hold it")]
    Stranger,
    #[error("nothing shows that who handed the passport on held it")]
    AncestorUnshown,
    #[error("the key holds another place of this seat already")]
    Twofold,
    #[error("the redeem key was named by another holder before")]
    OtherParent,
    #[error("the seat has been handed on to {SUB_HOLDERS_MAX} keys already")]
    Full,
}

/// One step of the way from the seat's own holder to the visitor.
struct Step<'a> {
    redeem: [u8; 32],
    holder: [u8; 32],
    /// The block that named the redeem key, and by whom; none for the seat itself.
    named: Option<(&'a Block, &'a HandedOn)>,
}

impl Monitor {
    /// Checks that the visitor holds the passport: whoever handed it on held it, and the visitor holds what it names last.
    /// What nobody holds yet is bound, durably, by what they show.
    pub(super) fn check_holder(
        &mut self,
        visitor: &Visitor,
        join: &Join,
        passport: &Passport,
        now: Instants,
    ) -> Result<(), Refusal> {
        let share = self.shares.get(&visitor.share).ok_or(Refusal::NoSeat)?;
        let seat = share.seat(visitor.seat).filter(|seat| seat.ended.is_none());
        let seat = seat.ok_or(Refusal::NoSeat)?;
        let daemon = self.identity.public_key().to_bytes();
        let recipient = seat.recipient.clone();
        match missing(seat, visitor, join, passport, daemon) {
            Ok(bindings) if bindings.is_empty() => Ok(()),
            Ok(bindings) => self.bind(visitor, &recipient, &bindings, now),
            Err(why) => Err(self.not_held(visitor, why, now)),
        }
    }

    fn not_held(&mut self, visitor: &Visitor, why: NotHeld, now: Instants) -> Refusal {
        self.turn_away(visitor, &why.to_string(), now);
        if why == NotHeld::Another
            && let Some(share) = self.shares.get_mut(&visitor.share)
        {
            share.second_redeemers = share.second_redeemers.saturating_add(1);
        }
        if why == NotHeld::Full {
            return Refusal::Busy { limit: "holders of one seat".into() };
        }
        Refusal::NoSeat
    }

    /// Binds places to their holders' keys. What cannot be kept is not given.
    fn bind(
        &mut self,
        visitor: &Visitor,
        recipient: &Recipient,
        bindings: &[Binding<'_>],
        now: Instants,
    ) -> Result<(), Refusal> {
        let share = self.shares.get(&visitor.share).ok_or(Refusal::NoSeat)?;
        let mut lease = share.lease.clone();
        for binding in bindings {
            let at = bound(&mut lease, visitor, binding).ok_or(Refusal::NoSeat)?;
            let event = event(at, recipient.clone(), binding);
            self.audit.record(event, now).map_err(|_| Refusal::Unrecorded)?;
        }
        // First the record: a start reads the holders from it where the lease does not know them yet.
        self.commit(Durability::Now, now).map_err(|_| Refusal::Unrecorded)?;
        if let Err(fault) = self.leases.put(&lease) {
            tracing::error!(%fault, "a seat cannot be bound");
            return Err(Refusal::Unrecorded);
        }
        let share = self.shares.get_mut(&visitor.share).ok_or(Refusal::NoSeat)?;
        share.lease = lease;
        tracing::info!(share = %visitor.share, seat = %visitor.seat, "a seat was redeemed");
        Ok(())
    }
}

/// Notes the binding in the lease; who holds what from here, as the record names them.
fn bound(lease: &mut Lease, visitor: &Visitor, binding: &Binding<'_>) -> Option<Holder> {
    let seat = lease.seats.iter_mut().find(|seat| seat.id == visitor.seat)?;
    let holder = match binding {
        Binding::Own(holder) => {
            seat.holder = Some(*holder);
            *holder
        }
        Binding::Sub(sub, _) => {
            seat.sub_holders.push(*sub);
            sub.holder
        }
    };
    let acting_for = seat.acting_for(&holder).into_iter().map(Hex).collect();
    Some(Holder { share: visitor.share, seat: visitor.seat, holder: Hex(holder), acting_for })
}

fn event(at: Holder, recipient: Recipient, binding: &Binding<'_>) -> Event {
    match binding {
        Binding::Own(_) => Event::SeatRedeemed { at, recipient },
        Binding::Sub(sub, block) => Event::SeatHandedOn {
            at,
            recipient,
            redeem: Hex(sub.redeem),
            until: block.narrowing().not_after,
            scope: Recorded::of(&block.narrowing().scope),
            reason: Said::new(&block.narrowing().reason),
        },
    }
}

/// The places on the way to the visitor that nobody holds yet and that are theirs to bind.
fn missing<'a>(
    seat: &Seat,
    visitor: &Visitor,
    join: &Join,
    passport: &'a Passport,
    daemon: [u8; 32],
) -> Result<Vec<Binding<'a>>, NotHeld> {
    let steps = steps(seat, visitor, passport);
    let (last, above) = steps.split_last().ok_or(NotHeld::Unshown)?;
    if join.ancestors.len() > above.len() {
        return Err(NotHeld::Stranger);
    }
    let mut missing = Vec::new();
    let proofs = join.ancestors.iter().map(Option::as_ref).chain(std::iter::repeat(None));
    for (step, proof) in above.iter().zip(proofs) {
        let wanted = Redemption::of(daemon, passport, step.holder);
        let proven = || proof.is_some_and(|proof| wanted.is_proven_by(proof, &step.redeem));
        match seat.holder_of(&step.redeem) {
            Some(holder) if holder == step.holder => check_parent(seat, step)?,
            Some(_) if proven() => return Err(NotHeld::Another),
            Some(_) => return Err(NotHeld::Stranger),
            None if proven() => add(&mut missing, seat, step)?,
            None => return Err(NotHeld::AncestorUnshown),
        }
    }
    let wanted = Redemption::of(daemon, passport, last.holder);
    let shown = join.redemption.as_ref().map(|signed| signed.verify::<Redemption>(&last.redeem));
    match (shown, seat.holder_of(&last.redeem)) {
        (Some(Ok(shown)), None) if shown == wanted => add(&mut missing, seat, last)?,
        (Some(Ok(shown)), Some(holder)) if shown == wanted && holder == last.holder => {
            check_parent(seat, last)?;
        }
        (None, Some(holder)) if holder == last.holder => check_parent(seat, last)?,
        (Some(Ok(shown)), Some(_)) if shown == wanted => return Err(NotHeld::Another),
        (Some(_), _) => return Err(NotHeld::Forged),
        (None, _) => return Err(NotHeld::Unshown),
    }
    Ok(missing)
}

fn steps<'a>(seat: &Seat, visitor: &Visitor, passport: &'a Passport) -> Vec<Step<'a>> {
    let named = || passport.blocks().iter().filter_map(|block| Some((block, block.handed_on()?)));
    let redeem = std::iter::once(seat.redeem).chain(named().map(|(_, hop)| hop.redeem_key));
    let holder = named().map(|(_, hop)| hop.by).chain([visitor.holder]);
    let named = std::iter::once(None).chain(named().map(Some));
    let steps = redeem.zip(holder).zip(named);
    steps.map(|((redeem, holder), named)| Step { redeem, holder, named }).collect()
}

/// One redeem key has one parent, whom the record names.
fn check_parent(seat: &Seat, step: &Step<'_>) -> Result<(), NotHeld> {
    let known = seat.sub_holders.iter().find(|sub| sub.redeem == step.redeem);
    match (known, step.named) {
        (Some(known), Some((_, hop))) if known.by != hop.by => Err(NotHeld::OtherParent),
        (_, _) => Ok(()),
    }
}

/// A key has one place: what it signs is then under one chain of holders only.
fn add<'a>(missing: &mut Vec<Binding<'a>>, seat: &Seat, step: &Step<'a>) -> Result<(), NotHeld> {
    let (redeem, holder) = (step.redeem, step.holder);
    let held_before = missing.iter().any(|binding| binding.holder() == holder);
    if held_before || seat.is_held_by(&holder) {
        return Err(NotHeld::Twofold);
    }
    missing.push(match step.named {
        None => Binding::Own(holder),
        Some((block, hop)) => Binding::Sub(SubHolder { redeem, holder, by: hop.by }, block),
    });
    let added = missing.iter().filter(|binding| matches!(binding, Binding::Sub(..))).count();
    if seat.sub_holders.len().saturating_add(added) > SUB_HOLDERS_MAX {
        return Err(NotHeld::Full);
    }
    Ok(())
}

impl Binding<'_> {
    fn holder(&self) -> [u8; 32] {
        match self {
            Self::Own(holder) => *holder,
            Self::Sub(sub, _) => sub.holder,
        }
    }
}

#[cfg(test)]
mod tests;
