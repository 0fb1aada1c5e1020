//! From signed bytes to a permit: the one place that decides a call, and it decides on the record.

use std::sync::Arc;

use policy::{
    Arguments, Basis, Call, Consent, Decision, Groups, Passport, Permit, Question, Reason,
    Recipient, Run, ShareId, TcpTarget, Timestamp, Verb,
};
use wire::call::{CallStatement, HolderStatement as _, Signed};
use wire::frame::Refusal;
use wire::privsep::{CallRef, ChannelId, ToBroker};
use wire::terminal::Terminal;

use super::Monitor;
use super::audit::{Event, Hex, Recorded, Said, Who};
use super::beyond::beyond;
use super::calls::{At, Batch};
use super::room::is_note;
use super::share::Share;
use super::speaker::{Footing, Spoken};
use crate::clock::Instants;

/// Why a call is refused for which the calls of other shares leave no room.
pub(super) const CROWDED: &str = "limits.calls_in_flight is reached by all shares together";

/// Why what is asked for under an id is refused where that id is another's.
pub(super) const OTHER_CONTENT: &str = "its id was used for another call";

/// A call whose signature is its holder's.
pub(super) struct Asked {
    pub(super) at: At,
    pub(super) passport: Arc<Passport>,
    /// The share's clock when it was looked at.
    pub(super) now: Timestamp,
    pub(super) call: Call,
    /// What goes with it that is not for the record.
    pub(super) head: Vec<u8>,
    pub(super) recipient: Recipient,
    /// Where it is made, as its client says.
    pub(super) terminal: Option<Terminal>,
}

/// What comes of a call that is not refused.
pub(super) enum Verdict {
    /// It starts, and may write so much.
    Start { permit: Permit, output_max: u64 },
    /// Somebody has to consent first.
    Ask(Box<Question>),
}

impl Monitor {
    /// Decides one call, and puts the decision on record. What cannot be recorded is refused.
    pub(super) fn permit(
        &mut self,
        asked: &Asked,
        given: &[Consent],
        now: Instants,
    ) -> Result<Verdict, Refusal> {
        let Asked { at, passport, recipient, call, now: asked_at, .. } = asked;
        let share = self.shares.get(&at.share).ok_or(Refusal::NoSeat)?;
        let owner = who(share);
        match self.decision(share, asked, given, (*asked_at, now)) {
            Decision::Permit(permit) => {
                let wanted = permit.verb().output_max.unwrap_or(self.config.limits.output_max);
                let output_max = share.room(wanted, permit.budget());
                let event = Event::CallStarted {
                    at: share.named(at),
                    owner,
                    run_as: permit.verb().run.run_as().cloned(),
                    recipient: recipient.clone(),
                    call: Hex(at.id.0),
                    statement: Hex(at.content),
                    passport: Hex(passport.digest()),
                    verb: permit.call().verb.clone(),
                    arguments: self.recorded(permit.call()),
                    basis: Said::new(&basis(permit.basis(), given)),
                    output_max,
                    beyond: self.would_go_on(&permit, at.share, now),
                };
                self.audit.record(event, now).map_err(|_| Refusal::Unrecorded)?;
                if let Some(share) = self.shares.get_mut(&at.share) {
                    share.made = share.made.saturating_add(1);
                    share.refused_in_a_row = 0;
                }
                Ok(Verdict::Start { permit, output_max })
            }
            Decision::Ask(question) => Ok(Verdict::Ask(question)),
            Decision::Refuse(refusal) if refusal.reason == Reason::Spent => {
                // Who polls a share that is used up does not mean harm, but has no claim on the log either.
                self.record_refusal(*at, call, &refusal.reason.to_string(), now);
                self.count_refusal(at.share);
                Err(Refusal::Denied(refusal.public))
            }
            Decision::Refuse(refusal) => {
                self.refused(*at, call, &refusal.reason.to_string(), now);
                Err(Refusal::Denied(refusal.public))
            }
        }
    }

    /// A call's arguments for the record; of a note their hash, since what is said is between two.
    fn recorded(&self, call: &Call) -> Recorded<Arguments> {
        match self.policy.catalog().verb(&call.verb) {
            Some(verb) if is_note(verb) => Recorded::hashed(&call.arguments),
            Some(_) | None => Recorded::of(&call.arguments),
        }
    }

    /// What of a call may go on elsewhere, should this daemon not see its end.
    fn would_go_on(&self, permit: &Permit, share: ShareId, now: Instants) -> Option<Said> {
        let verb = permit.verb();
        let timeout = verb.timeout.unwrap_or(self.config.limits.verb_timeout);
        let limit = timeout.min(self.until_hard_stop(share));
        beyond(verb, permit.call(), limit, now.boot).map(|beyond| Said::new(&beyond.words))
    }

    /// What policy, the share as it stands and the passport say of one call. Also asked again
    /// when policy changes, of calls that run.
    fn decision(
        &self,
        share: &Share,
        asked: &Asked,
        given: &[Consent],
        (share_now, now): (Timestamp, Instants),
    ) -> Decision {
        let mut standing = share.standing(asked.recipient.clone(), self.groups_of(share, now));
        standing.consents.extend_from_slice(given);
        #[expect(clippy::disallowed_methods, reason = "this is the chokepoint")]
        policy::authorize(&self.policy, &standing, &asked.passport, asked.call.clone(), share_now)
    }

    /// The groups of a share's owner, where policy cares.
    pub(super) fn groups_of(&self, share: &Share, now: Instants) -> Groups {
        if !self.policy.varies() {
            return Groups::none();
        }
        self.resolver.groups(share.lease.owner.uid, now.boot)
    }

    /// Checks who calls, then what the statement says of itself: from there on each refusal is on record.
    pub(super) fn verify(
        &mut self,
        channel: ChannelId,
        signed: &Signed,
        now: Instants,
    ) -> Result<Asked, Refusal> {
        let Spoken { statement, holder, recipient } =
            self.spoken::<CallStatement>(channel, signed, now)?;
        let content = statement.content().map_err(|_| Refusal::BadCall)?;
        let claims = statement.claims();
        let CallStatement { share, seat, id, verb, arguments, head, .. } = statement;
        let at = At { share, seat, holder, id, content };
        let call = Call { verb, arguments };
        match self.footing(&claims, holder, now) {
            Ok(Footing { passport, now }) => {
                Ok(Asked { at, passport, now, call, head, recipient, terminal: None })
            }
            Err(wrong) => {
                self.refused(at, &call, wrong, now);
                Err(Refusal::BadCall)
            }
        }
    }

    /// The answer to a call that was asked for before: its outcome, or the rest of its output.
    pub(super) fn repeat(
        &mut self,
        asked: &Asked,
        channel: ChannelId,
        to: CallRef,
        now: Instants,
    ) -> Result<Option<ToBroker>, Refusal> {
        let (at, key) = (asked.at, asked.at.key());
        if let Some((request, content)) = self.waiting_for(at) {
            if content != at.content {
                self.refused(at, &asked.call, OTHER_CONTENT, now);
                return Err(Refusal::Reused);
            }
            return self.attend_waiting(request, (channel, to)).map(Some);
        }
        let Some(share) = self.shares.get(&at.share) else { return Ok(None) };
        let (content, answer) = match (share.past.get(&key), share.running.get(&key)) {
            (Some(past), _) => (past.call, Ok(past)),
            (None, Some(current)) => (current.content, Err(current.run)),
            (None, None) => return Ok(None),
        };
        if content != at.content {
            self.refused(at, &asked.call, OTHER_CONTENT, now);
            return Err(Refusal::Reused);
        }
        let run = match answer {
            Ok(past) => {
                let outcome = Signed::new(past, self.identity.signing_key());
                let outcome = outcome.map_err(|_| Refusal::BadCall)?;
                return Ok(Some(ToBroker::Outcome { call: to, outcome }));
            }
            Err(run) => run,
        };
        if self.calls.active.get(&run).is_none_or(|active| active.channel == channel) {
            self.refused(at, &asked.call, "it runs already", now);
            return Err(Refusal::Running);
        }
        let from = self.calls.redirect(run, to, channel);
        Ok(from.map(|from| ToBroker::Reattach { from, to }))
    }

    /// The bounds of one share and one seat, and of all while so many calls run.
    pub(super) fn check_bounds(
        &mut self,
        asked: &Asked,
        running: usize,
        now: Instants,
    ) -> Result<(), Refusal> {
        let share = self.shares.get(&asked.at.share).ok_or(Refusal::NoSeat)?;
        let limits = &self.config.limits;
        let reached = if share.made >= share.lease.calls_max {
            "calls_per_share"
        } else if share.in_flight(asked.at.seat) >= limits.calls_in_flight_per_seat {
            "calls_in_flight_per_seat"
        } else if share.running.len() >= limits.calls_in_flight.div_ceil(2) {
            "calls_in_flight"
        } else if running >= limits.calls_in_flight {
            // The others' doing, for which the share is not to end.
            self.record_refusal(asked.at, &asked.call, CROWDED, now);
            return Err(busy("calls_in_flight"));
        } else {
            return Ok(());
        };
        self.refused(asked.at, &asked.call, &format!("limits.{reached} is reached"), now);
        Err(busy(reached))
    }

    /// A port takes so many connections of a share at one time.
    pub(super) fn check_connections(
        &mut self,
        asked: &Asked,
        batch: &Batch,
        now: Instants,
    ) -> Result<(), Refusal> {
        let (share, catalog) = (asked.at.share, self.policy.catalog());
        let Some(target) = catalog.verb(&asked.call.verb).and_then(|verb| port(verb)) else {
            return Ok(());
        };
        let is_to = |verb: &Verb| port(verb).is_some_and(|other| other.name == target.name);
        let active = self.calls.active.values().filter(|active| active.at.share == share);
        let active = active.filter_map(|active| catalog.verb(&active.call.verb));
        let there = active.filter(|verb| is_to(verb)).count();
        let there = there.saturating_add(batch.starting(share).filter(|verb| is_to(verb)).count());
        if there < target.connections {
            return Ok(());
        }
        // A pool of connections asks more than once: the share does not end for that.
        let reason = format!("`connections` of `{}` is reached", target.name);
        self.record_refusal(asked.at, &asked.call, &reason, now);
        self.count_refusal(share);
        Err(Refusal::Busy { limit: "connections".to_owned() })
    }

    /// Puts a refusal of a signed call on record, and ends a share that has had too many.
    pub(super) fn refused(&mut self, at: At, call: &Call, reason: &str, now: Instants) {
        self.record_refusal(at, call, reason, now);
        self.count_trial(at.share);
    }

    /// Counts a refusal of whoever may be trying doors: so many in a row end a share.
    pub(super) fn count_trial(&mut self, id: ShareId) {
        self.count_refusal(id);
        let Some(share) = self.shares.get_mut(&id) else { return };
        share.refused_in_a_row = share.refused_in_a_row.saturating_add(1);
        if share.refused_in_a_row >= self.config.limits.refusals_in_a_row {
            self.tripped.insert(id);
        }
    }

    /// Counts what was on record and came to nothing: a share has so much room there and no more.
    pub(super) fn count_refusal(&mut self, id: ShareId) {
        let Some(share) = self.shares.get_mut(&id) else { return };
        share.refused = share.refused.saturating_add(1);
        if share.refused >= self.config.limits.refusals_per_share {
            self.tripped.insert(id);
        }
    }

    fn record_refusal(&mut self, at: At, call: &Call, reason: &str, now: Instants) {
        let Some(share) = self.shares.get(&at.share) else { return };
        let event = Event::CallRefused {
            at: share.named(&at),
            call: Hex(at.id.0),
            statement: Hex(at.content),
            verb: call.verb.clone(),
            arguments: self.recorded(call),
            reason: Said::new(reason),
        };
        if let Err(fault) = self.audit.record(event, now) {
            tracing::error!(%fault, "a refusal is not on record");
        }
    }
}

fn port(verb: &Verb) -> Option<&TcpTarget> {
    if let Run::Tcp(port) = &verb.run { Some(&*port.target) } else { None }
}

pub(super) fn busy(limit: &str) -> Refusal {
    Refusal::Busy { limit: format!("limits.{limit}") }
}

fn basis(basis: &Basis, given: &[Consent]) -> String {
    let mut said = format!("allowed by {}, shared by {}", basis.allowed_by, basis.delegated_by);
    for (position, consent) in given.iter().enumerate() {
        said.push_str(if position == 0 { ", consented to by " } else { ", " });
        said.push_str(&consent.user);
    }
    said
}

/// The owner of a share, as the record names them.
pub(super) fn who(share: &Share) -> Who {
    let owner = &share.lease.owner;
    Who { uid: owner.uid, user: owner.user.clone(), agent: Some(owner.agent.clone()) }
}
