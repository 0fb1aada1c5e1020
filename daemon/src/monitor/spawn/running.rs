//! One call's processes, until nothing is left of them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use policy::TotalLimits;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_send_signal, waitid,
};

use super::accounts::Accounts;
use crate::clock::Instants;
use crate::monitor::cgroup::Leaf;
use crate::run::{Attached, Known, Order, PacketFault, Report, Status, reports, send_order};

/// How a verb ended. Nothing of its tree is left.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ended {
    Exited(i32),
    Signaled(i32),
    /// It did not run, and why: for the log, not for the recipient.
    NotStarted(String),
    /// What it asked was not reached, or lost, and why: for the log as well.
    Lost(String),
}

/// A runner, then the verb it has become or watches over. Dropped, it is killed and not waited for.
#[derive(Debug)]
pub(crate) struct Running {
    pid: Pid,
    pidfd: OwnedFd,
    socket: OwnedFd,
    leaf: Option<Leaf>,
    stage: Stage,
    accounts: Accounts,
    /// When it had its order, which is before it looked anything up.
    begun: Instants,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Alive,
    /// The main process has ended; what it left is being killed.
    Orphans(Status),
    Over,
}

impl Running {
    pub(super) fn new(
        pid: Pid,
        pidfd: OwnedFd,
        socket: OwnedFd,
        leaf: Option<Leaf>,
        accounts: Accounts,
    ) -> Self {
        Self { pid, pidfd, socket, leaf, stage: Stage::Alive, accounts, begun: Instants::now() }
    }

    pub(super) fn give(
        &mut self,
        order: &Order,
        known: Option<&Known>,
        attached: &Attached,
        now: Instants,
    ) -> Result<(), PacketFault> {
        self.begun = now;
        send_order(&self.socket, order, known, attached)
    }

    /// Keeps all of it, together, to these limits.
    ///
    /// # Errors
    /// When the kernel does not take one, or it is in no cgroup.
    pub(super) fn limit(&mut self, total: TotalLimits) -> io::Result<()> {
        match &mut self.leaf {
            _ if total.is_empty() => Ok(()),
            Some(leaf) => leaf.limit(total),
            None => Err(io::Error::other("the call is in no cgroup")),
        }
    }

    /// The verb's main process, or its subreaper.
    #[cfg(test)]
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// The name of the cgroup that its processes are in, if they have one.
    pub(super) fn leaf(&self) -> Option<&str> {
        self.leaf.as_ref().and_then(Leaf::name)
    }

    /// What becomes ready when `try_reap` has something to do. Ask anew before each poll.
    pub(crate) fn wakes(&self) -> PollFd<'_> {
        match (self.stage, self.leaf.as_ref().and_then(Leaf::events)) {
            (Stage::Orphans(_), Some(events)) => PollFd::from_borrowed_fd(events, PollFlags::PRI),
            (Stage::Alive | Stage::Orphans(_) | Stage::Over, _) => {
                PollFd::new(&self.pidfd, PollFlags::IN)
            }
        }
    }

    /// Begins the end of the whole tree. Does not wait. Whatever the runner was about to do, it does no more.
    ///
    /// # Errors
    /// When the kernel refuses, which leaves the tree alive.
    pub(crate) fn kill(&self) -> io::Result<()> {
        match &self.leaf {
            // First the runner, which may not yet be in its cgroup, and is alone as long as it is not.
            Some(leaf) => self.signal().and(leaf.kill()),
            None => match shutdown(&self.socket, Shutdown::Write) {
                Ok(()) | Err(Errno::NOTCONN | Errno::PIPE) => Ok(()),
                Err(errno) => Err(errno.into()),
            },
        }
    }

    fn signal(&self) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How it ended, once, as soon as the main process has ended and nothing else of the tree is left. When only
    /// the main process has ended, kills the rest.
    ///
    /// # Errors
    /// When the kernel refuses; whether anything is left is then not known.
    pub(crate) fn try_reap(&mut self) -> io::Result<Option<Ended>> {
        if self.stage == Stage::Alive {
            let Some(status) = self.reap_main()? else { return Ok(None) };
            self.stage = Stage::Orphans(status);
        }
        match self.stage {
            Stage::Orphans(status) if self.are_orphans_dead()? => Ok(Some(self.over(status))),
            Stage::Alive | Stage::Orphans(_) | Stage::Over => Ok(None),
        }
    }

    /// A subreaper has seen to it before it ended.
    fn are_orphans_dead(&self) -> io::Result<bool> {
        let Some(leaf) = &self.leaf else { return Ok(true) };
        if !leaf.is_populated()? {
            return Ok(true);
        }
        leaf.kill()?;
        // Asked again, so that the answer is the one that `wakes` waits to see changed.
        Ok(!leaf.is_populated()?)
    }

    fn reap_main(&self) -> io::Result<Option<Status>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::PidFd(self.pidfd.as_fd()), options)?;
        Ok(status.map(|status| status_of(&status)))
    }

    fn over(&mut self, status: Status) -> Ended {
        self.stage = Stage::Over;
        self.leaf.take().into_iter().for_each(Leaf::vacate);
        let mut ended = Ended::from(status);
        for report in reports(&self.socket) {
            match report {
                Report::LookedUp(known) => self.accounts.learn(known, self.begun),
                Report::NotStarted(why) => ended = Ended::NotStarted(why),
                Report::Ended(status) => ended = status.into(),
            }
        }
        ended
    }

    /// Who is left, to be named. Empty when it is over.
    pub(crate) fn survivors(&self) -> Vec<Pid> {
        match (self.stage, &self.leaf) {
            (Stage::Over, _) => Vec::new(),
            (Stage::Alive | Stage::Orphans(_), Some(leaf)) => leaf.processes().unwrap_or_default(),
            (Stage::Alive | Stage::Orphans(_), None) => vec![self.pid],
        }
    }
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        match status {
            Status::Exited(code) => Self::Exited(code),
            Status::Signaled(signal) => Self::Signaled(signal),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.stage != Stage::Over {
            // Nobody is left to be told that it failed; the cgroup stays, for the next life to end.
            let _ = self.kill();
            let _ = self.reap_main();
        }
    }
}

fn status_of(status: &WaitIdStatus) -> Status {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signaled(signal.unwrap_or_default()),
    }
}
