//! What verbs take to be called, for whoever looks before somebody calls them.

use policy::VerbName;
use serde::{Deserialize, Serialize};

/// One verb, and what it takes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerbNeeds {
    /// The verb.
    pub verb: VerbName,
    /// All of it.
    pub needs: Vec<NeedView>,
}

/// One thing that a verb takes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedView {
    /// What it is.
    pub need: Need,
    /// Why the daemon knows already that it cannot be had.
    pub fault: Option<String>,
}

/// What a verb can take.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Need {
    /// A program that its owner may execute.
    Program {
        /// Where it is.
        path: String,
    },
    /// A file, or a directory, of its owner's.
    Path {
        /// Where it is.
        path: String,
        /// Whether files are made in it.
        is_written: bool,
    },
    /// Somebody who listens.
    Port {
        /// Where, by name or address.
        host: String,
        /// At which port.
        port: u16,
    },
    /// An account of the machine, as which it is done.
    Account {
        /// Its name.
        name: String,
    },
    /// Something that only the daemon can look at: a secret, a program of its own.
    Daemon {
        /// What it is, in words.
        what: String,
    },
}
