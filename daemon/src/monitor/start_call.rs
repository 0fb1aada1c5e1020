//! From a permit to a running verb.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use policy::{Admitted, Call, Consent, Exec, Input, Passport, Permit, Run as How, Timestamp, Verb};
use rustix::pipe::{PipeFlags, pipe_with};
use wire::call::Ending;
use wire::privsep::{CallRef, ChannelId, RedactBy, ToBroker};

use super::Monitor;
use super::calls::{Active, At, Run, Written};
use super::share::Share;
use super::spawn::{Ended, Pool, Running};
use super::ssh::{Ready, Remote};
use super::start::chain;
use crate::clock::Instants;
use crate::config::Mode;
use crate::run::{Account, Argument, Attached, Order};

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
}

/// The broker's ends of a call's pipes. Root neither reads nor writes what goes through them.
struct Ends {
    stdout: OwnedFd,
    stderr: OwnedFd,
    stdin: Option<OwnedFd>,
}

impl Ends {
    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let outputs = [self.stdout.as_fd(), self.stderr.as_fd()];
        outputs.into_iter().chain(self.stdin.as_ref().map(AsFd::as_fd)).collect()
    }
}

impl Monitor {
    /// Spends the permit. From here the call has a start on record, and gets an end.
    pub(super) fn start_call(&mut self, start: Start) {
        // The record may have taken its time: what has ended meanwhile does not begin.
        let now = Instants::now();
        let Start { permit, run, at, to, channel, passport, asked_at, output_max, consents } =
            start;
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
        let account = self.account(share);
        match self.spawn(at, account, &admitted) {
            Ok((running, remote, ends)) => {
                let redact = admitted.verb.redact.iter().map(RedactBy::from).collect();
                let input = admitted.verb.input();
                let started = ToBroker::Started { call: to, output_max, redact, input };
                self.broker.send(&started, &ends.descriptors());
                let active = Active {
                    at,
                    to: Some(to),
                    channel,
                    call: admitted.call,
                    passport,
                    consents,
                    started: asked_at,
                    deadline,
                    running,
                    remote,
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
        at: At,
        account: Account,
        Admitted { verb, call, .. }: &Admitted,
    ) -> io::Result<(Running, Option<Remote>, Ends)> {
        let ssh = match &verb.run {
            How::Exec(exec) => {
                let order = exec_order(account, exec, verb, call);
                let (input, given) = stdin(exec.input)?.unzip();
                let (running, ends) = self.start(&order, input)?;
                return Ok((running, None, Ends { stdin: given, ..ends }));
            }
            How::Ssh(ssh) => ssh,
        };
        let name = (at.share, at.id.to_string());
        let ready =
            self.ready_ssh((name.0, &name.1), account.clone(), (verb, ssh), &call.arguments)?;
        let Ready { order, input, mut remote, keys } = ready;
        let (running, ends) = self.start(&order, Some(input))?;
        if let Some(route) = ssh.route(&call.arguments) {
            remote.keys = self.attend_ssh(at.share, &account, route, (&running, keys));
        }
        Ok((running, Some(remote), ends))
    }

    fn start(&mut self, order: &Order, input: Option<OwnedFd>) -> io::Result<(Running, Ends)> {
        let descriptor = self.judge.program(Path::new(&order.program)).map_err(io::Error::other)?;
        let (stdout, stdout_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let (stderr, stderr_end) = pipe_with(PipeFlags::CLOEXEC)?;
        let attached = Attached {
            stdin: input,
            stdout: stdout_end,
            stderr: stderr_end,
            program: Some(descriptor),
        };
        let running = self.runners.start(order, attached);
        let running = running.map_err(|fault| io::Error::other(chain(&fault)))?;
        self.pool = Pool::Short;
        Ok((running, Ends { stdout, stderr, stdin: None }))
    }

    fn account(&self, share: &Share) -> Account {
        let name = share.lease.owner.user.clone();
        match self.config.mode {
            Mode::System => Account::Become { uid: share.lease.owner.uid, name },
            Mode::Rootless => Account::Stay { name, home: self.home.clone() },
        }
    }

    fn never_started(
        &mut self,
        at: At,
        to: CallRef,
        started: Timestamp,
        ending: Ending,
        now: Instants,
    ) {
        let outcome = self.close_call(at, ending, Some(Written::default()), started, now);
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
    }
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
    }
}
