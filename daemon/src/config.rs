//! The daemon's configuration: read strictly, checked whole, taken all or not at all.

mod arguments;
mod check;
mod draft;
mod fault;
mod limits;
mod literals;
mod load;
mod places;
mod quantity;
mod written;

pub use arguments::Arguments;
pub use check::{check, leg_key};
pub use draft::{Draft, Read};
pub use fault::ConfigFault;
pub use limits::{HARD_STOP, Limits};
pub use load::{Loaded, load};
pub use places::Places;

pub(crate) use draft::text as draft_text;
pub(crate) use fault::parse;
pub(crate) use load::{SSH, held_key, judge};

use std::fmt;
use std::path::PathBuf;

use policy::DaemonName;
use relay::leg::RelayAddress;
use relay::protocol::DeploymentToken;
use serde::Deserialize;

/// On whose behalf the daemon runs. Chosen by flag or key, never guessed from the uid.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As root, for every user of this machine.
    System,
    /// As an ordinary user, for that user alone.
    Rootless,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "system",
            Self::Rootless => "rootless",
        })
    }
}

/// A mode that this account cannot run.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ModeFault {
    /// Only root can become the owners of shares.
    #[error(
        "in system mode the daemon becomes the users that share, and only root can\n   = start it as root, or with `--rootless` for your own shares only"
    )]
    NotRoot,
    /// Root owns no share.
    #[error(
        "in rootless mode every verb would run as root, and no verb does\n   = start it as an ordinary user, or without `--rootless`"
    )]
    Root,
}

impl Mode {
    /// Whether a process of this uid may run in this mode.
    ///
    /// # Errors
    /// System mode by anyone but root, rootless mode by root.
    pub fn fits(self, uid: u32) -> Result<(), ModeFault> {
        match (self, uid) {
            (Self::System, 0) => Ok(()),
            (Self::System, _) => Err(ModeFault::NotRoot),
            (Self::Rootless, 0) => Err(ModeFault::Root),
            (Self::Rootless, _) => Ok(()),
        }
    }
}

/// How a call's processes are ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kill {
    /// By a cgroup of their own: nothing escapes. Needs root and cgroup v2.
    #[default]
    Cgroup,
    /// By a runner that stays their ancestor.
    Subreaper,
}

/// A relay, and what lets the daemon in there.
#[derive(Clone, Debug)]
pub struct RelayEntry {
    /// Where it is, and the pin of its certificate if it has one.
    pub address: RelayAddress,
    /// The operator's token. Its `Debug` shows nothing.
    pub token: DeploymentToken,
}

/// `openscoped.toml`, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The daemon's name, which recipients see and pin.
    pub name: DaemonName,
    /// On whose behalf it runs.
    pub mode: Mode,
    /// Where identity, leases, audit log and owners' contacts are kept.
    pub state: PathBuf,
    /// The owner socket.
    pub socket: PathBuf,
    /// The account of the process that speaks to the network.
    pub broker_user: String,
    /// The account of the processes that serve keys which owners must not read.
    pub keys_user: String,
    /// Members see and end every share. None: only root does.
    pub admin_group: Option<String>,
    /// How a call's processes are ended.
    pub kill: Kill,
    /// One to three.
    pub relays: Vec<RelayEntry>,
    /// Every bound.
    pub limits: Limits,
}

#[cfg(test)]
mod tests;
