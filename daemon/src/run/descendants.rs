//! Every process below this one: adopted when its own parent dies, ended, and reaped until none is left.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, WaitOptions, WaitStatus, getpid, pidfd_open, pidfd_send_signal,
    set_child_subreaper, wait,
};

/// How often all below are stopped before they are killed: a process that forks as fast as it is looked for is
/// caught by being stopped.
const STOPPING_ROUNDS: usize = 16;

/// States of a process that waits to be reaped, or has just been.
const ENDED: [&str; 3] = ["Z", "X", "x"];

/// Signals of a process that its orphans fall to.
#[derive(Debug)]
pub(crate) struct Children {
    signals: SignalFd,
}

/// What is left after some of the children have been reaped.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Left {
    Some,
    None,
}

impl Children {
    /// Makes this process the one that orphans below it fall to, and SIGCHLD, with `also`, readable instead of
    /// delivered.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn adopt(also: &[Signal]) -> io::Result<Self> {
        set_child_subreaper(Some(getpid()))?;
        let mut signals: SigSet = also.iter().copied().collect();
        signals.add(Signal::SIGCHLD);
        signals.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self { signals: SignalFd::with_flags(&signals, flags)? })
    }

    /// The number of the next signal that has come. All are to be taken before children are reaped.
    pub(crate) fn next_signal(&self) -> io::Result<Option<u32>> {
        Ok(self.signals.read_signal()?.map(|signal| signal.ssi_signo))
    }

    /// Waits until a signal comes, or so long.
    pub(crate) fn rest(&self, at_most: Duration) -> io::Result<()> {
        let mut signals = [PollFd::new(&self.signals, PollFlags::IN)];
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        match poll(&mut signals, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Children {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}

/// Kills all that are below this process now. More may be there afterwards: call until nothing is left.
pub(crate) fn kill_all() -> io::Result<()> {
    let mut pinned = pin(&[])?;
    for _round in 0..STOPPING_ROUNDS {
        let known: Vec<Pid> = pinned.iter().map(|(pid, _)| *pid).collect();
        for (_, process) in &pinned {
            signal(process, rustix::process::Signal::STOP)?;
        }
        let more = pin(&known)?;
        if more.is_empty() {
            break;
        }
        pinned.extend(more);
    }
    pinned.iter().try_for_each(|(_, process)| signal(process, rustix::process::Signal::KILL))
}

/// Reaps all that have ended, telling `of` each. Does not wait.
pub(crate) fn reap_all(mut of: impl FnMut(Pid, WaitStatus)) -> io::Result<Left> {
    loop {
        match retry_on_intr(|| wait(WaitOptions::NOHANG)) {
            Ok(Some((pid, status))) => of(pid, status),
            Ok(None) => return Ok(Left::Some),
            Err(Errno::CHILD) => return Ok(Left::None),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// One that is gone already is what was wanted.
fn signal(process: &OwnedFd, signal: rustix::process::Signal) -> io::Result<()> {
    match pidfd_send_signal(process, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Each process below this one but those `known`, held by a descriptor. It is looked at again once it is held, since its
/// number may have become another's in between.
fn pin(known: &[Pid]) -> io::Result<Vec<(Pid, OwnedFd)>> {
    let before = below(getpid())?;
    let held: Vec<_> = before
        .into_iter()
        .filter(|pid| !known.contains(pid))
        .filter_map(|pid| Some((pid, pidfd_open(pid, PidfdFlags::empty()).ok()?)))
        .collect();
    let after = below(getpid())?;
    Ok(held.into_iter().filter(|(pid, _)| after.contains(pid)).collect())
}

fn below(root: Pid) -> io::Result<Vec<Pid>> {
    let parents: Vec<(Pid, Pid)> = fs::read_dir("/proc")?
        .filter_map(|entry| with_parent(entry.ok()?.file_name().to_str()?))
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// The process of this directory of `/proc`, and its parent. One that has ended meanwhile is none, and neither is one
/// that only waits to be reaped.
fn with_parent(name: &str) -> Option<(Pid, Pid)> {
    let pid = Pid::from_raw(name.parse().ok()?)?;
    let stat = fs::read(format!("/proc/{name}/stat")).ok()?;
    // `pid (name) state parent …`, where a name may hold parentheses and spaces.
    let tail = stat.get(stat.iter().rposition(|byte| *byte == b')')? + 1..)?;
    let mut fields = std::str::from_utf8(tail).ok()?.split_ascii_whitespace();
    if ENDED.contains(&fields.next()?) {
        return None;
    }
    Some((pid, Pid::from_raw(fields.next()?.parse().ok()?)?))
}
