//! The keys' process: it holds keys that an owner must not read, and signs with them what lets one call in at its
//! target, and nothing else. It speaks the agent protocol, so that ssh needs to know nothing of it.
//!
//! It runs as an account of its own. What may ask it is the owner's ssh alone: told by uid, and where calls have cgroups
//! by those.

mod conversation;
mod peer;
mod ring;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use serde::{Deserialize, Serialize};
use wire::privsep::{MAX_PACKET, Packet, receive};

use peer::{Allowed, beside};
use ring::Ring;

/// As what `openscoped` is started for this.
pub(crate) const AS_KEYS: &str = "--as-keys";

/// Conversations at once: ssh to a target, and one for each on the way.
const CONVERSATIONS_MAX: usize = 8;

/// What the keys' process is told, once; the listening socket and the key files come with it, in this sequence. It
/// ends with the socket that this came by.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysOrder {
    /// Who may ask.
    pub(crate) uid: u32,
    /// The name of the cgroup, beside that of this process, in which whoever asks must be; none where calls have none.
    pub(crate) cgroup: Option<String>,
    /// For each key, where it lets in.
    pub(crate) doors: Vec<Door>,
}

/// Where a key lets in: nothing else is signed with it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Door {
    /// The account there.
    pub(crate) user: String,
    /// The keys of which the host must have shown one, as OpenSSH writes them.
    pub(crate) host_keys: Vec<String>,
}

/// What `openscoped --as-keys` does.
#[must_use]
pub(crate) fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // Its standard error is the daemon's log.
            crate::logging::to_stderr();
            tracing::error!(%fault, "held keys cannot be used");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    rustix::thread::set_no_new_privs(true)?;
    let line = rustix::stdio::stdin().try_clone_to_owned()?;
    let mut buffer = vec![0; MAX_PACKET];
    let Some(Packet { message, descriptors }) = receive::<KeysOrder>(&line, &mut buffer)? else {
        return Ok(());
    };
    let KeysOrder { uid, cgroup, doors } = message;
    let mut descriptors = descriptors.into_iter();
    let listener = descriptors.next().ok_or_else(|| io::Error::other("no socket came along"))?;
    let ring = Arc::new(Ring::read(descriptors.collect(), doors)?);
    let cgroup = cgroup.as_deref().map(beside).transpose()?;
    answer(&line, &UnixListener::from(listener), &Allowed { uid, cgroup }, &ring)
}

/// Answers whoever may ask until the line is closed.
fn answer(
    line: &OwnedFd,
    listener: &UnixListener,
    allowed: &Allowed,
    ring: &Arc<Ring>,
) -> io::Result<()> {
    let held = Arc::new(());
    while wait(line, listener)? {
        let (stream, _) = listener.accept()?;
        if Arc::strong_count(&held) > CONVERSATIONS_MAX || !allowed.admits(&stream) {
            continue;
        }
        let (ring, held) = (Arc::clone(ring), Arc::clone(&held));
        thread::spawn(move || {
            // A peer that says what is no request has ended its own conversation.
            let _ = conversation::hold(stream, &ring);
            drop(held);
        });
    }
    Ok(())
}

/// Whether somebody is at the door; if not, it is time to end.
fn wait(line: &OwnedFd, listener: &UnixListener) -> io::Result<bool> {
    let mut both = [
        PollFd::from_borrowed_fd(line.as_fd(), PollFlags::IN),
        PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
    ];
    rustix::io::retry_on_intr(|| poll(&mut both, None))?;
    let [line, door] = both.map(|polled| !polled.revents().is_empty());
    Ok(door && !line)
}
