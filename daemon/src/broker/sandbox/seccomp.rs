//! A list of what is denied, not of what is allowed: the runtime, glibc's resolver and the kernel's own vDSO use calls that
//! differ from machine to machine, and a broker that dies of a new one would be no safer, only absent.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Nothing of ours and nothing of a library's ever does this here: whoever does has taken the broker over, and it ends
/// before they can try the next.
const FATAL: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
];

/// Doors of the kernel that the broker has no business at. A library may knock, and is told no.
const DENIED: &[i64] = &[
    // Files by other ways than their names, which Landlock watches.
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_memfd_secret,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_fsconfig,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Calls that go round this filter, or have been the way into kernels.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_perf_event_open,
    libc::SYS_io_setup,
    libc::SYS_personality,
    libc::SYS_seccomp,
    // Keys: in rootless mode the user's keyring is in reach.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Another account.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_capset,
    // Other processes.
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Socket families in use: legs, the resolver, and the kernel's list of addresses that the resolver asks for.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What the broker asks of descriptors: to set the size of a call's terminal and to see its modes, and what the runtime
/// and glibc do (not to block, how much there is, whether it is a terminal, the name of an interface). Nothing else is
/// answered, and so no typing into a terminal (`TIOCSTI`), no opening of its other end (`TIOCGPTPEER`), no signal to
/// whoever is before it.
const REQUESTS: [u64; 8] = [
    libc::TIOCSWINSZ,
    libc::FIONBIO,
    libc::FIONREAD,
    libc::TCGETS,
    libc::TCGETS2,
    libc::TIOCGWINSZ,
    libc::SIOCGIFNAME,
    libc::SIOCGIFINDEX,
];

/// `ioctl` in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const IOCTL_X32: i64 = 514;
#[cfg(not(target_arch = "x86_64"))]
const IOCTL_X32: i64 = libc::SYS_ioctl;

/// On x86-64 most calls have a second number, of the x32 ABI, which the filter would see as unknown and let through.
const X32: i64 = 0x4000_0000;

/// The calls of [`FATAL`] that have numbers of their own in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const FATAL_X32: &[i64] = &[520, 521, 539, 540, 545];
#[cfg(not(target_arch = "x86_64"))]
const FATAL_X32: &[i64] = &[];

/// setsockopt in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const SETSOCKOPT_X32: i64 = 541;
#[cfg(not(target_arch = "x86_64"))]
const SETSOCKOPT_X32: i64 = libc::SYS_setsockopt;

/// Why this thread is not confined.
#[derive(Debug, thiserror::Error)]
pub(super) enum SeccompFault {
    #[error("no filter can be made for this machine")]
    Build(#[from] seccompiler::BackendError),
    #[error("the kernel does not take the filter")]
    Apply(#[from] seccompiler::Error),
}

/// From here on this thread, and all that it starts, runs no program and reaches into none.
pub(super) fn restrict() -> Result<(), SeccompFault> {
    let denied = with_x32(DENIED.iter().copied()).map(|call| (call, Vec::new()));
    let lingering = with_x32([libc::SYS_setsockopt, SETSOCKOPT_X32].into_iter());
    let lingering = lingering.map(|call| Ok((call, vec![lingering_sockets()?])));
    let denied = denied
        .chain([(libc::SYS_socket, vec![other_families()?])])
        .chain(lingering.collect::<Result<Vec<_>, SeccompFault>>()?)
        .chain(other_requests()?)
        .collect();
    let fatal = with_x32(FATAL.iter().copied()).chain(FATAL_X32.iter().map(|call| call | X32));
    let fatal = fatal.map(|call| (call, Vec::new())).collect();
    let not_permitted = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    // The second filter would be refused by the first: both are made before either is applied, the fatal one first.
    let fatal = program(fatal, SeccompAction::KillProcess)?;
    let denied = program(denied, not_permitted)?;
    apply_filter(&fatal)?;
    apply_filter(&denied)?;
    Ok(())
}

fn with_x32(calls: impl Iterator<Item = i64>) -> impl Iterator<Item = i64> {
    calls.flat_map(|call| [call, call | X32])
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    action: SeccompAction,
) -> Result<BpfProgram, SeccompFault> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, action, architecture)?;
    Ok(filter.try_into()?)
}

/// Matches any `ioctl` but ours. The kernel looks at the lower half of the request's number.
fn other_requests() -> Result<Vec<(i64, Vec<SeccompRule>)>, SeccompFault> {
    let is_not = |request: &u64| {
        SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *request)
    };
    let conditions = REQUESTS.iter().map(is_not).collect::<Result<Vec<_>, _>>()?;
    let rule = SeccompRule::new(conditions)?;
    let calls = with_x32([libc::SYS_ioctl, IOCTL_X32].into_iter());
    Ok(calls.map(|call| (call, vec![rule.clone()])).collect())
}

/// Matches a socket of any family but ours.
fn other_families() -> Result<SeccompRule, SeccompFault> {
    let conditions = FAMILIES
        .iter()
        .map(|family| {
            let family = u64::from(family.unsigned_abs());
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

/// Matches `SO_LINGER`: who closes such a socket waits, and the monitor closes whatever is sent to it.
fn lingering_sockets() -> Result<SeccompRule, SeccompFault> {
    let is = |argument, value: i32| {
        let value = u64::from(value.unsigned_abs());
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    Ok(SeccompRule::new(vec![is(1, libc::SOL_SOCKET)?, is(2, libc::SO_LINGER)?])?)
}
