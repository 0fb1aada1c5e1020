//! How one recipient is taken out of a share: what they run ends, and with it what they handed on.

use policy::{Alias, SeatId, ShareId};
use wire::call::Ending;
use wire::control::{Failure, Told, Which};
use wire::frame::ShareEnd;
use wire::privsep::ToBroker;

use super::Monitor;
use super::audit::{Event, Said};
use super::failure::not_found;
use super::leases::{Ended, How};
use super::owner_socket::Caller;
use super::requests::{Answer, no_share};
use super::resolver::Person;
use super::share::Over;
use crate::clock::Instants;

impl Monitor {
    /// Ends a recipient's seat; the answer comes when everything of it is dead. With the last one the share ends.
    pub(super) fn kick(
        &mut self,
        caller: Caller,
        person: &Person,
        (id, alias): (ShareId, &Alias),
        reason: Option<&str>,
        now: Instants,
    ) -> Result<Answer, Failure> {
        self.theirs(person, id, "kick", now)?;
        let share = self.shares.get(&id).ok_or_else(|| no_share(id))?;
        let Some(seat) = share.seat_for(alias) else {
            let message = format!("`{id}` has no seat for `{alias}`");
            return Err(not_found(&message, "`openscope share show` shows whom it is for"));
        };
        if share.live_seats().nth(1).is_none() {
            return self.revoke(caller, person, Which::Share(id), reason, now);
        }
        self.end_seat(person, (id, seat), reason, now);
        self.wait_for_seat(caller, id, seat);
        Ok(Answer::Later)
    }

    /// First its processes, then its holders' knowledge, then the record: as a share ends.
    fn end_seat(
        &mut self,
        person: &Person,
        (id, seat): (ShareId, SeatId),
        reason: Option<&str>,
        now: Instants,
    ) {
        let Some(share) = self.shares.get(&id) else { return };
        let runs = share.runs_of(Some(seat));
        for run in &runs {
            self.kill(*run, Ending::Revoked, now);
        }
        let calls = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        let reason = reason.map(Said::new);
        let end = ShareEnd::Revoked { reason: reason.as_ref().map(ToString::to_string) };
        self.broker.send(&ToBroker::Retire { share: id, seat: Some(seat), end }, &[]);
        self.drop_requests(Some((id, Some(seat))), "its seat is over", now);
        let told = if self.broker.is_up() { None } else { Some(Told::NoChannel) };
        let Some(share) = self.shares.get_mut(&id) else { return };
        let at = share.clock.read(now);
        share.channels.retain(|_, place| place.seat != seat);
        let beyond = share.still_beyond(Some(seat), now.boot);
        let over = Over { since: now.boot, told, ended_calls: calls, beyond };
        share.leaving.insert(seat, over);
        let Some(of) = share.lease.seats.iter_mut().find(|of| of.id == seat) else { return };
        of.ended = Some(Ended { at, how: How::Kicked });
        let recipient = of.recipient.clone();
        let (by, reason) = (Self::person(person), reason.unwrap_or_else(|| Said::new("")));
        let event = Event::SeatKicked { by, share: id, seat, recipient, reason, calls };
        if let Err(fault) = self.audit.record(event, now) {
            tracing::error!(%fault, share = %id, "the end of a seat is not on record");
        }
        self.sync_this_turn = true;
        self.unkept_ends.push(id);
        tracing::info!(share = %id, %seat, calls, "a seat is over");
    }
}
