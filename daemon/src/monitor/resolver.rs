//! Who an owner is: names and groups, asked of a worker, because the name service may sit on a
//! network that hangs, and the monitor must not hang with it. Late means no.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, getgrouplist};
use policy::Groups;
use serde::{Deserialize, Serialize};
use wire::control;

use super::broker_link::BrokerUser;

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer is believed.
const FRESH: Duration = Duration::from_secs(30);
/// How long nothing more is asked of a name service that has reported a fault.
const AFTER_A_FAULT: Duration = Duration::from_secs(1);
/// Workers that may hang at once: after these nothing more is asked until one of them is gone.
const DYING_MAX: usize = 8;
/// Users remembered at once.
const REMEMBERED: usize = 1024;
/// How old what is known of the groups of a live share's owner becomes before they are asked for anew.
const GROUPS_FRESH: Duration = Duration::from_secs(10);
/// How long it counts when nothing newer is to be had; after that nobody knows.
const GROUPS_OLD: Duration = Duration::from_secs(90);

/// An OS user as the name service knows them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Person {
    /// The number, which is the identity.
    pub(super) uid: u32,
    /// The login name.
    pub(super) user: String,
    /// The groups they are in, by name.
    pub(super) groups: BTreeSet<String>,
}

/// What the name service says of a number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Known {
    /// It is somebody's.
    Person(Person),
    /// It is nobody's.
    Nameless,
    /// It could not say.
    Unavailable,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    uid: u32,
    known: Known,
}

/// The monitor's side.
pub(super) struct Resolver {
    user: BrokerUser,
    worker: Option<(Child, UnixStream)>,
    /// Workers that were killed, and may hang in the kernel still.
    dying: Vec<Child>,
    buffer: Vec<u8>,
    known: BTreeMap<u32, (Duration, Known)>,
    /// The groups of each, and since when they are known.
    groups: BTreeMap<u32, (Duration, BTreeSet<String>)>,
    /// Whose groups were asked for anew, and when.
    renewing: BTreeMap<u32, Duration>,
}

impl Resolver {
    pub(super) fn new(user: BrokerUser) -> Self {
        let (known, groups, renewing) = Default::default();
        Self { user, worker: None, dying: Vec::new(), buffer: Vec::new(), known, groups, renewing }
    }

    /// The groups that a user is in.
    pub(super) fn groups(&self, uid: u32, now: Duration) -> Groups {
        match self.groups.get(&uid) {
            Some((at, groups)) if now.saturating_sub(*at) < GROUPS_OLD => {
                Groups::Known(groups.clone())
            }
            Some(_) | None => Groups::Unknown,
        }
    }

    /// Asks for the groups of these users again where they are not known of late. A worker that leaves
    /// such a question unanswered is ended.
    pub(super) fn renew(&mut self, uids: impl Iterator<Item = u32>, now: Duration) {
        if self.renewing.values().any(|asked| now.saturating_sub(*asked) >= PATIENCE) {
            self.renewing.clear();
            self.end();
        }
        for uid in uids.collect::<BTreeSet<_>>() {
            let fresh = |(at, _): &(Duration, _)| now.saturating_sub(*at) < GROUPS_FRESH;
            if !self.groups.get(&uid).is_some_and(fresh) && !self.renewing.contains_key(&uid) {
                self.renewing.insert(uid, now);
                self.ask(uid);
            }
        }
    }

    /// What is known of `uid`, if it is fresh.
    pub(super) fn known(&self, uid: u32, now: Duration) -> Option<Known> {
        let (at, known) = self.known.get(&uid)?;
        let fresh = match known {
            Known::Person(_) | Known::Nameless => FRESH,
            Known::Unavailable => AFTER_A_FAULT,
        };
        (now.saturating_sub(*at) < fresh).then(|| known.clone())
    }

    /// Asks the worker; the answer comes with [`Resolver::hear`].
    pub(super) fn ask(&mut self, uid: u32) {
        let asked = self.worker().and_then(|socket| socket.write_all(&uid.to_be_bytes()));
        if let Err(fault) = asked {
            tracing::warn!(%fault, "names cannot be looked up");
            self.end();
        }
    }

    pub(super) fn interest(&self) -> Option<BorrowedFd<'_>> {
        self.worker.as_ref().map(|(_, socket)| socket.as_fd())
    }

    /// Takes the answers that have come.
    pub(super) fn hear(&mut self, now: Duration) {
        let Some((_, socket)) = &mut self.worker else { return };
        let mut piece = [0; 4096];
        match socket.read(&mut piece) {
            Ok(0) => return self.end(),
            Ok(count) => self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default()),
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => return self.end(),
        }
        while let Ok(Some(Answer { uid, known })) = control::take(&mut self.buffer) {
            if self.known.len() >= REMEMBERED {
                self.known.clear();
                self.groups.clear();
            }
            self.renewing.remove(&uid);
            match &known {
                Known::Person(person) => {
                    drop(self.groups.insert(uid, (now, person.groups.clone())));
                }
                Known::Nameless => drop(self.groups.remove(&uid)),
                Known::Unavailable => {}
            }
            self.known.insert(uid, (now, known));
        }
    }

    /// Ends a worker that is late or broken; the next question starts another.
    pub(super) fn end(&mut self) {
        self.buffer.clear();
        if let Some((mut child, _)) = self.worker.take() {
            child.kill().unwrap_or_default();
            self.dying.push(child);
        }
        self.bury();
    }

    /// Reaps the workers that have died meanwhile. Waits for none.
    pub(super) fn bury(&mut self) {
        self.dying.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    fn worker(&mut self) -> io::Result<&mut UnixStream> {
        if self.worker.is_none() {
            if self.dying.len() >= DYING_MAX {
                return Err(io::Error::other("the earlier ones hang in the kernel"));
            }
            self.worker = Some(spawn(self.user)?);
        }
        let worker = self.worker.as_mut().map(|(_, socket)| socket);
        worker.ok_or_else(|| io::Error::other("no worker"))
    }
}

/// As the broker's account: what parses the name service's answers needs no rights either.
fn spawn(user: BrokerUser) -> io::Result<(Child, UnixStream)> {
    let (ours, theirs) = UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    #[expect(clippy::disallowed_methods, reason = "the one place that starts a resolver")]
    let mut command = Command::new("/proc/self/exe");
    command.arg0("openscoped").arg("--as-resolver").env_clear().current_dir("/");
    if let BrokerUser::Other { uid, gid } = user {
        command.gid(gid).uid(uid);
    }
    let child = command.stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
    Ok((child, ours))
}

/// The worker: reads numbers on descriptor 0, answers there, ends with it.
#[must_use]
pub fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn serve() -> io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    let socket = rustix::stdio::stdin().try_clone_to_owned()?;
    let mut socket = UnixStream::from(socket);
    let mut number = [0; 4];
    while socket.read_exact(&mut number).is_ok() {
        let uid = u32::from_be_bytes(number);
        control::write(&mut socket, &Answer { uid, known: look_up(uid) })?;
    }
    Ok(())
}

fn look_up(uid: u32) -> Known {
    match User::from_uid(Uid::from_raw(uid)) {
        Ok(Some(user)) => groups(&user.name, user.gid).map_or(Known::Unavailable, |groups| {
            Known::Person(Person { uid, user: user.name, groups })
        }),
        // Name services say so in several ways: see getpwuid(3).
        Ok(None) | Err(Errno::ENOENT | Errno::ESRCH) => Known::Nameless,
        Err(_) => Known::Unavailable,
    }
}

fn groups(user: &str, gid: Gid) -> Option<BTreeSet<String>> {
    let groups = getgrouplist(&CString::new(user).ok()?, gid).ok()?;
    Some(groups.into_iter().filter_map(|gid| Some(Group::from_gid(gid).ok()??.name)).collect())
}
