//! Rules and situations as chance has it, of every kind that rules can select by.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{Call, Groups, Policy, Recipient, Rehearsal, Subject, Timestamp, Value};
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::{NOW, arguments, text, vendor};

const WHO: [&str; 7] = [
    "user = \"*\"",
    "agent = \"you\"",
    "user = \"alice\"",
    "user = [\"bob\", \"carol\"]",
    "group = \"sre\"",
    "group = [\"sre\", \"ops\"]",
    "user = \"alice\"\ngroup = \"ops\"",
];
const WHEN: [&str; 3] = [
    "",
    "when = { days = \"mon-fri\", from = \"08:00\", to = \"18:00\", timezone = \"UTC\" }",
    "when = { days = [\"sat\", \"mon\"], timezone = \"UTC\" }",
];
const VERBS: [&str; 9] = [
    "[\"*\"]",
    "[\"ssh.*\"]",
    "{ \"ssh.tail_logs\" = {} }",
    "{ \"ssh.tail_logs\" = { service = [\"web\", \"db\"] } }",
    "{ \"ssh.tail_logs\" = { service = \"web\", lines = { max = 100 } } }",
    "{ \"ssh.tail_logs\" = { lines = { min = 50 } } }",
    "{ \"ssh.tail_logs\" = { service = { pattern = \"[a-z]+\" } } }",
    "{ \"ssh.restart_service\" = { service = [\"web\"] } }",
    "{ \"ssh.restart_service\" = { service = { prefix = \"w\" } } }",
];
const TO: [&str; 6] = [
    "to = [\"*\"]",
    "to = [\"vendor-*\"]",
    "to = [\"vendor-b\", \"own/*\"]",
    "to = [\"partner\"]\nbearer = true",
    "bearer = true",
    "keys = [\"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]",
];
const TERMS: [&str; 8] = [
    "",
    "max_ttl = \"5m\"",
    "redelegate = 1",
    "approve = \"each\"",
    "approve = \"once\"\napprovers = [\"bob\"]",
    "approve = { \"*\" = \"each\" }\napprovers = [\"bob\", \"dave\", \"erin\"]\nneeds = 2",
    "approve_open = true\napprovers = [\"dave\"]",
    "max_calls = 3\nmax_ttl = \"8m\"",
];

/// One rule, as policy.d writes it.
pub(crate) fn rules() -> impl Strategy<Value = String> {
    let kind = select(vec!["allow", "allow", "deny", "delegate", "delegate"]);
    (
        kind,
        select(WHO.to_vec()),
        select(WHEN.to_vec()),
        select(VERBS.to_vec()),
        select(TO.to_vec()),
        select(TERMS.to_vec()),
    )
        .prop_map(|(kind, who, when, verbs, to, terms)| {
            let terms = if kind == "delegate" { format!("{to}\n{terms}\n") } else { String::new() };
            format!("[[{kind}]]\n{who}\n{when}\nverbs = {verbs}\n{terms}")
        })
}

/// Two policies in which everything hangs on one rule, and which differ in one part of it.
pub(crate) fn near_books() -> impl Strategy<Value = (String, String)> {
    let parts = || {
        let (who, when) = (select(WHO.to_vec()), select(WHEN.to_vec()));
        (who, when, select(TO.to_vec()), select(TERMS.to_vec()))
    };
    (parts(), parts(), 0..4_usize, any::<bool>()).prop_map(|(one, two, part, deny)| {
        let one = [one.0, one.1, one.2, one.3];
        let mut other = one;
        other[part] = [two.0, two.1, two.2, two.3][part];
        (book(one, deny), book(other, deny))
    })
}

fn book([who, when, to, terms]: [&str; 4], deny: bool) -> String {
    let all =
        "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[allow]]\nuser = \"*\"\nverbs = [\"*\"]\n";
    let about = format!("{who}\n{when}\nverbs = [\"*\"]\n");
    if deny {
        return format!(
            "{all}[[deny]]\n{about}[[delegate]]\nuser = \"*\"\nverbs = [\"*\"]\n{to}\n{terms}\n"
        );
    }
    format!("{all}[[delegate]]\n{about}{to}\n{terms}\n")
}

/// A whole policy; once in a while `you` is somebody else's.
pub(crate) fn books() -> impl Strategy<Value = String> {
    let agent = select(vec!["alice", "alice", "alice", "bob"]);
    (agent, proptest::collection::vec(rules(), 1..7)).prop_map(|(user, rules)| {
        format!("[[agent]]\nname = \"you\"\nuser = \"{user}\"\n{}", rules.concat())
    })
}

/// Somebody who shares something with somebody, and a call in it.
#[derive(Clone, Debug)]
pub(crate) struct Situation {
    user: &'static str,
    agent: Option<&'static str>,
    groups: Groups,
    now: Timestamp,
    recipient: Recipient,
    ttl: Option<Duration>,
    redelegate: u8,
    after: Duration,
    yes: Vec<(String, Groups)>,
    pub(crate) call: Call,
}

pub(crate) fn situations() -> impl Strategy<Value = Situation> {
    let known = |names: &[&str]| {
        Groups::Known(names.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
    };
    let groups = select(vec![known(&[]), known(&["sre"]), known(&["ops", "sre"]), Groups::Unknown]);
    // A Monday, 14:13; the Saturday after; neither is near the end of a window.
    let now = select(vec![NOW, NOW.plus(Duration::from_hours(5 * 24))]);
    let who =
        select(vec![("alice", Some("you")), ("alice", None), ("bob", None), ("bob", Some("you"))]);
    let minutes = |minutes| Duration::from_mins(minutes);
    let to =
        select(vec![vendor("vendor-b"), vendor("partner"), vendor("own/x"), Recipient::Bearer]);
    let ttl = select(vec![None, Some(minutes(7)), Some(minutes(30))]);
    let after = select(vec![Duration::ZERO, minutes(6), minutes(9)]);
    let yes = select(vec![vec![], vec!["bob"], vec!["dave", "alice"], vec!["bob", "dave", "erin"]]);
    ((who, groups, now, to), (ttl, 0..2_u8, after, yes), calls()).prop_map(
        |((who, groups, now, recipient), (ttl, redelegate, after, yes), call)| Situation {
            user: who.0,
            agent: who.1,
            groups,
            now,
            recipient,
            ttl,
            redelegate,
            after,
            yes: yes.into_iter().map(|user| (user.to_owned(), Groups::none())).collect(),
            call,
        },
    )
}

fn calls() -> impl Strategy<Value = Call> {
    let service = select(vec!["web", "db", "w-1", "vault", "-x"]);
    (any::<bool>(), service, select(vec![1_i64, 50, 100, 101, 500])).prop_map(
        |(tail, service, lines)| {
            let (name, given) = if tail {
                (
                    "ssh.tail_logs",
                    arguments([("service", text(service)), ("lines", Value::Int(lines))]),
                )
            } else {
                ("ssh.restart_service", arguments([("service", text(service))]))
            };
            Call { verb: name.parse().unwrap(), arguments: given }
        },
    )
}

impl Situation {
    /// The rehearsal of it; none where the user does not go by that name.
    pub(crate) fn under<'p>(&self, policy: &'p Policy) -> Option<Rehearsal<'p>> {
        let agent = self.agent.map(|agent| agent.parse().unwrap());
        let principal = policy.principal(self.user, agent.as_ref()).ok()?;
        Some(Rehearsal {
            policy,
            owner: Subject { principal, groups: self.groups.clone(), now: self.now },
            recipient: Some(self.recipient.clone()),
            share: vec![],
            ttl: self.ttl,
            redelegate: self.redelegate,
            after: self.after,
            yes: self.yes.clone(),
        })
    }
}
