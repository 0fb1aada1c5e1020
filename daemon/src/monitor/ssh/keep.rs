//! Connections that a share keeps to its targets, so that a call there costs no login.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use policy::{Identity, Input, Policy, Route, ShareId, SystemCalls};
use wire::call::Ending;

use super::config::along;
use super::{control, ssh_order};
use crate::clock::Instants;
use crate::config::SSH;
use crate::monitor::Monitor;
use crate::monitor::helpers::{Helper, Kept, What};
use crate::monitor::start::chain;
use crate::run::{Account, Attached};

/// Connections that one share keeps open at once; calls to further targets connect each by itself.
const CONNECTIONS_MAX: usize = 8;
/// How soon after the last another may be tried: a target that is down is not asked with every call.
const AGAIN: Duration = Duration::from_secs(5);

impl Monitor {
    /// Has a connection kept to a target until its share is over, if there is none. Not where keys are held: the owner
    /// could do by it whatever the keys let in for.
    pub(super) fn keep_connection(
        &mut self,
        share: ShareId,
        account: &Account,
        route: &Route,
    ) -> io::Result<()> {
        let target = &route.target.name;
        if is_held(route) {
            return Ok(());
        }
        let Some(control) = control(&self.share_place(share, account)?, target) else {
            return Ok(());
        };
        let now = Instants::now().boot;
        if !self.helpers.may_connect(share, target, CONNECTIONS_MAX, now.saturating_sub(AGAIN)) {
            return Ok(());
        }
        let mut words = self.ssh_words(target, Some(&control), Input::Nothing);
        words.extend(["-M", "-N", "-E", "/dev/null", "--", target.as_str()].map(str::to_owned));
        let order = ssh_order(account.clone(), words, None, SystemCalls::Read);
        let running = self.runners.start(&order, self.silent()?);
        let running = running.map_err(|fault| io::Error::other(chain(&fault)))?;
        let what = What::Connection(Box::new(Kept { route: route.clone(), control }));
        self.helpers.add(Helper::new(share, what, running), now);
        Ok(())
    }

    /// What a program gets that has nothing to read or to say.
    fn silent(&self) -> io::Result<Attached> {
        let sink = || std::fs::File::options().write(true).open("/dev/null").map(OwnedFd::from);
        let program = self.judge.program(Path::new(SSH)).map_err(io::Error::other)?;
        Ok(Attached { stdin: None, stdout: sink()?, stderr: sink()?, program: Some(program) })
    }

    /// Takes over what policy now says of targets: the files for ssh, and an end to calls and to connections that are kept
    /// by what it said before.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub(in crate::monitor) fn take_targets(&mut self, policy: &Policy) -> io::Result<()> {
        self.directory.write_targets(policy.ssh_routes())?;
        let stands = |route: &Route| policy.ssh_routes().any(|known| known == route);
        self.helpers
            .end_where(|what| matches!(what, What::Connection(kept) if !stands(&kept.route)));
        let elsewhere = self.calls.active.iter().filter(|(_, active)| {
            active.remote.as_ref().is_some_and(|remote| !stands(&remote.route))
        });
        for run in elsewhere.map(|(run, _)| *run).collect::<Vec<_>>() {
            self.kill(run, Ending::Withdrawn, Instants::now());
        }
        Ok(())
    }
}

/// Whether the owner may not read a key that this way takes.
pub(super) fn is_held(route: &Route) -> bool {
    along(route).any(|target| matches!(target.identity, Identity::Held(_)))
}
