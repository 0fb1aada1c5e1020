//! New policy for a running daemon: all of it, or nothing. It counts from the next call, and for
//! the calls that run.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{Recipient, SeatId, ShareId};
use wire::control::{Failure, Reply};

use super::Monitor;
use super::audit::{Event, Hex, Said, Who};
use super::contacts;
use super::failure::{refused, unavailable};
use super::resolver::Person;
use super::share::Share;
use crate::clock::Instants;
use crate::config::{self, Config, Loaded, RelayEntry};

/// How often what runs is looked at again under a policy that changes by itself.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl Monitor {
    pub(super) fn reload_for(&mut self, person: &Person, now: Instants) -> Result<Reply, Failure> {
        let rootless = self.config.mode == config::Mode::Rootless;
        if !rootless && !self.is_admin(person) {
            return Err(refused("a reload is for root and the admin group", "ask one of them"));
        }
        let by = Self::person(person);
        self.reload(Some(by), now)
            .map(Reply::Done)
            .map_err(|faults| unavailable(&faults, "nothing was changed; mend it and reload again"))
    }

    /// Reads the configuration again. A fault anywhere leaves everything as it was.
    pub(super) fn reload(&mut self, by: Option<Who>, now: Instants) -> Result<String, String> {
        match config::load(&self.config_path, Some(self.config.mode)) {
            Ok(loaded) => {
                if let Err(fault) = self.take_targets(&loaded.policy) {
                    let said = format!("targets cannot be written down for ssh: {fault}");
                    return Err(self.reject(by, &[said], now));
                }
                self.take_services(&loaded.policy, now);
                Ok(self.adopt(loaded, by, now))
            }
            Err(faults) => {
                let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Err(self.reject(by, &said, now))
            }
        }
    }

    fn reject(&mut self, by: Option<Who>, said: &[String], now: Instants) -> String {
        let first = Said::new(said.first().map_or("", String::as_str));
        self.note(Event::PolicyRejected { by, faults: said.len(), first }, now);
        let said = said.join("\n");
        tracing::warn!("the new configuration is not taken:\n{said}");
        said
    }

    fn adopt(&mut self, loaded: Loaded, by: Option<Who>, now: Instants) -> String {
        let Loaded { config, policy, redact, contacts, digest, warnings, .. } = loaded;
        let relays = |config: &Config| -> Vec<(String, String)> {
            let of = |relay: &RelayEntry| (relay.address.to_string(), relay.token.to_string());
            config.relays.iter().map(of).collect()
        };
        let kept = config.state != self.config.state
            || config.socket != self.config.socket
            || relays(&config) != relays(&self.config)
            || config.kill != self.config.kill
            || config.name != self.config.name;
        self.config.limits = config.limits;
        self.config.admin_group = config.admin_group;
        self.policy = policy;
        self.redact = redact;
        self.tell_rules();
        self.contacts = contacts;
        self.config_warnings = warnings;
        let verbs = self.policy.catalog().verbs().count();
        self.note(Event::PolicyReloaded { by, digest: Hex(digest), verbs }, now);
        self.check_recipients(None, now);
        let restart = "; name, state, socket, relays and kill count from the next start";
        let said = format!("policy is reloaded: {verbs} verbs{}", if kept { restart } else { "" });
        tracing::info!("{said}");
        said
    }

    /// Policy that speaks of groups or times of day changes by itself: what runs is looked at again every
    /// second, and who the owners of shares are, live and to be, is asked for anew.
    pub(super) fn watch_what_varies(&mut self, now: Instants) {
        let live = self.shares.values().filter(|share| share.over.is_none());
        let live = live.map(|share| share.lease.owner.uid);
        let opening = self.openings.values().map(|opening| opening.lease().owner.uid);
        let owners: BTreeSet<u32> = live.chain(opening).chain(self.consents.owners()).collect();
        if !self.policy.varies() || owners.is_empty() {
            return;
        }
        self.resolver.renew(owners, now.boot);
        if self.watched.is_none_or(|at| now.boot.saturating_sub(at) >= WATCH_EVERY) {
            self.watched = Some(now.boot);
            self.recheck(now);
        }
    }

    /// Looks again at who is still a contact, at what runs, and tells holders what changed: of everybody, or of
    /// one owner.
    pub(super) fn check_recipients(&mut self, of: Option<u32>, now: Instants) {
        let meant = |share: &Share| of.is_none_or(|uid| share.lease.owner.uid == uid);
        let gone: Vec<(ShareId, SeatId, bool)> = self
            .shares
            .iter()
            .filter(|(_, share)| meant(share))
            .flat_map(|(id, share)| share.lease.seats.iter().map(move |seat| (id, share, seat)))
            .map(|(id, share, seat)| {
                let stands = self.is_contact(share.lease.owner.uid, &seat.recipient);
                (*id, seat.id, !stands)
            })
            .collect();
        for (id, seat, gone) in gone {
            let Some(share) = self.shares.get_mut(&id) else { continue };
            if gone {
                share.unreachable.insert(seat);
            } else {
                share.unreachable.remove(&seat);
            }
        }
        self.recheck(now);
        let meant = self.shares.iter().filter(|(_, share)| meant(share));
        for id in meant.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_standing(id, now);
        }
    }

    fn is_contact(&self, uid: u32, recipient: &Recipient) -> bool {
        let Recipient::Contact { alias, fingerprint } = recipient else { return true };
        contacts::resolve(&self.contacts, &self.own_contacts, uid, alias.as_str()).is_ok_and(
            |(found, contact)| found == *alias && contact.key.fingerprint() == *fingerprint,
        )
    }
}
