//! One call's cgroup.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use policy::TotalLimits;
use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::{Errno, write};
use rustix::process::Pid;

use super::controllers::settings;
use super::{MAX_VACANT, pids, populated};

/// The cgroup of one call. One that is dropped is removed, if nothing is in it.
#[derive(Debug)]
pub(crate) struct Leaf {
    pub(super) parent: Rc<OwnedFd>,
    pub(super) vacant: Rc<RefCell<Vec<Room>>>,
    /// None only once it has been vacated.
    pub(super) room: Option<Room>,
    /// It keeps its processes to limits, and is no other call's after this one.
    pub(super) is_limited: bool,
}

/// A cgroup, with the files that it is used by.
#[derive(Debug)]
pub(super) struct Room {
    name: String,
    procs: OwnedFd,
    kill: OwnedFd,
    events: OwnedFd,
}

impl Room {
    pub(super) fn open(parent: &OwnedFd, name: String) -> rustix::io::Result<Self> {
        let file = |file: &str, flags| {
            openat(parent, format!("{name}/{file}"), flags | OFlags::CLOEXEC, Mode::empty())
        };
        let procs = file("cgroup.procs", OFlags::WRONLY)?;
        let kill = file("cgroup.kill", OFlags::WRONLY)?;
        let events = file("cgroup.events", OFlags::RDONLY)?;
        Ok(Self { name, procs, kill, events })
    }
}

impl Leaf {
    /// The descriptor by which a process enters: it writes `0`.
    pub(crate) fn entrance(&self) -> io::Result<OwnedFd> {
        self.room()?.procs.try_clone()
    }

    /// Keeps all that is in it, together, to these limits.
    ///
    /// # Errors
    /// When the kernel does not take one of them. Those before it hold.
    pub(crate) fn limit(&mut self, total: TotalLimits) -> io::Result<()> {
        self.is_limited = true;
        for (file, text) in settings(total) {
            let name = format!("{}/{file}", self.room()?.name);
            match openat(&self.parent, name, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
                Ok(setting) => drop(write(&setting, text.as_bytes())?),
                // A kernel without swap has no limit of it.
                Err(Errno::NOENT) if file == "memory.swap.max" => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    /// Kills all that is in it now.
    pub(crate) fn kill(&self) -> io::Result<()> {
        write(&self.room()?.kill, b"1")?;
        Ok(())
    }

    /// Whether a process that has not ended is in it. After this, `events` is ready (PRI) once the answer changes.
    pub(crate) fn is_populated(&self) -> io::Result<bool> {
        populated(&self.room()?.events)
    }

    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.room.as_ref().map(|room| room.events.as_fd())
    }

    pub(crate) fn processes(&self) -> io::Result<Vec<Pid>> {
        let name = format!("{}/cgroup.procs", self.room()?.name);
        let file = openat(&self.parent, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(pids(&io::read_to_string(fs::File::from(file))?))
    }

    /// Gives it up for the next call to use. To be called when it is not populated and nobody is about to enter.
    pub(crate) fn vacate(mut self) {
        let mut vacant = self.vacant.borrow_mut();
        if vacant.len() < MAX_VACANT && !self.is_limited {
            vacant.extend(self.room.take());
        }
    }

    /// Its name within the daemon's cgroup.
    pub(crate) fn name(&self) -> Option<&str> {
        self.room.as_ref().map(|room| room.name.as_str())
    }

    fn room(&self) -> io::Result<&Room> {
        self.room.as_ref().ok_or_else(|| Errno::NODEV.into())
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        if let Some(room) = &self.room {
            // What is still in it keeps it, and is found there by the next life.
            let _ = unlinkat(&*self.parent, &room.name, AtFlags::REMOVEDIR);
        }
    }
}
