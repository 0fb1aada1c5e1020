//! What an earlier life left: live shares go on with the same handles and deadlines, all others are
//! over, and calls that were running are on record as interrupted.

use std::collections::BTreeMap;

use policy::{SeatId, ShareId, Timestamp};
use wire::call::{CallId, Ending, OutcomeStatement, Signed};

use super::audit::{self, Audit, AuditFault, Event, Expiry, Hex, Holder, Record};
use super::ends::told;
use super::identity::Identity;
use super::leases::{self, Lease, LeaseFault, Leases};
use super::share::{Past, Share};
use crate::clock::{BootId, Instants};
use crate::config::Config;

/// What goes on.
pub(super) struct Resumed {
    pub(super) shares: BTreeMap<ShareId, Share>,
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
    identity: &Identity,
    config: &Config,
    boot: &BootId,
    now: Instants,
) -> Result<Resumed, ResumeFault> {
    let (kept, unreadable) = leases.all()?;
    if unreadable > 0 {
        tracing::error!(unreadable, "leases that cannot be read are over");
    }
    let from = kept.iter().map(|lease| lease.recorded_from).min();
    let records = match from {
        Some(from) => audit::replay(&config.state, from)?.collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let mut resumed = Resumed { shares: BTreeMap::new(), interrupted: 0 };
    for lease in leases::overrule(kept, records.iter().cloned()) {
        take_up(lease, &records, &mut resumed, (&mut *leases, &mut *audit, identity), boot, now);
    }
    Ok(resumed)
}

fn take_up(
    lease: Lease,
    records: &[Record],
    resumed: &mut Resumed,
    (leases, audit, identity): (&mut Leases, &mut Audit, &Identity),
    boot: &BootId,
    now: Instants,
) {
    let id = lease.id;
    let mut share = Share::new(lease);
    let ended_before = share.lease.ended.is_some();
    let rebooted = share.lease.boot != *boot;
    let over = ended_before || rebooted || share.is_due(now);
    let open = replay_calls(&mut share, records, identity);
    for (at, call) in open {
        resumed.interrupted = resumed.interrupted.saturating_add(1);
        interrupt(&mut share, at, &call, audit, identity, now);
    }
    if !over {
        resumed.shares.insert(id, share);
        return;
    }
    let on_record = records.iter().any(|record| ends(&record.event, id));
    if !on_record {
        let why = match (rebooted, ended_before) {
            (true, _) => Expiry::Rebooted,
            (false, true) => Expiry::Unkept,
            (false, false) => Expiry::Deadline,
        };
        if let Err(fault) = audit.record(Event::ShareExpired { share: id, why, calls: 0 }, now) {
            tracing::error!(%fault, share = %id, "the end of a share is not on record");
        }
    }
    if let Err(fault) = leases.forget(id) {
        tracing::warn!(%fault, share = %id, "an ended lease is still in the store");
    }
}

fn ends(event: &Event, share: ShareId) -> bool {
    let ending = matches!(event, Event::ShareRevoked { .. } | Event::ShareExpired { .. });
    ending && event.share() == Some(share)
}

/// A call that has a start on record, and perhaps no end.
struct Begun {
    content: [u8; 32],
    started: Timestamp,
}

/// Rebuilds the calls of one share from the record; those without an end are returned.
fn replay_calls(
    share: &mut Share,
    records: &[Record],
    identity: &Identity,
) -> Vec<(Holder, (CallId, Begun))> {
    let mut open = BTreeMap::<(SeatId, CallId), (Holder, Begun)>::new();
    let id = share.lease.id;
    for record in records.iter().filter(|record| record.event.share() == Some(id)) {
        match &record.event {
            Event::CallStarted { at, call, statement, .. } => {
                share.made = share.made.saturating_add(1);
                let begun = Begun { content: statement.0, started: record.time };
                open.insert((at.seat, CallId(call.0)), (at.clone(), begun));
            }
            Event::CallEnded { at, call, statement, ending, stdout, stderr, started, ended } => {
                let key = (at.seat, CallId(call.0));
                open.remove(&key);
                let outcome = OutcomeStatement {
                    share: at.share,
                    id: key.1,
                    call: statement.0,
                    ending: told(ending.clone()),
                    stdout: *stdout,
                    stderr: *stderr,
                    started: *started,
                    ended: *ended,
                };
                remember(share, key, statement.0, &outcome, identity);
            }
            Event::CallRefused { .. } => share.refused = share.refused.saturating_add(1),
            Event::DaemonStarted { .. }
            | Event::DaemonStopped { .. }
            | Event::MonitorRestarted { .. }
            | Event::BrokerRestarted { .. }
            | Event::PolicyReloaded { .. }
            | Event::PolicyRejected { .. }
            | Event::ShareOpened { .. }
            | Event::OpenRefused { .. }
            | Event::ShareExtended { .. }
            | Event::ShareRevoked { .. }
            | Event::ShareExpired { .. }
            | Event::SeatKicked { .. }
            | Event::SeatRedeemed { .. }
            | Event::RedeemRefused { .. }
            | Event::ContactAdded { .. }
            | Event::ContactRemoved { .. }
            | Event::AdminUsed { .. }
            | Event::AuditRecovered { .. }
            | Event::EndingsDropped { .. }
            | Event::UnsignedFailures { .. } => {}
        }
    }
    open.into_iter().map(|((_, id), (at, begun))| (at, (id, begun))).collect()
}

fn interrupt(
    share: &mut Share,
    at: Holder,
    (id, begun): &(CallId, Begun),
    audit: &mut Audit,
    identity: &Identity,
    now: Instants,
) {
    let ended = share.now(now);
    let outcome = OutcomeStatement {
        share: at.share,
        id: *id,
        call: begun.content,
        ending: Ending::Interrupted,
        stdout: 0,
        stderr: 0,
        started: begun.started,
        ended,
    };
    let seat = at.seat;
    let event = Event::CallEnded {
        at,
        call: Hex(id.0),
        statement: Hex(begun.content),
        ending: Ending::Interrupted,
        stdout: 0,
        stderr: 0,
        started: begun.started,
        ended,
    };
    if let Err(fault) = audit.record(event, now) {
        tracing::error!(%fault, call = %id, "an interrupted call has no end on record");
    }
    remember(share, (seat, *id), begun.content, &outcome, identity);
}

fn remember(
    share: &mut Share,
    key: (SeatId, CallId),
    content: [u8; 32],
    outcome: &OutcomeStatement,
    identity: &Identity,
) {
    if let Ok(outcome) = Signed::new(outcome, identity.signing_key()) {
        share.past.insert(key, Past { content, outcome });
    }
}
