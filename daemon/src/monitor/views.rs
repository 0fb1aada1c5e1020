//! What owners are shown.

use policy::{AgentName, Alias, Capability, Effect, Groups, Recipient, Subject, Surface, Verb};
use wire::control::{
    CapabilitiesView, CapabilityView, Failure, OfferView, RelayView, Reply, RunningView, SeatView,
    ShareView, StatusView, SubHolderView,
};
use wire::fingerprint::Fingerprint;

use super::Monitor;
use super::failure::refused;
use super::leases::Seat;
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;
use crate::config::Mode;

impl Monitor {
    pub(super) fn view(&self, share: &mut Share, now: Instants) -> ShareView {
        let share_now = share.now(now);
        let lease = &share.lease;
        ShareView {
            id: lease.id,
            user: lease.owner.user.clone(),
            agent: lease.owner.agent.clone(),
            opened: lease.opened.wall,
            deadline: lease.deadline,
            hard_stop: lease.hard_stop,
            now: share_now,
            scope: lease.scope.clone(),
            seats: lease.seats.iter().map(|seat| seat_view(share, seat)).collect(),
            calls: share.made,
            refused: share.refused,
            budget: lease.budget,
            bytes: if lease.budget.bytes.is_some() { share.used().bytes } else { share.bytes },
            approve: lease.approve,
            redelegate: lease.depth,
            second_redeemers: share.second_redeemers,
            running: self.running(share),
        }
    }

    fn running(&self, share: &Share) -> Vec<RunningView> {
        let runs = share.runs().into_iter().filter_map(|run| self.calls.active.get(&run));
        runs.map(|active| RunningView {
            id: active.at.id.to_string(),
            call: shown(&active.call),
            started: active.started,
        })
        .collect()
    }

    pub(super) fn capabilities(
        &self,
        person: &Person,
        agent: Option<&AgentName>,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let subject = self.asking_as(person, agent, now)?;
        let contacts = self.known_to(person.uid);
        let surface = self.policy.surface(&subject);
        let scope = surface.scope();
        let held = scope.capabilities().iter();
        let verbs = held.map(|one| self.capability(&subject, &surface, one, &contacts)).collect();
        Ok(Reply::Capabilities(Box::new(CapabilitiesView {
            agent: subject.principal.agent,
            verbs,
        })))
    }

    /// The caller, as the agent whose verbs they ask about.
    pub(super) fn asking_as(
        &self,
        person: &Person,
        agent: Option<&AgentName>,
        now: Instants,
    ) -> Result<Subject, Failure> {
        let principal = self
            .policy
            .principal(&person.user, agent)
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        let groups = Groups::Known(person.groups.clone());
        Ok(Subject { principal, groups, now: now.wall })
    }

    fn capability(
        &self,
        subject: &Subject,
        surface: &Surface,
        held: &Capability,
        contacts: &[Recipient],
    ) -> CapabilityView {
        let verb = self.policy.catalog().verb(held.verb());
        let offers = self.policy.offers(subject, surface, held, contacts).into_iter();
        let offers: Vec<OfferView> = offers
            .map(|(offer, reached)| OfferView {
                offer,
                contacts: reached.into_iter().filter_map(alias).cloned().collect(),
            })
            .collect();
        CapabilityView {
            verb: held.to_string(),
            summary: verb.map(|verb| verb.summary.clone()).unwrap_or_default(),
            effect: verb.map_or(Effect::Write, |verb| verb.effect),
            delegable: !offers.is_empty(),
            offers,
        }
    }

    /// Root's contacts, and an owner's own as far as they can be read.
    fn known_to(&self, uid: u32) -> Vec<Recipient> {
        let own = self.own_contacts.list(uid).unwrap_or_default();
        let own = own.iter().filter_map(|(alias, contact)| {
            Some((format!("own/{alias}").parse().ok()?, contact.key.fingerprint()))
        });
        let roots = self.contacts.iter();
        let roots = roots.map(|(alias, contact)| (alias.clone(), contact.key.fingerprint()));
        let all = roots.chain(own);
        all.map(|(alias, fingerprint)| Recipient::Contact { alias, fingerprint }).collect()
    }

    pub(super) fn status(&self) -> StatusView {
        let fingerprint = Fingerprint::of(&self.identity.public_key().to_bytes());
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let relays = self.relays.iter().map(|(address, down)| RelayView {
            address: address.clone(),
            up: down.is_none(),
            why: down.clone(),
        });
        StatusView {
            name: self.config.name.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint: fingerprint.to_string(),
            words: fingerprint.words().map(str::to_owned).to_vec(),
            mode: match self.config.mode {
                Mode::System => "system".to_owned(),
                Mode::Rootless => "rootless".to_owned(),
            },
            relays: relays.collect(),
            warnings: self.warnings(),
            shares: count(self.shares.values().filter(|share| share.over.is_none()).count()),
            calls: count(self.calls.active.len()),
        }
    }

    /// What does not hold here that the promises say.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = self.config_warnings.clone();
        warnings.extend(self.policy.catalog().verbs().filter_map(|verb| self.unlimited(verb)));
        if let Some(confined) = self.confined {
            if !confined.landlock {
                warnings.push("the broker can open files: this kernel has no Landlock".to_owned());
            }
            if !confined.seccomp {
                warnings.push("the broker can run programs: seccomp is not to be had".to_owned());
            }
            if self.config.mode == Mode::Rootless && !(confined.landlock && confined.seccomp) {
                warnings.push(
                    "P9 does not hold: without its sandbox, whoever takes over the broker is you"
                        .to_owned(),
                );
            }
        } else {
            warnings.push("the broker is not up: nobody can be reached".to_owned());
        }
        warnings
    }
}

impl Monitor {
    /// What is to be said of a verb whose limits in total this daemon cannot keep.
    fn unlimited(&self, verb: &Verb) -> Option<String> {
        let policy::Run::Exec(exec) = &verb.run else { return None };
        let fault = self.runners.can_limit(exec.confinement.total).err()?;
        Some(format!("`{}` cannot be called: {fault}", verb.name))
    }
}

/// A call as its caller would write it.
pub(super) fn shown(call: &policy::Call) -> String {
    let arguments = call.arguments.iter().map(|(name, value)| format!(" {name}={}", value.shown()));
    std::iter::once(call.verb.to_string()).chain(arguments).collect()
}

fn seat_view(share: &Share, seat: &Seat) -> SeatView {
    let connected =
        |key| share.channels.values().any(|place| (place.seat, place.holder) == (seat.id, key));
    SeatView {
        id: seat.id,
        alias: alias(&seat.recipient).cloned(),
        holder: seat.holder.map(|key| Fingerprint::of(&key).to_string()),
        connected: seat.holder.is_some_and(connected),
        ended: seat.ended.is_some(),
        handed_on: seat
            .sub_holders
            .iter()
            .map(|sub| SubHolderView {
                holder: Fingerprint::of(&sub.holder).to_string(),
                by: Fingerprint::of(&sub.by).to_string(),
                connected: connected(sub.holder),
            })
            .collect(),
    }
}

fn alias(recipient: &Recipient) -> Option<&Alias> {
    match recipient {
        Recipient::Contact { alias, .. } => Some(alias),
        Recipient::Bearer => None,
    }
}
