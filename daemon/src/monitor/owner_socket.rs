//! The owner socket: connections, whose they are, and one request at a time on each.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::PollFlags;
use wire::control::{self, Reply, Request};

use super::failure::unavailable;

/// A connection's number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Caller(u64);

/// Connections that one turn takes: whoever connects in a loop must not keep it from its deadlines.
const ACCEPTED_PER_TURN: usize = 64;
/// Places beyond the limit that only root gets.
const ROOTS_OWN: usize = 4;
/// How long whoever is connected may take to ask, and to read the answer: a command does both at once.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nobody is let in after the machine had no descriptor for it.
const DEAF: Duration = Duration::from_secs(1);

/// Who can connect.
#[derive(Clone, Copy, Debug)]
pub(super) enum OpenTo {
    /// Everybody on this machine.
    All,
    /// The user that the daemon runs as.
    Own,
}

/// The socket and its connections.
pub(super) struct OwnerSocket {
    path: PathBuf,
    listener: UnixListener,
    connections: BTreeMap<Caller, Connection>,
    next: u64,
    limit: usize,
    /// Until when nobody is let in.
    deaf_until: Option<Duration>,
}

struct Connection {
    stream: UnixStream,
    uid: u32,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// It has asked, and waits for the answer.
    busy: bool,
    /// When it was last its turn.
    since: Duration,
}

/// Whose request it is, by the kernel's word.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) caller: Caller,
    pub(super) uid: u32,
    pub(super) request: Request,
}

impl OwnerSocket {
    /// Binds the socket. Whoever can connect is asked of the kernel, and may do what is theirs.
    pub(super) fn bind(path: &Path, open_to: OpenTo, limit: usize) -> io::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path)?;
        let mode = match open_to {
            OpenTo::All => 0o666,
            OpenTo::Own => 0o600,
        };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        listener.set_nonblocking(true)?;
        let connections = BTreeMap::new();
        let (path, deaf_until) = (path.to_owned(), None);
        Ok(Self { path, listener, connections, next: 0, limit, deaf_until })
    }

    /// The descriptor to poll for connections, when some can be taken.
    pub(super) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.deaf_until.is_none().then(|| self.listener.as_fd())
    }

    /// When [`OwnerSocket::tend`] has something to do.
    pub(super) fn due(&self) -> Option<Duration> {
        let idle = self.connections.values().filter(|one| !one.busy);
        idle.map(|one| one.since.saturating_add(PATIENCE)).chain(self.deaf_until).min()
    }

    /// Hangs up on whoever has taken too long.
    pub(super) fn tend(&mut self, now: Duration) {
        self.deaf_until = self.deaf_until.filter(|until| *until > now);
        self.connections.retain(|_, one| one.busy || now.saturating_sub(one.since) < PATIENCE);
    }

    /// Each connection's descriptor, and what it waits for: one that has not had its answer is not read.
    pub(super) fn interests(&self) -> impl Iterator<Item = (Caller, BorrowedFd<'_>, PollFlags)> {
        self.connections.iter().map(|(caller, one)| {
            let wanted = match (one.busy, one.outgoing.is_empty()) {
                (_, false) => PollFlags::OUT,
                (true, true) => PollFlags::empty(),
                (false, true) => PollFlags::IN,
            };
            (*caller, one.stream.as_fd(), wanted)
        })
    }

    /// Takes some of the connections that wait. Over the limits they are closed at once.
    pub(super) fn accept(&mut self, now: Duration) {
        for _ in 0..ACCEPTED_PER_TURN {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                Err(fault) => {
                    tracing::error!(%fault, "no owner can connect");
                    self.deaf_until = Some(now.saturating_add(DEAF));
                    return;
                }
            };
            let Ok(peer) = rustix::net::sockopt::socket_peercred(&stream) else { continue };
            let uid = peer.uid.as_raw();
            if !self.has_room(uid) || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let (incoming, outgoing) = (Vec::new(), Vec::new());
            let connection =
                Connection { stream, uid, incoming, outgoing, busy: false, since: now };
            self.connections.insert(Caller(self.next), connection);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// No user but root may take more than a quarter of the places, and a few are root's alone.
    fn has_room(&self, uid: u32) -> bool {
        if uid == 0 {
            return self.connections.len() < self.limit.saturating_add(ROOTS_OWN);
        }
        let theirs = self.connections.values().filter(|one| one.uid == uid).count();
        self.connections.len() < self.limit && theirs < self.limit.div_ceil(4)
    }

    /// Forgets a connection whose other end is gone.
    pub(super) fn hang_up(&mut self, caller: Caller) {
        self.connections.remove(&caller);
    }

    /// Reads from one connection; a request, when it is whole. A connection that talks nonsense is closed.
    pub(super) fn read(&mut self, caller: Caller) -> Option<Asked> {
        let connection = self.connections.get_mut(&caller)?;
        let Ok(request) = connection.read() else {
            self.connections.remove(&caller);
            return None;
        };
        request.map(|request| Asked { caller, uid: connection.uid, request })
    }

    /// Says something before the answer, for which the caller waits on.
    pub(super) fn tell(&mut self, caller: Caller, word: &Reply, now: Duration) {
        self.reply(caller, word, now);
        if let Some(connection) = self.connections.get_mut(&caller) {
            connection.busy = true;
        }
    }

    /// Whether the caller is still there.
    pub(super) fn is_connected(&self, caller: Caller) -> bool {
        self.connections.contains_key(&caller)
    }

    /// Sends the answer; to nobody when the caller has gone away.
    pub(super) fn reply(&mut self, caller: Caller, reply: &Reply, now: Duration) {
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        connection.busy = false;
        connection.since = now;
        let failed = || {
            let hint = "ask for one thing of it: `share show`, `requests REQUEST`";
            control::encode(&Reply::Failed(unavailable("the answer is too long", hint)))
        };
        match control::encode(reply).or_else(|_| failed()) {
            Ok(bytes) => connection.outgoing.extend_from_slice(&bytes),
            Err(_) => drop(self.connections.remove(&caller)),
        }
        self.write(caller);
    }

    /// Sends what waits for one connection, as far as there is room.
    pub(super) fn write(&mut self, caller: Caller) {
        let Some(connection) = self.connections.get_mut(&caller) else { return };
        match connection.stream.write(&connection.outgoing) {
            Ok(count) => drop(connection.outgoing.drain(..count)),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => drop(self.connections.remove(&caller)),
        }
    }
}

impl Connection {
    fn read(&mut self) -> io::Result<Option<Request>> {
        let mut piece = [0; 16 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.incoming.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(fault) => return Err(fault),
        }
        let request = control::take(&mut self.incoming)?;
        // One request, then its answer: what comes on top of it is nobody's command line.
        if request.is_some() && !self.incoming.is_empty() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.busy = request.is_some();
        Ok(request)
    }
}

impl Drop for OwnerSocket {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap_or_default();
    }
}

/// Removes the socket that an earlier life left, but not one that somebody answers on.
fn remove_stale(path: &Path) -> io::Result<()> {
    if !path.try_exists()? {
        return Ok(());
    }
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another daemon answers there"));
    }
    std::fs::remove_file(path)
}
