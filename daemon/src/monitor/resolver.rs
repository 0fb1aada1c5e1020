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
/// Users remembered at once, beside the owners of shares.
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
    /// Whose groups something live depends on: they are not forgotten, whoever else asks.
    needed: BTreeSet<u32>,
}

impl Resolver {
    pub(super) fn new(user: BrokerUser) -> Self {
        let (known, groups, renewing, needed) = Default::default();
        let (worker, dying, buffer) = (None, Vec::new(), Vec::new());
        Self { user, worker, dying, buffer, known, groups, renewing, needed }
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
    pub(super) fn renew(&mut self, needed: BTreeSet<u32>, now: Duration) {
        if self.renewing.values().any(|asked| now.saturating_sub(*asked) >= PATIENCE) {
            self.renewing.clear();
            self.end();
        }
        for uid in needed.iter().copied() {
            let fresh = |(at, _): &(Duration, _)| now.saturating_sub(*at) < GROUPS_FRESH;
            if !self.groups.get(&uid).is_some_and(fresh) && !self.renewing.contains_key(&uid) {
                self.renewing.insert(uid, now);
                self.ask(uid);
            }
        }
        self.needed = needed;
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
            self.renewing.remove(&uid);
            make_room(&mut self.known, uid, &BTreeSet::new());
            make_room(&mut self.groups, uid, &self.needed);
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

/// Forgets the oldest of what is known of those whom nothing depends on, when there are too many of them.
fn make_room<T>(of: &mut BTreeMap<u32, (Duration, T)>, uid: u32, needed: &BTreeSet<u32>) {
    if of.contains_key(&uid) || of.len() < REMEMBERED.saturating_add(needed.len()) {
        return;
    }
    let spare = of.iter().filter(|(uid, _)| !needed.contains(uid));
    if let Some(oldest) = spare.min_by_key(|(_, (at, _))| *at).map(|(uid, _)| *uid) {
        of.remove(&oldest);
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

/// All of them or none: a group that could not be looked up may be one that a rule denies.
fn groups(user: &str, gid: Gid) -> Option<BTreeSet<String>> {
    let groups = getgrouplist(&CString::new(user).ok()?, gid).ok()?;
    names(groups.into_iter().map(Group::from_gid))
}

/// A number without a name is no group that a rule could mean.
fn names(groups: impl Iterator<Item = nix::Result<Option<Group>>>) -> Option<BTreeSet<String>> {
    let groups = groups.collect::<nix::Result<Vec<_>>>().ok()?;
    Some(groups.into_iter().flatten().map(|group| group.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_known_whole_or_not_at_all() {
        let root = || Group::from_gid(Gid::from_raw(0));
        let named = BTreeSet::from(["root".to_owned()]);
        assert_eq!(names([root(), Ok(None)].into_iter()), Some(named));
        assert_eq!(names([root(), Err(Errno::ERANGE)].into_iter()), None);
        assert_eq!(names([root(), Err(Errno::ENOENT)].into_iter()), None);
    }

    #[test]
    fn whoever_asks_as_many_users_pushes_out_nobody_whose_groups_are_needed() {
        let at = |second: u32| Duration::from_secs(second.into());
        let needed = BTreeSet::from([0, 1]);
        let full = u32::try_from(REMEMBERED).unwrap() + 2;
        let mut known: BTreeMap<u32, _> = (0..full).map(|uid| (uid, (at(uid), ()))).collect();
        make_room(&mut known, 5, &needed);
        assert_eq!(known.len(), REMEMBERED + 2, "nobody new comes");
        make_room(&mut known, full, &needed);
        let kept = |uid| known.contains_key(&uid);
        assert_eq!((kept(0), kept(1), kept(2), kept(3)), (true, true, false, true));
    }
}
