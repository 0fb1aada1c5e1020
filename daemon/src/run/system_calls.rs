//! What the kernel answers to a verb that only looks: a list of what is denied, since what programs need differs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use nix::libc;
use policy::SystemCalls;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use thiserror::Error;

/// What a program that looks has no need of, and those who break out do.
const DENIED: &[i64] = &[
    // Other processes of the owner.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    // Mounts and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    // Keys of the owner.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // Calls that go round this filter, or have been the way into kernels.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // The machine.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
];

/// By which `clone` makes a namespace, as `unshare` does.
const NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Requests by which whoever has a terminal types into it, as if somebody had.
const TYPING: [u64; 2] = [libc::TIOCSTI, libc::TIOCLINUX];

/// `ioctl` in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const IOCTL_X32: i64 = 514;
#[cfg(not(target_arch = "x86_64"))]
const IOCTL_X32: i64 = libc::SYS_ioctl;

/// On x86-64 most calls have a second number, of the x32 ABI, which the filter would see as unknown and let through.
const X32: i64 = 0x4000_0000;

/// The calls of [`DENIED`] that have numbers of their own in the x32 ABI.
#[cfg(target_arch = "x86_64")]
const DENIED_X32: &[i64] = &[521, 528, 539, 540];
#[cfg(not(target_arch = "x86_64"))]
const DENIED_X32: &[i64] = &[];

/// Why there is no filter.
#[derive(Debug, Error)]
pub(super) enum FilterFault {
    #[error("no filter of system calls can be made for this machine")]
    Build(#[from] seccompiler::BackendError),
    #[error("the kernel does not take the filter of system calls")]
    Apply(#[from] seccompiler::Error),
}

/// Filters that are made, and not yet in force.
pub(super) struct Filters(Vec<BpfProgram>);

/// For verbs that only look. A call of another architecture's kernel interface, which has other numbers, ends the process.
static READ: LazyLock<Result<Filters, FilterFault>> = LazyLock::new(|| {
    // What `clone3` asks for lies in memory, where no filter looks: the C library takes `clone` instead.
    let clone3 = program(with_x32(&[libc::SYS_clone3], &[]), libc::ENOSYS)?;
    Ok(Filters(vec![clone3, program(denied()?, libc::EPERM)?]))
});

/// For all others.
static ALL: Filters = Filters(Vec::new());

/// Makes what most verbs need, while there is time.
pub(super) fn make_ready() {
    LazyLock::force(&READ);
}

impl Filters {
    /// Those for such a verb.
    pub(super) fn of(system_calls: SystemCalls) -> Result<&'static Self, &'static FilterFault> {
        match system_calls {
            SystemCalls::All => Ok(&ALL),
            SystemCalls::Read => READ.as_ref(),
        }
    }

    /// From here on, for this process and all that it starts.
    pub(super) fn apply(&self) -> Result<(), FilterFault> {
        self.0.iter().try_for_each(|filter| Ok(apply_filter(filter)?))
    }
}

fn denied() -> Result<BTreeMap<i64, Vec<SeccompRule>>, FilterFault> {
    let mut rules = with_x32(DENIED, DENIED_X32);
    for clone in [libc::SYS_clone, libc::SYS_clone | X32] {
        rules.insert(clone, NAMESPACES.into_iter().map(makes).collect::<Result<_, _>>()?);
    }
    for ioctl in [libc::SYS_ioctl, libc::SYS_ioctl | X32, IOCTL_X32 | X32] {
        rules.insert(ioctl, TYPING.into_iter().map(types).collect::<Result<_, _>>()?);
    }
    Ok(rules)
}

/// No rule besides the number: whatever the arguments are.
fn with_x32(calls: &[i64], own: &[i64]) -> BTreeMap<i64, Vec<SeccompRule>> {
    let all = calls.iter().flat_map(|call| [*call, call | X32]);
    all.chain(own.iter().map(|call| call | X32)).map(|call| (call, Vec::new())).collect()
}

/// Matches a `clone` with this flag. The kernel looks at the lower half of the flags.
fn makes(namespace: i32) -> Result<SeccompRule, FilterFault> {
    let flag = u64::from(namespace.unsigned_abs());
    let has = SeccompCmpOp::MaskedEq(flag);
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, has, flag)?;
    Ok(SeccompRule::new(vec![condition])?)
}

/// Matches an `ioctl` of this request. The kernel looks at the lower half of its number.
fn types(request: u64) -> Result<SeccompRule, FilterFault> {
    let is = SeccompCmpOp::Eq;
    let condition = SeccompCondition::new(1, SeccompCmpArgLen::Dword, is, request)?;
    Ok(SeccompRule::new(vec![condition])?)
}

fn program(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<BpfProgram, FilterFault> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let answer = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)?;
    Ok(filter.try_into()?)
}
