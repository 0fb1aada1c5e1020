//! What a process gives up before it becomes another: powers, keys, and what it would hand on of who started it.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use keyutils::Keyring;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};
use signal_hook::consts::{FORBIDDEN, SIGPIPE};

/// All signals but the two that the C library keeps for itself, and lets nobody set.
const SIGNALS: [RangeInclusive<i32>; 2] = [1..=31, 34..=64];
/// The most capabilities that the kernel's interface has room for.
const CAPABILITIES: u32 = 64;

/// The runtime of this program ignores SIGPIPE, and a signal that is ignored stays so in what is executed. One that is
/// caught does not.
pub(super) fn pipe_signal() -> io::Result<()> {
    catch(SIGPIPE)
}

/// Every signal that whoever started this process ignores. Done once, by the keeper: to look takes 50 µs.
pub(crate) fn ignored_signals() -> io::Result<()> {
    let ignored = mask_of(&fs::read_to_string("/proc/self/status")?)?;
    SIGNALS
        .into_iter()
        .flatten()
        .filter(|signal| !FORBIDDEN.contains(signal) && ignored >> (signal - 1) & 1 == 1)
        .try_for_each(catch)
}

fn catch(signal: i32) -> io::Result<()> {
    signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false))).map(drop)
}

/// A bit for each ignored signal, the first for signal 1.
fn mask_of(status: &str) -> io::Result<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    u64::from_str_radix(mask.unwrap_or_default().trim(), 16).map_err(io::Error::other)
}

/// What nothing executed from here on can gain, but for `kept`. Without the right to give anything up there is nothing
/// to give up: `no_new_privs` lets nothing be gained.
pub(crate) fn bounding_set(kept: CapabilitySet) -> rustix::io::Result<()> {
    for bit in 0..CAPABILITIES {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match leave(capability, kept) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::PERM) => break,
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Asks first: to give up takes ten times as long.
fn leave(capability: CapabilitySet, kept: CapabilitySet) -> rustix::io::Result<()> {
    if capability_is_in_bounding_set(capability)? && !kept.contains(capability) {
        remove_capability_from_bounding_set(capability)?;
    }
    Ok(())
}

/// All that this process has.
pub(super) fn capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// The daemon's session keyring, and any other verb's, is none of this verb's business. A kernel without keyrings,
/// or a container that forbids them, has none to inherit.
pub(super) fn keyring() -> io::Result<()> {
    match Keyring::join_anonymous_session() {
        Ok(_keyring) => Ok(()),
        Err(errno) if [Errno::NOSYS, Errno::PERM].iter().any(|e| e.raw_os_error() == errno.0) => {
            Ok(())
        }
        Err(errno) => Err(io::Error::from_raw_os_error(errno.0)),
    }
}
