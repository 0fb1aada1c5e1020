//! From a permit to a running verb.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use policy::{
    Admitted, Call, Consent, Exec, File, Input, Passport, Permit, Run as How, Ssh, Timestamp, Verb,
};
use rustix::pipe::{PipeFlags, pipe_with};
use wire::call::Ending;
use wire::privsep::{CallRef, ChannelId, RedactBy, ToBroker};
use wire::terminal::Terminal;

use super::Monitor;
use super::beyond::beyond;
use super::calls::{Active, At, Run};
use super::ends::Closed;
use super::leases::Owner;
use super::room::is_note;
use super::services::Service;
use super::spawn::{Ended, Pool, Running};
use super::ssh::{Ready, Remote, ToSsh};
use super::start::chain;
use super::terminal::{self, Pair};
use super::work::Work;
use crate::clock::Instants;
use crate::config::Mode;
use crate::run::{Account, Argument, Attached, FileOrder, Order};

/// Why a verb of another account does not run.
pub(super) const NO_OTHERS: &str =
    "`run_as` takes root's daemon: this one is its owner, and nobody else";

/// A permit and where its output goes, while its record is written.
pub(super) struct Start {
    pub(super) permit: Permit,
    pub(super) run: Run,
    pub(super) at: At,
    pub(super) to: CallRef,
    pub(super) channel: ChannelId,
    pub(super) passport: Arc<Passport>,
    pub(super) asked_at: Timestamp,
    pub(super) output_max: u64,
    pub(super) consents: Vec<Consent>,
    pub(super) head: Vec<u8>,
    /// At what terminal it was asked for.
    pub(super) terminal: Option<Terminal>,
}

/// The broker's ends of a call's pipes. Root neither reads nor writes what goes through them.
struct Ends {
    /// Of a verb that has a terminal, that, and nothing besides.
    stdout: OwnedFd,
    stderr: Option<OwnedFd>,
    stdin: Option<OwnedFd>,
}

impl Ends {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let others = [&self.stderr, &self.stdin].into_iter().flatten();
        std::iter::once(&self.stdout).chain(others).map(AsFd::as_fd).collect()
    }
}

impl Monitor {
    /// Spends the permit. From here the call has a start on record, and gets an end.
    pub(super) fn start_call(&mut self, start: Start) {
        // The record may have taken its time: what has ended meanwhile does not begin.
        let now = Instants::now();
        let Start {
            permit,
            run,
            at,
            to,
            channel,
            passport,
            asked_at,
            output_max,
            consents,
            head,
            terminal,
        } = start;
        let (admitted, _) = permit.spend();
        let Some(share) = self.shares.get(&at.share).filter(|share| share.over.is_none()) else {
            return self.never_started(at, to, asked_at, Ending::Revoked, now);
        };
        let share_now = share.clock.clone().read(now);
        let over = share.lease.deadline.min(share.lease.hard_stop).min(passport.not_after());
        if share_now >= over {
            return self.never_started(at, to, asked_at, Ending::Expired, now);
        }
        let timeout = admitted.verb.timeout.unwrap_or(self.config.limits.verb_timeout);
        let deadline = now.boot.saturating_add(timeout);
        if is_note(&admitted.verb) {
            return self.take_note((at, to), &admitted.call, asked_at, now);
        }
        let owner = share.lease.owner.clone();
        let goes_with = (head, terminal.unwrap_or_default(), output_max);
        let account = self.runs_as(&owner, &admitted.verb);
        let spawned =
            account.and_then(|account| self.spawn((at, run), account, &admitted, goes_with));
        match spawned {
            Ok((work, remote, ends)) => {
                let redact = admitted.verb.redact.iter().map(RedactBy::from).collect();
                let input = admitted.verb.input_for(&admitted.call.arguments);
                let started = ToBroker::Started { call: to, output_max, redact, input };
                self.broker.send(&started, &ends.descriptors());
                let limit = timeout.min(self.until_hard_stop(at.share));
                let beyond = beyond(&admitted.verb, &admitted.call, limit, now.boot);
                let active = Active {
                    at,
                    to: Some(to),
                    channel,
                    call: admitted.call,
                    passport,
                    consents,
                    started: asked_at,
                    deadline,
                    work,
                    remote,
                    beyond,
                    why: None,
                    killed: None,
                    gone: None,
                    drained: None,
                };
                self.calls.add(run, active);
            }
            Err(fault) => {
                tracing::warn!(verb = %admitted.verb.name, %fault, "a verb could not be started");
                self.never_started(at, to, asked_at, Ending::NotStarted(fault.to_string()), now);
            }
        }
    }

    fn spawn(
        &mut self,
        (at, run): (At, Run),
        account: Account,
        Admitted { verb, call, .. }: &Admitted,
        (head, terminal, output_max): (Vec<u8>, Terminal, u64),
    ) -> io::Result<(Work, Option<Remote>, Ends)> {
        match &verb.run {
            How::Exec(exec) => {
                let mut order = exec_order(account, exec, verb, call);
                if exec.input == Input::Terminal {
                    terminal::name(&mut order, &terminal);
                    let (running, ends) = self.start_at(&order, &terminal)?;
                    return Ok((Work::Processes(running), None, ends));
                }
                let (input, given) = stdin(exec.input)?.unzip();
                let (running, ends) = self.start(&order, input)?;
                Ok((Work::Processes(running), None, Ends { stdin: given, ..ends }))
            }
            How::File(file) => {
                let usual = self.config.limits.output_max;
                let bounds = (output_max, verb.output_max.unwrap_or(usual));
                let order = file_order(account, file, (verb, call), bounds)?;
                let (input, given) = stdin(verb.input())?.unzip();
                let (running, ends) = self.start(&order, input)?;
                Ok((Work::Processes(running), None, Ends { stdin: given, ..ends }))
            }
            How::Http(_) | How::Tcp(_) | How::Sql(_) => {
                let (work, ends) = self.ask((at, run), &account, (verb, call), head)?;
                Ok((work, None, ends))
            }
            How::Note => Err(io::Error::other("a note takes no process")),
            How::Ssh(ssh) => self.start_ssh((at, run), &account, (verb, ssh, call), &terminal),
        }
    }

    fn start_ssh(
        &mut self,
        (at, run): (At, Run),
        account: &Account,
        (verb, ssh, call): (&Verb, &Ssh, &Call),
        terminal: &Terminal,
    ) -> io::Result<(Work, Option<Remote>, Ends)> {
        let name = format!("said-{}", run.number());
        let name = (at.share, name.as_str());
        let ready = self.ready_ssh(name, account.clone(), (verb, ssh), &call.arguments)?;
        let Ready { mut order, attached, mut remote, keys } = ready;
        let (running, ends) = match attached {
            ToSsh::Line(input) => self.start(&order, Some(input))?,
            ToSsh::Terminal { stderr } => {
                terminal::name(&mut order, terminal);
                self.start_relay(&order, terminal, stderr)?
            }
        };
        if let Some(route) = ssh.route(&call.arguments) {
            remote.keys = self.attend_ssh(at.share, account, route, (&running, keys));
        }
        Ok((Work::Processes(running), Some(remote), ends))
    }

    fn ask(
        &mut self,
        (at, run): (At, Run),
        account: &Account,
        (verb, call): (&Verb, &Call),
        head: Vec<u8>,
    ) -> io::Result<(Work, Ends)> {
        let service = Service::of(verb).ok_or_else(|| io::Error::other("no service"))?;
        let (stdout, stdout_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (input, given) = stdin(verb.input_for(&call.arguments))?.unzip();
        let theirs = [Some(&stdout_end), Some(&stderr_end), input.as_ref()];
        let theirs: Vec<_> = theirs.into_iter().flatten().map(AsFd::as_fd).collect();
        let asked = (&service, verb, call);
        let work = self.ask_service((at.share, run), account, asked, (head, &theirs))?;
        Ok((work, Ends { stdout, stderr: Some(stderr), stdin: given }))
    }

    fn start(&mut self, order: &Order, input: Option<OwnedFd>) -> io::Result<(Running, Ends)> {
        let (stdout, stdout_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let running = self.start_with(order, (input, stdout_end, stderr_end))?;
        Ok((running, Ends { stdout, stderr: Some(stderr), stdin: None }))
    }

    fn start_at(&mut self, order: &Order, terminal: &Terminal) -> io::Result<(Running, Ends)> {
        let Pair { ours, theirs } = Pair::open(terminal.size)?;
        let streams = (Some(theirs.try_clone()?), theirs.try_clone()?, theirs);
        Ok((self.start_with(order, streams)?, Ends { stdout: ours, stderr: None, stdin: None }))
    }

    /// For ssh, which has what it says itself go elsewhere.
    fn start_relay(
        &mut self,
        order: &Order,
        terminal: &Terminal,
        stderr: OwnedFd,
    ) -> io::Result<(Running, Ends)> {
        let Pair { ours, theirs } = Pair::relayed(terminal.size)?;
        let streams = (Some(theirs.try_clone()?), theirs, stderr);
        Ok((self.start_with(order, streams)?, Ends { stdout: ours, stderr: None, stdin: None }))
    }

    fn start_with(
        &mut self,
        order: &Order,
        (stdin, stdout, stderr): (Option<OwnedFd>, OwnedFd, OwnedFd),
    ) -> io::Result<Running> {
        // What the runner does itself has no program.
        let executed = order.file.is_none().then(|| Path::new(&order.program));
        let program = executed.map(|program| self.judge.program(program)).transpose();
        let program = program.map_err(io::Error::other)?;
        let attached = Attached { stdin, stdout, stderr, program };
        let running = self.runners.start(order, attached);
        let running = running.map_err(|fault| io::Error::other(chain(&fault)))?;
        self.pool = Pool::Short;
        Ok(running)
    }

    /// As whom the verbs of a share run.
    pub(super) fn account(&self, owner: &Owner) -> Account {
        let name = owner.user.clone();
        match self.config.mode {
            Mode::System => Account::Become { uid: owner.uid, name },
            Mode::Rootless => Account::Stay { name, home: self.home.clone() },
        }
    }

    /// As whom this verb of theirs runs.
    fn runs_as(&self, owner: &Owner, verb: &Verb) -> io::Result<Account> {
        match (verb.run.run_as(), self.config.mode) {
            (None, Mode::System | Mode::Rootless) => Ok(self.account(owner)),
            (Some(name), Mode::System) => {
                let keys = self.keys_user.as_ref().map(|keys| keys.uid);
                let never = self.broker.uid().into_iter().chain(keys).collect();
                Ok(Account::Called { name: name.to_string(), never })
            }
            (Some(_), Mode::Rootless) => Err(io::Error::other(NO_OTHERS)),
        }
    }

    /// Does what no process has to: the call is over at once.
    fn take_note(
        &mut self,
        (at, to): (At, CallRef),
        call: &Call,
        started: Timestamp,
        now: Instants,
    ) {
        let ending = self.leave_note(at, call, now);
        self.never_started(at, to, started, ending, now);
    }

    fn never_started(
        &mut self,
        at: At,
        to: CallRef,
        started: Timestamp,
        ending: Ending,
        now: Instants,
    ) {
        let outcome = self.close_call(Closed::unbegun(at, ending, started), now);
        // Its end is recorded, and not yet written: the receipt follows the writing.
        if let Some(outcome) = outcome {
            self.receipts.push(ToBroker::Outcome { call: to, outcome });
        }
    }
}

fn exec_order(account: Account, exec: &Exec, verb: &Verb, call: &Call) -> Order {
    Order {
        account,
        program: exec.program().to_owned(),
        arguments: verb.command(&call.arguments).into_iter().map(Argument::from).collect(),
        environment: exec.environment(&call.arguments),
        directory: exec.dir.clone(),
        confinement: exec.confinement.clone(),
        file: None,
    }
}

fn file_order(
    account: Account,
    file: &File,
    (verb, call): (&Verb, &Call),
    (max, length_max): (u64, u64),
) -> io::Result<Order> {
    let at = file.at(&verb.parameters, &call.arguments);
    let at = at.ok_or_else(|| io::Error::other("no file is named"))?;
    let order = FileOrder { at, ask: file.ask(&call.arguments), max, length_max };
    Ok(Order { file: Some(order), ..Order::of_our_own(account, "openscope-run") })
}

/// The two ends of a standard input, for a verb that takes one.
fn stdin(input: Input) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    input.stdin().map(|_| Ok(pipe_with(PipeFlags::CLOEXEC)?)).transpose()
}

/// How a tree that we did not end has ended.
pub(super) fn ending(ended: &Ended, remote: Option<&Remote>) -> Ending {
    match ended {
        Ended::Exited(status) => match remote.and_then(|remote| remote.lost(*status)) {
            Some(why) => Ending::TargetLost(why),
            None => Ending::Exited(u8::try_from(*status & 0xff).unwrap_or(u8::MAX)),
        },
        Ended::Signaled(signal) => Ending::Signaled(u8::try_from(*signal).unwrap_or(u8::MAX)),
        Ended::NotStarted(why) => Ending::NotStarted(why.clone()),
        Ended::Lost(why) => Ending::TargetLost(why.clone()),
    }
}
