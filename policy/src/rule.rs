//! Rules: one thing that policy has said.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::consent::{Approve, Approvers};
use crate::glob::Glob;
use crate::name::VerbName;
use crate::principal::Recipient;
use crate::scope::Scope;
use crate::selector::Selector;

/// Where a rule stands, for people and the audit: `policy.d/team.toml:14`.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct RuleSite {
    /// The file.
    pub source: String,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for RuleSite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.source, self.line)
    }
}

/// `[[allow]]` or `[[deny]]`: a scope for some principals.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) site: RuleSite,
    pub(crate) selector: Selector,
    pub(crate) scope: Scope,
}

/// Whether a rule lets its verbs be shared with whoever comes first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Bearer {
    Allowed,
    #[default]
    Refused,
}

/// Whom a rule lets verbs be shared with.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Recipients {
    /// Contacts of such an alias.
    pub(crate) aliases: Option<Vec<Glob>>,
    /// Contacts of such a key, `SHA256:…`.
    pub(crate) keys: Option<BTreeSet<String>>,
    pub(crate) bearer: Bearer,
}

impl Recipients {
    /// A contact must be meant by its alias and by its key, as far as the rule speaks of each.
    pub(crate) fn include(&self, recipient: &Recipient) -> bool {
        let Recipient::Contact { alias, fingerprint } = recipient else {
            return self.bearer == Bearer::Allowed;
        };
        let named =
            self.aliases.as_ref().is_none_or(|globs| globs.iter().any(|glob| glob.means(alias)));
        let keyed = self.keys.as_ref().is_none_or(|keys| keys.contains(fingerprint));
        (self.aliases.is_some() || self.keys.is_some()) && named && keyed
    }

    pub(crate) fn are_nobody(&self) -> bool {
        *self == Self::default()
    }
}

/// How much may be shared at once, and how much of it used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Calls that a share may make in its life.
    pub calls: Option<u64>,
    /// Bytes of output that all its calls together may have.
    pub bytes: Option<u64>,
}

impl Budget {
    /// What both grant.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |one: Option<u64>, two: Option<u64>| match (one, two) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Self { calls: least(self.calls, other.calls), bytes: least(self.bytes, other.bytes) }
    }

    /// Whether what has been used leaves something.
    #[must_use]
    pub fn has_room(&self, used: Used) -> bool {
        self.calls.is_none_or(|most| used.calls < most)
            && self.bytes.is_none_or(|most| used.bytes < most)
    }
}

/// What a share has used up.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Used {
    /// Calls made.
    pub calls: u64,
    /// Bytes of output, with what running calls may still write.
    pub bytes: u64,
}

/// `[[delegate]]`: what some principals may share, with whom, for how long.
#[derive(Clone, Debug)]
pub(crate) struct Delegate {
    pub(crate) site: RuleSite,
    pub(crate) selector: Selector,
    pub(crate) scope: Scope,
    pub(crate) to: Recipients,
    pub(crate) max_ttl: Duration,
    /// How often a recipient may hand on.
    pub(crate) redelegate: u8,
    /// By verb; those not named need nobody's yes.
    pub(crate) approve: BTreeMap<VerbName, Approve>,
    /// Whether opening a share needs a yes.
    pub(crate) approve_open: bool,
    pub(crate) approvers: Approvers,
    pub(crate) budget: Budget,
    /// Live shares of one principal under this rule.
    pub(crate) max_shares: Option<u32>,
}

impl Delegate {
    pub(crate) fn approve(&self, verb: &VerbName) -> Approve {
        self.approve.get(verb).copied().unwrap_or_default()
    }

    /// How much this rule asks: of rules that all let something be done, the one that asks least counts.
    pub(crate) fn demand(&self, verb: &VerbName) -> (Approve, u8) {
        let approve = self.approve(verb);
        (approve, if approve == Approve::Never { 0 } else { self.approvers.needs })
    }
}
