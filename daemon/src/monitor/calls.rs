//! The calls that run now, and a turn's decisions on new ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use policy::{Consent, Passport, SeatId, ShareId, Timestamp, Verb};
use wire::call::{CallId, Ending, Signed};
use wire::frame::Refusal;
use wire::privsep::{CallRef, ChannelId, Given, ToBroker};
use wire::terminal::Terminal;

use super::Monitor;
use super::audit::Durability;
use super::beyond::Beyond;
use super::consents::HeldCall;
use super::ends::Closed;
use super::permit::{Asked, Verdict};
use super::share::{CallKey, Current};
use super::spawn::Ended;
use super::ssh::Remote;
use super::start_call::Start;
use super::work::Work;
use crate::clock::Instants;

/// Signed calls that one turn looks at: what must end is never behind more than these.
pub(super) const CALLS_PER_TURN: usize = 32;

/// A run of a verb, as the monitor numbers them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Run(u64);

impl Run {
    /// As others know it.
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// The run that has this number.
    pub(super) fn of(number: u64) -> Self {
        Self(number)
    }
}

/// The calls that run now.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) active: BTreeMap<Run, Active>,
    by_ref: BTreeMap<CallRef, Run>,
    next: u64,
}

/// What a call wrote and was given, as the broker counted it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Written {
    pub(super) stdout: u64,
    pub(super) stderr: u64,
    /// Secrets that were masked in both.
    pub(super) redactions: u64,
    /// Its standard input, if it takes one.
    pub(super) given: Option<Given>,
}

/// One call that runs, or whose output is still on its way.
pub(super) struct Active {
    pub(super) at: At,
    /// Where its output goes; nowhere once the broker that gave the number is gone.
    pub(super) to: Option<CallRef>,
    pub(super) channel: ChannelId,
    pub(super) call: policy::Call,
    pub(super) passport: Arc<Passport>,
    /// By whose consent it runs, to be asked about again.
    pub(super) consents: Vec<Consent>,
    pub(super) started: Timestamp,
    /// Boot time by which the verb must be done.
    pub(super) deadline: Duration,
    pub(super) work: Work,
    /// Where it runs on another host.
    pub(super) remote: Option<Remote>,
    /// What of it may go on elsewhere once it has ended here.
    pub(super) beyond: Option<Beyond>,
    /// Why we ended it, if we did.
    pub(super) why: Option<Ending>,
    /// Boot time when it was killed.
    pub(super) killed: Option<Duration>,
    /// How its tree ended, and the boot time when none of it was left.
    pub(super) gone: Option<(Ended, Duration)>,
    /// Bytes of stdout and stderr that were passed on, once the broker has said.
    pub(super) drained: Option<Written>,
}

/// Whence a call came and where its answers go.
#[derive(Clone, Copy)]
pub(super) struct Route {
    pub(super) channel: ChannelId,
    pub(super) to: CallRef,
}

/// Which call of which seat.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) share: ShareId,
    pub(super) seat: SeatId,
    pub(super) holder: [u8; 32],
    pub(super) id: CallId,
    pub(super) content: [u8; 32],
}

impl At {
    pub(super) fn key(&self) -> CallKey {
        CallKey { seat: self.seat, holder: self.holder, id: self.id }
    }
}

impl Calls {
    pub(super) fn find(&self, to: CallRef) -> Option<Run> {
        self.by_ref.get(&to).copied()
    }

    pub(super) fn number(&mut self) -> Run {
        self.next = self.next.wrapping_add(1);
        Run(self.next)
    }

    pub(super) fn add(&mut self, run: Run, active: Active) {
        if let Some(to) = active.to {
            self.by_ref.insert(to, run);
        }
        self.active.insert(run, active);
    }

    pub(super) fn remove(&mut self, run: Run) -> Option<Active> {
        let active = self.active.remove(&run)?;
        if let Some(to) = active.to {
            self.by_ref.remove(&to);
        }
        Some(active)
    }

    /// The next broker counts anew: none of the numbers given so far may mean one of its calls.
    pub(super) fn lose_addresses(&mut self) {
        self.by_ref.clear();
        for active in self.active.values_mut() {
            active.to = None;
        }
    }

    /// Sends a call's output elsewhere from now on; where it went before.
    pub(super) fn redirect(
        &mut self,
        run: Run,
        to: CallRef,
        channel: ChannelId,
    ) -> Option<CallRef> {
        let active = self.active.get_mut(&run)?;
        let from = active.to.replace(to)?;
        active.channel = channel;
        self.by_ref.remove(&from);
        self.by_ref.insert(to, run);
        Some(from)
    }
}

/// What a turn has decided, and acts on once its records are written.
#[derive(Default)]
pub(super) struct Batch {
    starts: Vec<Start>,
    answers: Vec<ToBroker>,
    /// Starts whose broker is gone: on record, and ended there before they begin.
    orphaned: Vec<Start>,
    urgent: bool,
}

impl Batch {
    /// Whether the turn has looked at as many calls as it may.
    pub(super) fn is_full(&self) -> bool {
        self.starts.len().saturating_add(self.answers.len()) >= CALLS_PER_TURN
    }

    /// The verbs that are to start in a share.
    pub(super) fn starting(&self, share: ShareId) -> impl Iterator<Item = &Verb> {
        let of_share = self.starts.iter().filter(move |start| start.at.share == share);
        of_share.map(|start| start.permit.verb())
    }

    /// Sends `answer` once the records are written.
    pub(super) fn answer(&mut self, answer: ToBroker) {
        self.answers.push(answer);
    }

    /// Drops what was to be said to a broker that is gone; what was to be started is not.
    pub(super) fn lose_addresses(&mut self) {
        self.answers.clear();
        self.orphaned.append(&mut self.starts);
    }

    /// Demands that the records are on the disk before anything is acted on.
    pub(super) fn demand_sync(&mut self) {
        self.urgent = true;
    }
}

impl Monitor {
    /// Takes one signed call from the broker: what it decides waits in `batch` for the record.
    pub(super) fn take_call(
        &mut self,
        (channel, to): (ChannelId, CallRef),
        signed: &Signed,
        terminal: Option<Terminal>,
        batch: &mut Batch,
        now: Instants,
    ) {
        if self.calls.find(to).is_some() || batch.starts.iter().any(|start| start.to == to) {
            return tracing::error!("the broker used a call's number twice; the second is ignored");
        }
        match self.decide((channel, to), signed, terminal, batch, now) {
            Ok(()) => {}
            Err(refusal) => batch.answer(ToBroker::Refused { call: to, refusal }),
        }
    }

    fn decide(
        &mut self,
        (channel, to): (ChannelId, CallRef),
        signed: &Signed,
        terminal: Option<Terminal>,
        batch: &mut Batch,
        now: Instants,
    ) -> Result<(), Refusal> {
        let asked = Asked { terminal, ..self.verify(channel, signed, now)? };
        match self.repeat(&asked, channel, to, now)? {
            // Ahead of whatever else is said of the call by its new number; no record has to come first.
            Some(answer @ ToBroker::Reattach { .. }) => {
                self.broker.send(&answer, &[]);
                return Ok(());
            }
            Some(answer) => {
                batch.answer(answer);
                return Ok(());
            }
            None => {}
        }
        self.proceed(asked, Route { channel, to }, Vec::new(), batch, now)
    }

    /// Goes on with a call that is its holder's and new: it starts, waits for consent, or is refused.
    pub(super) fn proceed(
        &mut self,
        asked: Asked,
        Route { channel, to }: Route,
        consents: Vec<Consent>,
        batch: &mut Batch,
        now: Instants,
    ) -> Result<(), Refusal> {
        let running = self.calls.active.len().saturating_add(batch.starts.len());
        self.check_bounds(&asked, running, now)?;
        self.check_connections(&asked, batch, now)?;
        self.check_note(&asked, now)?;
        let (permit, output_max) = match self.permit(&asked, &consents, now)? {
            Verdict::Start { permit, output_max } => (permit, output_max),
            Verdict::Ask(question) => {
                let held = HeldCall { asked, question: *question, channel, to };
                return self.hold_call(held, batch, now);
            }
        };
        let Asked { at, passport, now: asked_at, head, terminal, .. } = asked;
        let run = self.calls.number();
        let share = self.shares.get_mut(&at.share).ok_or(Refusal::NoSeat)?;
        share.reserve(run, output_max);
        share.running.insert(at.key(), Current { content: at.content, run });
        batch.urgent |= permit.verb().effect == policy::Effect::Write;
        let start = Start {
            permit,
            run,
            at,
            to,
            channel,
            passport,
            asked_at,
            output_max,
            consents,
            head,
            terminal,
        };
        batch.starts.push(start);
        Ok(())
    }

    /// Writes the turn's records, then does what they say. What is not on record does not start.
    pub(super) fn settle(&mut self, batch: Batch, now: Instants) {
        let durability = if batch.urgent { Durability::Now } else { Durability::Soon };
        let written = self.commit(durability, now);
        let lost = std::mem::take(&mut self.records_lost);
        let written = if lost { Err(()) } else { written.map_err(drop) };
        for answer in batch.answers {
            match (&written, &answer) {
                (Err(()), ToBroker::Joined { channel, .. }) => {
                    self.forget_channel(*channel);
                    let refusal = Refusal::Unrecorded;
                    self.broker.send(&ToBroker::NotJoined { channel: *channel, refusal }, &[]);
                }
                _ => self.broker.send(&answer, &[]),
            }
        }
        for start in batch.orphaned {
            self.close_call(Closed::unbegun(start.at, Ending::Interrupted, start.asked_at), now);
        }
        for start in batch.starts {
            match &written {
                Ok(()) => self.start_call(start),
                Err(()) => self.abandon(&start, now),
            }
        }
    }

    /// Gives up a start whose record may or may not be in the log: its end is, as soon as one can be.
    fn abandon(&mut self, start: &Start, now: Instants) {
        let ending = Ending::NotStarted("it could not be put on record".to_owned());
        self.close_call(Closed::unbegun(start.at, ending, start.asked_at), now);
        let refusal = Refusal::Unrecorded;
        self.broker.send(&ToBroker::Refused { call: start.to, refusal }, &[]);
    }
}
