//! From plain data to the crate under test, and back.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::{
    Anchored, Arguments, Authority, Budget, Capability, Constraint, Decision, Live, Narrowing,
    Passport, Policy, Principal, Proposal, PublicRefusal, Scope, SeatId, ShareId, Standing, Text,
    Timestamp, Used, Value, passport,
};

use crate::decide::{Approvers, Told, Verdict};
use crate::delegate::{Answer, Wish};
use crate::model::{
    Block, Call, Cap, Chain, Groups, Limit, Mode, Pattern, Recipient, Share, Subject, Val, World,
};
use crate::pool::patterns;
use crate::render::{Rendered, regex};

/// A world as the crate has it.
pub(crate) struct Loaded {
    pub(crate) policy: Policy,
    pub(crate) text: Rendered,
}

impl Loaded {
    /// Loads the world; its faults, when it is no good.
    pub(crate) fn of(world: &World) -> Result<Self, String> {
        let text = Rendered::of(world);
        match policy::load(std::slice::from_ref(&text.verbs), &text.rules) {
            Ok(policy) => Ok(Self { policy, text }),
            Err(faults) => {
                let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
                Err(lines.join("\n"))
            }
        }
    }

    /// What the crate says of a call; with the digest of what it asks for, if it asks.
    pub(crate) fn decide(
        &self,
        share: &Share,
        passport: &Passport,
        call: &Call,
        now: u64,
    ) -> (Verdict, Option<[u8; 32]>) {
        match authorized(&self.policy, share, passport, call, now) {
            Decision::Permit(permit) => {
                let (allowed, delegated) =
                    (&permit.basis().allowed_by, &permit.basis().delegated_by);
                assert_eq!(permit.basis().passport, passport.digest());
                let verdict = Verdict::Permit {
                    allowed: self.text.site(allowed),
                    delegated: self.text.site(delegated),
                    call: from_call(permit.call()),
                };
                (verdict, None)
            }
            Decision::Ask(question) => {
                let verdict = Verdict::Ask {
                    mode: from_mode(question.approve),
                    approvers: from_approvers(&question.approvers),
                    delegated: self.text.site(&question.rule),
                    call: from_call(&question.call),
                };
                (verdict, Some(question.digest))
            }
            Decision::Refuse(refusal) => (Verdict::Refuse(told(&refusal.public)), None),
        }
    }

    pub(crate) fn may_share(&self, owner: &Subject, wish: &Wish) -> Answer {
        let (scope, recipient) = (to_scope(&wish.scope), to_recipient(&wish.recipient));
        let live: Vec<(Scope, Vec<policy::Recipient>)> = wish
            .live
            .iter()
            .map(|(scope, for_whom)| (to_scope(scope), for_whom.iter().map(to_recipient).collect()))
            .collect();
        let refs: Vec<Vec<&policy::Recipient>> =
            live.iter().map(|(_, for_whom)| for_whom.iter().collect()).collect();
        let live: Vec<Live<'_>> = live
            .iter()
            .zip(&refs)
            .map(|((scope, _), recipients)| Live { scope, recipients })
            .collect();
        let proposal = Proposal {
            scope: &scope,
            recipient: &recipient,
            ttl: Duration::from_millis(wish.ttl),
            redelegate: wish.redelegate,
            live: &live,
        };
        match self.policy.may_delegate(&to_subject(owner), proposal) {
            Ok(yes) => Answer::Yes {
                max_ttl: millis(yes.max_ttl),
                by: yes.by.iter().map(|site| self.text.site(site)).collect(),
                calls: yes.budget.calls,
                bytes: yes.budget.bytes,
                consent: yes
                    .consent
                    .iter()
                    .map(|(site, approvers)| (self.text.site(site), from_approvers(approvers)))
                    .collect(),
                asks: yes
                    .asks
                    .iter()
                    .map(|(verb, (mode, approvers))| {
                        (verb.to_string(), from_mode(*mode), from_approvers(approvers))
                    })
                    .collect(),
            },
            Err(no) => self.no(&no),
        }
    }

    fn no(&self, fault: &policy::DelegateFault) -> Answer {
        match fault {
            policy::DelegateFault::Empty => Answer::Empty,
            policy::DelegateFault::NoRule { .. } => Answer::NoRule,
            policy::DelegateFault::Recipient { .. } => Answer::Recipient,
            policy::DelegateFault::TooLong { max, .. } => Answer::TooLong(millis(*max)),
            policy::DelegateFault::TooDeep { max, .. } => Answer::TooDeep(*max),
            policy::DelegateFault::TooMany { rule, max, .. } => {
                Answer::TooMany(self.text.site(rule), *max)
            }
        }
    }
}

/// The crate's decision, as it is.
#[expect(clippy::disallowed_methods, reason = "the tests of the chokepoint")]
pub(crate) fn authorized(
    policy: &Policy,
    share: &Share,
    passport: &Passport,
    call: &Call,
    now: u64,
) -> Decision {
    policy::authorize(policy, &standing(share), passport, to_call(call), Timestamp(now))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap()
}

fn told(public: &PublicRefusal) -> Told {
    match public {
        PublicRefusal::NotPermitted => Told::NotPermitted,
        PublicRefusal::Over => Told::Over,
        PublicRefusal::Parameter { parameter, .. } => Told::Parameter(parameter.to_string()),
        PublicRefusal::Spent => Told::Spent,
        PublicRefusal::Combination => Told::Combination,
        PublicRefusal::Declined | PublicRefusal::Unanswered => panic!("not authorize's to say"),
    }
}

fn from_mode(mode: policy::Approve) -> Mode {
    match mode {
        policy::Approve::Never => Mode::Never,
        policy::Approve::Once => Mode::Once,
        policy::Approve::Each => Mode::Each,
    }
}

fn from_approvers(approvers: &policy::Approvers) -> Approvers {
    Approvers {
        named: approvers.named.clone(),
        users: approvers.users.iter().cloned().collect(),
        groups: approvers.groups.iter().cloned().collect(),
        needs: approvers.needs,
    }
}

fn standing(share: &Share) -> Standing {
    Standing {
        owner: Principal { user: share.user.clone(), agent: share.agent.parse().unwrap() },
        groups: to_groups(&share.groups),
        recipient: to_recipient(&share.recipient),
        scope: to_scope(&share.scope),
        opened: Timestamp(share.opened),
        deadline: Timestamp(share.deadline),
        approve: match share.approve {
            Mode::Never => policy::Approve::Never,
            Mode::Once => policy::Approve::Once,
            Mode::Each => policy::Approve::Each,
        },
        budget: Budget { calls: share.max_calls, bytes: share.max_bytes },
        used: Used { calls: share.used_calls, bytes: share.used_bytes },
        consents: share
            .consents
            .iter()
            .map(|one| policy::Consent {
                user: one.user.clone(),
                groups: to_groups(&one.groups),
                to: one.digest,
            })
            .collect(),
    }
}

fn to_groups(groups: &Groups) -> policy::Groups {
    match groups {
        Some(groups) => policy::Groups::Known(groups.iter().cloned().collect()),
        None => policy::Groups::Unknown,
    }
}

fn to_recipient(recipient: &Recipient) -> policy::Recipient {
    match recipient {
        None => policy::Recipient::Bearer,
        Some((alias, key)) => {
            policy::Recipient::Contact { alias: alias.parse().unwrap(), fingerprint: key.clone() }
        }
    }
}

fn to_subject(subject: &Subject) -> policy::Subject {
    policy::Subject {
        principal: Principal { user: subject.user.clone(), agent: subject.agent.parse().unwrap() },
        groups: to_groups(&subject.groups),
        now: Timestamp(subject.now),
    }
}

fn to_call(call: &Call) -> policy::Call {
    let arguments: Arguments =
        call.args.iter().map(|(name, value)| (name.parse().unwrap(), to_value(value))).collect();
    policy::Call { verb: call.verb.parse().unwrap(), arguments }
}

fn from_call(call: &policy::Call) -> Call {
    let args = call.arguments.iter().map(|(name, value)| (name.to_string(), from_value(value)));
    Call { verb: call.verb.to_string(), args: args.collect() }
}

fn to_value(value: &Val) -> Value {
    match value {
        Val::Text(text) => Value::text(text.as_str()).unwrap(),
        Val::Int(number) => Value::Int(*number),
        Val::Bool(answer) => Value::Bool(*answer),
        Val::List(items) => Value::list(items.iter().map(to_value)).unwrap(),
    }
}

fn from_value(value: &Value) -> Val {
    match value {
        Value::Text(text) => Val::Text(text.to_string()),
        Value::Int(number) => Val::Int(*number),
        Value::Bool(answer) => Val::Bool(*answer),
        Value::List(items) => Val::List(items.iter().map(from_value).collect()),
    }
}

pub(crate) fn to_scope(caps: &[Cap]) -> Scope {
    Scope::new(caps.iter().map(|cap| {
        let limits = cap.limits.iter();
        let limits = limits.map(|(name, limit)| (name.parse().unwrap(), to_constraint(limit)));
        Capability::new(cap.verb.parse().unwrap(), limits)
    }))
}

pub(crate) fn from_scope(scope: &Scope) -> Vec<Cap> {
    let cap = |one: &Capability| {
        let limits = one.parameters().iter();
        let limits = limits.map(|(name, limit)| (name.to_string(), from_constraint(limit)));
        Cap { verb: one.verb().to_string(), limits: limits.collect() }
    };
    scope.capabilities().iter().map(cap).collect()
}

fn to_constraint(limit: &Limit) -> Constraint {
    let limit = limit.settled();
    let mut parts = Vec::new();
    let list = limit.one_of.as_ref().map(|list| list.iter().map(to_value).collect());
    parts.extend(list.map(Constraint::OneOf));
    if limit.min.is_some() || limit.max.is_some() {
        let (min, max) = (limit.min.unwrap_or(i64::MIN), limit.max.unwrap_or(i64::MAX));
        parts.push(Constraint::Range { min, max });
    }
    let prefix = limit.prefix.as_ref().map(|text| Text::new(text.as_str()).unwrap());
    parts.extend(prefix.map(Constraint::Prefix));
    parts.extend(limit.patterns.iter().map(|one| Constraint::Pattern(compiled(one))));
    parts.extend(limit.length.map(|(min, max)| Constraint::Length { min, max }));
    parts.extend(limit.subtree.as_ref().map(|root| Constraint::Subtree(root.parse().unwrap())));
    parts.extend(limit.cidr.as_ref().map(|network| Constraint::Cidr(network.parse().unwrap())));
    parts.extend(limit.url.as_ref().map(|prefix| Constraint::Url(prefix.parse().unwrap())));
    parts.extend(limit.each.as_ref().map(|inner| Constraint::each(to_constraint(inner))));
    let has = limit.has.as_ref().map(|inner| Constraint::Has(Box::new(to_constraint(inner))));
    parts.extend(has);
    match parts.len() {
        0 => Constraint::Any,
        1 => parts.remove(0),
        _ => Constraint::All(parts.into_iter().collect()),
    }
}

fn from_constraint(constraint: &Constraint) -> Limit {
    let mut limit = Limit::default();
    match constraint {
        Constraint::Any => {}
        Constraint::OneOf(values) => limit.one_of = Some(values.iter().map(from_value).collect()),
        Constraint::Range { min, max } => {
            limit.min = Some(*min).filter(|min| *min > i64::MIN);
            limit.max = Some(*max).filter(|max| *max < i64::MAX);
        }
        Constraint::Prefix(text) => limit.prefix = Some(text.to_string()),
        Constraint::Pattern(pattern) => {
            let known = patterns().into_iter().find(|one| regex(one) == pattern.source());
            limit.patterns = vec![known.unwrap()];
        }
        Constraint::Length { min, max } => limit.length = Some((*min, *max)),
        Constraint::Subtree(root) => limit.subtree = Some(root.path().to_owned()),
        Constraint::Cidr(network) => limit.cidr = Some(network.to_string()),
        Constraint::Url(prefix) => limit.url = Some(prefix.to_string()),
        Constraint::Each(inner) => limit.each = Some(Box::new(from_constraint(inner))),
        Constraint::Has(inner) => limit.has = Some(Box::new(from_constraint(inner))),
        Constraint::All(parts) => {
            for part in parts.iter().map(from_constraint) {
                limit = joined(limit, part);
            }
        }
    }
    limit
}

/// Both; no two parts of one constraint say the same thing twice, but for patterns.
fn joined(one: Limit, two: Limit) -> Limit {
    Limit {
        one_of: one.one_of.or(two.one_of),
        min: one.min.or(two.min),
        max: one.max.or(two.max),
        prefix: one.prefix.or(two.prefix),
        patterns: [one.patterns, two.patterns].concat(),
        length: one.length.or(two.length),
        subtree: one.subtree.or(two.subtree),
        cidr: one.cidr.or(two.cidr),
        url: one.url.or(two.url),
        each: one.each.or(two.each),
        has: one.has.or(two.has),
    }
}

fn compiled(pattern: &Pattern) -> Anchored {
    static COMPILED: OnceLock<HashMap<String, Anchored>> = OnceLock::new();
    let all = COMPILED.get_or_init(|| {
        let sources = patterns().into_iter().map(|one| regex(&one));
        sources.map(|source| (source.clone(), Anchored::new(&source).unwrap())).collect()
    });
    all[&regex(pattern)].clone()
}

fn root() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// How deep the passports of these tests may be handed on.
const DEPTH: u8 = 7;

/// The passport of each prefix of the chain, the whole last; shorter than the chain when one more block
/// would not fit.
pub(crate) fn passports(chain: &Chain) -> Vec<Passport> {
    let (first, later) = chain.blocks.split_first().unwrap();
    let mut bytes = mint(&chain.owner, first);
    let mut all = vec![verified(&bytes)];
    for block in later {
        match narrow(&bytes, block) {
            Ok(narrowed) => bytes = narrowed,
            Err(passport::MintFault::TooLarge(_)) => break,
            Err(fault) => panic!("{fault}: {:?}", std::error::Error::source(&fault)),
        }
        all.push(verified(&bytes));
    }
    all
}

pub(crate) fn mint(owner: &str, block: &Block) -> Vec<u8> {
    let authority = Authority {
        daemon: "web-team".parse().unwrap(),
        share: ShareId::from_random([1; 8]),
        seat: SeatId(0),
        owner: owner.to_owned(),
        relays: vec!["relay.example.com:443".to_owned()],
        not_after: Timestamp(block.not_after),
        channel_key: [3; 32],
        redeem_key: [4; 32],
        depth: DEPTH,
        scope: to_scope(&block.scope),
    };
    passport::mint(&root(), &authority).unwrap()
}

pub(crate) fn narrow(bytes: &[u8], block: &Block) -> Result<Vec<u8>, passport::MintFault> {
    let narrowing = Narrowing {
        not_after: Timestamp(block.not_after),
        depth: DEPTH,
        scope: to_scope(&block.scope),
        reason: String::new(),
    };
    passport::narrow(bytes, &root().verifying_key(), &narrowing)
}

pub(crate) fn verified(bytes: &[u8]) -> Passport {
    passport::verify(bytes, &root().verifying_key()).unwrap()
}

/// What a request for these verbs derives, when all of it is held.
pub(crate) fn derived(loaded: &Loaded, owner: &Subject, requests: &[String]) -> Option<Vec<Cap>> {
    let requests: Vec<policy::Request> =
        requests.iter().map(|text| text.parse().unwrap()).collect();
    let surface = loaded.policy.surface(&to_subject(owner));
    surface.derive(&requests).ok().map(|scope| from_scope(&scope))
}
