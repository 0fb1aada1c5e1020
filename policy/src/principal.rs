//! Who acts, and who is shared with.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{AgentName, Alias};

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
