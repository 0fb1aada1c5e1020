//! One life of the monitor, from its start to its end.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};
use rustix::process::{Pid, WaitStatus, kill_process};

use super::line::BEAT;
use super::{Keeper, say};
use crate::clock::awake;
use crate::run::reap_all;

/// The longest path of a cgroup (`PATH_MAX`).
const MAX_PATH: usize = 4096;
/// A monitor that has been silent for so long is stuck: several times what a slow disk takes to write a record.
const STUCK: Duration = Duration::from_secs(10);
const LOOK_FOR_BEATS: Duration = Duration::from_secs(1);
/// A keeper that looks again after so long was itself stopped, as a frozen container is.
const NOT_RUNNING: Duration = Duration::from_secs(3);

/// One run of the monitor.
pub(super) struct Life {
    monitor: Pid,
    /// None once the monitor has closed its end.
    socket: Option<OwnedFd>,
    /// When it last said that it is not stuck. None while it starts up, which takes as long as its record is long.
    beat: Option<Duration>,
    /// When it was last asked after.
    looked: Duration,
    /// It was stuck, and is being killed.
    killed: bool,
}

impl Life {
    pub(super) fn begin(keeper: &Keeper) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (socket, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        let monitor = start(keeper, theirs)?;
        Ok(Self { monitor, socket: Some(socket), beat: None, looked: awake(), killed: false })
    }

    pub(super) fn watch(mut self, keeper: &mut Keeper) -> io::Result<WaitStatus> {
        loop {
            self.wait(keeper)?;
            self.hear(keeper);
            keeper.take_signals(Some(self.monitor))?;
            self.end_if_stuck(keeper)?;
            let mut ended = None;
            reap_all(|pid, status| {
                if pid == self.monitor {
                    ended = Some(status);
                }
            })?;
            if let Some(status) = ended {
                return Ok(status);
            }
        }
    }

    fn wait(&self, keeper: &Keeper) -> io::Result<()> {
        let signals = PollFd::from_borrowed_fd(keeper.children.as_fd(), PollFlags::IN);
        let socket = self.socket.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN));
        let mut all: Vec<_> = [signals].into_iter().chain(socket).collect();
        let patience = self.beat.map(|_| Timespec::try_from(LOOK_FOR_BEATS)).transpose();
        let patience = patience.map_err(io::Error::other)?;
        retry_on_intr(|| poll(&mut all, patience.as_ref()))?;
        Ok(())
    }

    /// A monitor that is stuck, in a disk or in what a local user has handed it, ends nothing in time: its calls are killed with
    /// it, at once and again until it is gone, which in a disk that does not answer it cannot be.
    fn end_if_stuck(&mut self, keeper: &Keeper) -> io::Result<()> {
        let now = awake();
        let away = now.saturating_sub(std::mem::replace(&mut self.looked, now));
        if away > NOT_RUNNING {
            // Nobody ran here: not the monitor either, which is to have its time.
            self.beat = self.beat.map(|_| now);
        }
        if !self.killed && self.beat.is_some_and(|last| now.saturating_sub(last) >= STUCK) {
            say(&format!("openscoped: the monitor has not moved for {STUCK:?}; it is killed"));
            self.killed = true;
            kill_process(self.monitor, rustix::process::Signal::KILL)?;
        }
        if self.killed { keeper.kill_calls() } else { Ok(()) }
    }

    /// All that the monitor ever says is where its calls are, and that it is not stuck.
    fn hear(&mut self, keeper: &mut Keeper) {
        let Some(socket) = &self.socket else { return };
        let mut path = [0; MAX_PATH];
        match retry_on_intr(|| recv(socket, &mut path[..], RecvFlags::DONTWAIT)) {
            Err(Errno::AGAIN) => {}
            Ok((0, _)) | Err(_) => self.socket = None,
            Ok((length, _)) => match path.get(..length).unwrap_or_default() {
                BEAT => self.beat = Some(awake()),
                path => keeper.instance = Some(OsStr::from_bytes(path).into()),
            },
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the keeper starts the monitor here")]
fn start(keeper: &Keeper, socket: OwnedFd) -> io::Result<Pid> {
    let child = Command::new(&keeper.program)
        .arg0("openscoped")
        .args(&keeper.arguments)
        .stdin(Stdio::from(socket))
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Errno::SRCH.into())
}
