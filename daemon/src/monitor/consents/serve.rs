//! What becomes of requests: those consented to go ahead, all others end.

use policy::{Approve, Consent, PublicRefusal, RequestId, SeatId, ShareId};
use wire::frame::Refusal;
use wire::privsep::{CallRef, ToBroker};

use super::super::Monitor;
use super::super::audit::{Event, Said};
use super::super::calls::{At, Batch, Route};
use super::super::permit::Asked;
use super::{HeldCall, HeldOpen, Waiting, What};
use crate::clock::Instants;

impl Monitor {
    /// Does what was consented to, as far as it is still permitted: everything is decided anew.
    pub(in crate::monitor) fn serve_consented(&mut self, batch: &mut Batch, now: Instants) {
        while let Some(id) = self.consents.ready.pop_first() {
            let Some(waiting) = self.consents.waiting.remove(&id) else { continue };
            let consents = waiting.consents();
            match waiting.what {
                What::Call(held) => self.serve_call(*held, consents, batch, now),
                What::Open(held) => self.serve_open(*held, &consents, now),
                // Given as soon as its owner says yes: it is never among these.
                What::Access(_) => {}
            }
        }
    }

    fn serve_call(
        &mut self,
        held: HeldCall,
        consents: Vec<Consent>,
        batch: &mut Batch,
        now: Instants,
    ) {
        let HeldCall { mut asked, question, channel, to } = held;
        if question.approve == Approve::Once {
            self.remember_consents(asked.at.share, &consents);
        }
        let stands = self.still_stands(&mut asked, now);
        let route = Route { channel, to };
        let decided = stands.and_then(|()| self.proceed(asked, route, consents, batch, now));
        if let Err(refusal) = decided {
            batch.answer(ToBroker::Refused { call: to, refusal });
        }
    }

    /// What was true of a call when it came, asked again: it is another time, and the seat may be gone.
    fn still_stands(&mut self, asked: &mut Asked, now: Instants) -> Result<(), Refusal> {
        let at = asked.at;
        let share = self.shares.get_mut(&at.share).filter(|share| share.over.is_none());
        let share = share.ok_or(Refusal::NoSeat)?;
        asked.now = share.now(now);
        if share.listens_to(at.seat) {
            return Ok(());
        }
        self.refused(at, &asked.call, "its recipient is no longer a contact", now);
        Err(Refusal::BadCall)
    }

    /// A yes once is for the share's later calls of the verb, and for those that wait already.
    fn remember_consents(&mut self, id: ShareId, consents: &[Consent]) {
        let Some(share) = self.shares.get_mut(&id) else { return };
        share.consents.extend_from_slice(consents);
        let to: Vec<[u8; 32]> = consents.iter().map(|consent| consent.to).collect();
        let same = |waiting: &Waiting| waiting.share() == Some(id) && to.contains(&waiting.digest);
        let waiting = self.consents.waiting.iter().filter(|(_, one)| same(one));
        self.consents.ready.extend(waiting.map(|(id, _)| *id));
    }

    fn serve_open(&mut self, held: HeldOpen, consents: &[Consent], now: Instants) {
        let HeldOpen { caller, person, open, digest, .. } = held;
        let consented = Some((digest, consents));
        if let Err(failure) = self.open_now(caller, &person, &open, consented, now) {
            self.owners.reply(caller, &wire::control::Reply::Failed(failure), now.boot);
        }
    }

    /// Ends the requests that nobody has answered in time, and those of owners who have hung up.
    pub(in crate::monitor) fn end_requests(&mut self, now: Instants) {
        let waiting = &self.consents.waiting;
        let late = waiting.iter().filter(|(_, one)| one.until.0 <= now.boot);
        for id in late.map(|(id, _)| *id).collect::<Vec<_>>() {
            let why = "nobody consented in time";
            if let Some(waiting) = self.end_request(id, why, now) {
                self.refuse_waiting(waiting, PublicRefusal::Unanswered, why, now);
            }
        }
        let gone = |one: &Waiting| match &one.what {
            What::Open(held) => !self.owners.is_connected(held.caller),
            What::Call(_) | What::Access(_) => false,
        };
        let gone = self.consents.waiting.iter().filter(|(_, one)| gone(one));
        for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            drop(self.end_request(id, "its owner went away", now));
        }
    }

    /// Ends the requests of a share or a seat that is over, or of all.
    pub(in crate::monitor) fn drop_requests(
        &mut self,
        of: Option<(ShareId, Option<SeatId>)>,
        why: &str,
        now: Instants,
    ) {
        let is_of = |at: At, (share, seat): (ShareId, Option<SeatId>)| {
            at.share == share && seat.is_none_or(|seat| at.seat == seat)
        };
        let is_meant = |at: At| of.is_none_or(|of| is_of(at, of));
        let waiting = self.consents.waiting.iter();
        let meant = waiting.filter(|(_, one)| one.what.at().is_some_and(is_meant));
        for id in meant.map(|(id, _)| *id).collect::<Vec<_>>() {
            drop(self.end_request(id, why, now));
        }
    }

    /// Ends the request of a holder who does not want it any more.
    pub(in crate::monitor) fn cancel_request(&mut self, call: CallRef, now: Instants) {
        let meant = self.consents.waiting.iter().find(|(_, one)| one.what.to() == Some(call));
        if let Some(id) = meant.map(|(id, _)| *id) {
            let ended = self.end_request(id, "the recipient withdrew it", now);
            // Asking and withdrawing in a loop writes two records each time.
            match ended.map(|waiting| waiting.what) {
                Some(What::Call(held)) => self.count_refusal(held.asked.at.share),
                // Whoever asks only to hear whether it could be had is trying doors.
                Some(What::Access(held)) => {
                    self.remember_ended(held.asking.at);
                    self.count_trial(held.asking.at.share);
                }
                Some(What::Open(_)) | None => {}
            }
            let refusal = Refusal::Denied(PublicRefusal::Unanswered);
            self.broker.send(&ToBroker::Refused { call, refusal }, &[]);
        }
    }

    fn end_request(&mut self, request: RequestId, why: &str, now: Instants) -> Option<Waiting> {
        let waiting = self.consents.waiting.remove(&request)?;
        self.consents.ready.remove(&request);
        let (share, why) = (waiting.share(), Said::new(why));
        self.note(Event::RequestEnded { request, share, why }, now);
        Some(waiting)
    }
}
