//! What the kernel answers to a verb that only looks: a list of what is denied, since what programs need differs.

mod program;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use nix::libc;
use policy::SystemCalls;
use seccompiler::{BpfProgram, apply_filter};
use thiserror::Error;

use program::{Answer, Untold, program};

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

/// Why there is no filter.
#[derive(Debug, Error)]
pub(super) enum FilterFault {
    #[error("no filter of system calls can be made for this machine")]
    Build(#[from] Untold),
    #[error("the kernel does not take the filter of system calls")]
    Apply(#[from] seccompiler::Error),
}

/// A filter that is made, and not yet in force.
pub(super) struct Filter(BpfProgram);

/// For verbs that only look.
static READ: LazyLock<Result<Filter, FilterFault>> =
    LazyLock::new(|| Ok(Filter(program(&answers()?)?)));

/// Makes what most verbs need, while there is time.
pub(super) fn make_ready() {
    LazyLock::force(&READ);
}

impl Filter {
    /// That for such a verb, if there is one.
    pub(super) fn of(
        system_calls: SystemCalls,
    ) -> Result<Option<&'static Self>, &'static FilterFault> {
        match system_calls {
            SystemCalls::All => Ok(None),
            SystemCalls::Read => READ.as_ref().map(Some),
        }
    }

    /// From here on, for this process and all that it starts.
    pub(super) fn apply(&self) -> Result<(), FilterFault> {
        Ok(apply_filter(&self.0)?)
    }
}

/// What is answered by the kernel, and by nothing before it.
fn answers() -> Result<BTreeMap<u32, Answer>, Untold> {
    let number = |call: i64| u32::try_from(call).map_err(|_| Untold);
    let denied = DENIED.iter().map(|call| Ok((number(*call)?, Answer::Error(libc::EPERM))));
    let mut answers: BTreeMap<u32, Answer> = denied.collect::<Result<_, Untold>>()?;
    // What `clone3` asks for lies in memory, where no filter looks: the C library takes `clone` instead.
    answers.insert(number(libc::SYS_clone3)?, Answer::Error(libc::ENOSYS));
    let flags = NAMESPACES.into_iter().fold(0, |flags, flag| flags | flag.cast_unsigned());
    answers.insert(number(libc::SYS_clone)?, Answer::ErrorIfAny { argument: 0, of: flags });
    let typing = TYPING.map(u32::try_from);
    let [Ok(one), Ok(other)] = typing else { return Err(Untold) };
    answers
        .insert(number(libc::SYS_ioctl)?, Answer::ErrorIfEither { argument: 1, of: [one, other] });
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would do with a call, by the rules of seccomp's programs.
    fn told(filter: &Filter, architecture: u32, number: u32, arguments: [u32; 2]) -> u32 {
        run(filter, architecture, number, arguments).0
    }

    /// And in how many steps.
    fn run(filter: &Filter, architecture: u32, number: u32, arguments: [u32; 2]) -> (u32, u32) {
        let (mut at, mut word, mut steps) = (0, 0, 0);
        loop {
            steps += 1;
            let seccompiler::sock_filter { code, jt, jf, k } = filter.0[at];
            at += 1;
            let jump = |is: bool| usize::from(if is { jt } else { jf });
            match u32::from(code) {
                0x20 => {
                    word = match k {
                        0 => number,
                        4 => architecture,
                        16 => arguments[0],
                        24 => arguments[1],
                        other => panic!("nothing lies at {other}"),
                    }
                }
                0x15 => at += jump(word == k),
                0x35 => at += jump(word >= k),
                0x45 => at += jump(word & k != 0),
                0x06 => return (k, steps),
                other => panic!("no instruction {other:#x}"),
            }
        }
    }

    const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;

    fn error(errno: i32) -> u32 {
        libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()
    }

    #[test]
    fn each_number_has_the_answer_that_is_listed_and_no_other() {
        let filter = Filter::of(SystemCalls::Read).unwrap().unwrap();
        let own = program::ARCHITECTURE.unwrap();
        for number in (0..2048).chain([u32::MAX >> 2, 0x3fff_ffff]) {
            let said = told(filter, own, number, [0, 0]);
            let call = i64::from(number);
            let wanted = match call {
                libc::SYS_clone3 => error(libc::ENOSYS),
                _ if DENIED.contains(&call) => error(libc::EPERM),
                _ => ALLOWED,
            };
            assert_eq!(said, wanted, "{number}");
        }
    }

    #[test]
    fn arguments_count_where_they_decide() {
        let filter = Filter::of(SystemCalls::Read).unwrap().unwrap();
        let own = program::ARCHITECTURE.unwrap();
        let number = |call: i64| u32::try_from(call).unwrap();
        for bit in 0..32 {
            let flag = 1 << bit;
            let is_namespace = NAMESPACES.iter().any(|one| one.cast_unsigned() == flag);
            let wanted = if is_namespace { error(libc::EPERM) } else { ALLOWED };
            assert_eq!(told(filter, own, number(libc::SYS_clone), [flag, 0]), wanted, "{flag:#x}");
            let with_signal = flag | libc::SIGCHLD.cast_unsigned();
            assert_eq!(told(filter, own, number(libc::SYS_clone), [with_signal, 0]), wanted);
        }
        for (request, wanted) in [
            (libc::TIOCSTI, error(libc::EPERM)),
            (libc::TIOCLINUX, error(libc::EPERM)),
            (libc::TIOCGWINSZ, ALLOWED),
            (0, ALLOWED),
        ] {
            let request = u32::try_from(request).unwrap();
            assert_eq!(told(filter, own, number(libc::SYS_ioctl), [0, request]), wanted);
            assert_eq!(told(filter, own, number(libc::SYS_ioctl), [request, 0]), ALLOWED);
        }
    }

    #[test]
    fn other_interfaces_are_none() {
        let filter = Filter::of(SystemCalls::Read).unwrap().unwrap();
        let own = program::ARCHITECTURE.unwrap();
        for other in [0, 0x4000_0003, 0x4000_0028, own ^ 1] {
            assert_eq!(
                told(filter, other, 39, [0, 0]),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{other:#x}"
            );
        }
        if cfg!(target_arch = "x86_64") {
            for number in (0..1024).map(|number| number | 0x4000_0000).chain([u32::MAX]) {
                assert_eq!(told(filter, own, number, [0, 0]), error(libc::ENOSYS), "{number:#x}");
            }
        }
    }

    /// A filter is made ready by the kernel for each call anew, and that takes longer the longer it looks at a number.
    #[test]
    fn few_instructions_decide() {
        let filter = Filter::of(SystemCalls::Read).unwrap().unwrap();
        let own = program::ARCHITECTURE.unwrap();
        let most = (0..1024).map(|number| run(filter, own, number, [0, 0]).1).max().unwrap();
        assert!(most <= 16, "{most}");
    }
}
