//! The files that a verb may touch, where the catalog names them: Landlock, for this process and all that it starts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, PathFdError,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus,
};
use policy::{Reach, Root};
use thiserror::Error;

/// Before it (Linux 6.2) a file outside could be cut to nothing.
const NEEDED: ABI = ABI::V3;
/// What is used of newer interfaces where the kernel has them: no commands to devices outside.
const KNOWN: ABI = ABI::V5;

/// Programs and libraries, and what else any program needs to begin. Public, and root's.
const SYSTEM: [&str; 6] = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/ld.so.cache"];
/// What programs read from, wherever they run.
const SOURCES: [&str; 2] = ["/dev/zero", "/dev/urandom"];
/// What shells also write to, and the terminal of whoever has one: of a verb, its own.
const SINKS: [&str; 2] = ["/dev/null", "/dev/tty"];

/// Why the verb could not be kept to its files.
#[derive(Debug, Error)]
pub(super) enum ReachFault {
    #[error("the kernel cannot keep the verb to its files: that takes Landlock as of Linux 6.2")]
    Kernel,
    #[error("cannot open `{0}`, which `read` or `write` names")]
    Path(String, #[source] io::Error),
    #[error("cannot keep the verb to its files: {0}")]
    Setup(#[from] RulesetError),
}

/// What the verb was given besides, by the name of its descriptor or by path.
pub(super) struct Given<'a> {
    /// The program as it was judged.
    pub(super) judged: Option<&'a OwnedFd>,
    pub(super) program: &'a Path,
    /// What was opened for its arguments.
    pub(super) opened: &'a [String],
}

/// From here on, nothing else is opened.
pub(super) fn restrict(reach: &Reach, given: &Given<'_>) -> Result<(), ReachFault> {
    let read = AccessFs::from_read(KNOWN);
    let sink = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    let rules = ruleset()?;
    let rules = present(rules, SYSTEM.iter().map(Path::new), read)?;
    let rules = present(rules, SOURCES.iter().map(Path::new), AccessFs::ReadFile.into())?;
    let rules = present(rules, SINKS.iter().map(Path::new), sink)?;
    let rules = match given.judged {
        Some(judged) => allow(rules, judged, read)?,
        // Where it is not there, executing it says so.
        None => present(rules, [given.program].into_iter(), read)?,
    };
    let rules = present(rules, given.opened.iter().map(Path::new), read)?;
    let rules = named(rules, &reach.read, read)?;
    enforce(named(rules, &reach.write, AccessFs::from_all(KNOWN))?)
}

/// From here on, nothing is opened but what lies beneath this; it is written to only where that is said.
pub(super) fn only(root: &str, is_written: bool) -> Result<(), ReachFault> {
    let access = if is_written { AccessFs::from_all(KNOWN) } else { AccessFs::from_read(KNOWN) };
    let opened = PathFd::new(root);
    let opened = opened.map_err(|fault| ReachFault::Path(root.to_owned(), why(fault)))?;
    enforce(allow(ruleset()?, opened, access)?)
}

fn enforce(rules: RulesetCreated) -> Result<(), ReachFault> {
    match rules.restrict_self()?.ruleset {
        RulesetStatus::NotEnforced => Err(ReachFault::Kernel),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

/// Whether the kernel can keep a verb to its files.
pub(crate) fn is_offered() -> bool {
    ruleset().is_ok()
}

fn ruleset() -> Result<RulesetCreated, ReachFault> {
    let needed = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(NEEDED))
        .map_err(|_unsupported| ReachFault::Kernel)?;
    let known = needed.set_compatibility(CompatLevel::BestEffort);
    Ok(known.handle_access(AccessFs::from_all(KNOWN))?.create()?)
}

fn allow(
    rules: RulesetCreated,
    what: impl AsFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    rules.add_rule(PathBeneath::new(what, access))
}

/// Rules for those of `paths` that are there.
fn present<'a>(
    rules: RulesetCreated,
    paths: impl Iterator<Item = &'a Path>,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let mut there = paths.filter_map(|path| PathFd::new(path).ok());
    there.try_fold(rules, |rules, path| allow(rules, path, access))
}

/// Rules for all of the catalog's. One that is not there is a mistake: what it was to allow would be found missing
/// halfway through the verb.
fn named(
    rules: RulesetCreated,
    roots: &[Root],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, ReachFault> {
    roots.iter().try_fold(rules, |rules, root| {
        let opened = PathFd::new(root.path());
        let opened =
            opened.map_err(|fault| ReachFault::Path(root.path().to_owned(), why(fault)))?;
        Ok(allow(rules, opened, access)?)
    })
}

fn why(fault: PathFdError) -> io::Error {
    match fault {
        PathFdError::OpenCall { source, .. } => source,
        other => io::Error::other(other),
    }
}
