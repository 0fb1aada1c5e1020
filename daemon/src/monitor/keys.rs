//! Keys that are held for owners: opened here, unread, and handed to a process of another account that serves them.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use policy::{Route, ShareId, SshTarget};
use rustix::fs::{Mode as Bits, OFlags};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wire::privsep::send;

use super::Monitor;
use super::helpers::{Helper, HelperId, What};
use super::ssh::Bell;
use super::start::chain;
use crate::clock::Instants;
use crate::config::held_key;
use crate::keys::{AS_KEYS, Door, KeysOrder};
use crate::run::{Account, Argument, Attached, Order};

/// The account as which held keys are served.
#[derive(Clone, Debug)]
pub(super) struct KeysUser {
    pub(super) uid: u32,
    pub(super) name: String,
}

/// The keys that a way to a target takes, and the socket at which they will be served.
pub(super) struct Keys {
    bell: Bell,
    listener: UnixListener,
    files: Vec<OwnedFd>,
    doors: Vec<Door>,
}

impl Keys {
    /// The socket's name.
    pub(super) fn bell(&self) -> &Path {
        self.bell.path()
    }
}

impl Monitor {
    /// The keys that are held for this way, if any are.
    pub(super) fn keys_of(&self, route: &Route, account: &Account) -> io::Result<Option<Keys>> {
        let directory = self.config_path.parent().unwrap_or(Path::new("/"));
        let name = account.name();
        let (mut files, mut doors) = (Vec::new(), Vec::new());
        for target in route.jumps.iter().chain([&route.target]) {
            let Some(path) = held_key(directory, target) else { continue };
            files.push(self.judge.secret_file(&path).map_err(io::Error::other)?.into());
            doors.push(door(target, name));
        }
        if files.is_empty() {
            return Ok(None);
        }
        let (bell, listener) = self.directory.agent()?;
        Ok(Some(Keys { bell, listener, files, doors }))
    }

    /// Has keys served to the processes in one call's cgroup, as long as the helper is not ended.
    pub(super) fn serve_keys(
        &mut self,
        share: ShareId,
        owner: &Account,
        Keys { bell, listener, files, doors }: Keys,
        cgroup: Option<String>,
    ) -> io::Result<HelperId> {
        let Account::Become { uid, .. } = owner else { return Err(no_account()) };
        let told = KeysOrder { uid: *uid, cgroup, doors };
        let kind = SocketType::SEQPACKET;
        let (line, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        let running = self.runners.start(&self.keys_order()?, attached(theirs)?);
        let running = running.map_err(|fault| io::Error::other(chain(&fault)))?;
        let descriptors: Vec<_> =
            std::iter::once(listener.as_fd()).chain(files.iter().map(OwnedFd::as_fd)).collect();
        let sent = send(&line, &told, &descriptors);
        let what = What::Keys { _bell: bell, _line: line };
        let id = self.helpers.add(Helper::new(share, what, running), Instants::now().boot);
        sent.inspect_err(|_| self.helpers.end(id))?;
        Ok(id)
    }

    fn keys_order(&self) -> io::Result<Order> {
        let KeysUser { uid, name } = self.keys_user.clone().ok_or_else(no_account)?;
        let program = std::env::current_exe()?.display().to_string();
        Ok(Order {
            arguments: ["openscoped", AS_KEYS].map(|word| Argument::Text(word.to_owned())).to_vec(),
            ..Order::of_our_own(Account::Become { uid, name }, &program)
        })
    }
}

fn no_account() -> io::Error {
    io::Error::other("held keys need an account of their own: see `keys_user` in openscoped.toml")
}

/// An account that the target does not name is the owner's own.
fn door(target: &SshTarget, owner: &str) -> Door {
    Door {
        user: target.user.as_ref().map_or(owner, |user| user.as_str()).to_owned(),
        host_keys: target.host_keys.iter().map(ToString::to_string).collect(),
    }
}

/// What it has to say, it says to the daemon's log.
fn attached(stdin: OwnedFd) -> io::Result<Attached> {
    let sink = std::fs::File::options().write(true).open("/dev/null")?;
    let own = rustix::fs::open("/proc/self/exe", OFlags::PATH | OFlags::CLOEXEC, Bits::empty())?;
    Ok(Attached {
        stdin: Some(stdin),
        stdout: sink.into(),
        stderr: rustix::stdio::stderr().try_clone_to_owned()?,
        program: Some(own),
    })
}
