//! Requests for consent: what waits for somebody's yes, and what comes of it.

mod answer;
mod serve;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::{AgentName, Approvers, Consent, Question, RequestId, RuleSite, ShareId, Timestamp};
use wire::control::{Failure, Open, PlanView, Reply};
use wire::frame::Refusal;
use wire::privsep::{CallRef, ChannelId, ToBroker};

use super::Monitor;
use super::audit::{Durability, Event, Hex, Said};
use super::calls::{At, Batch};
use super::failure::unavailable;
use super::open::random;
use super::owner_socket::Caller;
use super::permit::{Asked, busy};
use super::resolver::Person;
use crate::clock::Instants;

/// Everything that waits. Nothing of it survives the daemon: who asked then asks again.
#[derive(Default)]
pub(super) struct Consents {
    waiting: BTreeMap<RequestId, Waiting>,
    /// Those that enough people have consented to: they are served in this turn.
    ready: BTreeSet<RequestId>,
}

/// One request.
struct Waiting {
    what: What,
    owner: Party,
    recipient: String,
    /// Whose yes it takes, by rule: enough of each.
    rules: Vec<(RuleSite, Approvers)>,
    digest: [u8; 32],
    given: Vec<Given>,
    asked: Timestamp,
    /// Boot time when it is refused for want of an answer, and the same as a date.
    until: (Duration, Timestamp),
}

/// Whose authority it is about.
struct Party {
    uid: u32,
    user: String,
    agent: AgentName,
}

/// What is waited for.
enum What {
    /// A recipient's call.
    Call(Box<HeldCall>),
    /// An owner's share, for which they wait on the owner socket.
    Open(Box<HeldOpen>),
}

/// A call as it came, and where its answer goes.
pub(super) struct HeldCall {
    pub(super) asked: Asked,
    pub(super) question: Question,
    pub(super) channel: ChannelId,
    pub(super) to: CallRef,
}

/// A share as it was asked for, and where its answer goes.
pub(super) struct HeldOpen {
    pub(super) caller: Caller,
    pub(super) person: Person,
    pub(super) open: Open,
    pub(super) plan: PlanView,
    pub(super) digest: [u8; 32],
}

/// Somebody's yes.
struct Given {
    uid: u32,
    consent: Consent,
}

impl Waiting {
    fn share(&self) -> Option<ShareId> {
        match &self.what {
            What::Call(held) => Some(held.asked.at.share),
            What::Open(_) => None,
        }
    }

    fn consents(&self) -> Vec<Consent> {
        self.given.iter().map(|given| given.consent.clone()).collect()
    }

    /// Whether enough of all have said yes.
    fn is_met(&self) -> bool {
        let given = self.consents();
        let met = |approvers: &Approvers| {
            approvers.have_consented(&given, &self.digest, &self.owner.user)
        };
        self.rules.iter().all(|(_, approvers)| met(approvers))
    }

    /// Whether this person's yes counts for it.
    fn counts(&self, person: &Person) -> bool {
        let groups = policy::Groups::Known(person.groups.clone());
        let includes =
            |approvers: &Approvers| approvers.include(&person.user, &groups, &self.owner.user);
        self.rules.iter().any(|(_, approvers)| includes(approvers))
    }
}

impl Consents {
    /// Whose shares, or shares to be, they are about.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> {
        self.waiting.values().map(|waiting| waiting.owner.uid)
    }
}

impl Monitor {
    /// Lets a call wait for consent. Its holder hears of it once that is on record.
    pub(super) fn hold_call(
        &mut self,
        held: HeldCall,
        batch: &mut Batch,
        now: Instants,
    ) -> Result<(), Refusal> {
        let at = held.asked.at;
        let waiting = self.consents.waiting.values();
        if waiting.filter(|one| one.share() == Some(at.share)).count()
            >= self.config.limits.requests_per_share
        {
            self.refused(at, &held.asked.call, "limits.requests_per_share is reached", now);
            return Err(busy("requests_per_share"));
        }
        let share = self.shares.get_mut(&at.share).ok_or(Refusal::NoSeat)?;
        let owner = share.lease.owner.clone();
        let deadline = share.lease.deadline.min(share.lease.hard_stop);
        let left = deadline.since(share.now(now));
        let wait = self.config.limits.request_wait.min(left);
        let (call, question) = (held.to, &held.question);
        let waiting = Waiting {
            owner: Party { uid: owner.uid, user: owner.user, agent: owner.agent },
            recipient: held.asked.recipient.to_string(),
            rules: vec![(question.rule.clone(), question.approvers.clone())],
            digest: question.digest,
            given: Vec::new(),
            asked: now.wall,
            until: (now.boot.saturating_add(wait), now.wall.plus(wait)),
            what: What::Call(Box::new(held)),
        };
        let request = self.keep_waiting(waiting, now).map_err(|_| Refusal::Unrecorded)?;
        batch.answer(ToBroker::Pending { call, request });
        Ok(())
    }

    /// Lets a share wait for consent. Its owner hears of it at once, and waits on.
    pub(super) fn hold_open(
        &mut self,
        held: HeldOpen,
        rules: Vec<(RuleSite, Approvers)>,
        now: Instants,
    ) -> Result<(), Failure> {
        let (caller, person) = (held.caller, held.person.clone());
        let theirs = |one: &&Waiting| one.share().is_none() && one.owner.uid == person.uid;
        let most = self.config.limits.requests_per_share;
        if self.consents.waiting.values().filter(theirs).count() >= most {
            return Err(super::failure::busy("requests_per_share", most));
        }
        let wait = self.config.limits.request_wait;
        let waiting = Waiting {
            owner: Party { uid: person.uid, user: person.user, agent: held.plan.agent.clone() },
            recipient: held.plan.recipients.join(", "),
            rules,
            digest: held.digest,
            given: Vec::new(),
            asked: now.wall,
            until: (now.boot.saturating_add(wait), now.wall.plus(wait)),
            what: What::Open(Box::new(held)),
        };
        let request = self.keep_waiting(waiting, now)?;
        let view = answer::request_view(request, &self.consents.waiting, None, now);
        if let Some(view) = view {
            self.owners.tell(caller, &Reply::Pending(Box::new(view)), now.boot);
        }
        Ok(())
    }

    /// Puts a request on record, and keeps it. What cannot be recorded does not wait.
    fn keep_waiting(&mut self, waiting: Waiting, now: Instants) -> Result<RequestId, Failure> {
        let request = RequestId::from_random(random()?);
        let approvers = waiting.rules.iter().map(|(rule, who)| format!("{who} ({rule})"));
        let event = Event::ConsentRequested {
            request,
            share: waiting.share(),
            owner: waiting.owner.who(),
            what: Said::new(&waiting.said()),
            digest: Hex(waiting.digest),
            approvers: Said::new(&approvers.collect::<Vec<_>>().join("; ")),
            until: waiting.until.1,
        };
        let unkept = |why: &dyn std::fmt::Display| {
            let message = format!("the request cannot be put on record: {why}");
            unavailable(&message, "free space for the daemon's state directory, then try again")
        };
        self.audit.record(event, now).map_err(|fault| unkept(&fault))?;
        self.commit(Durability::Soon, now).map_err(|fault| unkept(&fault))?;
        tracing::info!(%request, "a request waits for consent");
        self.consents.waiting.insert(request, waiting);
        Ok(request)
    }

    /// When the next request is refused for want of an answer.
    pub(super) fn requests_due(&self) -> Option<Duration> {
        self.consents.waiting.values().map(|waiting| waiting.until.0).min()
    }

    /// The request by which this call waits already, if it does.
    pub(super) fn waiting_call(&self, at: At) -> Option<(RequestId, [u8; 32])> {
        let same = |held: &HeldCall| {
            let its = held.asked.at;
            (its.share, its.seat, its.holder, its.id) == (at.share, at.seat, at.holder, at.id)
        };
        self.consents.waiting.iter().find_map(|(id, waiting)| match &waiting.what {
            What::Call(held) if same(held) => Some((*id, held.asked.at.content)),
            What::Call(_) | What::Open(_) => None,
        })
    }

    /// Sends the answer to a call that waits elsewhere from now on; where it went before.
    pub(super) fn redirect_waiting(
        &mut self,
        request: RequestId,
        to: CallRef,
        channel: ChannelId,
    ) -> Option<CallRef> {
        match &mut self.consents.waiting.get_mut(&request)?.what {
            What::Call(held) => {
                held.channel = channel;
                Some(std::mem::replace(&mut held.to, to))
            }
            What::Open(_) => None,
        }
    }
}

impl Party {
    fn who(&self) -> super::audit::Who {
        let (uid, user, agent) = (self.uid, self.user.clone(), Some(self.agent.clone()));
        super::audit::Who { uid, user, agent }
    }
}
