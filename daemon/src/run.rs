//! The runner, `openscope-run`: it takes one order, becomes the owner and executes the verb.
//!
//! It starts parked, in the place where its call will be killed, and does beforehand what needs no order. It is
//! one small program with one thread, since starting it is most of what a call costs.

mod contain;
mod descendants;
mod exec;
mod file;
mod limits;
mod network;
mod opened;
mod order;
mod owner;
mod packet;
mod reach;
pub(crate) mod shed;
mod system_calls;
mod terminal;

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use rustix::io::fcntl_dupfd_cloexec;

pub(crate) use descendants::{Children, Left, kill_all, reap_all};
pub(crate) use network::{is_offered as can_keep_ports, may_leave};
#[cfg(test)]
pub(crate) use order::Opened;
pub(crate) use order::{Account, Argument, Attached, FileOrder, Known, Order, Report, Status};
#[cfg(test)]
pub(crate) use packet::MAX_ORDER;
pub(crate) use packet::{PacketFault, reports, send_order};
pub(crate) use reach::is_offered as can_keep_files;

use crate::run::exec::NotStarted;

/// The runner's exit status when it did not become the verb. The report on its socket says why.
const NOT_STARTED: u8 = 125;

/// The most of a reason that is reported, in characters.
const MAX_REASON: usize = 1024;

/// Of a member of more groups than this, what was looked up is not reported.
const MAX_GROUPS: usize = 1024;

/// How the process tree of a call is ended, and so what the runner does before and after it has its order.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// Its own cgroup, which it enters by descriptor 1; it becomes the verb.
    Cgroup,
    /// It stays as the subreaper of the verb, and ends what is left.
    Subreaper,
    /// Under a runner that is the subreaper; it becomes the verb.
    Inner,
}

impl Place {
    /// The runner's only argument.
    pub(crate) fn argument(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Subreaper => "subreaper",
            Self::Inner => "inner",
        }
    }

    fn told() -> Option<Self> {
        let argument = std::env::args_os().nth(1)?;
        [Self::Cgroup, Self::Subreaper, Self::Inner]
            .into_iter()
            .find(|place| argument == place.argument())
    }
}

/// What `openscope-run` does: wait for one order on descriptor 0 and carry it out.
#[must_use]
pub fn main() -> ExitCode {
    told(Then::Execute)
}

/// The same for a program that does not execute the verb, but is it.
pub(crate) fn main_of(verb: fn() -> io::Result<()>) -> ExitCode {
    told(Then::Do(verb))
}

/// What follows once the runner is the owner.
#[derive(Clone, Copy)]
enum Then {
    Execute,
    Do(fn() -> io::Result<()>),
}

fn told(then: Then) -> ExitCode {
    match (Place::told(), fcntl_dupfd_cloexec(io::stdin(), 3)) {
        (Some(place), Ok(socket)) => serve(place, &socket, then),
        (None, _) | (_, Err(_)) => ExitCode::from(NOT_STARTED),
    }
}

fn serve(place: Place, socket: &OwnedFd, then: Then) -> ExitCode {
    let report = match ordered(place, socket, then) {
        Ok(Done::Itself(status)) => return ExitCode::from(status),
        Ok(Done::Watching(report)) => report,
        Err(fault) => Report::NotStarted(with_causes(&fault)),
    };
    let code = match &report {
        Report::Ended(_) | Report::LookedUp(_) => ExitCode::SUCCESS,
        Report::NotStarted(_) => ExitCode::from(NOT_STARTED),
    };
    // A monitor that is gone needs no report.
    let _ = packet::send_report(socket, &report);
    code
}

/// What a runner has done that executed nothing.
enum Done {
    /// It was the verb, or had no order: its status.
    Itself(u8),
    /// It watched over the verb.
    Watching(Report),
}

fn ordered(place: Place, socket: &OwnedFd, then: Then) -> Result<Done, NotStarted> {
    exec::prepare(place)?;
    let Some(mut received) = packet::receive(socket)? else { return Ok(Done::Itself(0)) };
    if place == Place::Subreaper {
        return contain::watch(socket, received).map(Done::Watching);
    }
    match (then, received.order.file.take()) {
        (Then::Execute, None) => match exec::start(socket, received)? {},
        (Then::Execute, Some(file)) => {
            exec::stay(socket, received)?;
            Ok(Done::Itself(file::carry_out(&file)))
        }
        (Then::Do(verb), _) => {
            exec::stay(socket, received)?;
            exec::step("go on", verb())?;
            Ok(Done::Itself(0))
        }
    }
}

fn with_causes(fault: &dyn std::error::Error) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text.chars().take(MAX_REASON).collect()
}
