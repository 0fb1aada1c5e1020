//! What the monitor asks of a runner, and what a runner reports.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use policy::{
    Confinement, FileAsk, FileAt, NetworkAccess, ProcessLimits, SystemCalls, TotalLimits,
};
use serde::{Deserialize, Serialize};

/// One verb to execute.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) account: Account,
    /// Absolute path. What is executed is the descriptor, where one is attached.
    pub(crate) program: String,
    /// All of argv, the program's own name included.
    pub(crate) arguments: Vec<Argument>,
    /// What the verb declares, besides what every verb has.
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it runs: this directory, which must be there, or else home, or where that is missing `/`.
    pub(crate) directory: Option<String>,
    pub(crate) confinement: Confinement,
    /// What the runner does itself, in place of executing a program.
    pub(crate) file: Option<FileOrder>,
}

impl Order {
    /// For what the runner does itself: as the owner, with nothing of theirs, and no more system calls than looking takes.
    pub(crate) fn of_our_own(account: Account, program: &str) -> Self {
        Self {
            account,
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            directory: Some("/".to_owned()),
            confinement: Confinement {
                limits: ProcessLimits::default(),
                total: TotalLimits::default(),
                reach: None,
                system_calls: SystemCalls::Read,
                network: NetworkAccess::default(),
            },
            file: None,
        }
    }
}

/// A file, and what is asked of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileOrder {
    pub(crate) at: FileAt,
    pub(crate) ask: FileAsk,
    /// How many bytes may be written in the call.
    pub(crate) max: u64,
    /// How long a file may be that is read whole.
    pub(crate) length_max: u64,
}

/// One argument of the verb.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Argument {
    /// The text itself.
    Text(String),
    /// A path. The verb is given what was opened, under the name of its own descriptor.
    Opened(Opened),
}

/// A path to open as the owner: the root by its name, the rest beneath it, past no symbolic link.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opened {
    /// Whose argument it is, for a reason.
    pub(crate) parameter: String,
    pub(crate) root: String,
    /// Empty for the root itself.
    pub(crate) rest: String,
}

impl From<policy::Element> for Argument {
    fn from(element: policy::Element) -> Self {
        match element {
            policy::Element::Text(text) => Self::Text(text),
            policy::Element::Opened(beneath) => Self::Opened(Opened {
                parameter: beneath.parameter.to_string(),
                root: beneath.root,
                rest: beneath.rest,
            }),
        }
    }
}

/// Who the verb runs as.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Account {
    /// Another user; the runner, still root, looks up their groups and home. The uid must still have this name.
    Become { uid: u32, name: String },
    /// The account of the catalog's that has this name; never one of the daemon's own, which are these.
    Called { name: String, never: Vec<u32> },
    /// The user who runs the daemon. Nothing is looked up and nothing changes.
    Stay { name: String, home: String },
}

impl Account {
    /// The user's name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Become { name, .. } | Self::Called { name, .. } | Self::Stay { name, .. } => name,
        }
    }
}

/// The descriptors that go with an order.
#[derive(Debug)]
pub(crate) struct Attached {
    /// `/dev/null` where there is none.
    pub(crate) stdin: Option<OwnedFd>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    /// The program as it was judged, so that what was judged is what runs.
    pub(crate) program: Option<OwnedFd>,
}

/// An account as one runner found it, so that the next need not look: loading the name services takes as long as
/// starting a program.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    pub(crate) uid: u32,
    pub(crate) name: String,
    pub(crate) gid: u32,
    /// With the account's own.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// An order with its descriptors, on the runner's side.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) order: Order,
    pub(super) known: Option<Known>,
    pub(super) attached: Attached,
}

/// What a runner says. One that becomes the verb says nothing of that: its socket closes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Report {
    /// It had to look the owner up, and found this.
    LookedUp(Known),
    /// The verb did not run, and why.
    NotStarted(String),
    /// A subreaper's last word: how the verb ended. Nothing of its tree is left.
    Ended(Status),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Status {
    Exited(i32),
    Signaled(i32),
}
