//! What does a call: processes of its own, or an errand of a process that does many.

use std::io;

use rustix::event::PollFd;
use rustix::process::Pid;

use super::helpers::HelperId;
use super::spawn::{Ended, Running};

/// What does a call.
#[derive(Debug)]
pub(super) enum Work {
    /// Processes that are the call's alone.
    Processes(Running),
    /// An errand of a helper.
    Errand(Errand),
}

/// One of the things that a helper does. It knows the errand by the number of the call's run.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) helper: HelperId,
    /// How it ended, once that is known, until it has been asked for.
    pub(super) ended: Option<Ended>,
}

impl Work {
    /// What becomes ready when it has ended; nothing where its helper's own line says so.
    pub(super) fn wakes(&self) -> Option<PollFd<'_>> {
        match self {
            Self::Processes(running) => Some(running.wakes()),
            Self::Errand(_) => None,
        }
    }

    /// How it ended, once.
    ///
    /// # Errors
    /// When the kernel refuses to say.
    pub(super) fn try_reap(&mut self) -> io::Result<Option<Ended>> {
        match self {
            Self::Processes(running) => running.try_reap(),
            Self::Errand(errand) => Ok(errand.ended.take()),
        }
    }

    /// The processes that are there still and are nobody else's.
    pub(super) fn survivors(&self) -> Vec<Pid> {
        match self {
            Self::Processes(running) => running.survivors(),
            Self::Errand(_) => Vec::new(),
        }
    }

    /// The errand, if it is one.
    pub(super) fn errand(&self) -> Option<&Errand> {
        match self {
            Self::Errand(errand) => Some(errand),
            Self::Processes(_) => None,
        }
    }
}
