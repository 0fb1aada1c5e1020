//! Policies of many rules, and one share under them: what deciding is measured with.

use std::fmt::Write as _;

use ed25519_dalek::SigningKey;
use policy::{
    Approve, Authority, Budget, Call, Capability, Constraint, Groups, Narrowing, Passport, Policy,
    Principal, Recipient, Scope, SeatId, ShareId, Source, Standing, Timestamp, Used, Value,
    passport,
};

/// Eight verbs of a web team.
const VERBS: usize = 8;
/// A Monday, 14:13 UTC.
const NOW: Timestamp = Timestamp(1_790_000_000_000);
const END: Timestamp = Timestamp(NOW.0 + 20 * 60 * 1000);

/// A policy, a share under it, and a call that it permits.
pub struct Ruled {
    pub policy: Policy,
    pub standing: Standing,
    pub root: SigningKey,
    pub call: Call,
}

/// The catalog.
fn catalog() -> Source {
    let mut text = String::new();
    for number in 0..VERBS {
        let _ = write!(
            text,
            "[verb.\"web.verb_{number}\"]\nsummary = \"One of eight\"\neffect = \"read\"\n\
             run = {{ exec = {{ argv = [\"/usr/bin/true\", \"--\", \"{{service}}\", \"{{lines}}\", \"{{host}}\"] }} }}\n\
             [verb.\"web.verb_{number}\".params]\n\
             host = {{ type = \"string\", default = \"web-1\" }}\n\
             service = {{ type = \"string\", pattern = \"[a-z][a-z0-9-]*\", required = true }}\n\
             lines = {{ type = \"int\", min = 1, max = 500, default = 200 }}\n"
        );
    }
    Source { name: "verbs.d/web.toml".to_owned(), text }
}

/// So many rules, a quarter of them about alice: of every kind, by user, agent and group, with lists,
/// prefixes and ranges.
pub fn mixed(rules: usize) -> Source {
    let mut text = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n".to_owned();
    for number in 0..rules {
        let whom = match number % 8 {
            0 => "agent = \"you\"".to_owned(),
            1 => "user = \"alice\"".to_owned(),
            2 => format!("user = \"user-{}\"", number % 5_000),
            3 => format!("group = \"group-{}\"", number % 3_000),
            4 => format!("agent = [\"agent-{}\", \"agent-{}\"]", number % 5_000, number % 777),
            5 => format!("user = \"user-{}\"\ngroup = [\"sre\", \"ops\"]", number % 4_000),
            6 => format!("group = [\"group-{}\", \"group-{}\"]", number % 2_000, number % 999),
            _ => format!("agent = \"agent-{}\"", number % 8_000),
        };
        let limits = match number % 5 {
            0 => format!(
                "service = [\"svc-{number}\", \"svc-{}\"], lines = {{ max = 100 }}",
                number + 1
            ),
            1 => format!("service = {{ prefix = \"team-{number}-\" }}"),
            2 => format!("host = \"host-{number}\", lines = {{ min = 10, max = 400 }}"),
            _ => format!("service = \"svc-{number}\""),
        };
        let (kind, more) = match number % 10 {
            0..6 => ("allow", ""),
            6..8 => ("deny", ""),
            _ => ("delegate", "\nto = [\"vendor-*\"]\nmax_ttl = \"30m\""),
        };
        let verb = number / 8 % VERBS;
        let _ = writeln!(
            text,
            "[[{kind}]]\n{whom}\nverbs = {{ \"web.verb_{verb}\" = {{ {limits} }} }}{more}"
        );
    }
    named(text)
}

/// So many rules about one user and one verb, each with a value of its own.
pub fn pinned(rules: usize) -> Source {
    let mut text = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n".to_owned();
    for number in 0..rules {
        let kind = if number % 10 == 9 { "deny" } else { "allow" };
        let _ = writeln!(
            text,
            "[[{kind}]]\nuser = \"alice\"\nverbs = {{ \"web.verb_0\" = {{ service = \"svc-{number}\", lines = {{ max = 100 }} }} }}"
        );
    }
    named(text)
}

/// So many rules about one user and one verb that no value tells apart.
pub fn alike(rules: usize) -> Source {
    let mut text = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n".to_owned();
    for number in 0..rules {
        let kind = if number % 10 == 9 { "deny" } else { "allow" };
        let _ = writeln!(
            text,
            "[[{kind}]]\nuser = \"alice\"\nverbs = {{ \"web.verb_0\" = {{ service = {{ prefix = \"team-{number}-\" }}, lines = {{ max = {} }} }} }}",
            1 + number % 400
        );
    }
    named(text)
}

fn named(text: String) -> Source {
    Source { name: "policy.d/team.toml".to_owned(), text }
}

/// What lets the measured call be done, after all the other rules.
fn own() -> Source {
    let verbs = "{ \"web.verb_0\" = { service = [\"web\", \"db\"] }, \"web.verb_1\" = {} }";
    let text = format!(
        "[[allow]]\nagent = \"you\"\nverbs = {verbs}\n\
         [[delegate]]\nagent = \"you\"\nverbs = {verbs}\nto = [\"vendor-*\"]\n"
    );
    Source { name: "policy.d/zz.toml".to_owned(), text }
}

/// Loads these rules, and what lets the measured call be done.
pub fn load(rules: &Source) -> Policy {
    policy::load(&[catalog()], &[rules.clone(), own()]).expect("the rules are good")
}

impl Ruled {
    /// A share of two verbs with three pins, under these rules.
    pub fn new(rules: &Source) -> Self {
        let policy = load(rules);
        let owner = Principal { user: "alice".to_owned(), agent: "you".parse().expect("a name") };
        let groups = Groups::Known(["staff".to_owned(), "sre".to_owned()].into());
        let scope = Scope::new([first(100), second()]);
        let standing = Standing {
            owner,
            groups,
            recipient: Recipient::Contact {
                alias: "vendor-b".parse().expect("an alias"),
                fingerprint: "SHA256:x".to_owned(),
            },
            scope,
            opened: NOW,
            deadline: END,
            approve: Approve::Never,
            budget: Budget::default(),
            used: Used::default(),
            consents: vec![],
        };
        Self { policy, standing, root: SigningKey::from_bytes(&[7; 32]), call: call("web") }
    }

    /// A passport for the share, narrowed until it has so many blocks.
    pub fn passport(&self, blocks: usize) -> Vec<u8> {
        let mut bytes = passport::mint(&self.root, &self.authority()).expect("it can be minted");
        let mut lines = 100;
        while self.verified(&bytes).scopes().count() < blocks {
            lines -= 1;
            bytes = passport::narrow(&bytes, &self.root.verifying_key(), &self.narrowing(lines))
                .expect("it can be narrowed");
        }
        bytes
    }

    /// The passport, handed on once.
    pub fn handed_on(&self) -> Vec<u8> {
        let (root, holder) = (self.root.verifying_key(), SigningKey::from_bytes(&[9; 32]));
        let narrowing = Narrowing { depth: 0, ..self.narrowing(99) };
        passport::hand_on(&self.passport(1), &root, &holder, &narrowing, [7; 32])
            .expect("it can be handed on")
    }

    /// The passport of these bytes.
    pub fn verified(&self, bytes: &[u8]) -> Passport {
        passport::verify(bytes, &self.root.verifying_key()).expect("it is good")
    }

    /// The decision on a call.
    #[expect(clippy::disallowed_methods, reason = "the chokepoint is what is measured")]
    pub fn decide(&self, passport: &Passport, call: Call) -> policy::Decision {
        policy::authorize(&self.policy, &self.standing, passport, call, NOW)
    }

    fn authority(&self) -> Authority {
        Authority {
            daemon: "web-team".parse().expect("a name"),
            share: ShareId::from_random([1, 2, 3, 4, 5, 6, 7, 8]),
            seat: SeatId(0),
            owner: "alice".to_owned(),
            relays: vec!["relay.example.com:443".to_owned()],
            not_after: END,
            channel_key: [3; 32],
            redeem_key: [4; 32],
            depth: 7,
            scope: self.standing.scope.clone(),
        }
    }

    /// Fewer lines of the first verb, a second less of time, one handing on less.
    fn narrowing(&self, lines: i64) -> Narrowing {
        let later = u64::try_from(100 - lines).expect("it is not negative");
        Narrowing {
            not_after: Timestamp(END.0 - later * 1000),
            depth: 7 - u8::try_from(later).expect("eight blocks at most"),
            scope: Scope::new([first(lines), second()]),
            reason: String::new(),
        }
    }
}

/// The first verb of the share: two pins.
fn first(lines: i64) -> Capability {
    let service = Constraint::exact(Value::text("web").expect("a value"));
    let lines = Constraint::Range { min: i64::MIN, max: lines };
    capability("web.verb_0", [("lines", lines), ("service", service)])
}

/// The second: one pin.
fn second() -> Capability {
    let host = Constraint::exact(Value::text("web-1").expect("a value"));
    capability("web.verb_1", [("host", host)])
}

fn capability<const N: usize>(verb: &str, pins: [(&str, Constraint); N]) -> Capability {
    let pins = pins.into_iter().map(|(name, limit)| (name.parse().expect("a name"), limit));
    Capability::new(verb.parse().expect("a verb"), pins)
}

/// The last lines of a service.
pub fn call(service: &str) -> Call {
    let arguments =
        [("service", Value::text(service).expect("a value")), ("lines", Value::Int(50))];
    let arguments =
        arguments.into_iter().map(|(name, value)| (name.parse().expect("a name"), value));
    Call { verb: "web.verb_0".parse().expect("a verb"), arguments: arguments.collect() }
}
