//! Verbs on other hosts: the system's ssh, told by root's targets and by nobody else.
//!
//! The first call of a share to a target also starts one ssh that keeps a connection open there, as the owner, until the
//! share ends; later calls go through it. A call that finds none connects by itself.

mod config;
mod directory;
mod keep;
mod words;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::{
    Arguments, Confinement, Input, NetworkAccess, ProcessLimits, Route, ShareId, Ssh, SystemCalls,
    TargetName, TotalLimits, Verb,
};
use rustix::pipe::{PipeFlags, pipe_with};

use super::Monitor;
use super::helpers::HelperId;
use super::keys::Keys;
use super::spawn::Running;
use crate::clock::Instants;
use crate::config::SSH;
use crate::run::{Account, Argument, Order};

pub(super) use directory::{Bell, Directory, forget};
use words::Words;

/// Calls that go through a connection that is kept: sshd, by default, has ten sessions on each.
const SESSIONS_MAX: usize = 8;

/// What a call on a target leaves behind it, until it is over.
#[derive(Debug)]
pub(super) struct Remote {
    /// As policy had it when the call began.
    pub(super) route: Route,
    /// Where ssh says what went wrong, if anything did.
    said: PathBuf,
    /// The other end of its input, where it has no terminal: what watches it there ends with this.
    line: Option<OwnedFd>,
    /// What it says aloud, where it has one.
    words: Option<Words>,
    /// The process that serves its keys.
    pub(super) keys: Option<HelperId>,
}

impl Remote {
    /// Why the target was lost, when that is how it ended: with ssh's own status for it, which a program there may have
    /// as well, and a reason, which only ssh gives.
    pub(super) fn lost(&self, status: i32) -> Option<String> {
        if status != 255 {
            return None;
        }
        let aloud = self.words.as_ref().map_or("", Words::heard);
        let said = directory::said(&self.said) + aloud;
        config::reason(&said).map(str::to_owned)
    }

    /// Whether it was lost after it had begun there, as far as ssh tells.
    pub(super) fn was_cut(&self, status: i32) -> bool {
        self.lost(status).is_some_and(|reason| config::is_cut(&reason))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        drop(self.line.take());
        // What is left goes with its share's directory.
        let _ = directory::forget(&self.said);
    }
}

/// An order for ssh, and what has to be there while it is carried out.
pub(super) struct Ready {
    pub(super) order: Order,
    pub(super) attached: ToSsh,
    pub(super) remote: Remote,
    pub(super) keys: Option<Keys>,
}

/// What ssh gets that runs a verb.
pub(super) enum ToSsh {
    /// An input, of which nothing comes but its end.
    Line(OwnedFd),
    /// A terminal, and this for what it says itself.
    Terminal { stderr: OwnedFd },
}

impl Monitor {
    /// What a call takes, before anything of it is started. `name` is the call's own.
    pub(super) fn ready_ssh(
        &self,
        (share, name): (ShareId, &str),
        account: Account,
        (verb, ssh): (&Verb, &Ssh),
        arguments: &Arguments,
    ) -> io::Result<Ready> {
        let route = ssh.route(arguments).ok_or_else(|| io::Error::other("no such target"))?;
        let target = &route.target.name;
        let timeout = verb.timeout.unwrap_or(self.config.limits.verb_timeout);
        let timeout = timeout.min(self.until_hard_stop(share)).as_secs();
        let place = self.share_place(share, &account)?;
        let said = place.join(name);
        let control = control(&place, target);
        let control = control.filter(|_| self.sessions(share, target) < SESSIONS_MAX);
        let control = control.filter(|_| !keep::is_held(route));
        let keys = self.keys_of(route, &account)?;
        let mut words = self.ssh_words(target, control.as_deref(), ssh.input);
        words.extend(["-E".to_owned(), said.display().to_string(), "--".to_owned()]);
        words.extend([target.to_string(), ssh.line(arguments, timeout)]);
        let order = ssh_order(account, words, keys.as_ref(), SystemCalls::from(verb.effect));
        let (attached, line, words) = to_ssh(ssh.input)?;
        let remote = Remote { route: route.clone(), said, line, words, keys: None };
        Ok(Ready { order, attached, remote, keys })
    }

    /// Once a call runs: the keys that it needs, and a connection for those after it.
    pub(super) fn attend_ssh(
        &mut self,
        share: ShareId,
        account: &Account,
        route: &Route,
        (running, keys): (&Running, Option<Keys>),
    ) -> Option<HelperId> {
        let keys = keys.and_then(|keys| {
            let place = self.runners.place(running);
            let served = place.and_then(|place| self.serve_keys(share, account, keys, place));
            served.map_err(|fault| tracing::error!(%fault, "held keys cannot be used")).ok()
        });
        if let Err(fault) = self.keep_connection(share, account, route) {
            let target = &route.target.name;
            tracing::warn!(%fault, %target, "no connection is kept for later calls");
        }
        keys
    }

    /// How many calls of a share are on a target now.
    fn sessions(&self, share: ShareId, target: &TargetName) -> usize {
        let calls = self.calls.active.values().filter(|active| active.at.share == share);
        let there = calls.filter_map(|active| active.remote.as_ref());
        there.filter(|remote| remote.route.target.name == *target).count()
    }

    /// How long a share can last, whatever its owner does.
    pub(super) fn until_hard_stop(&self, share: ShareId) -> Duration {
        let Some(share) = self.shares.get(&share) else { return Duration::ZERO };
        share.lease.hard_stop.since(share.clock.clone().read(Instants::now()))
    }

    /// Where ssh makes its sockets for a share.
    fn share_place(&self, share: ShareId, account: &Account) -> io::Result<PathBuf> {
        let owner = match account {
            Account::Become { uid, .. } => Some(*uid),
            Account::Called { .. } | Account::Stay { .. } => None,
        };
        self.directory.of_share(share, owner)
    }

    /// How every ssh to a target begins.
    fn ssh_words(&self, target: &TargetName, control: Option<&Path>, input: Input) -> Vec<String> {
        let terminal = match input {
            Input::Terminal => "-tt",
            Input::Nothing | Input::Stdin(_) => "-T",
        };
        let config = self.directory.config(target).display().to_string();
        let control = control.map_or("none".to_owned(), |path| path.display().to_string());
        [SSH, "-F", &config, "-S", &control, terminal].map(str::to_owned).to_vec()
    }
}

/// What it gets, and our ends of that.
fn to_ssh(input: Input) -> io::Result<(ToSsh, Option<OwnedFd>, Option<Words>)> {
    if input == Input::Terminal {
        let (words, stderr) = Words::new()?;
        return Ok((ToSsh::Terminal { stderr }, None, Some(words)));
    }
    let (input, line) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((ToSsh::Line(input), Some(line), None))
}

fn ssh_order(
    account: Account,
    words: Vec<String>,
    keys: Option<&Keys>,
    system_calls: SystemCalls,
) -> Order {
    let bell = keys.map(|keys| keys.bell().display().to_string());
    Order {
        account,
        program: SSH.to_owned(),
        arguments: words.into_iter().map(Argument::Text).collect(),
        environment: bell.map(|bell| ("SSH_AUTH_SOCK".to_owned(), bell)).into_iter().collect(),
        directory: None,
        confinement: Confinement {
            limits: ProcessLimits::default(),
            total: TotalLimits::default(),
            reach: None,
            system_calls,
            network: NetworkAccess::default(),
        },
        file: None,
    }
}

/// The socket of the connection that a share keeps to a target, unless its path would be too long.
fn control(place: &Path, target: &TargetName) -> Option<PathBuf> {
    directory::socket(place.join(format!("to-{target}")))
}
