//! A filter as the kernel takes it: a search among the numbers, so that few of them are compared.
//!
//! The kernel runs a new filter for every number there is, to know which ones it lets through whatever their arguments, and
//! compiles it: a list that is gone through from its top costs a call half a millisecond, this one a tenth of that.

use std::collections::BTreeMap;

use nix::libc;
use seccompiler::{BpfProgram, sock_filter};
use thiserror::Error;

/// What the kernel calls the interface whose numbers are meant.
pub(super) const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};
/// On x86-64 the calls of the x32 interface begin here. It has numbers of its own for what is denied, and programs for it
/// are hardly to be found: it is as with a kernel that was built without.
const X32: Option<u32> = if cfg!(target_arch = "x86_64") { Some(0x4000_0000) } else { None };

/// Where the number of a call lies in what a filter is shown, and its architecture.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;

const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
const IF_AT_LEAST: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
const IF_ANY: u32 = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;

/// What a call is answered with; one that is not listed is let through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Answer {
    /// This error.
    Error(i32),
    /// `EPERM` where an argument has any of these bits. The kernel looks at the lower half of it.
    ErrorIfAny { argument: u32, of: u32 },
    /// `EPERM` where an argument is one of these, as far as its lower half goes.
    ErrorIfEither { argument: u32, of: [u32; 2] },
}

/// It cannot be said in a filter, or not for this machine.
#[derive(Debug, Error)]
#[error("it cannot be said in a filter")]
pub(in crate::run) struct Untold;

/// A call of another architecture's interface, which has other numbers, ends the process.
pub(super) fn program(answers: &BTreeMap<u32, Answer>) -> Result<BpfProgram, Untold> {
    let own = ARCHITECTURE.filter(|_| cfg!(target_endian = "little")).ok_or(Untold)?;
    let mut program = vec![
        plain(LOAD, ARCH)?,
        jump(IF_EQUAL, own, 1, 0)?,
        plain(RETURN, libc::SECCOMP_RET_KILL_PROCESS)?,
        plain(LOAD, NUMBER)?,
    ];
    if let Some(x32) = X32 {
        program.extend([jump(IF_AT_LEAST, x32, 0, 1)?, error(libc::ENOSYS)?]);
    }
    program.extend(search(&spans(answers))?);
    Ok(program)
}

/// Numbers that are answered alike: from each on, up to the next.
fn spans(answers: &BTreeMap<u32, Answer>) -> Vec<(u32, Option<Answer>)> {
    let mut spans: Vec<(u32, Option<Answer>)> = vec![(0, None)];
    let mut from = |number: u32, answer: Option<Answer>| {
        if spans.last().is_some_and(|(begin, _)| *begin == number) {
            spans.pop();
        }
        if spans.last().is_none_or(|(_, before)| *before != answer) {
            spans.push((number, answer));
        }
    };
    for (number, answer) in answers {
        from(*number, Some(*answer));
        from(number.saturating_add(1), None);
    }
    spans
}

fn search(spans: &[(u32, Option<Answer>)]) -> Result<BpfProgram, Untold> {
    let (below, from) = spans.split_at(spans.len() / 2);
    match (below, from) {
        ([], [(_, answer)]) => told(*answer),
        (_, [(begin, _), ..]) => {
            let (below, from) = (search(below)?, search(from)?);
            let mut program = vec![jump(IF_AT_LEAST, *begin, below.len(), 0)?];
            program.extend(below);
            program.extend(from);
            Ok(program)
        }
        (_, []) => Err(Untold),
    }
}

fn told(answer: Option<Answer>) -> Result<BpfProgram, Untold> {
    let pass = plain(RETURN, libc::SECCOMP_RET_ALLOW)?;
    match answer {
        None => Ok(vec![pass]),
        Some(Answer::Error(errno)) => Ok(vec![error(errno)?]),
        Some(Answer::ErrorIfAny { argument, of }) => {
            let looks = [load(argument)?, jump(IF_ANY, of, 0, 1)?];
            Ok([&looks[..], &[error(libc::EPERM)?, pass]].concat())
        }
        Some(Answer::ErrorIfEither { argument, of: [one, other] }) => {
            let looks = [load(argument)?, jump(IF_EQUAL, one, 1, 0)?, jump(IF_EQUAL, other, 0, 1)?];
            Ok([&looks[..], &[error(libc::EPERM)?, pass]].concat())
        }
    }
}

/// The lower half of an argument.
fn load(argument: u32) -> Result<sock_filter, Untold> {
    plain(LOAD, 16 + 8 * argument)
}

fn error(errno: i32) -> Result<sock_filter, Untold> {
    plain(RETURN, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned())
}

fn plain(code: u32, k: u32) -> Result<sock_filter, Untold> {
    jump(code, k, 0, 0)
}

/// So many instructions are passed over if it holds, or if it does not.
fn jump(code: u32, k: u32, holds: usize, fails: usize) -> Result<sock_filter, Untold> {
    Ok(sock_filter {
        code: u16::try_from(code).map_err(|_| Untold)?,
        jt: u8::try_from(holds).map_err(|_| Untold)?,
        jf: u8::try_from(fails).map_err(|_| Untold)?,
        k,
    })
}
