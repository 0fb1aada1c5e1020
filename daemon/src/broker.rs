//! The broker: no account of note, no file, no program; it alone parses what comes from the network.
//!
//! It keeps a leg on every relay (`legs`), answers whoever comes through one (`channels`), and carries calls up to the
//! monitor and their output down (`calls`). It decides nothing: whoever takes it over can read, drop, delay and falsify
//! what flows in live channels, and start nothing (P9).

mod calls;
mod cap;
mod channels;
mod farewell;
mod legs;
mod lock;
mod monitor;
mod openings;
mod privilege;
mod sandbox;
mod shares;
mod strangers;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use relay::leg::{Dialer, LegKey, Trust};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};
use rustix::stdio::{dup2_stdin, stdin};
use tokio_util::task::TaskTracker;
use wire::channel::{ChannelFault, Limits, ResetKey, ServerEndpoint};
use wire::privsep::{self, Configuration, FromBroker, Packet, RedactRules, ToBroker};

use calls::{Calls, Scratch};
use channels::Channels;
use legs::{DIAL_LIMIT, Legs};
use lock::lock;
use monitor::Monitor;
use openings::Openings;
use privilege::{Account, StillPrivileged, leave_signals_to_the_monitor, renounce};
use sandbox::{Confinement, confine};
use shares::Shares;
use strangers::Strangers;

use crate::redact::Known;

/// Before a seat is given, one stream: what a stranger sends is held for as long as they may be slow.
const STRANGERS_CALLS: u32 = 0;

/// What a broker dies of. The monitor starts another.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the broker does not run with another's rights")]
    Privilege(#[from] StillPrivileged),
    #[error("descriptor 0 is not the monitor's socket")]
    Socket(#[source] io::Error),
    #[error("the monitor did not say how to run")]
    Unconfigured,
    #[error("the channels cannot be set up")]
    Channels(#[from] ChannelFault),
    #[error("the rules of what a secret looks like cannot be read")]
    Rules(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot start the runtime")]
    Runtime(#[source] io::Error),
}

/// Runs the broker on the monitor's socket, which is descriptor 0, until the monitor is gone.
#[must_use]
pub fn main() -> ExitCode {
    log_to_stderr();
    let rootless = std::env::args_os().any(|argument| argument == "--rootless");
    match start(if rootless { Account::Users } else { Account::Own }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let cause = std::error::Error::source(&failure).map(ToString::to_string);
            tracing::error!(cause, "{failure}");
            ExitCode::FAILURE
        }
    }
}

fn start(account: Account) -> Result<(), Failure> {
    renounce(account)?;
    leave_signals_to_the_monitor()?;
    let socket = take_socket().map_err(Failure::Socket)?;
    let configuration = first_message(&socket)?;
    let trust = trust(&configuration);
    let confinement = confine();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(Failure::Runtime)?;
    let served = runtime.block_on(serve(socket, configuration, trust, confinement));
    // A name that is being resolved may hang for long; the monitor is gone, and nobody waits for it.
    runtime.shutdown_background();
    served
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // The monitor may have set one up already, in tests.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}

/// Moves the socket off descriptor 0, where a library might read it as standard input.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = fcntl_dupfd_cloexec(stdin(), 3)?;
    let null = open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    dup2_stdin(&null)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

fn first_message(socket: &OwnedFd) -> Result<Configuration, Failure> {
    let mut buffer = monitor::buffer();
    let mut ready = [PollFd::new(socket, PollFlags::IN)];
    retry_on_intr(|| poll(&mut ready, None)).map_err(|e| Failure::Socket(e.into()))?;
    let packet = privsep::receive(socket, &mut buffer).map_err(Failure::Socket)?;
    match packet {
        Some(Packet { message: ToBroker::Configure(configuration), .. }) => Ok(*configuration),
        Some(_) | None => Err(Failure::Unconfigured),
    }
}

/// The machine's certificate authorities, read now or never: they are files.
fn trust(configuration: &Configuration) -> Trust {
    if configuration.relays.iter().all(|relay| relay.address.contains('#')) {
        return Trust::pins_only();
    }
    Trust::native().unwrap_or_else(|fault| {
        tracing::warn!(%fault, "only relays with a pin can be dialled");
        Trust::pins_only()
    })
}

async fn serve(
    socket: OwnedFd,
    configuration: Configuration,
    trust: Trust,
    Confinement { landlock, seccomp }: Confinement,
) -> Result<(), Failure> {
    let monitor = Monitor::new(socket).map_err(Failure::Socket)?;
    monitor.say(&FromBroker::Ready { landlock, seccomp });
    let rules = Known::built_in().map_err(Failure::Rules)?;
    let broker = Broker::new(monitor, rules, &configuration)?;
    let dialer = Dialer::new(trust, DIAL_LIMIT);
    broker.keep_legs(&configuration.relays, &dialer, LegKey::from_seed(configuration.leg_key));
    let strangers = broker.clone();
    broker.tasks.spawn(async move { strangers.strangers.tell(&strangers.monitor).await });
    let guests = broker.clone();
    broker.tasks.spawn(async move { guests.receive_guests().await });
    tokio::select! {
        biased;
        heard = broker.obey() => heard.map_err(Failure::Socket),
        fault = broker.monitor.deliver() => Err(Failure::Socket(fault)),
    }
}

/// What all of the broker's tasks share.
#[derive(Clone)]
struct Broker(Arc<Shared>);

struct Shared {
    monitor: Monitor,
    endpoint: ServerEndpoint,
    legs: Legs,
    shares: Mutex<Shares>,
    openings: Mutex<Openings>,
    channels: Mutex<Channels>,
    calls: Mutex<Calls>,
    scratch: Mutex<Scratch>,
    /// What secrets look like.
    rules: Mutex<Known>,
    strangers: Strangers,
    bounds: Bounds,
    tasks: TaskTracker,
}

/// What the configuration bounds.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    calls_in_flight: u32,
    grace: Duration,
    channels_per_seat: usize,
}

impl std::ops::Deref for Broker {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Broker {
    fn new(
        monitor: Monitor,
        rules: Known,
        configuration: &Configuration,
    ) -> Result<Self, ChannelFault> {
        let reset = ResetKey::from_seed(configuration.reset_key);
        let shared = Shared {
            monitor,
            endpoint: ServerEndpoint::new(&reset, Limits::daemon(STRANGERS_CALLS))?,
            legs: Legs::new(&configuration.relays),
            shares: Mutex::default(),
            openings: Mutex::default(),
            channels: Mutex::default(),
            calls: Mutex::default(),
            scratch: Mutex::default(),
            rules: Mutex::new(rules),
            strangers: Strangers::default(),
            bounds: Bounds {
                calls_in_flight: configuration.calls_in_flight,
                grace: Duration::from_millis(configuration.grace_ms),
                channels_per_seat: usize::try_from(configuration.channels_per_seat).unwrap_or(1),
            },
            tasks: TaskTracker::new(),
        };
        Ok(Self(Arc::new(shared)))
    }

    /// Does what the monitor says, until it is gone.
    async fn obey(&self) -> io::Result<()> {
        let mut buffer = monitor::buffer();
        while let Some(packet) = self.monitor.hear(&mut buffer).await? {
            self.take(packet);
        }
        Ok(())
    }

    fn learn(&self, rules: &RedactRules) {
        if let Err(fault) = lock(&self.rules).learn(rules) {
            tracing::error!(%fault, "the catalog's redaction rules cannot be used; what they are for is not passed on");
        }
    }

    fn take(&self, Packet { message, descriptors }: Packet<ToBroker>) {
        match message {
            ToBroker::Configure(_) => tracing::error!("the monitor configures twice; ignored"),
            ToBroker::Admit(admission) => {
                let gone = lock(&self.shares).admit(&admission);
                self.legs.unregister(&gone);
                self.open(admission.share);
            }
            ToBroker::Retire { share, seat, end } => self.retire(share, seat, &end),
            ToBroker::Joined { channel, joined } => self.seated(channel, joined),
            ToBroker::NotJoined { channel, refusal } => self.refused(channel, refusal),
            ToBroker::Update { channel, update } => self.update(channel, *update),
            ToBroker::Noted { channel, note } => self.noted(channel, note),
            ToBroker::Rules(rules) => self.learn(&rules),
            ToBroker::Started { call, output_max, redact, input } => {
                let Some(rules) = lock(&self.rules).chosen(&redact) else {
                    // What cannot be looked through is not passed on.
                    return tracing::error!("the monitor names rules that it has not told");
                };
                lock(&self.calls).started(call, descriptors, (output_max, rules), input);
            }
            ToBroker::Pending { call, request } => lock(&self.calls).pending(call, request),
            ToBroker::Granted { call } => lock(&self.calls).granted(call),
            ToBroker::Refused { call, refusal } => lock(&self.calls).refused(call, refusal),
            ToBroker::Exited { call } => lock(&self.calls).exited(call),
            ToBroker::Outcome { call, outcome } => lock(&self.calls).ended(call, outcome),
            ToBroker::Reattach { from, to } => lock(&self.calls).reattach(from, to),
        }
    }
}
