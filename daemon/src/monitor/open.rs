//! Opening a share: rights checked, passports minted, relay asked, lease kept; only then the handles
//! are given out. Whatever fails on the way leaves nothing behind.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::{
    Authority, Groups, Principal, Recipient, Request as VerbRequest, Scope, SeatId, ShareId,
    Subject, Timestamp,
};
use wire::channel::ChannelKey;
use wire::control::{Failure, Open, Opened, Reply, SeatHandle, To};
use wire::fingerprint::Fingerprint;
use wire::frame::ShareEnd;
use wire::handle::{Handle, RecipientKey, Secret};
use wire::privsep::{Admission, SeatAdmission, ToBroker};

use super::Monitor;
use super::audit::{Durability, Event, Expiry, Recorded, Said, Who};
use super::calls::Batch;
use super::contacts;
use super::extend::{Terms, to_all};
use super::failure::{busy, refused, unavailable, usage};
use super::leases::{Lease, Owner, Seat};
use super::owner_socket::Caller;
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;
use crate::config::HARD_STOP;

/// How long a relay may take before the share is given up.
const REACH: Duration = Duration::from_secs(5);

/// A share that waits for its relay.
pub(super) struct Opening {
    caller: Caller,
    lease: Lease,
    handles: Vec<SeatHandle>,
    /// Boot time when it is given up.
    until: Duration,
}

/// A recipient and the key to seal to; none for a bearer.
struct Addressee {
    recipient: Recipient,
    key: Option<RecipientKey>,
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
        if person.uid == 0 {
            return Err(refused(
                "root owns no share",
                "run this as the user whose rights are to be shared",
            ));
        }
        let principal = self
            .policy
            .principal(&person.user, asked.agent.as_ref())
            .map_err(|fault| refused(&fault.to_string(), "`openscope capabilities` shows yours"))?;
        let opening = self.prepare(caller, person, &principal, asked, now);
        if let Err(failure) = &opening {
            let by =
                Who { uid: person.uid, user: person.user.clone(), agent: Some(principal.agent) };
            let event = Event::OpenRefused { by, reason: Said::new(first_line(&failure.message)) };
            self.note(event, now);
        }
        let opening = opening?;
        let admission = self.admission(&opening.lease);
        self.broker.send(&ToBroker::Admit(Box::new(admission)), &[]);
        self.openings.insert(opening.lease.id, opening);
        Ok(())
    }

    fn prepare(
        &mut self,
        caller: Caller,
        person: &Person,
        principal: &Principal,
        asked: &Open,
        now: Instants,
    ) -> Result<Opening, Failure> {
        let groups = Groups::Known(person.groups.clone());
        let subject = Subject { principal: principal.clone(), groups, now: now.wall };
        let scope = self.scope(&subject, &asked.verbs)?;
        let ttl = self.ttl(asked.ttl_ms)?;
        let addressees = self.addressees(person.uid, &asked.to)?;
        let id = ShareId::from_random(random()?);
        let terms = Terms {
            share: id,
            scope: &scope,
            to: addressees.iter().map(|addressee| &addressee.recipient).collect(),
            ttl,
            redelegate: 0,
        };
        self.delegation(&subject, &terms)
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        self.check_room(person.uid, addressees.len())?;
        let owner =
            Owner { uid: person.uid, user: person.user.clone(), agent: principal.agent.clone() };
        let mut lease = self.lease(id, owner, scope, ttl, now)?;
        let handles = self.seats(&mut lease, addressees)?;
        let until = now.boot.saturating_add(REACH);
        Ok(Opening { caller, lease, handles, until })
    }

    fn scope(&self, subject: &Subject, verbs: &[String]) -> Result<Scope, Failure> {
        if verbs.is_empty() {
            return Err(usage("no verb is named", "say what to share: `--verb app.action`"));
        }
        let requests = verbs
            .iter()
            .map(|verb| verb.parse::<VerbRequest>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| usage(&fault.to_string(), "see `openscope share open --help`"))?;
        self.policy
            .surface(subject)
            .derive(&requests)
            .map_err(|fault| refused(&fault.to_string(), "`openscope capabilities` shows yours"))
    }

    fn ttl(&self, asked: Option<u64>) -> Result<Duration, Failure> {
        let ttl = asked.map_or(self.config.limits.default_ttl, Duration::from_millis);
        if ttl.is_zero() {
            return Err(usage("a share of no time is none", "say how long: `--ttl 30m`"));
        }
        if ttl > HARD_STOP {
            return Err(refused(
                &format!("a share lasts at most 30 minutes, not {} s", ttl.as_secs()),
                "say `--ttl 30m` or less; when it is over, open another",
            ));
        }
        Ok(ttl)
    }

    fn addressees(&self, uid: u32, to: &To) -> Result<Vec<Addressee>, Failure> {
        let To::Contacts(aliases) = to else {
            return Ok(vec![Addressee { recipient: Recipient::Bearer, key: None }]);
        };
        if aliases.len() > self.config.limits.seats_per_share {
            return Err(busy("seats_per_share", self.config.limits.seats_per_share));
        }
        if aliases.is_empty() {
            return Err(usage("nobody is named", "say for whom: `--to ALIAS`, or `--bearer`"));
        }
        aliases
            .iter()
            .map(|alias| {
                let (alias, contact) =
                    contacts::resolve(&self.contacts, &self.own_contacts, uid, alias.as_str())
                        .map_err(|fault| {
                            usage(
                                &fault.to_string(),
                                "`openscope contact list` shows whom you know",
                            )
                        })?;
                let fingerprint = contact.key.fingerprint();
                let recipient = Recipient::Contact { alias, fingerprint };
                Ok(Addressee { recipient, key: Some(contact.key) })
            })
            .collect()
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
        id: ShareId,
        owner: Owner,
        scope: Scope,
        ttl: Duration,
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
            id,
            owner,
            opened: now,
            boot: self.boot.clone(),
            deadline: after(ttl),
            hard_stop: after(HARD_STOP),
            scope,
            depth: 0,
            calls_max: self.config.limits.calls_per_share,
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
        let authority = Authority {
            daemon: self.config.name.clone(),
            share: lease.id,
            seat: id,
            owner: lease.owner.user.clone(),
            relays: lease.relays.clone(),
            not_after: lease.hard_stop,
            channel_key: self.channel_key(lease.id).public(),
            redeem_key,
            depth: lease.depth,
            scope: lease.scope.clone(),
        };
        let passport = policy::passport::mint(self.identity.signing_key(), &authority)
            .map_err(|fault| usage(&fault.to_string(), "share fewer verbs"))?;
        let digest = policy::passport::verify(&passport, &self.identity.public_key())
            .map_err(|fault| unavailable(&fault.to_string(), "this is a defect: report it"))?
            .digest();
        let daemon_key = self.identity.public_key().to_bytes();
        let handle = Handle { rendezvous, redeem, daemon_key, passport };
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
            ended: None,
        };
        Ok((seat, SeatHandle { seat: id, handle, second }))
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
        let Some(opening) = self.openings.remove(&id) else { return };
        let caller = opening.caller;
        let opened = match failure {
            None => self.opened(opening, batch, now),
            Some(why) => Err(self.unreached(why)),
        };
        match opened {
            Ok(opened) => self.owners.reply(caller, &Reply::Opened(Box::new(opened)), now.boot),
            Err(failure) => {
                self.broker.send(&ToBroker::Retire { share: id, end: ShareEnd::Expired }, &[]);
                self.owners.reply(caller, &Reply::Failed(failure), now.boot);
            }
        }
    }

    fn opened(
        &mut self,
        opening: Opening,
        batch: &mut Batch,
        now: Instants,
    ) -> Result<Opened, Failure> {
        let Opening { lease, handles, .. } = opening;
        // The relay took its time: policy and contacts may be others by now.
        let principal =
            Principal { user: lease.owner.user.clone(), agent: lease.owner.agent.clone() };
        let groups = self.resolver.groups(lease.owner.uid, now.boot);
        let terms = Terms {
            share: lease.id,
            scope: &lease.scope,
            to: to_all(&lease),
            ttl: Duration::from_millis(lease.deadline.0.saturating_sub(lease.opened.wall.0)),
            redelegate: lease.depth,
        };
        let agreed = self
            .delegation(&Subject { principal, groups, now: now.wall }, &terms)
            .map_err(|fault| refused(&fault.to_string(), "policy has changed meanwhile"))?;
        let owner = &lease.owner;
        let event = Event::ShareOpened {
            by: Who { uid: owner.uid, user: owner.user.clone(), agent: Some(owner.agent.clone()) },
            share: lease.id,
            recipients: lease.seats.iter().map(|seat| seat.recipient.clone()).collect(),
            scope: Recorded::of(&lease.scope),
            deadline: lease.deadline,
            hard_stop: lease.hard_stop,
            basis: Said::new(&agreed.basis()),
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
            let Some(opening) = self.openings.remove(&id) else { continue };
            self.broker.send(&ToBroker::Retire { share: id, end: ShareEnd::Expired }, &[]);
            let failure = self.unreached("it did not answer within 5 s");
            self.owners.reply(opening.caller, &Reply::Failed(failure), now.boot);
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
fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|fault| {
        unavailable(&format!("no randomness: {fault}"), "this should not happen")
    })?;
    Ok(bytes)
}
