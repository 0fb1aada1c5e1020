//! Who sees a request, and who answers it.

use std::collections::BTreeMap;

use policy::{Approve, Consent, Groups, RequestId};
use wire::control::{Asked as AskedView, Failure, MAX_MESSAGE, Reply, RequestView, encode};
use wire::frame::Refusal;

use super::super::Monitor;
use super::super::audit::{Durability, Event, Hex, Said};
use super::super::failure::{not_found, refused, unavailable};
use super::super::resolver::Person;
use super::{Given, Waiting, What};
use crate::clock::Instants;

impl Monitor {
    /// The requests that somebody may see: of their own shares, and those that they can consent to.
    pub(in crate::monitor) fn list_requests(
        &mut self,
        person: &Person,
        all: bool,
        only: Option<RequestId>,
        now: Instants,
    ) -> Result<Reply, Failure> {
        if all && !self.is_admin(person) {
            return Err(refused(
                "`--all` is for root and the admin group",
                "leave it out to see those that concern you",
            ));
        }
        if all {
            let (by, what) = (Self::person(person), Said::new("requests --all"));
            self.note(Event::AdminUsed { by, what, share: None }, now);
        }
        let waiting = &self.consents.waiting;
        let seen = |one: &Waiting| all || one.owner.uid == person.uid || one.counts(person);
        let meant = |id: &RequestId| only.is_none_or(|only| only == *id);
        let seen = waiting.iter().filter(|(id, one)| meant(id) && seen(one)).map(|(id, _)| *id);
        let mut views: Vec<RequestView> =
            seen.filter_map(|id| request_view(id, waiting, Some(person), now)).collect();
        if let Some(only) = only.filter(|_| views.is_empty()) {
            return Err(no_request(only));
        }
        views.sort_by_key(|view| (view.asked, view.id));
        Ok(in_one_answer(views))
    }

    /// Takes somebody's yes. On record before it counts.
    pub(in crate::monitor) fn approve(
        &mut self,
        person: &Person,
        id: RequestId,
        expect: Option<&str>,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let waiting = self.visible(person, id)?;
        if !waiting.counts(person) {
            let own = waiting.owner.uid == person.uid;
            let why = if own {
                "nobody approves what is their own"
            } else {
                "your consent does not count"
            };
            let hint = format!("it is for {}", waiting.approvers().join(" and "));
            return Err(refused(&format!("{id}: {why}"), &hint));
        }
        let (share, digest) = (waiting.share(), waiting.digest);
        if expect.is_some_and(|hash| hash != Hex(digest).to_string()) {
            let hint = format!("it is for {}: look at it with `openscope requests`", Hex(digest));
            return Err(refused(&format!("{id} is not for what you expect"), &hint));
        }
        if waiting.given.iter().any(|given| given.uid == person.uid) {
            return Ok(Reply::Done(format!("{id}: you have consented already")));
        }
        let by = Self::person(person);
        let event = Event::ConsentGiven { by, request: id, share, digest: Hex(digest) };
        self.keep_consent(event, now)?;
        let groups = Groups::Known(person.groups.clone());
        let consent = Consent { user: person.user.clone(), groups, to: digest };
        let Some(waiting) = self.consents.waiting.get_mut(&id) else { return Err(no_request(id)) };
        waiting.given.push(Given { uid: person.uid, consent });
        if !waiting.is_met() {
            let needs = waiting.approvers().join(" and ");
            return Ok(Reply::Done(format!("{id}: you consent; it waits for more of: {needs}")));
        }
        if let Some(held) = self.consents.take_access(id) {
            return self.grant(person, (id, &held), now);
        }
        self.consents.ready.insert(id);
        Ok(Reply::Done(format!("{id}: you consent; it goes ahead now")))
    }

    /// Takes somebody's no: the owner's, an approver's or an admin's.
    pub(in crate::monitor) fn deny(
        &mut self,
        person: &Person,
        id: RequestId,
        reason: Option<&str>,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let waiting = self.visible(person, id)?;
        let (share, digest) = (waiting.share(), waiting.digest);
        let (by, reason) = (Self::person(person), Said::new(reason.unwrap_or_default()));
        let event = Event::ConsentRefused {
            by,
            request: id,
            share,
            digest: Hex(digest),
            reason: reason.clone(),
        };
        self.note(event, now);
        let Some(waiting) = self.consents.waiting.remove(&id) else { return Err(no_request(id)) };
        self.consents.ready.remove(&id);
        let said = match reason.as_str() {
            "" => format!("{} refused consent", person.user),
            reason => format!("{} refused consent: {reason}", person.user),
        };
        self.refuse_waiting(waiting, policy::PublicRefusal::Declined, &said, now);
        Ok(Reply::Done(format!("{id} is refused")))
    }

    fn keep_consent(&mut self, event: Event, now: Instants) -> Result<(), Failure> {
        let unkept = |why: &dyn std::fmt::Display| {
            let message = format!("your consent cannot be put on record: {why}");
            unavailable(&message, "free space for the daemon's state directory, then try again")
        };
        self.audit.record(event, now).map_err(|fault| unkept(&fault))?;
        self.commit(Durability::Now, now).map_err(|fault| unkept(&fault))
    }

    /// A request as this person may know of it; for everybody else there is none.
    fn visible(&self, person: &Person, id: RequestId) -> Result<&Waiting, Failure> {
        let waiting = self.consents.waiting.get(&id);
        let seen = |one: &&Waiting| {
            one.owner.uid == person.uid || one.counts(person) || self.is_admin(person)
        };
        waiting.filter(seen).ok_or_else(|| no_request(id))
    }

    /// Tells whoever waits that nothing will come of it.
    pub(super) fn refuse_waiting(
        &mut self,
        waiting: Waiting,
        public: policy::PublicRefusal,
        why: &str,
        now: Instants,
    ) {
        match waiting.what {
            What::Call(held) => {
                let refusal = Refusal::Denied(public);
                self.refused(held.asked.at, &held.asked.call, why, now);
                self.broker.send(&wire::privsep::ToBroker::Refused { call: held.to, refusal }, &[]);
            }
            What::Open(held) => {
                let failure = refused(why, "talk to them, then open the share again");
                self.owners.reply(held.caller, &Reply::Failed(failure), now.boot);
            }
            What::Access(held) => {
                let (call, refusal) = (held.to, Refusal::Denied(public));
                self.refuse_asking(&held.asking, why, now);
                self.remember_ended(held.asking.at);
                self.broker.send(&wire::privsep::ToBroker::Refused { call, refusal }, &[]);
            }
        }
    }
}

/// What fits into one answer, the oldest first; of the others the ids, so that no large request hides another.
fn in_one_answer(views: Vec<RequestView>) -> Reply {
    let mut room = MAX_MESSAGE / 2;
    let (mut requests, mut left_out) = (Vec::new(), Vec::new());
    for view in views {
        let size = encode(&view).map_or(usize::MAX, |bytes| bytes.len());
        match room.checked_sub(size) {
            Some(left) => {
                room = left;
                requests.push(view);
            }
            None => left_out.push(view.id),
        }
    }
    Reply::Requests { requests, left_out }
}

/// A request as it is shown, to this person if it is shown to somebody.
pub(super) fn request_view(
    id: RequestId,
    waiting: &BTreeMap<RequestId, Waiting>,
    person: Option<&Person>,
    now: Instants,
) -> Option<RequestView> {
    let one = waiting.get(&id)?;
    let said_yes = |person: &Person| one.given.iter().any(|given| given.uid == person.uid);
    Some(RequestView {
        id,
        what: one.asked_for(),
        user: one.owner.user.clone(),
        agent: one.owner.agent.clone(),
        recipient: one.recipient.clone(),
        rule: one.by_rules(),
        approvers: one.approvers().join(" and "),
        needs: one.rules.iter().map(|(_, approvers)| approvers.needs).max().unwrap_or(1),
        given: one.given.iter().map(|given| given.consent.user.clone()).collect(),
        hash: Hex(one.digest).to_string(),
        asked: one.asked,
        until: one.until.1,
        now: now.wall,
        yours: person.is_some_and(|person| one.counts(person) && !said_yes(person)),
    })
}

impl Waiting {
    /// For people.
    pub(super) fn said(&self) -> String {
        match self.asked_for() {
            AskedView::Call { call, .. } => call.join(" "),
            AskedView::Open(plan) => {
                let verbs: Vec<&str> = plan.verbs.iter().map(|verb| verb.verb.as_str()).collect();
                format!("share {} with {}", verbs.join(" "), plan.recipients.join(", "))
            }
            AskedView::Access(access) => {
                let verbs: Vec<&str> = access.gains.iter().map(|verb| verb.verb.as_str()).collect();
                format!("add {} to {}", verbs.join(" "), access.share)
            }
        }
    }

    fn asked_for(&self) -> AskedView {
        match &self.what {
            What::Open(held) => AskedView::Open(Box::new(held.plan.clone())),
            What::Access(held) => AskedView::Access(Box::new(held.gain.view.clone())),
            What::Call(held) => {
                let question = &held.question;
                AskedView::Call {
                    share: held.asked.at.share,
                    call: words(&question.call),
                    summary: question.summary.clone(),
                    effect: question.effect,
                    input: question.input,
                    approve: question.approve.max(Approve::Once),
                    command: question.command.iter().map(ToString::to_string).collect(),
                    run_as: question.run_as.clone(),
                }
            }
        }
    }
}

fn words(policy::Call { verb, arguments }: &policy::Call) -> Vec<String> {
    let arguments = arguments.iter().map(|(name, value)| format!("{name}={value}"));
    std::iter::once(verb.to_string()).chain(arguments).collect()
}

fn no_request(id: RequestId) -> Failure {
    not_found(
        &format!("no request `{id}` waits for you"),
        "`openscope requests` shows those that concern you",
    )
}

#[cfg(test)]
mod tests {
    use policy::{Effect, Input, ShareId, Timestamp};

    use super::*;

    #[test]
    fn a_large_request_hides_no_other() {
        let view = |id: u8, length: usize| RequestView {
            id: RequestId::from_random([id; 8]),
            what: AskedView::Call {
                share: ShareId::from_random([2; 8]),
                call: vec!["x".repeat(length)],
                summary: String::new(),
                effect: Effect::Write,
                input: Input::Nothing,
                approve: Approve::Each,
                command: vec![],
                run_as: None,
            },
            user: "alice".to_owned(),
            agent: "you".parse().unwrap(),
            recipient: "vendor-b".to_owned(),
            rule: "policy.d/team.toml:3".to_owned(),
            approvers: "bob".to_owned(),
            needs: 1,
            given: vec![],
            hash: "ab12".to_owned(),
            asked: Timestamp(0),
            until: Timestamp(1),
            now: Timestamp(0),
            yours: true,
        };
        let views = vec![view(1, MAX_MESSAGE / 3), view(2, MAX_MESSAGE / 3), view(3, 9)];
        let reply = in_one_answer(views);
        let Reply::Requests { requests, left_out } = &reply else { panic!("{reply:?}") };
        let shown: Vec<RequestId> = requests.iter().map(|view| view.id).collect();
        assert_eq!(shown, [1, 3].map(|id| RequestId::from_random([id; 8])));
        assert_eq!(*left_out, [RequestId::from_random([2; 8])]);
        assert!(encode(&reply).is_ok());
    }
}
