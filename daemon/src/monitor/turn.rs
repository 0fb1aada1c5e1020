//! The monitor's one loop. Each turn first ends what must end, then decides what is new, writes the
//! record, and only then acts.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wire::privsep::{FromBroker, Unfit};

use super::Monitor;
use super::audit::{Durability, Event, Said};
use super::broker_link::Heard;
use super::calls::{Batch, Run, Written};
use super::helpers::HelperId;
use super::owner_socket::Caller;
use super::seats::Visitor;
use super::spawn::{Ended, Pool};
use super::start::chain;
use crate::clock::Instants;
use crate::keeper::BEAT_EVERY;
use wire::call::Ending;

/// Messages of the broker that one turn reads: none of them starts anything by itself.
const MESSAGES_PER_TURN: usize = 256;

/// How long nothing must have happened before a runner is parked: starting one takes up to a
/// millisecond, in which a call that comes or ends would wait.
const PARK_WHEN_QUIET: Duration = Duration::from_micros(300);
/// The same while calls run, of which most end within this.
const PARK_WHEN_BUSY: Duration = Duration::from_millis(5);

/// What woke the loop.
#[expect(clippy::struct_excessive_bools, reason = "each is a source of its own")]
#[derive(Default)]
struct Woken {
    listener: bool,
    signals: bool,
    keeper: bool,
    broker: bool,
    resolver: bool,
    callers: Vec<(Caller, PollFlags)>,
    runs: Vec<Run>,
    helpers: Vec<HelperId>,
    services: Vec<HelperId>,
}

impl Woken {
    /// Only time has passed.
    fn is_nothing(&self) -> bool {
        let Self { listener, signals, keeper, broker, resolver, callers, runs, helpers, services } =
            self;
        !(*listener || *signals || *keeper || *broker || *resolver)
            && callers.is_empty()
            && runs.is_empty()
            && helpers.is_empty()
            && services.is_empty()
    }
}

/// Whether there is another turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Going {
    On,
    Stop,
}

impl Monitor {
    /// Turns until told to stop.
    pub(super) fn run(&mut self) -> io::Result<()> {
        while self.turn()? == Going::On {}
        Ok(())
    }

    fn turn(&mut self) -> io::Result<Going> {
        let woken = self.wait()?;
        let idle = woken.is_nothing();
        let now = Instants::now();
        if woken.keeper && self.keeper.is_gone() {
            self.stop("the keeper is gone", now);
            return Ok(Going::Stop);
        }
        if woken.signals && self.take_signals(now) == Going::Stop {
            return Ok(Going::Stop);
        }
        self.end_what_must_end(now);
        self.take_owners(&woken, now);
        let mut batch = Batch::default();
        self.take_broker(&mut batch, now);
        for run in &woken.runs {
            self.reap(*run, now);
        }
        for helper in &woken.services {
            self.hear_service(*helper, &mut batch, now);
        }
        self.reap_helpers(&woken.helpers, now);
        self.finish_calls(&mut batch, now);
        self.serve_consented(&mut batch, now);
        if std::mem::take(&mut self.sync_this_turn) {
            batch.demand_sync();
        }
        self.settle(batch, now);
        self.keep_ends();
        // Whoever waits for an end hears of it only once it is on record.
        self.clear_ended_shares(now);
        self.keep_up(now);
        if idle {
            self.park();
        }
        Ok(Going::On)
    }

    fn reap_helpers(&mut self, stirred: &[HelperId], now: Instants) {
        for id in stirred {
            match self.helpers.reap(*id) {
                Ok(None) => {}
                Ok(Some(ended)) => {
                    if let Ended::NotStarted(why) = ended {
                        tracing::warn!(
                            why,
                            "what runs for a share besides its calls did not begin"
                        );
                    }
                    self.lose_service(*id, now);
                }
                Err(fault) => tracing::error!(%fault, "a share's helper cannot be waited for"),
            }
        }
    }

    fn end_what_must_end(&mut self, now: Instants) {
        self.end_due_shares(now);
        self.end_late_calls(now);
        self.give_up_openings(now);
        self.end_requests(now);
    }

    fn take_owners(&mut self, woken: &Woken, now: Instants) {
        if woken.resolver {
            self.resolver.hear(now.boot);
        }
        self.answer_resolved(now);
        if woken.listener {
            self.owners.accept(now.boot);
        }
        for (caller, ready) in &woken.callers {
            if ready.contains(PollFlags::OUT) {
                self.owners.write(*caller);
            }
            if ready.contains(PollFlags::IN) {
                if let Some(asked) = self.owners.read(*caller) {
                    self.take_request(asked, now);
                }
            } else if ready.intersects(PollFlags::HUP | PollFlags::ERR) {
                self.owners.hang_up(*caller);
            }
        }
    }

    fn take_broker(&mut self, batch: &mut Batch, now: Instants) {
        self.records_lost = false;
        self.broker.flush();
        for _ in 0..MESSAGES_PER_TURN {
            if batch.is_full() {
                return;
            }
            match self.broker.hear() {
                Heard::Message(message) => self.take_message(*message, batch, now),
                Heard::Quiet => return,
                Heard::Gone => {
                    batch.lose_addresses();
                    return self.lose_broker(now);
                }
            }
        }
    }

    fn take_message(&mut self, message: FromBroker, batch: &mut Batch, now: Instants) {
        match message {
            FromBroker::Call { .. } | FromBroker::Ask { .. } | FromBroker::Join { .. }
                if self.going == Going::Stop => {}
            FromBroker::Ready { .. } if self.confined.is_some() => {}
            FromBroker::Ready { landlock, seccomp } => self.broker_ready(landlock, seccomp),
            FromBroker::Admitted { share, failure } => {
                self.take_admitted(share, failure.as_deref(), batch, now);
            }
            FromBroker::Join { channel, share, seat, holder, join } => {
                self.take_join(&Visitor { channel, share, seat, holder }, &join, batch, now);
            }
            FromBroker::Call { channel, call, signed, terminal } => {
                self.take_call((channel, call), &signed, terminal, batch, now);
            }
            FromBroker::Ask { channel, call, signed } => {
                self.take_asking((channel, call), &signed, batch, now);
            }
            FromBroker::Cancel { call } => {
                self.cancel_request(call, now);
                self.end_call(call, Ending::Cancelled, now);
            }
            FromBroker::Overflow { call } => self.cut_call(call, now),
            FromBroker::Unfit { call, why } => {
                let why = match why {
                    Unfit::TooLong => Ending::InputLimit,
                    Unfit::NotText => Ending::BadInput,
                };
                self.end_call(call, why, now);
            }
            FromBroker::Drained { call, stdout, stderr, redactions, given } => {
                let run = self.calls.find(call);
                let active = run.and_then(|run| self.calls.active.get_mut(&run));
                if let Some(active) = active {
                    active.drained = Some(Written { stdout, stderr, redactions, given });
                }
            }
            FromBroker::Told { share, seat, told } => self.take_told(share, seat, told),
            FromBroker::ChannelGone { channel } => self.forget_channel(channel),
            FromBroker::Relay { address, down } => self.take_relay(&address, down),
            FromBroker::Strangers { share, count } => self.count_stranger(share, count),
        }
    }

    fn end_call(&mut self, call: wire::privsep::CallRef, why: Ending, now: Instants) {
        if let Some(run) = self.calls.find(call) {
            self.kill(run, why, now);
        }
    }

    /// Ends a call of whose output not all is passed on. One that had ended by itself by then is no success either.
    fn cut_call(&mut self, call: wire::privsep::CallRef, now: Instants) {
        let run = self.calls.find(call);
        if let Some(active) = run.and_then(|run| self.calls.active.get_mut(&run)) {
            active.why.get_or_insert(Ending::OutputLimit);
        }
        self.end_call(call, Ending::OutputLimit, now);
    }

    /// Starts another broker for one that is gone; what ran for its channels ends.
    fn lose_broker(&mut self, now: Instants) {
        self.broker.bury(now.boot);
        self.confined = None;
        self.note(Event::BrokerRestarted { why: Said::new("its socket closed") }, now);
        self.drop_requests(None, "the broker was started again", now);
        self.calls.lose_addresses();
        for run in self.calls.active.keys().copied().collect::<Vec<_>>() {
            self.kill(run, Ending::Interrupted, now);
        }
        for share in self.shares.values_mut() {
            share.channels.clear();
            for over in share.over.iter_mut().chain(share.leaving.values_mut()) {
                over.told.get_or_insert(wire::control::Told::NoChannel);
            }
        }
        for down in self.relays.values_mut() {
            *down = Some("the broker is being started".to_owned());
        }
    }

    /// What can wait until the turn's answers are out.
    fn keep_up(&mut self, now: Instants) {
        self.broker.flush();
        if self.broker.due().is_some_and(|due| due <= now.boot) {
            self.start_broker(now);
        }
        if self.audit.sync_due().is_some_and(|due| due <= now.boot)
            && let Err(fault) = self.audit.sync()
        {
            tracing::error!(%fault, "the audit log cannot be synced");
        }
        self.report_strangers(now);
        self.owners.tend(now.boot);
        self.resolver.bury();
        self.watch_what_varies(now);
        // What was recorded since the turn was settled does not wait for the next one.
        let durability = if self.cleared.is_empty() { Durability::Soon } else { Durability::Now };
        if self.commit(durability, now).is_ok() {
            self.forget_cleared();
        }
        for receipt in std::mem::take(&mut self.receipts) {
            self.broker.send(&receipt, &[]);
        }
    }

    /// A lease goes only after the record: what an unwritten record would have told of its calls, the next life makes good.
    fn forget_cleared(&mut self) {
        let cleared = std::mem::take(&mut self.cleared);
        if cleared.is_empty() {
            return;
        }
        if let Err(fault) = self.leases.forget(&cleared) {
            tracing::warn!(%fault, "ended leases are still in the store");
        }
    }

    /// Starts a runner that waits for a later call, when there is nothing else to do.
    fn park(&mut self) {
        self.pool = self.runners.refill().unwrap_or_else(|fault| {
            tracing::error!(fault = chain(&fault), "no runner can be parked");
            Pool::Full
        });
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let now = Instants::now();
        if self.beat_due <= now.boot {
            self.keeper.beat();
            self.beat_due = now.boot.saturating_add(BEAT_EVERY);
        }
        let pause = self.pause(now).min(self.beat_due.saturating_sub(now.boot));
        let timeout = match (self.pool, self.calls.active.is_empty()) {
            (Pool::Full, _) => pause,
            (Pool::Short, true) => pause.min(PARK_WHEN_QUIET),
            (Pool::Short, false) => pause.min(PARK_WHEN_BUSY),
        };
        let timeout = Timespec::try_from(timeout).ok();
        let mut polled = Polled::of(self);
        match poll(&mut polled.descriptors, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(polled.woken()),
            Err(fault) => Err(fault.into()),
        }
    }

    /// How long nothing needs to be looked at.
    fn pause(&self, now: Instants) -> Duration {
        let due = [
            self.broker.due(),
            self.audit.sync_due(),
            self.resolver_due(),
            self.owners.due(),
            self.openings.values().map(super::open::Opening::until).min(),
            self.strangers_due(),
            self.requests_due(),
        ];
        let soonest = due.into_iter().flatten().map(|due| due.saturating_sub(now.boot)).min();
        let deadline = self.next_deadline(now);
        // Poll counts in whole milliseconds: one more, so that what is due then is due.
        soonest.map_or(deadline, |soonest| soonest.min(deadline)) + Duration::from_millis(1)
    }

    fn take_signals(&mut self, now: Instants) -> Going {
        while let Ok(Some(signal)) = self.signals.read_signal() {
            let number = i32::try_from(signal.ssi_signo).unwrap_or_default();
            match Signal::try_from(number) {
                Ok(Signal::SIGHUP) => {
                    let _unheard = self.reload(None, now);
                }
                Ok(Signal::SIGTERM | Signal::SIGINT) => {
                    self.stop("told to", now);
                    return Going::Stop;
                }
                _ => {}
            }
        }
        Going::On
    }

    /// Ends every call, and puts that on record. Shares live on: the next start resumes them.
    fn stop(&mut self, why: &str, now: Instants) {
        self.going = Going::Stop;
        for run in self.calls.active.keys().copied().collect::<Vec<_>>() {
            self.kill(run, Ending::Interrupted, now);
        }
        let until = now.boot.saturating_add(self.config.limits.kill_wait);
        self.helpers.end_where(|_any| true);
        while !(self.calls.active.is_empty() && self.helpers.is_empty())
            && Instants::now().boot < until
        {
            let now = Instants::now();
            let helpers: Vec<HelperId> = self.helpers.iter().map(|(id, _)| id).collect();
            let mut unheard = Batch::default();
            for helper in &helpers {
                self.hear_service(*helper, &mut unheard, now);
            }
            self.reap_helpers(&helpers, now);
            for run in self.calls.active.keys().copied().collect::<Vec<_>>() {
                self.reap(run, now);
            }
            self.take_broker(&mut unheard, now);
            self.finish_calls(&mut unheard, now);
            self.settle(unheard, now);
            self.owners.tend(now.boot);
            if self.wait().is_err() {
                break;
            }
        }
        let now = Instants::now();
        self.note(Event::DaemonStopped { why: Said::new(why) }, now);
        let _told = self.commit(Durability::Now, now);
    }
}

/// The descriptors of one wait, and what each is.
struct Polled<'a> {
    descriptors: Vec<PollFd<'a>>,
    meanings: Vec<Meaning>,
}

enum Meaning {
    Listener,
    Signals,
    Keeper,
    Broker,
    Resolver,
    Caller(Caller),
    Run(Run),
    Helper(HelperId),
    Service(HelperId),
}

impl<'a> Polled<'a> {
    fn of(monitor: &'a Monitor) -> Self {
        let mut polled = Self { descriptors: Vec::new(), meanings: Vec::new() };
        let read = PollFlags::IN;
        let owners = &monitor.owners;
        if let Some(listener) = owners.listener().filter(|_| monitor.going == Going::On) {
            polled.add(Meaning::Listener, PollFd::from_borrowed_fd(listener, read));
        }
        polled.add(Meaning::Signals, PollFd::from_borrowed_fd(monitor.signals.as_fd(), read));
        if monitor.going == Going::On {
            let keeper = PollFd::from_borrowed_fd(monitor.keeper.as_fd(), read);
            polled.add(Meaning::Keeper, keeper);
        }
        if let Some((socket, full)) = monitor.broker.interest() {
            polled.add(Meaning::Broker, PollFd::from_borrowed_fd(socket, flags(full)));
        }
        if let Some(socket) = monitor.resolver.interest() {
            polled.add(Meaning::Resolver, PollFd::from_borrowed_fd(socket, read));
        }
        let callers = owners.interests().filter(|_| monitor.going == Going::On);
        for (caller, socket, wanted) in callers {
            polled.add(Meaning::Caller(caller), PollFd::from_borrowed_fd(socket, wanted));
        }
        for (run, active) in monitor.calls.active.iter().filter(|(_, a)| a.gone.is_none()) {
            if let Some(wakes) = active.work.wakes() {
                polled.add(Meaning::Run(*run), wakes);
            }
        }
        for (id, helper) in monitor.helpers.iter() {
            polled.add(Meaning::Helper(id), helper.running.wakes());
            if let Some(line) = monitor.helpers.line(id) {
                let wanted = line.interest();
                polled.add(Meaning::Service(id), PollFd::from_borrowed_fd(line.as_fd(), wanted));
            }
        }
        polled
    }

    fn add(&mut self, meaning: Meaning, descriptor: PollFd<'a>) {
        self.meanings.push(meaning);
        self.descriptors.push(descriptor);
    }

    fn woken(self) -> Woken {
        let mut woken = Woken::default();
        for (descriptor, meaning) in self.descriptors.iter().zip(self.meanings) {
            let ready = descriptor.revents();
            if ready.is_empty() {
                continue;
            }
            match meaning {
                Meaning::Listener => woken.listener = true,
                Meaning::Signals => woken.signals = true,
                Meaning::Keeper => woken.keeper = true,
                Meaning::Broker => woken.broker = true,
                Meaning::Resolver => woken.resolver = true,
                Meaning::Caller(caller) => woken.callers.push((caller, ready)),
                Meaning::Run(run) => woken.runs.push(run),
                Meaning::Helper(id) => woken.helpers.push(id),
                Meaning::Service(id) => woken.services.push(id),
            }
        }
        woken
    }
}

fn flags(full: bool) -> PollFlags {
    if full { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN }
}
