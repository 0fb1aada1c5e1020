//! What an earlier life left: live shares go on with the same handles and deadlines, all others are
//! over, and calls that were running are on record as interrupted.

use std::collections::BTreeMap;

use policy::{ShareId, Timestamp};
use wire::call::{CallId, Ending, OutcomeStatement};

use super::audit::{self, Audit, AuditFault, Event, Expiry, Hex, Holder, Record, Said};
use super::beyond::Beyond;
use super::ends::told;
use super::leases::{self, Lease, LeaseFault, Leases};
use super::permit::CROWDED;
use super::share::{CallKey, Share};
use crate::clock::{BootId, Instants};
use crate::config::Config;

/// What goes on.
pub(super) struct Resumed {
    pub(super) shares: BTreeMap<ShareId, Share>,
    /// Shares that are over.
    pub(super) over: Vec<ShareId>,
    /// Calls that were running and are not any more.
    pub(super) interrupted: u32,
}

/// Why it cannot be known what was live. Nothing goes on then.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResumeFault {
    /// The leases.
    #[error(transparent)]
    Leases(#[from] LeaseFault),
    /// The record.
    #[error(transparent)]
    Audit(#[from] AuditFault),
}

/// Takes up the shares that are live by the leases, the record and the clock.
pub(super) fn resume(
    leases: &mut Leases,
    audit: &mut Audit,
    config: &Config,
    boot: &BootId,
    now: Instants,
) -> Result<Resumed, ResumeFault> {
    let (kept, unreadable) = leases.all()?;
    if unreadable > 0 {
        tracing::error!(unreadable, "leases that cannot be read are over");
    }
    let mut all: BTreeMap<ShareId, Earlier> =
        kept.into_iter().map(|lease| (lease.id, Earlier::new(lease))).collect();
    let from = all.values().map(|earlier| earlier.share.lease.recorded_from).min();
    if let Some(from) = from {
        for record in audit::replay(&config.state, from)? {
            let record = record?;
            let share = record.event.share();
            if let Some(earlier) = share.and_then(|share| all.get_mut(&share)) {
                earlier.hear(&record);
            }
        }
    }
    let mut resumed = Resumed { shares: BTreeMap::new(), over: Vec::new(), interrupted: 0 };
    for earlier in all.into_values() {
        take_up(earlier, &mut resumed, audit, boot, now);
    }
    Ok(resumed)
}

fn take_up(
    earlier: Earlier,
    resumed: &mut Resumed,
    audit: &mut Audit,
    boot: &BootId,
    now: Instants,
) {
    let Earlier { mut share, open, end_on_record } = earlier;
    let id = share.lease.id;
    let ended_before = share.lease.ended.is_some();
    let rebooted = share.lease.boot != *boot;
    let over = ended_before || rebooted || share.is_due(now);
    for (CallKey { id: call, .. }, (at, begun)) in open {
        resumed.interrupted = resumed.interrupted.saturating_add(1);
        interrupt(&mut share, at, call, &begun, audit, now);
    }
    if !over {
        resumed.shares.insert(id, share);
        return;
    }
    if !end_on_record {
        let why = match (rebooted, ended_before) {
            (true, _) => Expiry::Rebooted,
            (false, true) => Expiry::Unkept,
            (false, false) => Expiry::Deadline,
        };
        if let Err(fault) = audit.record(Event::ShareExpired { share: id, why, calls: 0 }, now) {
            tracing::error!(%fault, share = %id, "the end of a share is not on record");
        }
    }
    resumed.over.push(id);
}

/// A call that has a start on record, and perhaps no end.
struct Begun {
    content: [u8; 32],
    started: Timestamp,
    output_max: u64,
    /// What of it may go on elsewhere.
    beyond: Option<Said>,
}

/// A share of an earlier life: its lease, and what the record says of it, read once from front to back.
struct Earlier {
    share: Share,
    /// Calls without an end on record so far.
    open: BTreeMap<CallKey, (Holder, Begun)>,
    end_on_record: bool,
}

impl Earlier {
    fn new(lease: Lease) -> Self {
        Self { share: Share::new(lease), open: BTreeMap::new(), end_on_record: false }
    }

    fn hear(&mut self, record: &Record) {
        leases::overrule(&mut self.share.lease, record);
        match &record.event {
            Event::CallStarted { at, call, statement, output_max, beyond, .. } => {
                self.share.made = self.share.made.saturating_add(1);
                let (content, started, output_max) = (statement.0, record.time, *output_max);
                let begun = Begun { content, started, output_max, beyond: beyond.clone() };
                self.open.insert(key(at, CallId(call.0)), (at.clone(), begun));
            }
            Event::CallEnded {
                at,
                call,
                statement,
                ending,
                stdout,
                stderr,
                uncounted,
                redactions,
                stdin,
                stdin_sha256: _,
                beyond: _,
                started,
                ended,
            } => {
                let key = key(at, CallId(call.0));
                self.open.remove(&key);
                let outcome = OutcomeStatement {
                    share: at.share,
                    id: key.id,
                    call: statement.0,
                    ending: told(ending.clone()),
                    stdout: *stdout,
                    stderr: *stderr,
                    redactions: *redactions,
                    stdin: *stdin,
                    started: *started,
                    ended: *ended,
                };
                let counted = stdout.saturating_add(*stderr);
                self.share.count_output(counted.saturating_add(*uncounted));
                self.share.past.insert(key, outcome);
            }
            Event::CallRefused { reason, .. } if reason.as_str() == CROWDED => {}
            Event::CallRefused { .. } | Event::AccessRefused { .. } => {
                self.share.refused = self.share.refused.saturating_add(1);
            }
            Event::NoteLeft { seat, at, .. } => self.share.said_last(*seat, *at),
            Event::ShareRevoked { .. } | Event::ShareExpired { .. } => self.end_on_record = true,
            Event::DaemonStarted { .. }
            | Event::DaemonStopped { .. }
            | Event::BrokerRestarted { .. }
            | Event::PolicyReloaded { .. }
            | Event::PolicyRejected { .. }
            | Event::ShareOpened { .. }
            | Event::ServicesAsked { .. }
            | Event::OpenRefused { .. }
            | Event::ShareExtended { .. }
            | Event::SeatKicked { .. }
            | Event::SeatRedeemed { .. }
            | Event::SeatHandedOn { .. }
            | Event::RedeemRefused { .. }
            | Event::ConsentRequested { .. }
            | Event::AccessRequested { .. }
            | Event::ConsentGiven { .. }
            | Event::ConsentRefused { .. }
            | Event::RequestEnded { .. }
            | Event::ContactAdded { .. }
            | Event::ContactRemoved { .. }
            | Event::AdminUsed { .. }
            | Event::AuditRecovered { .. }
            | Event::EndingsDropped { .. }
            | Event::UnsignedFailures { .. } => {}
        }
    }
}

fn key(at: &Holder, id: CallId) -> CallKey {
    CallKey { seat: at.seat, holder: at.holder.0, id }
}

fn interrupt(
    share: &mut Share,
    at: Holder,
    id: CallId,
    begun: &Begun,
    audit: &mut Audit,
    now: Instants,
) {
    let ended = share.now(now);
    let outcome = OutcomeStatement {
        share: at.share,
        id,
        call: begun.content,
        ending: Ending::Interrupted,
        stdout: 0,
        stderr: 0,
        redactions: 0,
        stdin: 0,
        started: begun.started,
        ended,
    };
    let key = key(&at, id);
    if let Some(beyond) = &begun.beyond {
        // When it ends there was said in the clock of another life.
        let words = beyond.as_str().to_owned();
        share.goes_on(at.seat, Beyond { words, until: None });
    }
    let event = Event::CallEnded {
        at,
        call: Hex(id.0),
        statement: Hex(begun.content),
        ending: Ending::Interrupted,
        stdout: 0,
        stderr: 0,
        redactions: 0,
        stdin: 0,
        stdin_sha256: None,
        beyond: begun.beyond.clone(),
        uncounted: begun.output_max,
        started: begun.started,
        ended,
    };
    share.count_output(begun.output_max);
    if let Err(fault) = audit.record(event, now) {
        tracing::error!(%fault, call = %id, "an interrupted call has no end on record");
    }
    share.past.insert(key, outcome);
}
