//! The runner as subreaper: it watches over the verb, and ends all that the verb leaves.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, WaitStatus};

use super::Place;
use super::descendants::{Children, Left, kill_all, reap_all};
use super::exec::{NotStarted, step};
use super::order::{Received, Report, Status};
use super::packet::{is_over, reports, send_order, send_report};

/// How long to wait for a killed process before looking again for others.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Has the verb run below this process, and comes back when nothing of it is left. None when the order was taken
/// back before it began.
pub(super) fn watch(socket: &OwnedFd, received: Received) -> Result<Report, NotStarted> {
    let children = step("adopt the verb's orphans", Children::adopt(&[]))?;
    if is_over(socket) {
        return Err(NotStarted::Withdrawn);
    }
    let verb = Verb::start(received)?;
    let ended = step("watch the verb", verb.until_over(socket, &children))?;
    let ended = step("end the verb's processes", verb.end(ended, &children))?;
    Ok(verb.pass_on(socket).unwrap_or(Report::Ended(ended)))
}

/// The runner that becomes the verb, and then the verb.
struct Verb {
    pid: Pid,
    socket: OwnedFd,
}

impl Verb {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "closed here, so that they close with the verb"
    )]
    fn start(received: Received) -> Result<Self, NotStarted> {
        let (socket, theirs) = step("make a socket", pair())?;
        let pid = step("start another runner", spawn(theirs))?;
        send_order(&socket, &received.order, received.known.as_ref(), &received.attached)?;
        Ok(Self { pid, socket })
    }

    /// Hands on what the other runner reported; its last word, if the verb was not started, it hands back.
    fn pass_on(&self, socket: &OwnedFd) -> Option<Report> {
        reports(&self.socket).find(|report| match report {
            Report::LookedUp(_) => {
                // Without it the next runner looks again.
                let _ = send_report(socket, report);
                false
            }
            Report::NotStarted(_) | Report::Ended(_) => true,
        })
    }

    /// Some when the verb has ended, none when the monitor wants it ended.
    fn until_over(&self, socket: &OwnedFd, children: &Children) -> io::Result<Option<Status>> {
        loop {
            if is_over(socket) {
                return Ok(None);
            }
            if let Some(status) = self.reap(children)?.0 {
                return Ok(Some(status));
            }
            let mut both = [
                PollFd::new(socket, PollFlags::RDHUP),
                PollFd::from_borrowed_fd(children.as_fd(), PollFlags::IN),
            ];
            retry_on_intr(|| poll(&mut both, None))?;
        }
    }

    /// Kills until nothing is left, and says how the verb ended.
    fn end(&self, ended: Option<Status>, children: &Children) -> io::Result<Status> {
        let mut ended = ended;
        loop {
            let (status, left) = self.reap(children)?;
            ended = ended.or(status);
            if left == Left::None {
                // Unknown only if somebody else could have waited for it, and nobody can.
                return ended.ok_or_else(|| Errno::CHILD.into());
            }
            kill_all()?;
            children.rest(LOOK_AGAIN)?;
        }
    }

    fn reap(&self, children: &Children) -> io::Result<(Option<Status>, Left)> {
        while children.next_signal()?.is_some() {}
        let mut ended = None;
        let left = reap_all(|pid, status| {
            if pid == self.pid {
                ended = Some(Status::from(status));
            }
        })?;
        Ok((ended, left))
    }
}

impl From<WaitStatus> for Status {
    fn from(status: WaitStatus) -> Self {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signaled(signal.unwrap_or_default()),
        }
    }
}

fn pair() -> rustix::io::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

#[expect(clippy::disallowed_methods, reason = "the runner starts one process, itself, here")]
fn spawn(socket: OwnedFd) -> io::Result<Pid> {
    let child = Command::new("/proc/self/exe")
        .arg0("openscope-run")
        .arg(Place::Inner.argument())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Errno::SRCH.into())
}
