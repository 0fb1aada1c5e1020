//! One small company: a catalog, the rules that a test wants, a daemon's key.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::{
    Approve, Arguments, Authority, Budget, Call, Decision, Groups, Passport, Policy, Principal,
    Proposal, Recipient, Refusal, Request, Scope, SeatId, ShareId, Source, Standing, Subject,
    TextFault, Timestamp, Used, Value, passport,
};

pub(crate) const VERBS: &str = r#"
[verb."ssh.tail_logs"]
summary = "Last lines of a service's journal"
effect = "read"
run = { exec = { argv = ["/usr/bin/journalctl", "-u", "{service}", "-n", "{lines}", "-M", "{host}"] } }
[verb."ssh.tail_logs".params]
host = { type = "string", one_of = ["web-1", "web-2"], default = "web-1" }
service = { type = "string", pattern = "-?[a-z][a-z0-9-]*", required = true }
lines = { type = "int", min = 1, max = 500, default = 200 }

[verb."ssh.restart_service"]
summary = "Restart a service"
effect = "write"
run = { exec = { argv = ["/usr/bin/systemctl", "restart", "--", "{service}"] } }
params = { service = { type = "string", required = true } }

[verb."web.status"]
summary = "Whether the site answers"
effect = "read"
run = { exec = { argv = ["/usr/bin/true"] } }

[verb."file.read"]
summary = "Print a file"
effect = "read"
run = { exec = { argv = ["/usr/bin/cat", "--number={numbered}", "--", "{path}"] } }
[verb."file.read".params]
path = { type = "string", prefix = "/var/", required = true }
numbered = { type = "bool", default = false }
"#;

pub(crate) const HOLDS_ALL: &str = r#"
[[agent]]
name = "you"
user = "alice"
[[allow]]
agent = "you"
verbs = ["*"]
[[delegate]]
agent = "you"
verbs = ["*"]
to = ["vendor-*"]
"#;

pub(crate) const NOW: Timestamp = Timestamp(1_790_000_000_000);
pub(crate) const END: Timestamp = Timestamp(NOW.0 + 30 * 60 * 1000);

pub(crate) fn load(rules: &str) -> Result<Policy, Vec<TextFault>> {
    policy::load(&[source("verbs.d/web.toml", VERBS)], &[source("policy.d/team.toml", rules)])
}

pub(crate) fn source(name: &str, text: &str) -> Source {
    Source { name: name.to_owned(), text: text.to_owned() }
}

pub(crate) fn with(rules: &str) -> Policy {
    load(rules).unwrap_or_else(|faults| panic!("{}", faults[0]))
}

pub(crate) fn you() -> Principal {
    Principal { user: "alice".to_owned(), agent: "you".parse().unwrap() }
}

/// As rules see them: in no group, now.
pub(crate) fn subject() -> Subject {
    Subject { principal: you(), groups: Groups::none(), now: NOW }
}

/// What is proposed when nothing special is.
pub(crate) fn proposal<'a>(
    scope: &'a Scope,
    recipient: &'a Recipient,
    ttl: Duration,
) -> Proposal<'a> {
    Proposal { scope, recipient, ttl, redelegate: 0, live: &[] }
}

pub(crate) fn vendor(alias: &str) -> Recipient {
    Recipient::Contact { alias: alias.parse().unwrap(), fingerprint: "SHA256:x".to_owned() }
}

pub(crate) fn text(text: &str) -> Value {
    Value::text(text).unwrap()
}

pub(crate) fn arguments<const N: usize>(pairs: [(&str, Value); N]) -> Arguments {
    pairs.into_iter().map(|(name, value)| (name.parse().unwrap(), value)).collect()
}

pub(crate) fn call<const N: usize>(verb: &str, pairs: [(&str, Value); N]) -> Call {
    Call { verb: verb.parse().unwrap(), arguments: arguments(pairs) }
}

pub(crate) fn requests(texts: &[&str]) -> Vec<Request> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What a principal who holds everything derives.
pub(crate) fn scope(texts: &[&str]) -> Scope {
    with(HOLDS_ALL).surface(&subject()).derive(&requests(texts)).unwrap()
}

pub(crate) fn root() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn authority(scope: Scope) -> Authority {
    Authority {
        daemon: "web-team".parse().unwrap(),
        share: ShareId::from_random([1, 2, 3, 4, 5, 6, 7, 8]),
        seat: SeatId(0),
        owner: "alice".to_owned(),
        relays: vec!["relay.example.com:443".to_owned()],
        not_after: END,
        channel_key: [3; 32],
        redeem_key: [4; 32],
        depth: 2,
        scope,
    }
}

pub(crate) fn minted(scope: Scope) -> Passport {
    let bytes = passport::mint(&root(), &authority(scope)).unwrap();
    passport::verify(&bytes, &root().verifying_key()).unwrap()
}

/// A share of a scope with a vendor, as it stands right after opening.
pub(crate) struct Shared {
    pub(crate) policy: Policy,
    pub(crate) standing: Standing,
    pub(crate) passport: Passport,
}

impl Shared {
    pub(crate) fn of(rules: &str, texts: &[&str]) -> Self {
        Self::with_scope(rules, scope(texts))
    }

    /// Of what is asked for here, by somebody who holds all that the policy lets them.
    pub(crate) fn under(policy: Policy, texts: &[&str]) -> Self {
        let scope = policy.surface(&subject()).derive(&requests(texts)).unwrap();
        Self { policy, ..Self::with_scope(HOLDS_ALL, scope) }
    }

    pub(crate) fn with_scope(rules: &str, scope: Scope) -> Self {
        let standing = Standing {
            owner: you(),
            groups: Groups::none(),
            recipient: vendor("vendor-b"),
            scope: scope.clone(),
            opened: NOW,
            deadline: END,
            approve: Approve::Never,
            budget: Budget::default(),
            used: Used::default(),
            consents: vec![],
        };
        Self { policy: with(rules), standing, passport: minted(scope) }
    }

    #[expect(clippy::disallowed_methods, reason = "the tests of the chokepoint")]
    pub(crate) fn decide_at(&self, call: Call, now: Timestamp) -> Decision {
        policy::authorize(&self.policy, &self.standing, &self.passport, call, now)
    }

    pub(crate) fn admits<const N: usize>(&self, verb: &str, pairs: [(&str, Value); N]) -> bool {
        matches!(self.decide_at(call(verb, pairs), NOW), Decision::Permit(_))
    }

    pub(crate) fn refusal<const N: usize>(&self, verb: &str, pairs: [(&str, Value); N]) -> Refusal {
        match self.decide_at(call(verb, pairs), NOW) {
            Decision::Refuse(refusal) => refusal,
            Decision::Permit(permit) => panic!("permitted: {permit:?}"),
            Decision::Ask(question) => panic!("asked: {question:?}"),
        }
    }
}

/// What whoever runs the tests has asked for.
#[expect(clippy::disallowed_methods, reason = "how long a test runs is for whoever runs it")]
pub(crate) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
