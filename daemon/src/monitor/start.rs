//! Start-up: a list, read from top to bottom. What cannot be done ends it, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Uid, User};
use rustix::fs::Mode as Bits;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

use super::Monitor;
use super::audit::{Audit, Durability, Event, Hex};
use super::broker_link::{BrokerLink, BrokerUser};
use super::calls::Calls;
use super::cgroup::{self, Instance, Undead};
use super::consents::Consents;
use super::contacts::OwnContacts;
use super::helpers::Helpers;
use super::identity::Identity;
use super::keys::KeysUser;
use super::leases::Leases;
use super::owner_socket::{OpenTo, OwnerSocket};
use super::resolver::Resolver;
use super::resume::{self, Resumed};
use super::spawn::{Containment, Pool, RunnerProgram, Runners};
use super::ssh::Directory;
use super::turn::Going;
use crate::clock::{BootId, Instants};
use crate::config::{self, Arguments, Config, Kill, Loaded, Mode};
use crate::keeper::{CONFIGURATION, KeeperLine};
use crate::strict::{Above, Judge};

/// Why the monitor does not start.
enum StartFault {
    /// The configuration is wrong: another start would not mend it.
    Configuration(String),
    /// The machine is; it may be better next time.
    Machine(Box<dyn Error>),
}

impl<E: Error + 'static> From<E> for StartFault {
    fn from(fault: E) -> Self {
        Self::Machine(Box::new(fault))
    }
}

/// What `openscoped --as-monitor` does.
#[must_use]
pub fn main() -> ExitCode {
    crate::logging::to_stderr();
    let fault = match start() {
        Ok(mut monitor) => match monitor.run() {
            Ok(()) => return ExitCode::SUCCESS,
            Err(fault) => StartFault::Machine(Box::new(fault)),
        },
        Err(fault) => fault,
    };
    match fault {
        StartFault::Configuration(faults) => {
            tracing::error!("the configuration is refused:\n{faults}");
            ExitCode::from(CONFIGURATION)
        }
        StartFault::Machine(fault) => {
            tracing::error!("openscoped cannot go on: {}", chain(fault.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn start() -> Result<Monitor, StartFault> {
    let keeper = KeeperLine::take()?;
    let signals = signals()?;
    forbid_dumps()?;
    rustix::process::umask(Bits::from_raw_mode(0o077));
    raise_descriptors();
    let arguments = Arguments::parse_from(
        std::env::args_os().filter(|argument| argument != crate::keeper::AS_MONITOR),
    );
    let config_path = arguments.path();
    let loaded = config::load(&config_path, arguments.mode()).map_err(|faults| all(&faults))?;
    let Loaded { config, policy, redact, contacts, warnings, .. } = loaded;
    config
        .mode
        .fits(rustix::process::geteuid().as_raw())
        .map_err(|fault| StartFault::Configuration(fault.to_string()))?;
    let judge = judge(&config);
    make_directory(&config.state, 0o700)?;
    judge.directory(&config.state)?;
    let identity = Identity::load_or_create(&config.state, &judge)?;
    let now = Instants::now();
    let boot = BootId::read()?;
    let Earlier { audit, leases, containment, resumed } =
        go_on(&config, &identity, &keeper, &boot, now)?;
    let Resumed { shares, over, .. } = resumed;
    let (run, reach) = runners(&arguments, &judge)?;
    let runners = Runners::new(run, containment, config.limits.parked_runners).with_reach(reach);
    if let Some(parent) = config.socket.parent() {
        make_directory(parent, 0o755)?;
    }
    let open_to = match config.mode {
        Mode::System => OpenTo::All,
        Mode::Rootless => OpenTo::Own,
    };
    let owners = OwnerSocket::bind(&config.socket, open_to, config.limits.owner_connections)?;
    let directory = Directory::open(&config.socket)?;
    directory.write_targets(policy.ssh_routes())?;
    let keys_user = keys_user(&config)?;
    let own_contacts = OwnContacts::new(&config.state, config.limits.contacts_per_owner);
    let broker_user = broker_user(&config)?;
    let broker = BrokerLink::new(broker_user);
    let relays = config
        .relays
        .iter()
        .map(|relay| (relay.address.to_string(), Some("not yet dialled".to_owned())))
        .collect();
    tracing::info!(name = %config.name, shares = shares.len(), "openscoped is up");
    let mut monitor = Monitor {
        keeper,
        beat_due: Duration::ZERO,
        signals,
        config_path,
        config,
        config_warnings: warnings,
        policy,
        redact,
        contacts,
        own_contacts,
        identity,
        audit,
        leases,
        runners,
        judge,
        directory,
        keys_user,
        helpers: Helpers::default(),
        home: home(),
        boot,
        broker,
        confined: None,
        relays,
        resolver: Resolver::new(broker_user),
        owners,
        unresolved: Vec::new(),
        shares,
        openings: BTreeMap::new(),
        calls: Calls::default(),
        waiters: Vec::new(),
        tripped: BTreeSet::new(),
        strangers: BTreeMap::new(),
        strangers_since: None,
        unkept_ends: Vec::new(),
        cleared: over,
        receipts: Vec::new(),
        askers: BTreeMap::new(),
        watched: None,
        consents: Consents::default(),
        sync_this_turn: false,
        records_lost: false,
        going: Going::On,
        pool: Pool::Short,
    };
    monitor.check_recipients(None, now);
    Ok(monitor)
}

/// What goes on from an earlier life.
struct Earlier {
    audit: Audit,
    leases: Leases,
    containment: Containment,
    resumed: Resumed,
}

/// Ends what an earlier life left running, takes up its shares, and puts that on record.
fn go_on(
    config: &Config,
    identity: &Identity,
    keeper: &KeeperLine,
    boot: &BootId,
    now: Instants,
) -> Result<Earlier, StartFault> {
    let (mut audit, _) = Audit::open(&config.state, identity.signing_key().clone(), now)?;
    let (containment, undead) = containment(config, keeper)?;
    if !undead.is_empty() {
        tracing::error!(?undead, "processes of earlier calls were killed and do not die");
    }
    let mut leases = Leases::open(&config.state)?;
    let resumed = resume::resume(&mut leases, &mut audit, config, boot, now)?;
    let interrupted = resumed.interrupted;
    let started = Event::DaemonStarted {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: boot.clone(),
        mode: mode(config).to_owned(),
        key: Hex(identity.public_key().to_bytes()),
        resumed: u32::try_from(resumed.shares.len()).unwrap_or(u32::MAX),
        interrupted,
        undead: undead.iter().map(|pid| pid.as_raw_pid()).collect(),
    };
    if let Err(fault) = audit.record(started, now).and_then(|()| audit.commit(Durability::Now, now))
    {
        tracing::error!(%fault, "nothing can be recorded: no verb runs until it can");
    }
    if interrupted > 0 {
        tracing::warn!(interrupted, "calls were running when the daemon went down");
    }
    Ok(Earlier { audit, leases, containment, resumed })
}

fn all(faults: &[config::ConfigFault]) -> StartFault {
    let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
    StartFault::Configuration(said.join("\n"))
}

pub(super) fn chain(fault: &dyn Error) -> String {
    let mut said = fault.to_string();
    let mut cause = fault.source();
    while let Some(next) = cause {
        said = format!("{said}: {next}");
        cause = next.source();
    }
    said
}

fn signals() -> io::Result<SignalFd> {
    let mut wanted = SigSet::empty();
    for signal in [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT] {
        wanted.add(signal);
    }
    wanted.thread_block()?;
    Ok(SignalFd::with_flags(&wanted, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?)
}

/// The daemon's keys are in this memory: no core file, and no reading by others of the same user.
fn forbid_dumps() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    Ok(())
}

/// Each running call holds a few descriptors: the soft limit of most service managers would be
/// reached by a few hundred. The runner gives verbs limits of their own.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(fault) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%fault, "the limit of open descriptors cannot be raised");
    }
}

fn judge(config: &Config) -> Judge {
    Judge::of_process(match config.mode {
        Mode::System => Above::Refuse,
        Mode::Rootless => Above::AllowSticky,
    })
}

fn mode(config: &Config) -> &'static str {
    match config.mode {
        Mode::System => "system",
        Mode::Rootless => "rootless",
    }
}

fn make_directory(path: &Path, bits: u32) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    std::fs::DirBuilder::new().recursive(true).mode(bits).create(path)?;
    // The umask has narrowed it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits))
}

/// Where calls are held; what an earlier life left there is killed before this returns.
fn containment(config: &Config, keeper: &KeeperLine) -> Result<(Containment, Undead), StartFault> {
    match config.kill {
        Kill::Cgroup => {
            let (instance, undead) = Instance::open(&config.state)?;
            keeper.tell_instance(instance.path())?;
            Ok((Containment::Cgroup(instance), undead))
        }
        Kill::Subreaper => Ok((Containment::Subreaper, cgroup::end_recorded(&config.state)?)),
    }
}

/// `openscope-run` and `openscope-reach`: the files beside this program, or descriptors that were handed down. A verb
/// that needs the latter says so where there is none.
fn runners(
    arguments: &Arguments,
    judge: &Judge,
) -> Result<(RunnerProgram, Option<RunnerProgram>), StartFault> {
    if let Some(run) = arguments.runner_fd {
        let run = inherited(run)?;
        let reach = arguments.reach_fd.map(inherited).transpose()?;
        // The numbers themselves came over an exec, and must not go over another.
        close_fds::set_fds_cloexec(3, &[]);
        return Ok((run, reach));
    }
    let own = std::env::current_exe()?;
    let reach = own.with_file_name("openscope-reach");
    let reach = reach.exists().then(|| judge.program(&reach)).transpose()?;
    let run = judge.program(&own.with_file_name("openscope-run"))?;
    Ok((RunnerProgram::new(run), reach.map(RunnerProgram::new)))
}

fn inherited(number: i32) -> Result<RunnerProgram, StartFault> {
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{number}");
    let program = rustix::fs::open(path, flags, Bits::empty()).map_err(io::Error::from)?;
    Ok(RunnerProgram::new(program))
}

fn broker_user(config: &Config) -> Result<BrokerUser, StartFault> {
    if config.mode == Mode::Rootless {
        return Ok(BrokerUser::Same);
    }
    let name = &config.broker_user;
    let wrong = |what: &str| {
        StartFault::Configuration(format!(
            "`broker_user = \"{name}\"` {what}\n   = run `useradd --system --no-create-home --shell /usr/sbin/nologin {name}`"
        ))
    };
    let user = User::from_name(name)?.ok_or_else(|| wrong("names no account of this machine"))?;
    if user.uid.is_root() || user.gid.as_raw() == 0 {
        return Err(wrong("is root: the broker must not be"));
    }
    Ok(BrokerUser::Other { uid: user.uid.as_raw(), gid: user.gid.as_raw() })
}

/// The account that serves held keys; a target that needs it says so when it is called, where there is none.
fn keys_user(config: &Config) -> Result<Option<KeysUser>, StartFault> {
    if config.mode == Mode::Rootless {
        return Ok(None);
    }
    let user = User::from_name(&config.keys_user)?;
    let user = user.filter(|user| !user.uid.is_root() && user.name != config.broker_user);
    Ok(user.map(|user| KeysUser { uid: user.uid.as_raw(), name: user.name }))
}

/// Where rootless verbs start: the user's home, by the system's word.
fn home() -> String {
    let user = User::from_uid(Uid::effective()).ok().flatten();
    user.map_or_else(|| "/".to_owned(), |user| user.dir.display().to_string())
}
