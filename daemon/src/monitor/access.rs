//! What a recipient asks of a share beyond what it is. Only what its owner could add by themselves at this moment is
//! put to them; of all else the recipient hears one and the same no.

use policy::{PublicRefusal, Recipient, Request, RequestId, Scope};
use wire::access::AccessStatement;
use wire::call::{HolderStatement as _, Signed};
use wire::control::{AccessView, Extend, Failure, FailureKind, Reply};
use wire::frame::Refusal;
use wire::privsep::{CallRef, ChannelId, ToBroker};

use super::Monitor;
use super::audit::{Event, Hex, Recorded, Said};
use super::calls::{At, Batch};
use super::consents::CROWDED_OUT;
use super::extend::{Extension, to_all};
use super::failure::refused;
use super::open::first_line;
use super::permit::{OTHER_CONTENT, busy};
use super::plan::digest;
use super::requests::no_share;
use super::resolver::Person;
use super::share::Share;
use super::speaker::{Footing, Spoken};
use crate::clock::Instants;

/// Askings of a share that have ended and are remembered: more than can be signed anew in the time that a statement lives.
const ASKED_MAX: usize = 512;

/// One asking whose signature is its holder's.
pub(super) struct Asking {
    pub(super) at: At,
    pub(super) recipient: Recipient,
    /// As `share extend` would be told it.
    pub(super) change: Extend,
    pub(super) reason: Said,
}

/// An asking that waits, and where its answer goes.
pub(super) struct HeldAccess {
    pub(super) asking: Asking,
    pub(super) gain: Gain,
    pub(super) channel: ChannelId,
    pub(super) to: CallRef,
}

/// What a share would have that it has not.
pub(super) struct Gain {
    pub(super) scope: Scope,
    pub(super) view: AccessView,
    /// The rules that let it be.
    pub(super) basis: String,
    /// SHA-256 of the view, and of how each of its verbs is done.
    pub(super) digest: [u8; 32],
}

impl Asking {
    /// What was asked for, as it was said.
    pub(super) fn wanted(&self) -> Vec<Said> {
        self.change.add.iter().map(|wanted| Said::new(wanted)).collect()
    }
}

impl Monitor {
    /// Takes one signed asking from the broker: its answer waits in `batch` for the record.
    pub(super) fn take_asking(
        &mut self,
        (channel, to): (ChannelId, CallRef),
        signed: &Signed,
        batch: &mut Batch,
        now: Instants,
    ) {
        let answer = self.answer_asking((channel, to), signed, now);
        batch.answer(answer.unwrap_or_else(|refusal| ToBroker::Refused { call: to, refusal }));
    }

    fn answer_asking(
        &mut self,
        (channel, to): (ChannelId, CallRef),
        signed: &Signed,
        now: Instants,
    ) -> Result<ToBroker, Refusal> {
        let asking = self.verify_asking(channel, signed, now)?;
        if let Some((request, content)) = self.waiting_for(asking.at) {
            if content != asking.at.content {
                self.refuse_asking(&asking, OTHER_CONTENT, now);
                return Err(Refusal::Reused);
            }
            return self.attend_waiting(request, (channel, to));
        }
        match self.gain(&asking, now) {
            Ok(None) => Ok(ToBroker::Granted { call: to }),
            // It was answered: the owner is not asked twice for one word of the recipient's.
            Ok(Some(_)) | Err(_) if self.has_ended(asking.at) => {
                Err(Refusal::Denied(PublicRefusal::NotPermitted))
            }
            // Whether it could be given is then nobody's to learn.
            Ok(Some(_)) | Err(_) if !self.has_room_to_wait(asking.at.share) => {
                self.refuse_asking(&asking, CROWDED_OUT, now);
                Err(busy("requests_per_share"))
            }
            Ok(Some((gain, _))) => self.hold_access(HeldAccess { asking, gain, channel, to }, now),
            Err(failure) => {
                self.refuse_asking(&asking, first_line(&failure.message), now);
                Err(Refusal::Denied(PublicRefusal::NotPermitted))
            }
        }
    }

    /// Checks who asks, then what the statement says of itself: from there on each refusal is on record.
    fn verify_asking(
        &mut self,
        channel: ChannelId,
        signed: &Signed,
        now: Instants,
    ) -> Result<Asking, Refusal> {
        let Spoken { statement, holder, recipient } =
            self.spoken::<AccessStatement>(channel, signed, now)?;
        let content = statement.content().map_err(|_| Refusal::BadCall)?;
        let claims = statement.claims();
        let AccessStatement { share, seat, id, wanted, reason, .. } = statement;
        let admitted = |share: &mut Share| share.admits_asking(seat, now.boot);
        if !self.shares.get_mut(&share).is_some_and(admitted) {
            return Err(Refusal::Busy { limit: "requests a second of one seat".to_owned() });
        }
        let at = At { share, seat, holder, id, content };
        let change = Extend { share, ttl_ms: None, add: wanted.into(), drop: Vec::new() };
        let asking = Asking { at, recipient, change, reason: Said::new(reason.as_str()) };
        match self.footing(&claims, holder, now) {
            Ok(Footing { passport, .. }) if passport.blocks().is_empty() => Ok(asking),
            Ok(_) => {
                let why =
                    "its passport was narrowed or handed on: what that permits is not widened";
                self.refuse_asking(&asking, why, now);
                Err(Refusal::Denied(PublicRefusal::NotPermitted))
            }
            Err(wrong) => {
                self.refuse_asking(&asking, wrong, now);
                Err(Refusal::BadCall)
            }
        }
    }

    /// What the share would gain, and what it would be then, as far as policy lets its owner share it now; nothing
    /// where it has all of that already.
    fn gain(
        &mut self,
        asking: &Asking,
        now: Instants,
    ) -> Result<Option<(Gain, Extension)>, Failure> {
        let id = asking.at.share;
        let mut share = self.shares.remove(&id).ok_or_else(|| no_share(id))?;
        let gain = self.gain_of(&mut share, asking, now);
        self.shares.insert(id, share);
        gain
    }

    fn gain_of(
        &self,
        share: &mut Share,
        asking: &Asking,
        now: Instants,
    ) -> Result<Option<(Gain, Extension)>, Failure> {
        check_plain(&asking.change.add)?;
        let wanted = self.scope(&self.owner_of(share, now), &asking.change.add)?;
        if wanted.is_subset_of(&share.lease.scope) {
            return Ok(None);
        }
        let extension = self.extension(share, &asking.change, now)?;
        let has = &share.lease;
        let would_have = extension.lease.scope.capabilities().iter();
        let scope: Scope = would_have.filter(|one| !has.scope.covers(one)).cloned().collect();
        let budget = extension.lease.budget;
        let view = AccessView {
            share: has.id,
            reason: asking.reason.to_string(),
            gains: self.plan_verbs(&scope, &extension.agreed, has.approve),
            redelegate: has.depth,
            recipients: to_all(has).into_iter().map(ToString::to_string).collect(),
            budget: (budget != has.budget).then_some(budget),
        };
        let digest = digest("openscope access plan v1", &(&view, &scope, self.runs(&scope)))?;
        let basis = extension.agreed.basis();
        Ok(Some((Gain { scope, view, basis, digest }, extension)))
    }

    /// Gives what its owner has said yes to, as far as that is still the same: everything is decided anew.
    pub(super) fn grant(
        &mut self,
        person: &Person,
        (request, held): (RequestId, &HeldAccess),
        now: Instants,
    ) -> Result<Reply, Failure> {
        let call = held.to;
        match self.granted(person, (request, held), now) {
            Ok(()) => {
                self.recheck(now);
                // The holders hear of it before the one who has asked is told that it is so.
                self.tell_standing(held.asking.at.share, now);
                self.broker.send(&ToBroker::Granted { call }, &[]);
                Ok(Reply::Done(format!("{request}: the share has it now")))
            }
            Err(failure) => {
                let refusal = if failure.kind == FailureKind::Unavailable {
                    Refusal::Unrecorded
                } else {
                    self.refuse_asking(&held.asking, first_line(&failure.message), now);
                    self.remember_ended(held.asking.at);
                    Refusal::Denied(PublicRefusal::NotPermitted)
                };
                self.broker.send(&ToBroker::Refused { call, refusal }, &[]);
                Err(failure)
            }
        }
    }

    fn granted(
        &mut self,
        person: &Person,
        (request, held): (RequestId, &HeldAccess),
        now: Instants,
    ) -> Result<(), Failure> {
        let at = held.asking.at;
        let stands = |share: &Share| share.over.is_none() && share.listens_to(at.seat);
        if !self.shares.get(&at.share).is_some_and(stands) {
            return Err(refused("whoever asked has no seat any more", "nothing is changed"));
        }
        // The share may have it by now.
        let Some((gain, extension)) = self.gain(&held.asking, now)? else { return Ok(()) };
        if gain.digest != held.gain.digest {
            return Err(refused(
                "what was consented to is no longer what the share would gain",
                "policy, catalog or the share have changed: let them ask again, or `openscope share extend`",
            ));
        }
        let basis = format!("asked for in {request}; {}", gain.basis);
        let mut share = self.shares.remove(&at.share).ok_or_else(|| no_share(at.share))?;
        let kept = self.keep_extended((person, &basis), &mut share, extension, now);
        self.shares.insert(at.share, share);
        kept
    }

    fn has_ended(&self, at: At) -> bool {
        self.shares.get(&at.share).is_some_and(|share| share.asked.contains(&at.key()))
    }

    /// Remembers that an asking came to an end without being granted: its signed words are good for nothing more.
    pub(super) fn remember_ended(&mut self, at: At) {
        if let Some(share) = self.shares.get_mut(&at.share) {
            if share.asked.len() >= ASKED_MAX {
                share.asked.pop_front();
            }
            share.asked.push_back(at.key());
        }
    }

    /// Puts a refusal of a signed asking on record, and ends a share that has had too many.
    pub(super) fn refuse_asking(&mut self, asking: &Asking, why: &str, now: Instants) {
        let Some(share) = self.shares.get(&asking.at.share) else { return };
        let event = Event::AccessRefused {
            at: share.named(&asking.at),
            statement: Hex(asking.at.content),
            wanted: Recorded::of(&asking.wanted()),
            reason: asking.reason.clone(),
            why: Said::new(why),
        };
        self.note(event, now);
        self.count_trial(asking.at.share);
    }
}

/// A pattern of an owner's is compiled at their own cost: at worst it holds up the one thread that decides for longer
/// than a recipient may.
fn check_plain(wanted: &[String]) -> Result<(), Failure> {
    let mut requests = wanted.iter().filter_map(|one| one.parse::<Request>().ok());
    if requests.any(|request| request.patterns() > 0) {
        return Err(refused("a pattern cannot be asked for", "list the values"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_cannot_be_asked_for() {
        let plain = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|one| (*one).to_owned()).collect();
            check_plain(&wanted).is_ok()
        };
        assert!(plain(&["log.tail:service=web|db,lines<=100", "disk.use"]));
        assert!(plain(&["log.tail:service=\"~web\""]), "a value that looks like one");
        assert!(!plain(&["disk.use", "log.tail:service=~'w.*'"]));
        assert!(!plain(&["log.tail:service=web|~'d.*'"]));
    }
}
