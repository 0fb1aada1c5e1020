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
use super::access::HeldAccess;
use super::audit::{Durability, Event, Hex, Recorded, Said};
use super::calls::{At, Batch};
use super::failure::unavailable;
use super::open::random;
use super::owner_socket::Caller;
use super::permit::{Asked, busy};
use super::resolver::Person;
use crate::clock::Instants;

/// Why nothing more of a share may wait.
pub(super) const CROWDED_OUT: &str = "limits.requests_per_share is reached";

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
    /// More of a share, for its recipient.
    Access(Box<HeldAccess>),
}

impl What {
    /// Which of a seat's it is, where it is a recipient's.
    fn at(&self) -> Option<At> {
        match self {
            Self::Call(held) => Some(held.asked.at),
            Self::Access(held) => Some(held.asking.at),
            Self::Open(_) => None,
        }
    }

    /// Where its answer goes, where it is a recipient's.
    fn to(&self) -> Option<CallRef> {
        match self {
            Self::Call(held) => Some(held.to),
            Self::Access(held) => Some(held.to),
            Self::Open(_) => None,
        }
    }
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
        self.what.at().map(|at| at.share)
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
        match &self.what {
            // It is theirs to give, and nobody else's.
            What::Access(_) => person.uid == self.owner.uid,
            What::Call(_) | What::Open(_) => {
                self.rules.iter().any(|(_, approvers)| includes(approvers))
            }
        }
    }

    /// By which rules it waits, in words.
    fn by_rules(&self) -> String {
        match &self.what {
            What::Access(held) => held.gain.basis.clone(),
            What::Call(_) | What::Open(_) => {
                let rules = self.rules.iter().map(|(rule, _)| rule.to_string());
                rules.collect::<Vec<_>>().join(" and ")
            }
        }
    }

    /// Whose yes it waits for, in words.
    fn approvers(&self) -> Vec<String> {
        match &self.what {
            What::Access(_) => vec![format!("the share's owner, {}", self.owner.user)],
            What::Call(_) | What::Open(_) => {
                self.rules.iter().map(|(_, approvers)| approvers.to_string()).collect()
            }
        }
    }
}

impl Consents {
    /// Whose shares, or shares to be, they are about.
    pub(super) fn owners(&self) -> impl Iterator<Item = u32> {
        self.waiting.values().map(|waiting| waiting.owner.uid)
    }

    /// What waits under this number, where it is more of a share: from here it does not.
    pub(super) fn take_access(&mut self, request: RequestId) -> Option<HeldAccess> {
        let waiting = self.waiting.remove(&request)?;
        match waiting.what {
            What::Access(held) => Some(*held),
            What::Call(_) | What::Open(_) => {
                self.waiting.insert(request, waiting);
                None
            }
        }
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
        if !self.has_room_to_wait(at.share) {
            self.refused(at, &held.asked.call, CROWDED_OUT, now);
            return Err(busy("requests_per_share"));
        }
        let (owner, until) = self.waits_for(at.share, now).ok_or(Refusal::NoSeat)?;
        let (call, question) = (held.to, &held.question);
        let waiting = Waiting {
            owner,
            recipient: held.asked.recipient.to_string(),
            rules: vec![(question.rule.clone(), question.approvers.clone())],
            digest: question.digest,
            given: Vec::new(),
            asked: now.wall,
            until,
            what: What::Call(Box::new(held)),
        };
        let request = self.keep_waiting(waiting, now).map_err(|_| Refusal::Unrecorded)?;
        batch.answer(ToBroker::Pending { call, request });
        Ok(())
    }

    /// Lets a recipient wait for more of a share, until its owner says.
    pub(super) fn hold_access(
        &mut self,
        held: HeldAccess,
        now: Instants,
    ) -> Result<ToBroker, Refusal> {
        let (at, call) = (held.asking.at, held.to);
        let (owner, until) = self.waits_for(at.share, now).ok_or(Refusal::NoSeat)?;
        let waiting = Waiting {
            owner,
            recipient: held.asking.recipient.to_string(),
            rules: Vec::new(),
            digest: held.gain.digest,
            given: Vec::new(),
            asked: now.wall,
            until,
            what: What::Access(Box::new(held)),
        };
        let request = self.keep_waiting(waiting, now).map_err(|_| Refusal::Unrecorded)?;
        Ok(ToBroker::Pending { call, request })
    }

    /// Whether one more request of a share may wait.
    pub(super) fn has_room_to_wait(&self, share: ShareId) -> bool {
        let theirs = self.consents.waiting.values().filter(|one| one.share() == Some(share));
        theirs.count() < self.config.limits.requests_per_share
    }

    /// Whose share it is, and until when a request of it waits.
    fn waits_for(&mut self, id: ShareId, now: Instants) -> Option<(Party, (Duration, Timestamp))> {
        let share = self.shares.get_mut(&id)?;
        let owner = share.lease.owner.clone();
        let deadline = share.lease.deadline.min(share.lease.hard_stop);
        let left = deadline.since(share.now(now));
        let wait = self.config.limits.request_wait.min(left);
        let owner = Party { uid: owner.uid, user: owner.user, agent: owner.agent };
        Some((owner, (now.boot.saturating_add(wait), now.wall.plus(wait))))
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
        let event = self.requested(request, &waiting);
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

    /// That a request waits, as the record has it.
    fn requested(&self, request: RequestId, waiting: &Waiting) -> Event {
        let (owner, digest, until) = (waiting.owner.who(), Hex(waiting.digest), waiting.until.1);
        if let What::Access(held) = &waiting.what
            && let Some(share) = self.shares.get(&held.asking.at.share)
        {
            return Event::AccessRequested {
                at: share.named(&held.asking.at),
                request,
                owner,
                statement: Hex(held.asking.at.content),
                wanted: Recorded::of(&held.asking.wanted()),
                gains: Recorded::of(&held.gain.scope),
                reason: held.asking.reason.clone(),
                digest,
                until,
            };
        }
        let approvers = waiting.rules.iter().map(|(rule, who)| format!("{who} ({rule})"));
        Event::ConsentRequested {
            request,
            share: waiting.share(),
            owner,
            what: Said::new(&waiting.said()),
            digest,
            approvers: Said::new(&approvers.collect::<Vec<_>>().join("; ")),
            until,
        }
    }

    /// When the next request is refused for want of an answer.
    pub(super) fn requests_due(&self) -> Option<Duration> {
        self.consents.waiting.values().map(|waiting| waiting.until.0).min()
    }

    /// The request by which this waits already, if it does, and the content of what waits.
    pub(super) fn waiting_for(&self, at: At) -> Option<(RequestId, [u8; 32])> {
        let same = |its: &At| {
            (its.share, its.seat, its.holder, its.id) == (at.share, at.seat, at.holder, at.id)
        };
        self.consents
            .waiting
            .iter()
            .find_map(|(id, waiting)| waiting.what.at().filter(same).map(|its| (*id, its.content)))
    }

    /// What waits is asked for again: from here it is told what comes of it.
    pub(super) fn attend_waiting(
        &mut self,
        request: RequestId,
        (channel, call): (ChannelId, CallRef),
    ) -> Result<ToBroker, Refusal> {
        let waiting = self.consents.waiting.get_mut(&request).ok_or(Refusal::Failed)?;
        let (to, from_channel) = match &mut waiting.what {
            What::Call(held) => (&mut held.to, &mut held.channel),
            What::Access(held) => (&mut held.to, &mut held.channel),
            What::Open(_) => return Err(Refusal::Failed),
        };
        *from_channel = channel;
        let from = std::mem::replace(to, call);
        self.broker.send(&ToBroker::Reattach { from, to: call }, &[]);
        Ok(ToBroker::Pending { call, request })
    }
}

impl Party {
    fn who(&self) -> super::audit::Who {
        let (uid, user, agent) = (self.uid, self.user.clone(), Some(self.agent.clone()));
        super::audit::Who { uid, user, agent }
    }
}
