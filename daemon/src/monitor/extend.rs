//! More, or less, time for a share: never past the hard stop, never past the owner's rule.

use std::time::Duration;

use policy::{
    Approvers, Budget, DelegateFault, Delegation, Live, Principal, Proposal, Recipient, RuleSite,
    Scope, ShareId, Subject, Timestamp,
};
use wire::control::{Failure, Reply};
use wire::privsep::ToBroker;

use super::Monitor;
use super::audit::{Durability, Event, Said};
use super::failure::{refused, unavailable};
use super::leases::Lease;
use super::open::Opening;
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;

/// What is to be shared, and how.
pub(super) struct Terms<'a> {
    /// Not counted among those that are live.
    pub(super) share: ShareId,
    pub(super) scope: &'a Scope,
    pub(super) to: Vec<&'a Recipient>,
    pub(super) ttl: Duration,
    pub(super) redelegate: u8,
}

/// What policy agrees to, for all recipients.
#[derive(Default)]
pub(super) struct Agreed {
    said: Vec<String>,
    pub(super) budget: Budget,
    /// Whose yes it takes, each of them.
    pub(super) consent: Vec<(RuleSite, Approvers)>,
}

impl Agreed {
    fn add(&mut self, recipient: &Recipient, delegation: Delegation) {
        self.said.push(format!("{recipient} by {delegation}"));
        self.budget = self.budget.and(delegation.budget);
        for asked in delegation.consent {
            if !self.consent.contains(&asked) {
                self.consent.push(asked);
            }
        }
    }

    /// The rules, in words for the record.
    pub(super) fn basis(&self) -> String {
        self.said.join("; ")
    }
}

/// Everyone whom a share is for.
pub(super) fn to_all(lease: &Lease) -> Vec<&Recipient> {
    lease.seats.iter().map(|seat| &seat.recipient).collect()
}

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
        let terms = Terms {
            share: share.lease.id,
            scope: &share.lease.scope,
            to: to_all(&share.lease),
            ttl: Duration::from_millis(life),
            redelegate: share.lease.depth,
        };
        let agreed = self
            .delegation(&self.owner_of(share, now), &terms)
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        let mut lease = share.lease.clone();
        lease.deadline = deadline;
        let event = Event::ShareExtended {
            by: Self::person(person),
            share: lease.id,
            deadline,
            scope: None,
            basis: Said::new(&agreed.basis()),
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

    /// What policy says of sharing so much with all of these for so long.
    pub(super) fn delegation(
        &self,
        owner: &Subject,
        terms: &Terms<'_>,
    ) -> Result<Agreed, DelegateFault> {
        let recipients: Vec<Vec<&Recipient>> =
            self.live_of(owner, terms.share).map(to_all).collect();
        let scopes = self.live_of(owner, terms.share).map(|lease| &lease.scope);
        let live: Vec<Live<'_>> =
            scopes.zip(&recipients).map(|(scope, recipients)| Live { scope, recipients }).collect();
        let mut agreed = Agreed::default();
        for recipient in &terms.to {
            let Terms { scope, ttl, redelegate, .. } = *terms;
            let proposal = Proposal { scope, recipient, ttl, redelegate, live: &live };
            agreed.add(recipient, self.policy.may_delegate(owner, proposal)?);
        }
        Ok(agreed)
    }

    /// The other live shares of the same principal.
    fn live_of<'a>(&'a self, owner: &'a Subject, but: ShareId) -> impl Iterator<Item = &'a Lease> {
        let live = self.shares.values().filter(|share| share.over.is_none());
        let leases =
            live.map(|share| &share.lease).chain(self.openings.values().map(Opening::lease));
        leases.filter(move |lease| {
            let Principal { user, agent } = &owner.principal;
            lease.id != but && lease.owner.user == *user && lease.owner.agent == *agent
        })
    }

    /// The owner of a share as rules see them now.
    pub(super) fn owner_of(&self, share: &Share, now: Instants) -> Subject {
        let (principal, groups) = (share.principal(), self.groups_of(share, now));
        Subject { principal, groups, now: share.clock.clone().read(now) }
    }

    /// Tells every holder of a share how it stands now.
    pub(super) fn tell_standing(&mut self, id: ShareId, now: Instants) {
        let Some(share) = self.shares.get(&id).filter(|share| share.over.is_none()) else { return };
        let told: Vec<ToBroker> = share
            .lease
            .seats
            .iter()
            .filter_map(|seat| {
                let passport = share.passport(&share.shown(seat.id)?, seat.id)?;
                let update = Box::new(self.standing(id, seat.id, &passport, now).ok()?);
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
