//! What runs for a share besides its calls: connections that it keeps, and keys that are held for it. It ends with the
//! share, proven as a call's end is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use policy::{Route, ShareId, TargetName};

use super::order_line::OrderLine;
use super::services::Asking;
use super::spawn::{Ended, Running};
use super::ssh::Bell;

/// One of them.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct HelperId(u64);

/// What it is for.
pub(super) enum What {
    /// It keeps a connection to a target.
    Connection(Box<Kept>),
    /// It asks a service.
    Service(Box<Asking>),
    /// It serves keys to a call, over a socket of this name, as long as this line is open.
    Keys { _bell: Bell, _line: OwnedFd },
}

/// A connection to a target, and the socket by which ssh uses it, which is gone with this.
pub(super) struct Kept {
    pub(super) route: Route,
    pub(super) control: PathBuf,
}

impl Drop for Kept {
    fn drop(&mut self) {
        // One on which nobody listens any more would make ssh complain.
        let _ = super::ssh::forget(&self.control);
    }
}

/// A process of a share's.
pub(super) struct Helper {
    pub(super) share: ShareId,
    pub(super) what: What,
    pub(super) running: Running,
    /// Its end has begun.
    is_ending: Cell<bool>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Helpers {
    all: BTreeMap<HelperId, Helper>,
    last: u64,
    /// When a share last began a connection to a target.
    begun: BTreeMap<(ShareId, TargetName), Duration>,
}

impl Helper {
    pub(super) fn new(share: ShareId, what: What, running: Running) -> Self {
        Self { share, what, running, is_ending: Cell::new(false) }
    }

    /// Whether more may be asked of it.
    pub(super) fn is_wanted(&self) -> bool {
        !self.is_ending.get()
    }

    /// A process of it, to be named.
    fn name(&self, pid: rustix::process::Pid) -> String {
        match &self.what {
            What::Connection(kept) => {
                format!("process {pid} of the connection to {}", kept.route.target.name)
            }
            What::Service(asking) => {
                format!("process {pid}, which asks {}", asking.service.name())
            }
            What::Keys { .. } => format!("process {pid}, which serves keys"),
        }
    }
}

impl Helpers {
    pub(super) fn add(&mut self, helper: Helper, now: Duration) -> HelperId {
        self.last = self.last.wrapping_add(1);
        let id = HelperId(self.last);
        if let What::Connection(kept) = &helper.what {
            self.begun.insert((helper.share, kept.route.target.name.clone()), now);
        }
        self.all.insert(id, helper);
        id
    }

    /// Whether a share may begin a connection to a target: it has none, not too many, and its last there is older.
    pub(super) fn may_connect(
        &self,
        share: ShareId,
        target: &TargetName,
        most: usize,
        older_than: Duration,
    ) -> bool {
        let mut kept = 0;
        for helper in self.all.values().filter(|helper| helper.share == share) {
            match &helper.what {
                What::Connection(kept) if kept.route.target.name == *target => return false,
                What::Connection(_) => kept += 1,
                What::Service(_) | What::Keys { .. } => {}
            }
        }
        let begun = self.begun.get(&(share, target.clone()));
        kept < most && begun.is_none_or(|begun| *begun <= older_than)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (HelperId, &Helper)> {
        self.all.iter().map(|(id, helper)| (*id, helper))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The processes of a share's that are there still, named; none where it has no helper.
    pub(super) fn survivors(&self, share: ShareId) -> Option<Vec<String>> {
        let mut helpers = self.all.values().filter(|helper| helper.share == share).peekable();
        helpers.peek()?;
        let named = |helper: &Helper| {
            let pids = helper.running.survivors();
            pids.into_iter().map(|pid| helper.name(pid)).collect::<Vec<_>>()
        };
        Some(helpers.flat_map(named).collect())
    }

    /// Begins the end of one.
    pub(super) fn end(&self, id: HelperId) {
        self.all.get(&id).into_iter().for_each(kill);
    }

    /// Begins the end of all that are for this.
    pub(super) fn end_where(&self, meant: impl Fn(&What) -> bool) {
        self.all.values().filter(|helper| meant(&helper.what)).for_each(kill);
    }

    /// Asks nothing more of one, which is still at something.
    pub(super) fn dismiss(&self, id: HelperId) {
        self.all.get(&id).into_iter().for_each(|helper| helper.is_ending.set(true));
    }

    /// Whether its end has begun.
    pub(super) fn is_ending(&self, id: HelperId) -> bool {
        self.all.get(&id).is_some_and(|helper| !helper.is_wanted())
    }

    /// Looks at one whose processes have stirred; how it ended, when it has. What is over is forgotten.
    pub(super) fn reap(&mut self, id: HelperId) -> io::Result<Option<Ended>> {
        let Some(helper) = self.all.get_mut(&id) else { return Ok(None) };
        let ended = helper.running.try_reap()?;
        if ended.is_some() {
            self.all.remove(&id);
        }
        Ok(ended)
    }

    /// The line to one that asks a service.
    pub(super) fn line(&self, id: HelperId) -> Option<&OrderLine> {
        match &self.all.get(&id)?.what {
            What::Service(asking) => asking.line.as_ref(),
            What::Connection(_) | What::Keys { .. } => None,
        }
    }

    /// Whose it is.
    pub(super) fn share_of(&self, id: HelperId) -> Option<ShareId> {
        self.all.get(&id).map(|helper| helper.share)
    }

    /// The name of the service that it asks.
    pub(super) fn service_of(&self, id: HelperId) -> Option<String> {
        match &self.all.get(&id)?.what {
            What::Service(asking) => Some(asking.service.name().to_string()),
            What::Connection(_) | What::Keys { .. } => None,
        }
    }

    /// One that asks a service has hung up: it ends, or is ended.
    pub(super) fn hang_up(&mut self, id: HelperId) {
        if let Some(Helper { what: What::Service(asking), .. }) = self.all.get_mut(&id) {
            asking.line = None;
        }
        self.end(id);
    }

    /// A share of which nothing is left.
    pub(super) fn forget(&mut self, share: ShareId) {
        self.begun.retain(|(of, _), _| *of != share);
    }
}

fn kill(helper: &Helper) {
    helper.is_ending.set(true);
    if let Err(fault) = helper.running.kill() {
        tracing::error!(share = %helper.share, %fault, "a share's helper cannot be killed");
    }
}
