//! Starting verbs: a few runners wait started, each where its call will be killed.

mod accounts;
mod running;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use policy::TotalLimits;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;

use super::cgroup::{Controller, Instance, wanted};
use crate::clock::Instants;
use crate::run::{Attached, Order, PacketFault, Place};

use accounts::Accounts;
pub(crate) use running::{Ended, Running};

/// How the processes of a call are held together.
#[derive(Debug)]
pub(crate) enum Containment {
    Cgroup(Instance),
    Subreaper,
}

/// `openscope-run`, as it was judged.
#[derive(Debug)]
pub(crate) struct RunnerProgram(OwnedFd);

impl RunnerProgram {
    /// Takes an open descriptor of the program; one opened with `O_PATH` will do.
    pub(crate) fn new(program: OwnedFd) -> Self {
        Self(program)
    }
}

/// Why a runner could not be started, or given its order.
#[derive(Debug, Error)]
pub(crate) enum SpawnFault {
    #[error("cannot make a place for the call")]
    Place(#[source] io::Error),
    #[error("cannot start a runner")]
    Start(#[source] io::Error),
    #[error("there is no `openscope-reach` beside `openscoped`")]
    NoReach,
    #[error("{0}")]
    NoController(NoController),
    #[error("cannot limit the call in total")]
    Limit(#[source] io::Error),
    #[error("cannot give the order")]
    Order(#[source] PacketFault),
}

/// What a limit in total takes that this daemon does not have.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "`limits.total` takes the cgroup controller `{0}`, which the daemon's cgroup does not have"
)]
pub(crate) struct NoController(Controller);

/// Which program a runner is.
#[derive(Clone, Copy)]
enum Which {
    /// One that becomes the verb.
    Run,
    /// One that asks services.
    Reach,
}

impl Which {
    fn name(self) -> &'static str {
        match self {
            Self::Run => "openscope-run",
            Self::Reach => "openscope-reach",
        }
    }
}

/// Whether all runners that should wait do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pool {
    Full,
    Short,
}

/// Runners that wait for their order, oldest first.
#[derive(Debug)]
pub(crate) struct Runners {
    program: RunnerProgram,
    /// `openscope-reach`, where it is there.
    reach: Option<RunnerProgram>,
    contain: Containment,
    parked: VecDeque<Running>,
    wanted: usize,
    accounts: Accounts,
}

impl Runners {
    /// Starts none yet.
    pub(crate) fn new(program: RunnerProgram, contain: Containment, parked: usize) -> Self {
        Self {
            program,
            reach: None,
            contain,
            parked: VecDeque::new(),
            wanted: parked,
            accounts: Accounts::default(),
        }
    }

    /// With the program that asks services.
    pub(crate) fn with_reach(self, reach: Option<RunnerProgram>) -> Self {
        Self { reach, ..self }
    }

    /// Whether there is a program that asks services.
    pub(crate) fn has_reach(&self) -> bool {
        self.reach.is_some()
    }

    /// Starts one runner more, if there are too few.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn refill(&mut self) -> Result<Pool, SpawnFault> {
        if self.parked.len() < self.wanted {
            let runner = self.runner(Which::Run)?;
            self.parked.push_back(runner);
        }
        Ok(if self.parked.len() < self.wanted { Pool::Short } else { Pool::Full })
    }

    /// Has one runner carry out an order: one that waits, or a new one.
    ///
    /// # Errors
    /// When none can be started, or the order cannot be sent. The verb has then not begun.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "closed here, so that they close with the verb"
    )]
    pub(crate) fn start(
        &mut self,
        order: &Order,
        attached: Attached,
    ) -> Result<Running, SpawnFault> {
        let now = Instants::now();
        let known = self.accounts.of(&order.account, now);
        let total = order.confinement.total;
        self.can_limit(total).map_err(SpawnFault::NoController)?;
        loop {
            let mut runner = self.parked.pop_front().map_or_else(|| self.runner(Which::Run), Ok)?;
            // One that is limited in part, and has no order, is dropped, and so ended.
            runner.limit(total).map_err(SpawnFault::Limit)?;
            match runner.give(order, known.as_ref(), &attached, now) {
                Ok(()) => return Ok(runner),
                // Somebody killed it while it waited. Dropping it clears it away.
                Err(PacketFault::Socket(Errno::PIPE | Errno::CONNRESET)) => {}
                Err(fault) => {
                    // One that is limited is no other call's.
                    self.parked.extend(Some(runner).filter(|_| total.is_empty()));
                    return Err(SpawnFault::Order(fault));
                }
            }
        }
    }

    /// Whether all processes of a call can be kept to these limits together.
    ///
    /// # Errors
    /// When they cannot, and by what they would be.
    pub(crate) fn can_limit(&self, total: TotalLimits) -> Result<(), NoController> {
        let has = |controller: &Controller| match &self.contain {
            Containment::Subreaper => false,
            Containment::Cgroup(instance) => instance.has(*controller),
        };
        let missing = wanted(total).find(|controller| !has(controller));
        missing.map_or(Ok(()), |controller| Err(NoController(controller)))
    }

    /// Starts a process that asks services, under this order.
    ///
    /// # Errors
    /// When it is not there, cannot be started, or the order cannot be sent.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "closed here, so that they close with the process"
    )]
    pub(crate) fn start_reach(
        &mut self,
        order: &Order,
        attached: Attached,
    ) -> Result<Running, SpawnFault> {
        let now = Instants::now();
        let known = self.accounts.of(&order.account, now);
        let mut runner = self.runner(Which::Reach)?;
        runner.give(order, known.as_ref(), &attached, now).map_err(SpawnFault::Order)?;
        Ok(runner)
    }

    /// The name of the cgroup that a call's processes are in, where calls have cgroups.
    ///
    /// # Errors
    /// When they have, and this one has none: it ends.
    pub(crate) fn place(&self, running: &Running) -> io::Result<Option<String>> {
        match &self.contain {
            Containment::Subreaper => Ok(None),
            Containment::Cgroup(_) => {
                let ends = || io::Error::other("the call has left its cgroup");
                running.leaf().map(|leaf| Some(leaf.to_owned())).ok_or_else(ends)
            }
        }
    }

    fn runner(&mut self, which: Which) -> Result<Running, SpawnFault> {
        let program = match which {
            Which::Run => &self.program,
            Which::Reach => self.reach.as_ref().ok_or(SpawnFault::NoReach)?,
        };
        let (ours, theirs) = pair().map_err(|errno| SpawnFault::Place(errno.into()))?;
        let (leaf, place, entrance) = match &mut self.contain {
            Containment::Subreaper => (None, Place::Subreaper, Stdio::null()),
            Containment::Cgroup(instance) => {
                let leaf = instance.leaf().map_err(SpawnFault::Place)?;
                let entrance = leaf.entrance().map_err(SpawnFault::Place)?;
                (Some(leaf), Place::Cgroup, Stdio::from(entrance))
            }
        };
        let pid =
            program.spawn(which.name(), place, theirs, entrance).map_err(SpawnFault::Start)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())
            .map_err(|errno| SpawnFault::Start(errno.into()))?;
        Ok(Running::new(pid, pidfd, ours, leaf, self.accounts.clone()))
    }
}

impl RunnerProgram {
    /// Nothing is asked of `Command` here that would make it fork: a fork of this process copies its memory.
    #[expect(clippy::disallowed_methods, reason = "the monitor starts its runners here")]
    fn spawn(&self, name: &str, place: Place, socket: OwnedFd, entrance: Stdio) -> io::Result<Pid> {
        let child = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
            .arg0(name)
            .arg(place.argument())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(socket))
            .stdout(entrance)
            .spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        pid.ok_or_else(|| Errno::SRCH.into())
    }
}

fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}
