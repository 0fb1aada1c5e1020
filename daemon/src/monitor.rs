//! The monitor: root, one thread, no network. It alone holds policy, passports, leases and the audit log.

mod access;
pub mod audit;
mod beyond;
mod broker_link;
mod calls;
pub(crate) mod cgroup;
mod consents;
pub mod contacts;
mod ends;
mod extend;
mod failure;
mod helpers;
mod holders;
pub(crate) mod identity;
mod keys;
mod kick;
mod leases;
mod look;
mod meter;
mod needs;
mod open;
mod order_line;
mod over;
mod owner_socket;
mod permit;
mod plan;
mod reload;
mod requests;
pub mod resolver;
mod resume;
mod room;
mod seats;
mod services;
mod share;
mod spawn;
mod speaker;
mod ssh;
mod start;
mod start_call;
mod strangers;
mod terminal;
mod turn;
mod views;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signalfd::SignalFd;
use policy::{Policy, ShareId};
use wire::channel::ResetKey;
use wire::privsep::{ChannelId, Configuration, RedactRules, RelaySetting, ToBroker};

pub use start::main;

use audit::{AuditFault, Durability};

use crate::clock::{BootId, Instants};
use crate::config::Config;
use crate::keeper::KeeperLine;
use crate::strict::Judge;

/// Everything that decides, in one place; one thread changes it.
struct Monitor {
    keeper: KeeperLine,
    /// When the keeper is told next that this is not stuck.
    beat_due: Duration,
    signals: SignalFd,
    config_path: PathBuf,
    config: Config,
    config_warnings: Vec<String>,
    policy: Policy,
    /// What else is a secret in output, as the broker is told.
    redact: RedactRules,
    contacts: contacts::Contacts,
    own_contacts: contacts::OwnContacts,
    identity: identity::Identity,
    audit: audit::Audit,
    leases: leases::Leases,
    runners: spawn::Runners,
    judge: Judge,
    /// Where ssh finds what it is told of targets.
    directory: ssh::Directory,
    keys_user: Option<keys::KeysUser>,
    helpers: helpers::Helpers,
    home: String,
    boot: BootId,
    broker: broker_link::BrokerLink,
    confined: Option<Confined>,
    /// Each relay, and why it is down if it is.
    relays: BTreeMap<String, Option<String>>,
    resolver: resolver::Resolver,
    owners: owner_socket::OwnerSocket,
    unresolved: Vec<requests::Unresolved>,
    shares: BTreeMap<ShareId, share::Share>,
    openings: BTreeMap<ShareId, open::Opening>,
    calls: calls::Calls,
    consents: consents::Consents,
    waiters: Vec<over::Waiter>,
    /// Shares that have refused more than they may.
    tripped: BTreeSet<ShareId>,
    strangers: BTreeMap<ShareId, u64>,
    strangers_since: Option<Duration>,
    /// Shares that have ended in this turn: their leases do not say so yet.
    unkept_ends: Vec<ShareId>,
    /// Shares of which nothing is left: their leases go once all that was recorded of them is written.
    cleared: Vec<ShareId>,
    /// Receipts that are sent once the ends that they tell of are written.
    receipts: Vec<ToBroker>,
    /// How often each user may ask for what costs a record.
    askers: BTreeMap<u32, meter::Meter>,
    /// When calls were last looked at again because policy changes by itself.
    watched: Option<Duration>,
    sync_this_turn: bool,
    /// A write failed since the last turn was settled: what it was to put on record does not start.
    records_lost: bool,
    going: turn::Going,
    pool: spawn::Pool,
}

/// How far the broker says that it is confined.
#[derive(Clone, Copy)]
struct Confined {
    landlock: bool,
    seccomp: bool,
}

impl Monitor {
    /// Puts an event on record whose failure changes nothing but the log.
    fn note(&mut self, event: audit::Event, now: Instants) {
        if let Err(fault) = self.audit.record(event, now) {
            tracing::error!(%fault, "an event is not on record");
        }
    }

    /// Writes what is recorded so far. A failure counts for the whole turn: the log drops what was to
    /// begin, whichever of it the caller meant.
    fn commit(&mut self, durability: Durability, now: Instants) -> Result<(), AuditFault> {
        let written = self.audit.commit(durability, now);
        if let Err(fault) = &written {
            tracing::error!(%fault, "the audit log cannot be written: nothing starts");
            self.records_lost = true;
        }
        written
    }

    fn start_broker(&mut self, now: Instants) {
        let configuration = Configuration {
            relays: self
                .config
                .relays
                .iter()
                .map(|relay| RelaySetting {
                    address: relay.address.to_string(),
                    token: relay.token.to_string(),
                })
                .collect(),
            leg_key: *self.identity.leg_seed(),
            reset_key: *ResetKey::derive(self.identity.state_secret()).seed(),
            calls_in_flight: u32::try_from(self.config.limits.calls_in_flight_per_seat)
                .unwrap_or(u32::MAX),
            grace_ms: u64::try_from(self.config.limits.reattach_grace.as_millis())
                .unwrap_or(u64::MAX),
            channels_per_seat: CHANNELS_PER_SEAT,
        };
        if let Err(fault) = self.broker.start(configuration, now.boot) {
            tracing::error!(%fault, "the broker cannot be started");
            self.broker.postpone(now.boot);
        }
        self.tell_rules();
    }

    /// The broker hears of redaction rules before any call that names them.
    fn tell_rules(&mut self) {
        self.broker.send(&ToBroker::Rules(Box::new(self.redact.clone())), &[]);
    }

    /// A broker is up: it has to know every live share.
    fn broker_ready(&mut self, landlock: bool, seccomp: bool) {
        self.confined = Some(Confined { landlock, seccomp });
        if !(landlock && seccomp) {
            tracing::warn!(landlock, seccomp, "the broker is not fully confined");
        }
        let live = self.shares.values().filter(|share| share.over.is_none());
        let leases =
            live.map(|share| &share.lease).chain(self.openings.values().map(open::Opening::lease));
        let admissions: Vec<_> = leases.map(|lease| self.admission(lease)).collect();
        for admission in admissions {
            self.broker.send(&ToBroker::Admit(Box::new(admission)), &[]);
        }
    }

    fn take_relay(&mut self, address: &str, down: Option<String>) {
        if let Some(known) = self.relays.get_mut(address) {
            *known = down.map(|why| audit::Said::new(&why).to_string());
        }
    }

    fn forget_channel(&mut self, channel: ChannelId) {
        for share in self.shares.values_mut() {
            share.channels.remove(&channel);
        }
    }
}

/// Channels that one seat may have at once: an agent, a prompt and a script, their reconnects, and those to whom it was
/// handed on.
const CHANNELS_PER_SEAT: u32 = 16;
