//! More, or less, time for a share: never past the hard stop, never past the owner's rule.

use std::time::Duration;

use policy::{DelegateFault, Principal, Recipient, Scope, ShareId, Timestamp};
use wire::control::{Failure, Reply};
use wire::privsep::ToBroker;

use super::Monitor;
use super::audit::{Durability, Event, Said};
use super::failure::{refused, unavailable};
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;

impl Monitor {
    /// Moves a share's deadline to `ttl` from now; `max_ttl` of the rule counts from the opening.
    pub(super) fn extended(
        &mut self,
        person: &Person,
        share: &mut Share,
        ttl: Duration,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let share_now = share.now(now);
        let deadline = Timestamp(share_now.0.saturating_add(millis(ttl)));
        if deadline > share.lease.hard_stop {
            let left = share.lease.hard_stop.0.saturating_sub(share_now.0) / 1000;
            return Err(refused(
                &format!("no share outlives 30 minutes from its opening: {left} s are left"),
                &format!("say `--ttl {left}s` or less"),
            ));
        }
        let life = deadline.0.saturating_sub(share.lease.opened.wall.0);
        let (scope, seats) = (&share.lease.scope, &share.lease.seats);
        let recipients = seats.iter().map(|seat| &seat.recipient);
        let basis = self
            .basis(&share.principal(), scope, recipients, Duration::from_millis(life))
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        let mut lease = share.lease.clone();
        lease.deadline = deadline;
        let event = Event::ShareExtended {
            by: Self::person(person),
            share: lease.id,
            deadline,
            scope: None,
            basis: Said::new(&basis),
        };
        let unkept = |why: &dyn std::fmt::Display| {
            let message = format!("the share cannot be extended: {why}");
            unavailable(&message, "free space for the daemon's state directory, then try again")
        };
        self.audit.record(event, now).map_err(|fault| unkept(&fault))?;
        self.commit(Durability::Now, now).map_err(|fault| unkept(&fault))?;
        self.leases.put(&lease).map_err(|fault| unkept(&fault))?;
        share.lease = lease;
        Ok(Reply::Share(Box::new(self.view(share, now))))
    }

    /// The rules by which an owner may share so much with all of these for so long, in words for the record.
    pub(super) fn basis<'a>(
        &self,
        owner: &Principal,
        scope: &Scope,
        to: impl Iterator<Item = &'a Recipient>,
        life: Duration,
    ) -> Result<String, DelegateFault> {
        let each = to.map(|recipient| {
            let delegation = self.policy.may_delegate(owner, scope, recipient, life)?;
            Ok(format!("{recipient} by {delegation}"))
        });
        Ok(each.collect::<Result<Vec<_>, _>>()?.join("; "))
    }

    /// Tells every holder of a share how it stands now.
    pub(super) fn tell_standing(&mut self, id: ShareId) {
        let Some(share) = self.shares.get(&id).filter(|share| share.over.is_none()) else { return };
        let told: Vec<ToBroker> = share
            .lease
            .seats
            .iter()
            .filter_map(|seat| {
                let passport = share.passport(&share.shown(seat.id)?, seat.id)?;
                let update = Box::new(self.standing(id, seat.id, &passport).ok()?);
                Some(ToBroker::Update { share: id, seat: seat.id, update })
            })
            .collect();
        for message in told {
            self.broker.send(&message, &[]);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
