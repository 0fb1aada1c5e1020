//! How calls end: killed or by themselves, drained, and put on record with a receipt.

use std::time::Duration;

use policy::{Timestamp, still_permitted};
use wire::call::{Ending, OutcomeStatement, Signed};
use wire::privsep::ToBroker;

use super::Monitor;
use super::audit::{Event, Hex, Said};
use super::beyond::is_cut;
use super::calls::{Active, At, Batch, Run, Written};
use super::start_call::ending;
use super::work::Work;
use crate::clock::Instants;

/// How long the broker may take to read what is left in a dead call's pipes.
const DRAIN: Duration = Duration::from_secs(2);

/// A call that is over, for the record.
pub(super) struct Closed {
    at: At,
    ending: Ending,
    /// What of it may go on elsewhere.
    beyond: Option<String>,
    /// What it wrote and was given; none where nobody has counted.
    written: Option<Written>,
    started: Timestamp,
}

impl Closed {
    /// One that nothing was ever run for.
    pub(super) fn unbegun(at: At, ending: Ending, started: Timestamp) -> Self {
        Self { at, ending, beyond: None, written: Some(Written::default()), started }
    }
}

impl Monitor {
    /// Kills a call's whole tree. The first reason given is the one that counts.
    pub(super) fn kill(&mut self, run: Run, why: Ending, now: Instants) {
        let Some(active) = self.calls.active.get_mut(&run) else { return };
        if active.gone.is_some() {
            return;
        }
        active.why.get_or_insert(why);
        active.killed.get_or_insert(now.boot);
        match &active.work {
            Work::Processes(running) => {
                if let Err(fault) = running.kill() {
                    tracing::error!(call = %active.at.id, %fault, "a call cannot be killed");
                }
            }
            Work::Errand(errand) => {
                let helper = errand.helper;
                self.stop_errand(run, helper);
            }
        }
    }

    /// Ends what runs past its time.
    pub(super) fn end_late_calls(&mut self, now: Instants) {
        let running = self.calls.active.iter().filter(|(_, active)| active.killed.is_none());
        let late: Vec<(Run, Ending)> =
            running.filter_map(|(run, active)| Some((*run, self.lateness(active, now)?))).collect();
        for (run, why) in late {
            self.kill(run, why, now);
        }
        self.end_deaf_services(now);
    }

    /// Why a call is late, if it is: by its verb, or by its passport. Its share's end is another matter.
    fn lateness(&self, active: &Active, now: Instants) -> Option<Ending> {
        if active.deadline <= now.boot {
            return Some(Ending::TimedOut);
        }
        let share = self.shares.get(&active.at.share)?;
        let over = share.clock.clone().read(now) >= active.passport.not_after();
        over.then_some(Ending::Expired)
    }

    /// Ends the calls that policy, the share or the contact no longer permits.
    pub(super) fn recheck(&mut self, now: Instants) {
        let withdrawn: Vec<Run> = self
            .calls
            .active
            .iter()
            .filter(|(_, active)| active.why.is_none())
            .filter(|(_, active)| !self.still_permitted(active, now))
            .map(|(run, _)| *run)
            .collect();
        for run in withdrawn {
            self.kill(run, Ending::Withdrawn, now);
        }
    }

    fn still_permitted(&self, active: &Active, now: Instants) -> bool {
        let Some(share) = self.shares.get(&active.at.share) else { return false };
        let seat = share.seat(active.at.seat).filter(|seat| seat.ended.is_none());
        let Some(seat) = seat else { return false };
        let share_now = share.clock.clone().read(now);
        let recipient = seat.recipient.clone();
        let mut standing = share.standing(recipient, self.groups_of(share, now));
        standing.consents.extend_from_slice(&active.consents);
        let permitted =
            still_permitted(&self.policy, &standing, &active.passport, &active.call, share_now);
        !share.unreachable.contains(&active.at.seat) && permitted.is_ok()
    }

    /// Looks at one call whose processes have stirred.
    pub(super) fn reap(&mut self, run: Run, now: Instants) {
        let Some(active) = self.calls.active.get_mut(&run) else { return };
        if active.gone.is_some() {
            return;
        }
        match active.work.try_reap() {
            Ok(None) => {}
            Ok(Some(ended)) => {
                if active.killed.is_none() && !is_cut(&ended, active.remote.as_ref()) {
                    active.beyond = None;
                }
                active.gone = Some((ended, now.boot));
                let share = self.shares.get_mut(&active.at.share);
                if let (Some(beyond), Some(share)) = (&active.beyond, share) {
                    share.goes_on(active.at.seat, beyond.clone());
                }
                if let Some(keys) = active.remote.as_ref().and_then(|remote| remote.keys) {
                    self.helpers.end(keys);
                }
                if let Some(call) = active.to.filter(|_| active.drained.is_none()) {
                    self.broker.send(&ToBroker::Exited { call }, &[]);
                }
            }
            Err(fault) => {
                tracing::error!(call = %active.at.id, %fault, "a call cannot be waited for");
            }
        }
    }

    /// Puts the calls that are over on record, and sends their receipts.
    pub(super) fn finish_calls(&mut self, batch: &mut Batch, now: Instants) {
        let broker_up = self.broker.is_up();
        let done: Vec<Run> = self
            .calls
            .active
            .iter()
            .filter(|(_, active)| {
                active.gone.as_ref().is_some_and(|(_, at)| {
                    active.drained.is_some()
                        || active.to.is_none()
                        || !broker_up
                        || now.boot.saturating_sub(*at) >= DRAIN
                })
            })
            .map(|(run, _)| *run)
            .collect();
        for run in done {
            self.finish(run, batch, now);
        }
    }

    fn finish(&mut self, run: Run, batch: &mut Batch, now: Instants) {
        let Some(active) = self.calls.remove(run) else { return };
        let by_itself =
            active.gone.as_ref().map(|(ended, _)| ending(ended, active.remote.as_ref()));
        // A verb that ended by itself in the moment of its killing has been killed: nobody can tell.
        let ending = active.why.or(by_itself).unwrap_or(Ending::Interrupted);
        let Active { at, beyond, drained: written, started, .. } = active;
        let beyond = beyond.map(|beyond| beyond.words);
        let outcome = self.close_call(Closed { at, ending, beyond, written, started }, now);
        if let (Some(call), Some(outcome)) = (active.to, outcome) {
            batch.answer(ToBroker::Outcome { call, outcome });
        }
    }

    /// Records the end of a call and makes its receipt. Endings never wait for the log. Output that nobody
    /// has counted is taken to be all that was kept for it.
    pub(super) fn close_call(&mut self, closed: Closed, now: Instants) -> Option<Signed> {
        let Closed { at, ending, beyond, written, started } = closed;
        let share = self.shares.get_mut(&at.share)?;
        let ended = share.now(now);
        let kept = share.running.remove(&at.key()).map(|current| share.release(current.run));
        let Written { stdout, stderr, redactions, given } = written.unwrap_or_default();
        let stdin = given.map_or(0, |given| given.bytes);
        let uncounted = if written.is_none() { kept.unwrap_or_default() } else { 0 };
        share.count_output(stdout.saturating_add(stderr).saturating_add(uncounted));
        let event = Event::CallEnded {
            at: share.named(&at),
            call: Hex(at.id.0),
            statement: Hex(at.content),
            ending: ending.clone(),
            stdout,
            stderr,
            uncounted,
            redactions,
            stdin,
            stdin_sha256: given.map(|given| Hex(given.sha256)),
            beyond: beyond.as_deref().map(Said::new),
            started,
            ended,
        };
        if let Err(fault) = self.audit.record(event, now) {
            tracing::error!(%fault, "the end of a call is not on record");
        }
        let ending = told(ending);
        let (share_id, id, call) = (at.share, at.id, at.content);
        let statement = OutcomeStatement {
            share: share_id,
            id,
            call,
            ending,
            stdout,
            stderr,
            redactions,
            stdin,
            started,
            ended,
        };
        let outcome = Signed::new(&statement, self.identity.signing_key());
        share.past.insert(at.key(), statement);
        outcome.ok()
    }
}

/// What the recipient is told of an ending: why a program could not be started names paths of
/// this machine, why a host was lost names that, and both stay in the record.
pub(super) fn told(ending: Ending) -> Ending {
    match ending {
        Ending::NotStarted(_) => {
            Ending::NotStarted("the program could not be started; its owner can see why".into())
        }
        Ending::TargetLost(_) => Ending::TargetLost(
            "the verb's host was not reached, or lost; its owner can see why".into(),
        ),
        other @ (Ending::Exited(_)
        | Ending::Signaled(_)
        | Ending::TimedOut
        | Ending::OutputLimit
        | Ending::InputLimit
        | Ending::BadInput
        | Ending::Cancelled
        | Ending::Revoked
        | Ending::Expired
        | Ending::Withdrawn
        | Ending::Interrupted) => other,
    }
}
