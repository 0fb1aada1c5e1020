//! More or less of a live share, in time and in verbs: never past the hard stop, never past the owner's
//! surface and rule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Approve, Approvers, Budget, DelegateFault, Delegation, Live, Passport, Principal, Proposal,
    Recipient, RuleSite, Scope, SeatId, ShareId, Subject, Timestamp, VerbName,
};
use wire::control::{Extend, Failure, Reply};
use wire::privsep::{ChannelId, ToBroker};

use super::Monitor;
use super::audit::{Durability, Event, Recorded, Said};
use super::failure::{refused, unavailable, usage};
use super::leases::Lease;
use super::open::Opening;
use super::resolver::Person;
use super::share::{Place, Share};
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

/// What a share would be once it is changed: decided, and not yet so.
pub(super) struct Extension {
    pub(super) lease: Lease,
    pub(super) agreed: Agreed,
}

/// What policy agrees to, for all recipients.
#[derive(Default)]
pub(super) struct Agreed {
    said: Vec<String>,
    pub(super) budget: Budget,
    /// Whose yes it takes, each of them.
    pub(super) consent: Vec<(RuleSite, Approvers)>,
    asks: BTreeMap<VerbName, (Approve, Approvers)>,
}

impl Agreed {
    fn add(&mut self, recipient: &Recipient, delegation: Delegation) {
        self.said.push(format!("{recipient} by {delegation}"));
        self.budget = self.budget.and(delegation.budget);
        for (verb, asked) in delegation.asks {
            let strictest = self.asks.entry(verb).or_insert_with(|| asked.clone());
            if asked.0 > strictest.0 {
                *strictest = asked;
            }
        }
        for asked in delegation.consent {
            if !self.consent.contains(&asked) {
                self.consent.push(asked);
            }
        }
    }

    /// Whether calls of a verb wait for consent, and whose.
    pub(super) fn asks_for(&self, verb: &VerbName) -> (Approve, String) {
        let asked = self.asks.get(verb).cloned().unwrap_or_default();
        (asked.0, asked.1.to_string())
    }

    /// The rules, in words for the record.
    pub(super) fn basis(&self) -> String {
        self.said.join("; ")
    }
}

fn new_deadline(share: &mut Share, change: &Extend, now: Instants) -> Result<Timestamp, Failure> {
    let Some(ttl_ms) = change.ttl_ms else {
        if change.add.is_empty() && change.drop.is_empty() {
            return Err(usage("nothing is to change", "say `--ttl`, `--verb` or `--drop-verb`"));
        }
        return Ok(share.lease.deadline);
    };
    if ttl_ms == 0 {
        return Err(usage("a share of no time is none", "say how long from now, or revoke it"));
    }
    let share_now = share.now(now);
    let deadline = Timestamp(share_now.0.saturating_add(ttl_ms));
    if deadline > share.lease.hard_stop {
        let left = share.lease.hard_stop.0.saturating_sub(share_now.0) / 1000;
        return Err(refused(
            &format!("no share outlives 30 minutes from its opening: {left} s are left"),
            &format!("say `--ttl {left}s` or less"),
        ));
    }
    Ok(deadline)
}

/// Everyone whom a share is for.
pub(super) fn to_all(lease: &Lease) -> Vec<&Recipient> {
    let live = lease.seats.iter().filter(|seat| seat.ended.is_none());
    live.map(|seat| &seat.recipient).collect()
}

impl Monitor {
    /// Changes a share as its owner, or an admin, asks.
    pub(super) fn extended(
        &mut self,
        person: &Person,
        share: &mut Share,
        change: &Extend,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let extension = self.extension(share, change, now)?;
        let basis = extension.agreed.basis();
        self.keep_extended((person, &basis), share, extension, now)?;
        Ok(Reply::Share(Box::new(self.view(share, now))))
    }

    /// What a share would be if it were changed so: within what its owner holds and may share now.
    /// `max_ttl` of the rule counts from the opening.
    pub(super) fn extension(
        &self,
        share: &mut Share,
        change: &Extend,
        now: Instants,
    ) -> Result<Extension, Failure> {
        let deadline = new_deadline(share, change, now)?;
        let owner = self.owner_of(share, now);
        let scope = self.new_scope(share, &owner, change)?;
        let life = deadline.since(share.lease.opened.wall);
        let terms = Terms {
            share: share.lease.id,
            scope: &scope,
            to: to_all(&share.lease),
            ttl: life,
            redelegate: share.lease.depth,
        };
        let agreed = self
            .delegation(&owner, &terms)
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        let widened = !scope.is_subset_of(&share.lease.scope);
        if !agreed.consent.is_empty() && (widened || deadline > share.lease.deadline) {
            let message =
                "opening this takes consent, and this would be more than was consented to";
            return Err(refused(message, "open another share, with consent"));
        }
        let mut lease = share.lease.clone();
        (lease.deadline, lease.scope) = (deadline, scope);
        lease.budget = lease.budget.and(agreed.budget);
        self.check_passports(&lease)?;
        Ok(Extension { lease, agreed })
    }

    /// On record first, and in the store: what is told to a holder survives a crash.
    pub(super) fn keep_extended(
        &mut self,
        (person, basis): (&Person, &str),
        share: &mut Share,
        Extension { lease, .. }: Extension,
        now: Instants,
    ) -> Result<(), Failure> {
        let changed = lease.scope != share.lease.scope;
        let event = Event::ShareExtended {
            by: Self::person(person),
            share: lease.id,
            deadline: lease.deadline,
            scope: changed.then(|| Recorded::of(&lease.scope)),
            basis: Said::new(basis),
        };
        let unkept = |why: &dyn std::fmt::Display| {
            let message = format!("the share cannot be extended: {why}");
            unavailable(&message, "free space for the daemon's state directory, then try again")
        };
        self.audit.record(event, now).map_err(|fault| unkept(&fault))?;
        self.commit(Durability::Now, now).map_err(|fault| unkept(&fault))?;
        self.leases.put(&lease).map_err(|fault| unkept(&fault))?;
        share.lease = lease;
        Ok(())
    }

    fn new_scope(&self, share: &Share, owner: &Subject, change: &Extend) -> Result<Scope, Failure> {
        let mut kept = share.lease.scope.capabilities().to_vec();
        for verb in &change.drop {
            if share.lease.scope.of(verb).next().is_none() {
                let message = format!("the share has no verb `{verb}` to drop");
                return Err(usage(&message, "`openscope share show` shows what it has"));
            }
            kept.retain(|capability| capability.verb() != verb);
        }
        if !change.add.is_empty() {
            kept.extend(self.scope(owner, &change.add)?.capabilities().iter().cloned());
        }
        let scope = Scope::new(kept);
        if scope.is_empty() {
            return Err(usage("a share without verbs is none", "revoke it"));
        }
        if scope.capabilities().len() > policy::MAX_COMBINATIONS {
            return Err(usage("the share would have too many verbs and pins", "open another"));
        }
        Ok(scope)
    }

    /// Every seat's passport must be able to say it.
    fn check_passports(&self, lease: &Lease) -> Result<(), Failure> {
        lease.seats.iter().try_for_each(|seat| {
            let authority = self.authority(lease, seat.id, seat.redeem);
            let minted = policy::passport::mint(self.identity.signing_key(), &authority);
            minted.map(drop).map_err(|fault| usage(&fault.to_string(), "share fewer verbs"))
        })
    }

    /// The passport that says what the share has become, for a holder who was given a narrower one. What a
    /// holder has narrowed stays as it is.
    pub(super) fn widened(
        &mut self,
        id: ShareId,
        seat: SeatId,
        shown: &Passport,
    ) -> Option<(Vec<u8>, Arc<Passport>)> {
        let share = self.shares.get(&id)?;
        if !shown.blocks().is_empty() || share.lease.scope.is_subset_of(shown.scope()) {
            return None;
        }
        let authority = self.authority(&share.lease, seat, share.seat(seat)?.redeem);
        let bytes = policy::passport::mint(self.identity.signing_key(), &authority).ok()?;
        let root = self.identity.public_key();
        let passport = Arc::new(policy::passport::verify(&bytes, &root).ok()?);
        self.shares.get_mut(&id)?.remember_widened(seat, Arc::clone(&passport));
        Some((bytes, passport))
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
        // Each channel hears how its own passport stands: what one holder may do is not another's, and no wider passport is
        // for who showed a narrowed one.
        let shown = |(channel, place): (&ChannelId, &Place)| {
            let passport = share.passport(&place.passport, (place.seat, place.holder))?;
            Some((*channel, place.seat, passport))
        };
        let shown: Vec<_> = share.channels.iter().filter_map(shown).collect();
        for (channel, seat, passport) in shown {
            if let Ok(update) = self.standing(id, seat, &passport, now) {
                let update = Box::new(update);
                self.broker.send(&ToBroker::Update { channel, update }, &[]);
            }
        }
    }
}
