//! How shares end: at once for whoever holds them, provably for whoever asked.

use std::time::Duration;

use policy::{SeatId, ShareId};
use wire::call::Ending;
use wire::control::{Reply, RevokedShare, Told};
use wire::frame::ShareEnd;
use wire::privsep::ToBroker;

use super::Monitor;
use super::audit::{Event, Expiry, Said, Who};
use super::leases::{Ended, How};
use super::owner_socket::Caller;
use super::share::{Over, Share};
use crate::clock::Instants;
use crate::config::HARD_STOP;

/// How long a recipient may take to acknowledge that a share is over.
pub(super) const TELL: Duration = Duration::from_millis(300);

/// Why a share is ended.
pub(super) enum Cause {
    /// A person ended it.
    Revoked { by: Who, reason: Option<String> },
    /// It has refused more than it may.
    Tripped,
    /// Its time is over.
    Expired,
}

/// Somebody who waits until shares are gone.
pub(super) struct Waiter {
    caller: Caller,
    /// Shares, and seats of shares that go on.
    left: Vec<(ShareId, Option<SeatId>)>,
    done: Vec<RevokedShare>,
    answer: fn(Vec<RevokedShare>) -> Reply,
}

impl Monitor {
    /// Ends a share: first its processes, then its holders' knowledge, then the record. What of this
    /// fails does not keep the share alive.
    pub(super) fn end_share(&mut self, id: ShareId, cause: Cause, now: Instants) {
        let Some(share) = self.shares.get(&id).filter(|share| share.over.is_none()) else { return };
        let runs = share.runs();
        let expired = matches!(cause, Cause::Expired);
        let why = if expired { Ending::Expired } else { Ending::Revoked };
        for run in &runs {
            self.kill(*run, why.clone(), now);
        }
        self.end_helpers(|helper| helper.share == id);
        let calls = u32::try_from(runs.len()).unwrap_or(u32::MAX);
        let (how, end, event) = self.describe(id, cause, calls);
        self.broker.send(&ToBroker::Retire { share: id, seat: None, end }, &[]);
        self.drop_requests(Some((id, None)), "its share is over", now);
        let told = if self.broker.is_up() { None } else { Some(Told::NoChannel) };
        if let Err(fault) = self.audit.record(event, now) {
            tracing::error!(%fault, share = %id, "the end of a share is not on record");
        }
        self.sync_this_turn = true;
        let Some(share) = self.shares.get_mut(&id) else { return };
        let beyond = share.still_beyond(None, now.boot);
        share.over = Some(Over { since: now.boot, told, ended_calls: calls, beyond });
        share.lease.ended = Some(Ended { at: share.clock.read(now), how });
        self.unkept_ends.push(id);
        tracing::info!(share = %id, ?how, calls, "a share is over");
    }

    /// Keeps the ends of the shares that this turn has ended.
    pub(super) fn keep_ends(&mut self) {
        let ended = std::mem::take(&mut self.unkept_ends);
        if ended.is_empty() {
            return;
        }
        let leases = ended.iter().filter_map(|id| self.shares.get(id)).map(|share| &share.lease);
        if let Err(fault) = self.leases.put_all(leases) {
            tracing::error!(%fault, "the ends of shares are only in the audit log");
        }
    }

    /// Kills everything that runs under a share, before anything is written anywhere.
    pub(super) fn kill_all_of(&mut self, id: ShareId, why: &Ending, now: Instants) {
        let runs = self.shares.get(&id).map(Share::runs).unwrap_or_default();
        for run in runs {
            self.kill(run, why.clone(), now);
        }
        self.end_helpers(|helper| helper.share == id);
    }

    fn describe(&self, id: ShareId, cause: Cause, calls: u32) -> (How, ShareEnd, Event) {
        match cause {
            Cause::Revoked { by, reason } => {
                let said = Said::new(reason.as_deref().unwrap_or_default());
                let alive = Vec::new();
                let event = Event::ShareRevoked { by, share: id, reason: said, calls, alive };
                (How::Revoked, ShareEnd::Revoked { reason }, event)
            }
            Cause::Tripped => {
                let event = Event::ShareExpired { share: id, why: Expiry::Refusals, calls };
                let reason = Some("too many of its calls were refused".to_owned());
                (How::Failed, ShareEnd::Revoked { reason }, event)
            }
            Cause::Expired => {
                let hard = self
                    .shares
                    .get(&id)
                    .is_some_and(|share| share.lease.deadline >= share.lease.hard_stop);
                let why = if hard { Expiry::HardStop } else { Expiry::Deadline };
                (How::Expired, ShareEnd::Expired, Event::ShareExpired { share: id, why, calls })
            }
        }
    }

    /// Ends the shares whose time is over, and those that have refused too much.
    pub(super) fn end_due_shares(&mut self, now: Instants) {
        let due: Vec<ShareId> = self
            .shares
            .iter_mut()
            .filter_map(|(id, share)| (share.over.is_none() && share.is_due(now)).then_some(*id))
            .collect();
        for id in &due {
            self.kill_all_of(*id, &Ending::Expired, now);
        }
        for id in due {
            self.end_share(id, Cause::Expired, now);
        }
        for id in std::mem::take(&mut self.tripped) {
            self.end_share(id, Cause::Tripped, now);
        }
    }

    /// Notes that the broker has told the holders of a share, or of a seat.
    pub(super) fn take_told(&mut self, id: ShareId, seat: Option<SeatId>, told: Told) {
        let Some(share) = self.shares.get_mut(&id) else { return };
        let over = match seat {
            Some(seat) => share.leaving.get_mut(&seat),
            None => share.over.as_mut(),
        };
        if let Some(over) = over {
            over.told.get_or_insert(told);
        }
    }

    /// Answers `caller` once every one of `shares` is gone.
    pub(super) fn wait_for_ends(&mut self, caller: Caller, shares: Vec<ShareId>) {
        let left = shares.into_iter().map(|id| (id, None)).collect();
        self.waiters.push(Waiter { caller, left, done: Vec::new(), answer: Reply::Revoked });
    }

    /// Answers `caller` once nothing of a seat is left.
    pub(super) fn wait_for_seat(&mut self, caller: Caller, id: ShareId, seat: SeatId) {
        let answer = |done: Vec<RevokedShare>| {
            done.into_iter().next().map_or_else(|| Reply::Revoked(Vec::new()), Reply::Kicked)
        };
        let left = vec![(id, Some(seat))];
        self.waiters.push(Waiter { caller, left, done: Vec::new(), answer });
    }

    /// Forgets the shares and the seats of which nothing is left, and answers whoever waited for that.
    pub(super) fn clear_ended_shares(&mut self, now: Instants) {
        let seats: Vec<(SeatId, RevokedShare)> = self
            .shares
            .iter()
            .flat_map(|(id, share)| share.leaving.iter().map(move |of| (*id, share, of)))
            .filter_map(|(id, share, (seat, over))| {
                Some((*seat, self.verdict(id, share, Some(*seat), over, now)?))
            })
            .collect();
        for (seat, ended) in seats {
            if let Some(share) = self.shares.get_mut(&ended.id) {
                share.leaving.remove(&seat);
            }
            self.note_gone(&ended, |left| *left == (ended.id, Some(seat)));
        }
        let gone: Vec<RevokedShare> = self
            .shares
            .iter()
            .filter_map(|(id, share)| Some((*id, share, share.over.as_ref()?)))
            .filter_map(|(id, share, over)| self.verdict(id, share, None, over, now))
            .collect();
        for ended in gone {
            self.note_gone(&ended, |(id, _)| *id == ended.id);
            let unfinished = self.shares.get(&ended.id).is_some_and(Share::is_busy);
            if ended.alive.is_empty() && !unfinished {
                self.forget_share(ended.id);
            }
        }
        self.answer_waiters(now);
    }

    fn note_gone(
        &mut self,
        ended: &RevokedShare,
        is_meant: impl Fn(&(ShareId, Option<SeatId>)) -> bool,
    ) {
        for waiter in &mut self.waiters {
            if waiter.left.iter().any(&is_meant) {
                waiter.left.retain(|left| !is_meant(left));
                waiter.done.push(ended.clone());
            }
        }
    }

    /// What can be said of a share, or a seat, that is over: nothing yet, that its processes are dead, or which
    /// will not die. That a dead call's output is still on its way keeps nobody waiting.
    fn verdict(
        &self,
        id: ShareId,
        share: &Share,
        seat: Option<SeatId>,
        over: &Over,
        now: Instants,
    ) -> Option<RevokedShare> {
        let passed = now.boot.saturating_sub(over.since);
        let told = over.told.or_else(|| (passed >= TELL).then_some(Told::TimedOut))?;
        let runs = share.runs_of(seat);
        let alive = |run| self.calls.active.get(run).is_some_and(|active| active.gone.is_none());
        let helped = if seat.is_none() { self.helpers.survivors(id) } else { None };
        let running = runs.iter().any(alive) || helped.is_some();
        let mut alive = match running {
            false => Vec::new(),
            true if passed >= self.config.limits.kill_wait => self.survivors(id, seat),
            true => return None,
        };
        alive.extend(helped.unwrap_or_default());
        if running && alive.is_empty() {
            return None;
        }
        let beyond = over.beyond.clone();
        Some(RevokedShare { id, told, ended_calls: over.ended_calls, alive, beyond })
    }

    fn survivors(&self, id: ShareId, seat: Option<SeatId>) -> Vec<String> {
        let of_share = self.calls.active.values().filter(|active| active.at.share == id);
        of_share
            .filter(|active| seat.is_none_or(|seat| active.at.seat == seat))
            .filter(|active| active.gone.is_none())
            .flat_map(|active| {
                let verb = active.call.verb.clone();
                let name = move |pid| format!("process {pid} of {verb}");
                active.work.survivors().into_iter().map(name)
            })
            .collect()
    }

    fn forget_share(&mut self, id: ShareId) {
        self.shares.remove(&id);
        self.helpers.forget(id);
        if let Err(fault) = self.directory.clear_share(id) {
            tracing::warn!(%fault, share = %id, "the share's directory is still there");
        }
        self.cleared.push(id);
    }

    fn answer_waiters(&mut self, now: Instants) {
        let (done, waiting) = std::mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter: &Waiter| waiter.left.is_empty());
        self.waiters = waiting;
        for Waiter { caller, done, answer, .. } in done {
            self.owners.reply(caller, &answer(done), now.boot);
        }
    }

    /// How long until something about shares has to be looked at again.
    pub(super) fn next_deadline(&self, now: Instants) -> Duration {
        let shares = self.shares.values().map(|share| {
            if share.over.is_some() || !share.leaving.is_empty() {
                return Duration::from_millis(10);
            }
            let over = share.lease.deadline.min(share.lease.hard_stop);
            // The wall clock may jump; a second is how late that may be noticed.
            share.clock.wait_until(over, now).min(Duration::from_secs(1))
        });
        let calls = self.calls.active.values().map(|active| {
            let busy = active.killed.is_some() || active.gone.is_some();
            let wait = active.deadline.saturating_sub(now.boot);
            if busy { wait.min(Duration::from_millis(10)) } else { wait }
        });
        shares.chain(calls).min().unwrap_or(HARD_STOP)
    }
}
