//! What the verb has of the network: none, or only some ports of TCP.

use std::collections::BTreeSet;
use std::io;

use landlock::{
    AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use nix::sched::{CloneFlags, unshare};
use rustix::thread::CapabilitySet;
use thiserror::Error;

/// Why the verb could not be kept to its network.
#[derive(Debug, Error)]
pub(super) enum NetworkFault {
    #[error("cannot give the verb a network of its own, which takes CAP_SYS_ADMIN")]
    Namespace(#[source] io::Error),
    #[error("the kernel cannot keep the verb to its ports: that takes Landlock as of Linux 6.7")]
    Kernel,
    #[error("cannot keep the verb to its ports: {0}")]
    Setup(#[from] RulesetError),
}

/// Whether the kernel can keep a verb to its ports.
pub(crate) fn is_offered() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let rules = rules.handle_access(AccessNet::ConnectTcp | AccessNet::BindTcp);
    rules.is_ok_and(|rules| rules.create().is_ok())
}

/// Whether this process may give a verb a network of its own.
pub(crate) fn may_leave() -> bool {
    let sets = rustix::thread::capabilities(None);
    sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// From here on there is no network but one that is empty, its loopback down.
pub(super) fn leave() -> Result<(), NetworkFault> {
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| NetworkFault::Namespace(errno.into()))
}

/// From here on, no other port of TCP is connected to, or listened on, where they are listed.
pub(super) fn restrict(
    connect: Option<&BTreeSet<u16>>,
    listen: Option<&BTreeSet<u16>>,
) -> Result<(), NetworkFault> {
    let said = [(connect, AccessNet::ConnectTcp), (listen, AccessNet::BindTcp)];
    let said: Vec<_> =
        said.into_iter().filter_map(|(ports, access)| Some((ports?, access))).collect();
    if said.is_empty() {
        return Ok(());
    }
    let handled: BitFlags<AccessNet> = said.iter().map(|(_, access)| *access).collect();
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(handled)
        .map_err(|_unsupported| NetworkFault::Kernel)?
        .create()?;
    let rules =
        said.into_iter().try_fold(rules, |rules, (ports, access)| allow(rules, ports, access))?;
    match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::NotEnforced | RulesetStatus::PartiallyEnforced => Err(NetworkFault::Kernel),
    }
}

fn allow(
    rules: RulesetCreated,
    ports: &BTreeSet<u16>,
    access: AccessNet,
) -> Result<RulesetCreated, RulesetError> {
    ports.iter().try_fold(rules, |rules, port| rules.add_rule(NetPort::new(*port, access)))
}
