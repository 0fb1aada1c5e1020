//! Services that verbs ask: one process for each share and service, as the owner, which carries out the share's calls
//! one beside the other. It ends with the share.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Call, HttpTarget, Policy, Run as How, ShareId, SqlTarget, TargetName, TcpTarget, Verb,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wire::call::Ending;
use wire::privsep::receive;

use super::Monitor;
use super::calls::{Batch, Run};
use super::helpers::{Helper, HelperId, What};
use super::order_line::OrderLine;
use super::spawn::Ended;
use super::start::chain;
use super::work::{Errand, Work};
use crate::clock::Instants;
use crate::reach::{Finish, FromReach, Probed, Served, SqlService, ToReach, What as Asked};
use crate::run::{Account, Attached, Order};

/// Services that one share asks at one time.
const SERVICES_MAX: usize = 16;
/// A caller's header fields are not longer.
const HEAD_MAX: usize = 32 * 1024;
/// What is reported fits: its reasons are cut.
const REPORT_MAX: usize = 4096;
/// Reports of one process that one turn hears: the next turn hears the others.
const REPORTS_PER_TURN: usize = 64;
/// How long a process that asks a service may take to say that it has stopped; then it is ended.
const STOP: Duration = Duration::from_secs(1);

/// A service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Service {
    Http(Arc<HttpTarget>),
    Port(Arc<TcpTarget>),
    Sql(Arc<SqlTarget>),
}

/// The line to a process that asks a service.
pub(super) struct Asking {
    pub(super) service: Service,
    /// Nothing once it has hung up.
    pub(super) line: Option<OrderLine>,
}

impl Service {
    /// What a verb asks, if it asks one.
    pub(super) fn of(verb: &Verb) -> Option<Self> {
        match &verb.run {
            How::Http(http) => Some(Self::Http(Arc::clone(&http.target))),
            How::Tcp(port) => Some(Self::Port(Arc::clone(&port.target))),
            How::Sql(sql) => Some(Self::Sql(Arc::clone(&sql.target))),
            How::Exec(_) | How::Ssh(_) | How::File(_) | How::Note => None,
        }
    }

    pub(super) fn name(&self) -> &TargetName {
        match self {
            Self::Http(target) => &target.name,
            Self::Port(target) => &target.name,
            Self::Sql(target) => &target.name,
        }
    }

    fn served(&self, account: &Account) -> Served {
        match self {
            Self::Http(target) => Served::Http(Box::new((&**target).into())),
            Self::Port(target) => Served::Port((&**target).into()),
            Self::Sql(target) => Served::Sql(Box::new(SqlService::of(target, account.name()))),
        }
    }
}

impl Monitor {
    /// Has a call carried out by the process that asks its service, which is started if there is none.
    pub(super) fn ask_service(
        &mut self,
        (share, run): (ShareId, Run),
        account: &Account,
        (service, verb, call): (&Service, &Verb, &Call),
        (head, pipes): (Vec<u8>, &[BorrowedFd<'_>]),
    ) -> io::Result<Work> {
        if head.len() > HEAD_MAX {
            return Err(io::Error::other("its header fields are too long"));
        }
        let helper = self.asking(share, account, service)?;
        let what = match &verb.run {
            How::Http(http) => {
                let request = http.request(&call.arguments);
                let head = if request.is_reflected { head } else { Vec::new() };
                Asked::Request { request, head, is_masked: !verb.redact.is_empty() }
            }
            How::Sql(sql) => Asked::Query(sql.query(&call.arguments)),
            How::Tcp(_) | How::Exec(_) | How::Ssh(_) | How::File(_) | How::Note => {
                Asked::Connection
            }
        };
        let order = ToReach::Do { errand: run.number(), what: Box::new(what) };
        self.tell_asking(helper, &order, pipes)?;
        Ok(Work::Errand(Errand { helper, ended: None }))
    }

    /// The process that asks a service for a share.
    pub(super) fn asking(
        &mut self,
        share: ShareId,
        account: &Account,
        service: &Service,
    ) -> io::Result<HelperId> {
        let of_share = self.helpers.iter().filter(|(_, helper)| helper.share == share);
        let asking: Vec<(HelperId, &Service)> = of_share
            .filter_map(|(id, helper)| match &helper.what {
                What::Service(asking) if helper.is_wanted() => Some((id, &asking.service)),
                What::Service(_) | What::Connection(_) | What::Keys { .. } => None,
            })
            .collect();
        if let Some((id, _)) = asking.iter().find(|(_, known)| *known == service) {
            return Ok(*id);
        }
        if asking.len() >= SERVICES_MAX {
            return Err(io::Error::other(format!("a share asks at most {SERVICES_MAX} services")));
        }
        self.begin_asking(share, account, service.clone())
    }

    fn begin_asking(
        &mut self,
        share: ShareId,
        account: &Account,
        service: Service,
    ) -> io::Result<HelperId> {
        let files = self.files_of(&service)?;
        let kind = SocketType::SEQPACKET;
        let (line, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        rustix::io::ioctl_fionbio(&line, true)?;
        let line = OrderLine::new(line);
        let sink = || std::fs::File::options().write(true).open("/dev/null").map(OwnedFd::from);
        let (stdout, stderr) = (sink()?, sink()?);
        let attached = Attached { stdin: Some(theirs), stdout, stderr, program: None };
        let running = self
            .runners
            .start_reach(&Order::of_our_own(account.clone(), "openscope-reach"), attached);
        let running = running.map_err(|fault| io::Error::other(chain(&fault)))?;
        let served = ToReach::Serve(service.served(account));
        let descriptors: Vec<_> = files.iter().map(OwnedFd::as_fd).collect();
        let sent = line.say(&served, &descriptors);
        let what = What::Service(Box::new(Asking { service, line: Some(line) }));
        let id = self.helpers.add(Helper::new(share, what, running), Instants::now().boot);
        sent.inspect_err(|_| self.helpers.end(id))?;
        Ok(id)
    }

    /// The files that a service is asked with, opened here since the owner may not: the authorities', the credential's.
    fn files_of(&self, service: &Service) -> io::Result<Vec<OwnedFd>> {
        let (ca, secret) = match service {
            Service::Http(target) => {
                (target.ca.as_ref(), target.credential.as_ref().map(|one| &one.file))
            }
            Service::Sql(target) => target
                .postgres()
                .map_or((None, None), |server| (server.ca(), server.password.as_ref())),
            Service::Port(_) => (None, None),
        };
        let directory = self.config_path.parent().unwrap_or(std::path::Path::new("/"));
        let ca = ca.map(|file| self.judge.file(&directory.join(file.as_str())));
        let credential = secret.map(|file| self.judge.secret_file(&directory.join(file.as_str())));
        let files = [ca, credential].into_iter().flatten();
        files.map(|file| file.map(OwnedFd::from).map_err(io::Error::other)).collect()
    }

    /// Says something to a process that asks a service. One that is gone is ended.
    pub(super) fn tell_asking(
        &self,
        helper: HelperId,
        order: &ToReach,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let gone = || io::Error::other("the process that asks the service is gone");
        let line = self.helpers.line(helper).ok_or_else(gone)?;
        // One that has much to do is not one that is gone: what does not fit is not done.
        let gone = |fault: &io::Error| fault.kind() != io::ErrorKind::WouldBlock;
        let heard = line.say(order, descriptors);
        heard.inspect_err(|fault| {
            if gone(fault) && fault.raw_os_error().is_some() {
                self.helpers.end(helper);
            }
        })
    }

    /// Has an errand stopped; it says so itself, or its process is ended.
    pub(super) fn stop_errand(&self, run: Run, helper: HelperId) {
        let stop = ToReach::Stop { errand: run.number() };
        if self.tell_asking(helper, &stop, &[]).is_err() {
            self.helpers.end(helper);
        }
    }

    /// Ends processes that were told to stop an errand and do not say that they have.
    pub(super) fn end_deaf_services(&self, now: Instants) {
        for active in self.calls.active.values().filter(|active| active.gone.is_none()) {
            let is_late = active.killed.is_some_and(|at| now.boot.saturating_sub(at) >= STOP);
            if let Some(errand) = active.work.errand().filter(|_| is_late) {
                self.helpers.end(errand.helper);
            }
        }
    }

    /// What a process that asks a service has to say.
    pub(super) fn hear_service(&mut self, helper: HelperId, batch: &mut Batch, now: Instants) {
        let mut buffer = [0; REPORT_MAX];
        // That it has hung up is heard below.
        let _gone = self.helpers.line(helper).map(OrderLine::flush);
        for _ in 0..REPORTS_PER_TURN {
            let Some(line) = self.helpers.line(helper) else { return };
            match receive::<FromReach>(line, &mut buffer) {
                Ok(Some(packet)) => match packet.message {
                    FromReach::Done { errand, finish } => {
                        self.errand_done(Run::of(errand), helper, finish, now);
                    }
                    FromReach::Probed(probed) => self.take_probed(helper, probed, batch, now),
                },
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
                Ok(None) | Err(_) => {
                    let away = Probed::Away("the process that asks it ended".to_owned());
                    self.take_probed(helper, away, batch, now);
                    return self.helpers.hang_up(helper);
                }
            }
        }
    }

    fn errand_done(&mut self, run: Run, helper: HelperId, how: Finish, now: Instants) {
        let Some(active) = self.calls.active.get_mut(&run) else { return };
        if let Work::Errand(errand) = &mut active.work
            && errand.helper == helper
        {
            if !matches!(how, Finish::Cut(_)) {
                // It has ended there too, or never began.
                active.beyond = None;
            }
            errand.ended = Some(ended(how));
            self.reap(run, now);
        }
        if self.helpers.is_ending(helper) && !self.is_at_work(helper) {
            self.helpers.end(helper);
        }
    }

    /// Begins the end of helpers. One that is at something in a database ends once that has ended there: the database would
    /// go on with it.
    pub(super) fn end_helpers(&self, meant: impl Fn(&Helper) -> bool) {
        for (id, helper) in self.helpers.iter().filter(|(_, helper)| meant(helper)) {
            let asks_database = match &helper.what {
                What::Service(asking) => matches!(asking.service, Service::Sql(_)),
                What::Connection(_) | What::Keys { .. } => false,
            };
            if asks_database && self.is_at_work(id) {
                self.helpers.dismiss(id);
            } else {
                self.helpers.end(id);
            }
        }
    }

    /// Whether a helper is at an errand.
    fn is_at_work(&self, helper: HelperId) -> bool {
        let at = |errand: &Errand| errand.helper == helper && errand.ended.is_none();
        let running = self.calls.active.values().filter(|active| active.gone.is_none());
        running.filter_map(|active| active.work.errand()).any(at)
    }

    /// A process that asked a service is gone, and with it what it was doing.
    pub(super) fn lose_service(&mut self, helper: HelperId, now: Instants) {
        let of_helper = |work: &Work| work.errand().is_some_and(|errand| errand.helper == helper);
        let lost = self.calls.active.iter().filter(|(_, active)| of_helper(&active.work));
        for run in lost.map(|(run, _)| *run).collect::<Vec<_>>() {
            let why = "the process that asked the service has ended".to_owned();
            self.errand_done(run, helper, Finish::Cut(why), now);
        }
    }

    /// Takes over what policy now says of services: whatever asks by what it said before is ended.
    pub(super) fn take_services(&mut self, policy: &Policy, now: Instants) {
        let known: Vec<Service> =
            policy.catalog().verbs().filter_map(|verb| Service::of(verb)).collect();
        let stands = |what: &What| match what {
            What::Service(asking) => known.contains(&asking.service),
            What::Connection(_) | What::Keys { .. } => true,
        };
        let old: Vec<HelperId> = self
            .helpers
            .iter()
            .filter(|(_, helper)| !stands(&helper.what))
            .map(|(id, _)| id)
            .collect();
        let of_old = |work: &Work| work.errand().is_some_and(|one| old.contains(&one.helper));
        let runs = self.calls.active.iter().filter(|(_, active)| of_old(&active.work));
        for run in runs.map(|(run, _)| *run).collect::<Vec<_>>() {
            self.kill(run, Ending::Withdrawn, now);
        }
        self.end_helpers(|helper| helper.is_wanted() && !stands(&helper.what));
    }
}

fn ended(finish: Finish) -> Ended {
    match finish {
        Finish::Exited(status) => Ended::Exited(status.into()),
        Finish::Lost(why) | Finish::Cut(why) => Ended::Lost(why),
        // Nobody took what it had: what ended the call has said why.
        Finish::Stopped => Ended::Lost("nobody took what the service had to say".to_owned()),
    }
}
