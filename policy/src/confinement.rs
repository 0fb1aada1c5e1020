//! How a program is contained: what root lets it use, reach and ask of the kernel.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::path::Root;
use crate::verb::Effect;

/// How a program is contained, besides being its owner's.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confinement {
    /// What each of its processes may use.
    pub limits: ProcessLimits,
    /// What all of them may use together.
    pub total: TotalLimits,
    /// Which files it may touch; without it, those that the owner may.
    pub reach: Option<Reach>,
    /// What it may ask of the kernel.
    pub system_calls: SystemCalls,
    /// What it has of the network.
    pub network: Network,
}

/// What a program has of the network.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Network {
    /// What its owner has, but for ports of TCP where they are listed.
    Owners {
        /// The only ones that it may connect to.
        connect: Option<BTreeSet<u16>>,
        /// The only ones that it may listen on.
        listen: Option<BTreeSet<u16>>,
    },
    /// None.
    None,
}

impl Network {
    /// Whether it is kept to some ports.
    #[must_use]
    pub fn has_ports(&self) -> bool {
        matches!(self, Self::Owners { connect: Some(_), .. } | Self::Owners { listen: Some(_), .. })
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::Owners { connect: None, listen: None }
    }
}

/// Upper bounds on one process; what is not bounded stays as the daemon has it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessLimits {
    /// Bytes of address space.
    pub memory: Option<u64>,
    /// Processes and threads, all of the owner's counted, not only the verb's.
    pub processes: Option<u64>,
    /// Open files.
    pub open_files: Option<u64>,
    /// Bytes of each file that is written.
    pub file_size: Option<u64>,
    /// Seconds of processor time.
    pub cpu: Option<u64>,
}

/// Upper bounds on all processes of one call together. A host that cannot keep one of them does not start the verb.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TotalLimits {
    /// Bytes of memory, with what files take in the cache; nothing is swapped out.
    pub memory: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processor time, in percent of one processor.
    pub cpu: Option<u64>,
}

impl TotalLimits {
    /// Whether nothing is bounded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The files that a program may touch, besides what every program needs to run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// What it may read and execute.
    pub read: Vec<Root>,
    /// What it may read, execute, write, make and remove.
    pub write: Vec<Root>,
}

/// What a program may ask of the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemCalls {
    /// What programs that look need: neither other processes' memory, nor mounts, namespaces, keys or the machine.
    Read,
    /// Whatever the owner may.
    All,
}

impl From<Effect> for SystemCalls {
    /// What the catalog means where it says nothing.
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Read => Self::Read,
            Effect::Write => Self::All,
        }
    }
}
