//! Rules: one thing that policy has said.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::name::AgentName;
use crate::principal::{Principal, Recipient};
use crate::scope::Scope;

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

/// Whom a rule is about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Selector {
    pub(crate) agent: Selected<AgentName>,
    pub(crate) user: Selected<String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Selected<T> {
    Everyone,
    Only(T),
}

impl<T: PartialEq> Selected<T> {
    fn includes(&self, one: &T) -> bool {
        match self {
            Self::Everyone => true,
            Self::Only(chosen) => chosen == one,
        }
    }
}

impl Selector {
    pub(crate) fn selects(&self, principal: &Principal) -> bool {
        self.agent.includes(&principal.agent) && self.user.includes(&principal.user)
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Bearer {
    Allowed,
    Refused,
}

/// `[[delegate]]`: what some principals may share, with whom, for how long.
#[derive(Clone, Debug)]
pub(crate) struct Delegate {
    pub(crate) site: RuleSite,
    pub(crate) selector: Selector,
    pub(crate) scope: Scope,
    pub(crate) to: Vec<Glob>,
    pub(crate) max_ttl: Duration,
    pub(crate) bearer: Bearer,
}

impl Delegate {
    pub(crate) fn reaches(&self, recipient: &Recipient) -> bool {
        match recipient {
            Recipient::Contact { alias, .. } => self.to.iter().any(|glob| glob.means(alias)),
            Recipient::Bearer => self.bearer == Bearer::Allowed,
        }
    }
}
