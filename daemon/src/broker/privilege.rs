//! The broker's first act: to prove that it is nobody, and that there is no way back.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Gid, Uid, getgroups, getresgid, getresuid, setresgid, setresuid};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::thread::{CapabilitySet, capabilities, set_no_new_privs};

/// Whose process this is to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Account {
    /// The broker's own: the monitor is root, and this process must not be.
    Own,
    /// The user's, in rootless mode: the sandbox is the whole boundary.
    Users,
}

/// What of root is left in this process.
#[derive(Debug, thiserror::Error)]
pub(super) enum StillPrivileged {
    /// One of the three ids is root's, or they differ, so that one could be taken back.
    #[error("the broker runs as `{what}` {ids}: it must be one ordinary account and nothing else")]
    Ids { what: &'static str, ids: String },
    /// Groups beside its own.
    #[error("the broker is still in other groups: {0}")]
    Groups(String),
    /// Some capability.
    #[error("the broker still has capabilities: {0}")]
    Capabilities(String),
    /// Root was to be had for the asking.
    #[error("the broker could become root again")]
    WayBack,
    /// The kernel does not say.
    #[error("cannot {0}")]
    Unknown(&'static str, #[source] io::Error),
}

/// Gives up what can be given up without being anybody, and proves that the rest is gone.
pub(super) fn renounce(account: Account) -> Result<(), StillPrivileged> {
    if account == Account::Own {
        prove_ids()?;
        prove_groups()?;
    }
    prove_capabilities()?;
    prove_no_way_back()?;
    set_no_new_privs(true).map_err(|e| unknown("forbid new privileges", e))?;
    // The channel keys of live shares are in this memory: no core file, no reading by the same uid.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|e| unknown("forbid dumps", e))?;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|e| unknown("forbid core files", e))?;
    raise_descriptors();
    Ok(())
}

/// The broker ends when the monitor does, and at no other word: a Ctrl+C at the terminal reaches it as well.
pub(super) fn leave_signals_to_the_monitor() -> Result<(), StillPrivileged> {
    let theirs = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT];
    let set: SigSet = theirs.into_iter().collect();
    set.thread_block().map_err(|e| unknown("block signals", e))
}

fn prove_ids() -> Result<(), StillPrivileged> {
    let uids = getresuid().map_err(|e| unknown("read the user ids", e))?;
    let all = [uids.real, uids.effective, uids.saved];
    if uids.real.is_root() || all != [uids.real; 3] {
        return Err(StillPrivileged::Ids { what: "uid", ids: format!("{all:?}") });
    }
    let gids = getresgid().map_err(|e| unknown("read the group ids", e))?;
    let all = [gids.real, gids.effective, gids.saved];
    if gids.real == Gid::from_raw(0) || all != [gids.real; 3] {
        return Err(StillPrivileged::Ids { what: "gid", ids: format!("{all:?}") });
    }
    Ok(())
}

fn prove_groups() -> Result<(), StillPrivileged> {
    let own = Gid::current();
    let groups = getgroups().map_err(|e| unknown("read the groups", e))?;
    let others: Vec<_> = groups.into_iter().filter(|group| *group != own).collect();
    if others.is_empty() { Ok(()) } else { Err(StillPrivileged::Groups(format!("{others:?}"))) }
}

fn prove_capabilities() -> Result<(), StillPrivileged> {
    let sets = capabilities(None).map_err(|e| unknown("read the capabilities", e))?;
    let left = sets.effective | sets.permitted | sets.inheritable;
    if left == CapabilitySet::empty() {
        return Ok(());
    }
    Err(StillPrivileged::Capabilities(format!("{:#x}", left.bits())))
}

/// Asks for root, and expects to be refused.
fn prove_no_way_back() -> Result<(), StillPrivileged> {
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    let user = setresuid(root.0, root.0, root.0);
    let group = setresgid(root.1, root.1, root.1);
    if user.is_ok() || group.is_ok() { Err(StillPrivileged::WayBack) } else { Ok(()) }
}

/// Two pipes a call; what the soft limit allows by default is for programs that use `select`.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(fault) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%fault, "the limit of open files stays as it is");
    }
}

fn unknown(what: &'static str, fault: impl Into<io::Error>) -> StillPrivileged {
    StillPrivileged::Unknown(what, fault.into())
}
