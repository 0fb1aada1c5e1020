//! Whether something may be shared: with whom, for how long, with whose consent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::consent::{Approve, Approvers};
use crate::name::VerbName;
use crate::principal::{Principal, Recipient, Subject};
use crate::rule::{Budget, Delegate, RuleSite};
use crate::rulebook::Rulebook;
use crate::scope::{Capability, Scope};

/// What an owner wants to share.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// What.
    pub scope: &'a Scope,
    /// With whom.
    pub recipient: &'a Recipient,
    /// How long.
    pub ttl: Duration,
    /// How often the recipient may hand it on.
    pub redelegate: u8,
    /// The owner's other live shares; not this one, where it is a live one that changes.
    pub live: &'a [Live<'a>],
}

/// A share of the same principal that is live.
#[derive(Clone, Copy, Debug)]
pub struct Live<'a> {
    /// What is shared.
    pub scope: &'a Scope,
    /// With whom.
    pub recipients: &'a [&'a Recipient],
}

/// That something may be shared: by which rules, and what they demand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The longest that it may be shared.
    pub max_ttl: Duration,
    /// The rule of each verb.
    pub by: BTreeSet<RuleSite>,
    /// How much of it may be used.
    pub budget: Budget,
    /// Whose yes it takes to open; each of them.
    pub consent: Vec<(RuleSite, Approvers)>,
    /// Whether calls of a verb wait for a yes, and whose.
    pub asks: BTreeMap<VerbName, (Approve, Approvers)>,
}

impl fmt::Display for Delegation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.by {
            write!(out, "{rule}, ")?;
        }
        write!(out, "at most {}", whole(self.max_ttl))
    }
}

/// Why a scope may not be shared so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DelegateFault {
    /// No rule lets the owner share this at all.
    #[error("no `[[delegate]]` rule lets {owner} share `{capability}`")]
    NoRule {
        /// Whose authority it is.
        owner: Box<Principal>,
        /// What was to be shared.
        capability: Box<Capability>,
    },
    /// Rules let it be shared, but not with them.
    #[error("{rule} lets {owner} share `{verb}`, but not with {recipient}")]
    Recipient {
        /// Whose authority it is.
        owner: Box<Principal>,
        /// What was to be shared.
        verb: VerbName,
        /// With whom.
        recipient: String,
        /// The first rule that would otherwise do.
        rule: RuleSite,
    },
    /// Rules let it be shared, but not that long.
    #[error("{rule} lets `{verb}` be shared for at most {}, not {}", whole(*max), whole(*asked))]
    TooLong {
        /// What was to be shared.
        verb: VerbName,
        /// The rule that allows the most.
        rule: RuleSite,
        /// For how long it was to be.
        asked: Duration,
        /// For how long it may be.
        max: Duration,
    },
    /// Rules let it be shared, but not handed on so often.
    #[error("{rule} lets `{verb}` be handed on at most {max} deep, not {asked}")]
    TooDeep {
        /// What was to be shared.
        verb: VerbName,
        /// The rule that allows the most.
        rule: RuleSite,
        /// How often it was to be handed on.
        asked: u8,
        /// How often it may be.
        max: u8,
    },
    /// So many shares under the rule are live already.
    #[error("{rule} lets `{verb}` be in {max} live shares, and {max} are: revoke one, or wait")]
    TooMany {
        /// What was to be shared.
        verb: VerbName,
        /// The rule.
        rule: RuleSite,
        /// How many may be live.
        max: u32,
    },
    /// Nothing was to be shared.
    #[error("a share needs at least one verb")]
    Empty,
}

/// A duration as people write it.
pub(crate) fn whole(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds % 60, time.subsec_millis()) {
        (0, 0) if seconds > 0 => format!("{}m", seconds / 60),
        (_, 0) => format!("{seconds}s"),
        (_, _) => format!("{}ms", time.as_millis()),
    }
}

impl Rulebook {
    /// Whether it may be shared so. Each capability needs one rule that covers it whole and grants all
    /// that is asked; of several the one that asks least counts.
    pub(crate) fn may_delegate(
        &self,
        owner: &Subject,
        proposal: Proposal<'_>,
    ) -> Result<Delegation, DelegateFault> {
        let (mut rules, mut rooms) = (Vec::new(), Rooms::new());
        let mut asks: BTreeMap<VerbName, (Approve, Approvers)> = BTreeMap::new();
        for capability in proposal.scope.capabilities() {
            let rule = self.delegating(owner, capability, proposal, &mut rooms)?;
            let verb = capability.verb();
            let asked = (rule.approve(verb), rule.approvers.clone());
            let strictest = asks.entry(verb.clone()).or_insert_with(|| asked.clone());
            if asked.0 > strictest.0 {
                *strictest = asked;
            }
            rules.push(rule);
        }
        let max_ttl = rules.iter().map(|rule| rule.max_ttl).min().ok_or(DelegateFault::Empty)?;
        let consent = rules.iter().filter(|rule| rule.approve_open);
        let mut consent: Vec<_> =
            consent.map(|rule| (rule.site.clone(), rule.approvers.clone())).collect();
        consent.sort_by(|one, two| one.0.cmp(&two.0));
        consent.dedup();
        Ok(Delegation {
            max_ttl,
            by: rules.iter().map(|rule| rule.site.clone()).collect(),
            budget: rules.iter().fold(Budget::default(), |met, rule| met.and(rule.budget)),
            consent,
            asks,
        })
    }

    fn delegating<'a>(
        &'a self,
        owner: &'a Subject,
        capability: &Capability,
        proposal: Proposal<'_>,
        rooms: &mut Rooms<'a>,
    ) -> Result<&'a Delegate, DelegateFault> {
        let verb = || capability.verb().clone();
        let wanted = std::slice::from_ref(capability);
        let meeting = self.delegates.meeting(owner, capability.verb(), wanted, usize::MAX);
        let meeting = meeting.into_iter().flatten();
        let covering: Vec<&Delegate> =
            meeting.filter(|rule| rule.scope.covers(capability)).collect();
        let first = covering.first().ok_or_else(|| DelegateFault::NoRule {
            owner: Box::new(owner.principal.clone()),
            capability: Box::new(capability.clone()),
        })?;
        let reaching = left(&covering, |rule| rule.to.include(proposal.recipient));
        let longest = reaching.iter().max_by_key(|rule| rule.max_ttl);
        let longest = longest.ok_or_else(|| DelegateFault::Recipient {
            owner: Box::new(owner.principal.clone()),
            verb: verb(),
            recipient: proposal.recipient.to_string(),
            rule: first.site.clone(),
        })?;
        let lasting = left(&reaching, |rule| proposal.ttl <= rule.max_ttl);
        let deepest = lasting.iter().max_by_key(|rule| rule.redelegate);
        let deepest = deepest.ok_or_else(|| DelegateFault::TooLong {
            verb: verb(),
            rule: longest.site.clone(),
            asked: proposal.ttl,
            max: longest.max_ttl,
        })?;
        let deep = left(&lasting, |rule| proposal.redelegate <= rule.redelegate);
        let some = deep.first().ok_or_else(|| DelegateFault::TooDeep {
            verb: verb(),
            rule: deepest.site.clone(),
            asked: proposal.redelegate,
            max: deepest.redelegate,
        })?;
        let mut has_room = |rule: &&'a Delegate| {
            *rooms.entry(&rule.site).or_insert_with(|| rule.has_room(proposal.live))
        };
        let free: Vec<&Delegate> = deep.iter().copied().filter(|rule| has_room(rule)).collect();
        let demand =
            |rule: &&&Delegate| (rule.approve_open, rule.demand(&verb()), Reverse(rule.max_ttl));
        let least = free.iter().min_by_key(demand);
        least.copied().ok_or_else(|| DelegateFault::TooMany {
            verb: verb(),
            rule: some.site.clone(),
            max: some.max_shares.unwrap_or_default(),
        })
    }
}

/// Which rules have room for one more share: counted once, however many capabilities they are asked for.
type Rooms<'a> = BTreeMap<&'a RuleSite, bool>;

fn left<'a>(rules: &[&'a Delegate], keeps: impl Fn(&Delegate) -> bool) -> Vec<&'a Delegate> {
    rules.iter().copied().filter(|rule| keeps(rule)).collect()
}

impl Delegate {
    fn has_room(&self, live: &[Live<'_>]) -> bool {
        let Some(max) = self.max_shares else { return true };
        let counted = live.iter().filter(|share| self.concerns(share)).count();
        u32::try_from(counted).is_ok_and(|counted| counted < max)
    }

    /// Whether a live share has something of what this rule lets be shared: lines move when files change,
    /// so that a share does not remember its rules.
    fn concerns(&self, share: &Live<'_>) -> bool {
        let touches =
            |held: &Capability| self.scope.of(held.verb()).any(|own| own.intersect(held).is_some());
        share.recipients.iter().any(|recipient| self.to.include(recipient))
            && share.scope.capabilities().iter().any(touches)
    }
}
