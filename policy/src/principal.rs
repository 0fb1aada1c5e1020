//! Who acts, and who is shared with.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{AgentName, Alias};
use crate::time::Timestamp;

/// Whose authority is meant: an OS user under one of their agent names. The uid lives with the daemon.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Principal {
    /// The OS user's name, as the system gives it.
    pub user: String,
    /// The agent; the user's own name by default.
    pub agent: AgentName,
}

impl fmt::Display for Principal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", crate::name::shown(&self.user), self.agent)
    }
}

/// The OS groups that somebody is in, by name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Groups {
    /// These and no others.
    Known(BTreeSet<String>),
    /// The system did not say in time: what a group is given is not given, and what it is denied is denied.
    Unknown,
}

impl Groups {
    /// In no group.
    #[must_use]
    pub fn none() -> Self {
        Self::Known(BTreeSet::new())
    }

    /// Whether one of these groups is among them; `None` when nobody knows.
    pub(crate) fn meet(&self, wanted: &BTreeSet<String>) -> Option<bool> {
        match self {
            Self::Known(groups) => Some(!groups.is_disjoint(wanted)),
            Self::Unknown => None,
        }
    }
}

/// A principal as rules see them: with their groups, at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subject {
    /// Who.
    pub principal: Principal,
    /// Their groups now.
    pub groups: Groups,
    /// Now.
    pub now: Timestamp,
}

/// Who a share is for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// A known contact.
    Contact {
        /// Root's name for them, or an owner's own, `own/…`.
        alias: Alias,
        /// Of the key that the handle is sealed to.
        fingerprint: String,
    },
    /// Whoever redeems first.
    Bearer,
}

impl fmt::Display for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contact { alias, .. } => fmt::Display::fmt(alias, out),
            Self::Bearer => out.write_str("a bearer"),
        }
    }
}
