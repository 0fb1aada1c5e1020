//! Opening a share: rights checked, passports minted, relay asked, lease kept; only then the handles
//! are given out. Whatever fails on the way leaves nothing behind.

use std::collections::BTreeSet;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::{
    Approve, Authority, Consent, Groups, Principal, SeatId, ShareId, Subject, Timestamp, VerbName,
};
use wire::channel::ChannelKey;
use wire::control::{Failure, Open, Opened, Reply, SeatHandle};
use wire::fingerprint::Fingerprint;
use wire::frame::ShareEnd;
use wire::handle::{Handle, Secret};
use wire::privsep::{Admission, SeatAdmission, ToBroker};

use super::Monitor;
use super::audit::{Durability, Event, Expiry, Recorded, Said, Who};
use super::calls::Batch;
use super::consents::HeldOpen;
use super::failure::{busy, refused, unavailable, usage};
use super::helpers::HelperId;
use super::leases::{Lease, Owner, Seat};
use super::owner_socket::Caller;
use super::plan::{Addressee, Draft};
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;
use crate::config::HARD_STOP;
use crate::reach::Probed;

/// How long a relay may take before the share is given up.
const REACH: Duration = Duration::from_secs(5);

/// A share that waits for its relay, and for the services that it reflects, and the databases that it asks.
pub(super) struct Opening {
    caller: Caller,
    lease: Lease,
    handles: Vec<SeatHandle>,
    person: Person,
    asked: Open,
    /// What it was decided to be.
    digest: [u8; 32],
    /// Who consented to it.
    given: Vec<Consent>,
    /// Boot time when it is given up.
    until: Duration,
    /// Whether its relay has answered.
    is_admitted: bool,
    /// What looks for services and has not found them yet.
    probing: BTreeSet<HelperId>,
    /// What its owner should know before they give it away.
    warnings: Vec<String>,
}

impl Monitor {
    /// Begins to open a share; the answer comes when the relay has been heard, or not.
    pub(super) fn open(
        &mut self,
        caller: Caller,
        person: &Person,
        asked: &Open,
        now: Instants,
    ) -> Result<(), Failure> {
        self.open_now(caller, person, asked, None, now)
    }

    /// Begins to open a share, with what was consented to so far and by whom.
    pub(super) fn open_now(
        &mut self,
        caller: Caller,
        person: &Person,
        asked: &Open,
        consented: Option<([u8; 32], &[Consent])>,
        now: Instants,
    ) -> Result<(), Failure> {
        let begun = self.begin_to_open(caller, person, asked, consented, now);
        if let Err(failure) = &begun {
            let (uid, user) = (person.uid, person.user.clone());
            let by = Who { uid, user, agent: asked.agent.clone() };
            let event = Event::OpenRefused { by, reason: Said::new(first_line(&failure.message)) };
            self.note(event, now);
        }
        begun
    }

    fn begin_to_open(
        &mut self,
        caller: Caller,
        person: &Person,
        asked: &Open,
        consented: Option<([u8; 32], &[Consent])>,
        now: Instants,
    ) -> Result<(), Failure> {
        let groups = match consented {
            None => Groups::Known(person.groups.clone()),
            Some(_) => self.resolver.groups(person.uid, now.boot),
        };
        let draft = self.draft(person, groups, asked, now)?;
        draft.check_expected(asked)?;
        let (to, given) = consented.unwrap_or((draft.digest, &[]));
        if to != draft.digest {
            return Err(refused(
                "what was consented to is no longer what would be opened",
                "policy, catalog or contacts have changed: open it again",
            ));
        }
        self.check_room(person.uid, draft.addressees.len())?;
        let (rules, plan, digest) =
            (draft.agreed.consent.clone(), draft.plan.clone(), draft.digest);
        let waits = !draft.is_consented_to(given);
        let own = asked.approve;
        let is_free = |verb: &&VerbName| draft.agreed.asks_for(verb).0.max(own) == Approve::Never;
        let free: BTreeSet<VerbName> =
            draft.scope.verbs().into_iter().filter(is_free).cloned().collect();
        // Made before anybody is asked for consent: what cannot be a handle bothers nobody.
        let opening = self.prepare((caller, person), asked, draft, given, now)?;
        if waits {
            let (person, open) = (person.clone(), asked.clone());
            return self.hold_open(HeldOpen { caller, person, open, plan, digest }, rules, now);
        }
        let groups = Groups::Known(person.groups.clone());
        let Owner { user, agent, .. } = opening.lease.owner.clone();
        let subject = Subject { principal: Principal { user, agent }, groups, now: now.wall };
        let probing = self.look_for_services(&opening.lease, (&subject, &free), now)?;
        let admission = self.admission(&opening.lease);
        self.broker.send(&ToBroker::Admit(Box::new(admission)), &[]);
        self.openings.insert(opening.lease.id, Opening { probing, ..opening });
        Ok(())
    }

    fn prepare(
        &mut self,
        (caller, person): (Caller, &Person),
        asked: &Open,
        draft: Draft,
        given: &[Consent],
        now: Instants,
    ) -> Result<Opening, Failure> {
        let mut lease = self.lease(person.uid, asked, &draft, now)?;
        let (digest, given) = (draft.digest, given.to_vec());
        let handles = self.seats(&mut lease, draft.addressees)?;
        let (person, asked) = (person.clone(), asked.clone());
        let until = now.boot.saturating_add(REACH);
        Ok(Opening {
            caller,
            lease,
            handles,
            person,
            asked,
            digest,
            given,
            until,
            is_admitted: false,
            probing: BTreeSet::new(),
            warnings: Vec::new(),
        })
    }

    fn check_room(&self, uid: u32, seats: usize) -> Result<(), Failure> {
        let limits = &self.config.limits;
        let leases = || {
            let live = self.shares.values().filter(|share| share.over.is_none());
            let opening = self.openings.values().map(|opening| &opening.lease);
            live.map(|share| &share.lease).chain(opening)
        };
        if leases().filter(|lease| lease.owner.uid == uid).count() >= limits.open_shares_per_owner {
            return Err(busy("open_shares_per_owner", limits.open_shares_per_owner));
        }
        if leases().count() >= limits.open_shares {
            return Err(busy("open_shares", limits.open_shares));
        }
        if seats > limits.seats_per_share {
            return Err(busy("seats_per_share", limits.seats_per_share));
        }
        Ok(())
    }

    fn lease(
        &self,
        uid: u32,
        asked: &Open,
        draft: &Draft,
        now: Instants,
    ) -> Result<Lease, Failure> {
        let relays: Vec<String> =
            self.config.relays.iter().map(|relay| relay.address.to_string()).collect();
        if relays.is_empty() {
            return Err(unavailable(
                "no relay is configured",
                "add a `[[relay]]` to openscoped.toml",
            ));
        }
        let after = |time: Duration| {
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            Timestamp(now.wall.0.saturating_add(ms))
        };
        Ok(Lease {
            id: draft.id,
            owner: Owner {
                uid,
                user: draft.principal.user.clone(),
                agent: draft.principal.agent.clone(),
            },
            opened: now,
            boot: self.boot.clone(),
            deadline: after(draft.ttl),
            hard_stop: after(HARD_STOP),
            scope: draft.scope.clone(),
            depth: asked.redelegate,
            calls_max: self.config.limits.calls_per_share,
            budget: draft.budget,
            approve: asked.approve,
            relays,
            recorded_from: self.audit.position(),
            seats: Vec::new(),
            ended: None,
        })
    }

    fn seats(
        &self,
        lease: &mut Lease,
        addressees: Vec<Addressee>,
    ) -> Result<Vec<SeatHandle>, Failure> {
        let mut handles = Vec::new();
        for (number, addressee) in (0u8..).zip(addressees) {
            let (seat, handle) = self.seat(lease, SeatId(number), &addressee)?;
            lease.seats.push(seat);
            handles.push(handle);
        }
        Ok(handles)
    }

    /// One seat: two secrets that exist only in the handle, and a passport.
    fn seat(
        &self,
        lease: &Lease,
        id: SeatId,
        to: &Addressee,
    ) -> Result<(Seat, SeatHandle), Failure> {
        let (rendezvous, redeem) = (Secret::new(random()?), Secret::new(random()?));
        let public =
            |secret: &Secret| SigningKey::from_bytes(secret.expose()).verifying_key().to_bytes();
        let (rendezvous_key, redeem_key) = (public(&rendezvous), public(&redeem));
        let authority = self.authority(lease, id, redeem_key);
        let passport = policy::passport::mint(self.identity.signing_key(), &authority)
            .map_err(|fault| usage(&fault.to_string(), "share fewer verbs"))?;
        let digest = policy::passport::verify(&passport, &self.identity.public_key())
            .map_err(|fault| unavailable(&fault.to_string(), "this is a defect: report it"))?
            .digest();
        let daemon_key = self.identity.public_key().to_bytes();
        let (redeem, ancestors) = (Some(redeem), Vec::new());
        let handle = Handle { rendezvous, redeem, daemon_key, passport, ancestors };
        let sealed = match &to.key {
            Some(key) => handle.seal(key).map(|handle| (handle, None)),
            None => handle
                .seal_bearer()
                .map(|(handle, second)| (handle, Some(second.expose().to_owned()))),
        };
        let (handle, second) =
            sealed.map_err(|fault| unavailable(&fault.to_string(), "check the recipient's key"))?;
        let seat = Seat {
            id,
            recipient: to.recipient.clone(),
            rendezvous: rendezvous_key,
            redeem: redeem_key,
            holder: None,
            passport: digest,
            sub_holders: Vec::new(),
            ended: None,
        };
        Ok((seat, SeatHandle { seat: id, handle, second }))
    }

    /// What a seat's passport states, as the share stands.
    pub(super) fn authority(&self, lease: &Lease, seat: SeatId, redeem_key: [u8; 32]) -> Authority {
        Authority {
            daemon: self.config.name.clone(),
            share: lease.id,
            seat,
            owner: lease.owner.user.clone(),
            relays: lease.relays.clone(),
            not_after: lease.hard_stop,
            channel_key: self.channel_key(lease.id).public(),
            redeem_key,
            depth: lease.depth,
            scope: lease.scope.clone(),
        }
    }

    fn channel_key(&self, share: ShareId) -> ChannelKey {
        ChannelKey::derive(self.identity.state_secret(), share)
    }

    /// What the broker needs to make a share reachable.
    pub(super) fn admission(&self, lease: &Lease) -> Admission {
        let seats = lease.seats.iter().filter(|seat| seat.ended.is_none());
        Admission {
            share: lease.id,
            channel_key: *self.channel_key(lease.id).seed(),
            seats: seats
                .map(|seat| SeatAdmission { seat: seat.id, rendezvous: seat.rendezvous })
                .collect(),
        }
    }

    /// The broker says whether a share can be reached: now it is open, or never was.
    pub(super) fn take_admitted(
        &mut self,
        id: ShareId,
        failure: Option<&str>,
        batch: &mut Batch,
        now: Instants,
    ) {
        match failure {
            None => {
                if let Some(opening) = self.openings.get_mut(&id) {
                    opening.is_admitted = true;
                }
                self.open_if_ready(id, batch, now);
            }
            Some(why) => self.give_up_opening(id, self.unreached(why), now),
        }
    }

    /// A service that a share is to reflect is there, or not.
    pub(super) fn take_probed(
        &mut self,
        helper: HelperId,
        probed: Probed,
        batch: &mut Batch,
        now: Instants,
    ) {
        let Some(id) = self.helpers.share_of(helper) else { return };
        let name = self.helpers.service_of(helper).unwrap_or_default();
        let Some(opening) = self.openings.get_mut(&id) else { return };
        if !opening.probing.remove(&helper) {
            return;
        }
        match probed {
            Probed::There => {}
            Probed::Unwell(why) => opening.warnings.push(format!("`{name}`: {}", Said::new(&why))),
            Probed::Away(why) => {
                let message = format!("`{name}` is not there: {}", Said::new(&why));
                let failure = unavailable(&message, "start it, then try again; nothing was opened");
                return self.give_up_opening(id, failure, now);
            }
        }
        self.open_if_ready(id, batch, now);
    }

    fn open_if_ready(&mut self, id: ShareId, batch: &mut Batch, now: Instants) {
        let ready = |opening: &Opening| opening.is_admitted && opening.probing.is_empty();
        if !self.openings.get(&id).is_some_and(ready) {
            return;
        }
        let Some(opening) = self.openings.remove(&id) else { return };
        let caller = opening.caller;
        match self.opened(opening, batch, now) {
            Ok(opened) => self.owners.reply(caller, &Reply::Opened(Box::new(opened)), now.boot),
            Err(failure) => self.never_opened(id, caller, failure, now),
        }
    }

    fn give_up_opening(&mut self, id: ShareId, failure: Failure, now: Instants) {
        if let Some(opening) = self.openings.remove(&id) {
            self.never_opened(id, opening.caller, failure, now);
        }
    }

    fn never_opened(&mut self, id: ShareId, caller: Caller, failure: Failure, now: Instants) {
        self.end_helpers(|helper| helper.share == id);
        self.broker.send(&ToBroker::Retire { share: id, seat: None, end: ShareEnd::Expired }, &[]);
        self.owners.reply(caller, &Reply::Failed(failure), now.boot);
    }

    fn opened(
        &mut self,
        opening: Opening,
        batch: &mut Batch,
        now: Instants,
    ) -> Result<Opened, Failure> {
        let Opening { lease, handles, person, asked, digest, given, warnings, .. } = opening;
        // The relay took its time: policy, catalog and contacts may be others by now.
        let groups = self.resolver.groups(person.uid, now.boot);
        let draft = self.draft(&person, groups, &asked, now)?;
        if draft.digest != digest || !draft.is_consented_to(&given) {
            return Err(refused(
                "policy, catalog or contacts have changed meanwhile",
                "look at what the share would be now: `openscope share open … --plan`",
            ));
        }
        let mut basis = draft.agreed.basis();
        if !given.is_empty() {
            let consented: Vec<&str> = given.iter().map(|consent| &*consent.user).collect();
            basis = format!("{basis}; consented to by {}", consented.join(", "));
        }
        let owner = &lease.owner;
        let event = Event::ShareOpened {
            by: Who { uid: owner.uid, user: owner.user.clone(), agent: Some(owner.agent.clone()) },
            share: lease.id,
            recipients: lease.seats.iter().map(|seat| seat.recipient.clone()).collect(),
            scope: Recorded::of(&lease.scope),
            deadline: lease.deadline,
            hard_stop: lease.hard_stop,
            basis: Said::new(&basis),
        };
        let unrecorded = |why: &dyn std::fmt::Display| {
            let message = format!("the share cannot be put on record: {why}");
            unavailable(&message, "free space for the daemon's state directory, then try again")
        };
        self.audit.record(event, now).map_err(|fault| unrecorded(&fault))?;
        self.commit(Durability::Now, now).map_err(|fault| unrecorded(&fault))?;
        if let Err(fault) = self.leases.put(&lease) {
            self.note(Event::ShareExpired { share: lease.id, why: Expiry::Unkept, calls: 0 }, now);
            return Err(unrecorded(&fault));
        }
        batch.demand_sync();
        let id = lease.id;
        let fingerprint = Fingerprint::of(&self.identity.public_key().to_bytes());
        let mut share = Share::new(lease);
        let view = self.view(&mut share, now);
        tracing::info!(share = %id, "a share was opened");
        self.shares.insert(id, share);
        Ok(Opened {
            share: view,
            handles,
            fingerprint: fingerprint.to_string(),
            words: fingerprint.words().map(str::to_owned).to_vec(),
            warnings,
        })
    }

    /// Gives up the openings whose relay did not answer in time.
    pub(super) fn give_up_openings(&mut self, now: Instants) {
        let late: Vec<ShareId> = self
            .openings
            .iter()
            .filter(|(_, opening)| opening.until <= now.boot)
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let admitted = self.openings.get(&id).is_some_and(|opening| opening.is_admitted);
            let failure = if admitted {
                let what = "a service that the share needs says nothing";
                unavailable(what, "look whether it is well, then try again; nothing was opened")
            } else {
                self.unreached("it did not answer within 5 s")
            };
            self.give_up_opening(id, failure, now);
        }
    }

    fn unreached(&self, why: &str) -> Failure {
        let relays: Vec<&str> = self.relays.keys().map(String::as_str).collect();
        let message = format!("no relay could be reached ({}): {why}", relays.join(", "));
        unavailable(&message, "`openscope status` shows the relays; nothing was opened")
    }
}

impl Opening {
    /// Boot time when it is given up.
    pub(super) fn until(&self) -> Duration {
        self.until
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }
}

/// A fault may draw a picture below its sentence; the record takes the sentence.
pub(super) fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|fault| {
        unavailable(&format!("no randomness: {fault}"), "this should not happen")
    })?;
    Ok(bytes)
}
