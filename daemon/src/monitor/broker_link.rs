//! The monitor's end of its socket to the broker, and the broker's process.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wire::privsep::{self, Configuration, FromBroker, MAX_PACKET, Packet, ToBroker};

/// Packets that may wait for the broker. One that is this far behind is hung, and is replaced.
const WAITING_MAX: usize = 8 * 1024;
/// The longest pause before a broker that keeps dying is started again.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// A broker that lived this long has not died at once.
const LIVED: Duration = Duration::from_mins(1);

/// As whom the broker runs: nobody else, or the same ordinary user.
#[derive(Clone, Copy, Debug)]
pub(super) enum BrokerUser {
    /// An account of its own; the monitor is root.
    Other {
        /// Its uid.
        uid: u32,
        /// Its gid.
        gid: u32,
    },
    /// Rootless: the sandbox is the whole boundary.
    Same,
}

/// A running broker, or the wait for the next.
pub(super) struct BrokerLink {
    user: BrokerUser,
    state: State,
    backoff: Duration,
    buffer: Vec<u8>,
}

enum State {
    Up { child: Child, socket: OwnedFd, waiting: VecDeque<Waiting>, since: Duration },
    Down { until: Duration },
}

struct Waiting {
    body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What a look at the socket gave.
pub(super) enum Heard {
    /// A message.
    Message(Box<FromBroker>),
    /// Nothing more now.
    Quiet,
    /// The broker is gone, or talks nonsense.
    Gone,
}

impl BrokerLink {
    pub(super) fn new(user: BrokerUser) -> Self {
        let state = State::Down { until: Duration::ZERO };
        Self { user, state, backoff: BACKOFF_MIN, buffer: vec![0; MAX_PACKET] }
    }

    /// The account that is the broker's alone.
    pub(super) fn uid(&self) -> Option<u32> {
        match self.user {
            BrokerUser::Other { uid, .. } => Some(uid),
            BrokerUser::Same => None,
        }
    }

    /// The descriptor to poll, and whether there is something to send.
    pub(super) fn interest(&self) -> Option<(BorrowedFd<'_>, bool)> {
        match &self.state {
            State::Up { socket, waiting, .. } => Some((socket.as_fd(), !waiting.is_empty())),
            State::Down { .. } => None,
        }
    }

    /// When the next broker is to be started, if there is none.
    pub(super) fn due(&self) -> Option<Duration> {
        match self.state {
            State::Up { .. } => None,
            State::Down { until } => Some(until),
        }
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. })
    }

    /// Starts a broker and tells it what it needs to know.
    pub(super) fn start(&mut self, first: Configuration, now: Duration) -> io::Result<()> {
        let (child, socket) = spawn(self.user)?;
        self.state = State::Up { child, socket, waiting: VecDeque::new(), since: now };
        self.send(&ToBroker::Configure(Box::new(first)), &[]);
        Ok(())
    }

    /// Sends `message`, or keeps it until there is room. A broker that is gone is noticed at the next look.
    pub(super) fn send(&mut self, message: &ToBroker, descriptors: &[BorrowedFd<'_>]) {
        let State::Up { child, socket, waiting, .. } = &mut self.state else { return };
        let body = match privsep::encode(message) {
            Ok(body) => body,
            Err(fault) => return tracing::error!(%fault, "a message for the broker is not sent"),
        };
        if waiting.is_empty() {
            match privsep::send_packet(&*socket, &body, descriptors) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Ok(()) => return,
                Err(fault) => return tracing::debug!(%fault, "the broker cannot be told"),
            }
        }
        let copies = descriptors.iter().map(BorrowedFd::try_clone_to_owned).collect();
        match copies {
            Ok(descriptors) if waiting.len() < WAITING_MAX => {
                waiting.push_back(Waiting { body, descriptors });
            }
            Ok(_) | Err(_) => {
                tracing::error!("the broker does not listen; it is replaced");
                child.kill().unwrap_or_default();
            }
        }
    }

    /// Sends what waits, as far as there is room.
    pub(super) fn flush(&mut self) {
        let State::Up { socket, waiting, .. } = &mut self.state else { return };
        while let Some(next) = waiting.front() {
            let descriptors: Vec<_> = next.descriptors.iter().map(AsFd::as_fd).collect();
            match privsep::send_packet(&*socket, &next.body, &descriptors) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                Ok(()) | Err(_) => drop(waiting.pop_front()),
            }
        }
    }

    /// The next message, if there is one.
    pub(super) fn hear(&mut self) -> Heard {
        let State::Up { socket, .. } = &self.state else { return Heard::Quiet };
        match privsep::receive::<FromBroker>(socket, &mut self.buffer) {
            Ok(Some(Packet { message, .. })) => Heard::Message(Box::new(message)),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => Heard::Quiet,
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => Heard::Quiet,
            Ok(None) | Err(_) => Heard::Gone,
        }
    }

    /// Puts an end to the broker that is gone or must go, and sets the time of the next.
    pub(super) fn bury(&mut self, now: Duration) {
        let State::Up { child, since, .. } = &mut self.state else { return };
        child.kill().unwrap_or_default();
        let ended = child.wait();
        tracing::warn!(status = ?ended, "the broker ended; it is started again");
        if now.saturating_sub(*since) > LIVED {
            self.backoff = BACKOFF_MIN;
        }
        self.state = State::Down { until: now.saturating_add(self.backoff) };
        self.backoff = self.backoff.saturating_mul(2).min(BACKOFF_MAX);
    }

    /// Sets the time of the next attempt after one that could not even start.
    pub(super) fn postpone(&mut self, now: Duration) {
        self.state = State::Down { until: now.saturating_add(BACKOFF_MAX) };
    }
}

fn spawn(user: BrokerUser) -> io::Result<(Child, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    for socket in [&ours, &theirs] {
        rustix::net::sockopt::set_socket_send_buffer_size(socket, MAX_PACKET.saturating_mul(8))?;
    }
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a broker")]
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("openscoped")
        .arg("--as-broker")
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::from(theirs));
    for kept in ["RUST_LOG", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        #[expect(clippy::disallowed_methods, reason = "the broker's environment is made here")]
        if let Ok(value) = std::env::var(kept) {
            command.env(kept, value);
        }
    }
    match user {
        // Without `groups` the standard library clears the supplementary groups when it sets a uid as root.
        BrokerUser::Other { uid, gid } => command.gid(gid).uid(uid),
        BrokerUser::Same => command.arg("--rootless"),
    };
    Ok((command.spawn()?, ours))
}
