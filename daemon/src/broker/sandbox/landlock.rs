//! No file at all, but for what the system's resolver reads to find a relay by its name.

use std::fs;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest interface that this code was written against; older kernels do what they can of it.
const KNOWN: ABI = ABI::V6;

/// What `getaddrinfo` reads: how to resolve, and whom to ask.
const RESOLVER: [&str; 6] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/ld.so.cache",
];

/// glibc loads a module for each source that `nsswitch.conf` names, with the first lookup. Public, root's, read only;
/// what is in there cannot be executed, seccomp sees to that.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];

/// Why this thread is not confined.
#[derive(Debug, thiserror::Error)]
pub(super) enum LandlockFault {
    #[error("the kernel has no Landlock")]
    Missing,
    #[error("Landlock cannot be set up")]
    Setup(#[from] RulesetError),
}

/// From here on: no file but the resolver's, no TCP port, and where the kernel can, no signal to and no abstract socket
/// of anybody outside.
pub(super) fn restrict() -> Result<(), LandlockFault> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        // Binding makes a server. Connecting stays: the resolver's TCP, and legs where UDP is blocked.
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    let ruleset = allow(ruleset, resolver_files(), AccessFs::ReadFile.into())?;
    let libraries = LIBRARIES.iter().map(PathBuf::from);
    let ruleset = allow(ruleset, libraries, AccessFs::ReadFile | AccessFs::ReadDir)?;
    let status = ruleset.restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced { Err(LandlockFault::Missing) } else { Ok(()) }
}

/// Rules for those of `paths` that are there.
fn allow(
    ruleset: RulesetCreated,
    paths: impl Iterator<Item = PathBuf>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let mut present = paths.filter_map(|path| PathFd::new(path).ok());
    present.try_fold(ruleset, |ruleset, path| ruleset.add_rule(PathBeneath::new(path, access)))
}

/// A rule holds for a file, not for its name. Where `/etc/resolv.conf` is a link into a directory of the resolver's own,
/// that directory is allowed, since what is in there is replaced with every change of network.
fn resolver_files() -> impl Iterator<Item = PathBuf> {
    let own = fs::canonicalize("/etc/resolv.conf").ok();
    let directory = own.as_deref().and_then(Path::parent).filter(|path| path.starts_with("/run"));
    let directory = directory.filter(|path| *path != Path::new("/run")).map(Path::to_owned);
    RESOLVER.iter().map(PathBuf::from).chain(directory)
}
