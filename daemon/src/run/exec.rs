//! The list of what is done between an order and the verb.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::fcntl::AtFlags;
use nix::sys::signal::SigSet;
use nix::unistd::{execve, execveat};
use policy::{Confinement, NetworkAccess};
use rustix::fs::{Mode, fstat, stat};
use rustix::io::write;
use rustix::process::{
    DumpableBehavior, Resource, Signal, chdir, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit, setsid, umask,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::{CapabilitySet, set_name, set_no_new_privs};
use thiserror::Error;

use super::limits::{self, exactly};
use super::network::{self, NetworkFault};
use super::opened::{self, OpenFault};
use super::order::{Argument, Attached, Order, Received, Report};
use super::owner::{Owner, OwnerFault};
use super::packet::{PacketFault, is_over, send_report};
use super::reach::{self, Given, ReachFault};
use super::system_calls::{Filter, FilterFault, make_ready};
use super::{MAX_GROUPS, Place, shed, terminal};

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LANG: &str = "C.UTF-8";
/// What logins commonly have: nobody but the owner writes.
const UMASK: Mode = Mode::from_raw_mode(0o022);

/// Why the verb was not started.
#[derive(Debug, Error)]
pub(super) enum NotStarted {
    #[error(transparent)]
    Packet(#[from] PacketFault),
    #[error(transparent)]
    Owner(#[from] OwnerFault),
    #[error("cannot {0}")]
    Step(&'static str, #[source] io::Error),
    #[error("cannot enter the directory `{0}`")]
    Directory(String, #[source] io::Error),
    #[error("cannot execute `{0}`")]
    Execute(String, #[source] io::Error),
    #[error("an argument or a variable contains a NUL byte")]
    Nul,
    #[error(transparent)]
    Open(#[from] OpenFault),
    #[error(transparent)]
    Reach(#[from] ReachFault),
    #[error(transparent)]
    Network(#[from] NetworkFault),
    #[error(transparent)]
    Filter(#[from] FilterFault),
    #[error("{0}")]
    NoFilter(&'static FilterFault),
    /// The monitor went away, or took its order back.
    #[error("it was ended before it began")]
    Withdrawn,
}

pub(super) fn step<T>(
    what: &'static str,
    result: Result<T, impl Into<io::Error>>,
) -> Result<T, NotStarted> {
    result.map_err(|fault| NotStarted::Step(what, fault.into()))
}

/// What can be done before there is an order.
pub(super) fn prepare(place: Place) -> Result<(), NotStarted> {
    step("forbid tracing", set_dumpable_behavior(DumpableBehavior::NotDumpable))?;
    step("forbid core dumps", setrlimit(Resource::Core, exactly(0)))?;
    step("name itself", set_name(c"openscope-run"))?;
    make_ready();
    match place {
        // It starts another runner, which needs what is given up below.
        Place::Subreaper => Ok(()),
        Place::Inner => give_up(),
        Place::Cgroup => enter_leaf().and_then(|()| give_up()),
    }
}

/// Moves into the cgroup whose `cgroup.procs` is descriptor 1. The runner does so itself because a move waits
/// for the kernel's other processors (19 ms measured), for which the monitor has no time.
fn enter_leaf() -> Result<(), NotStarted> {
    step("enter its cgroup", write(io::stdout(), b"0"))?;
    Ok(())
}

fn give_up() -> Result<(), NotStarted> {
    step("have no input", no_input())?;
    step("reset signals", shed::pipe_signal())?;
    step("unblock signals", SigSet::empty().thread_set_mask())?;
    step("begin a session", setsid())?;
    step("forbid new privileges", set_no_new_privs(true))?;
    umask(UMASK);
    step("empty the bounding set", shed::bounding_set(CapabilitySet::empty()))
}

/// The socket has another number by now.
fn no_input() -> io::Result<()> {
    Ok(dup2_stdin(File::open("/dev/null")?)?)
}

/// Becomes the verb. Comes back only when it did not.
pub(super) fn start(socket: &OwnedFd, received: Received) -> Result<Infallible, NotStarted> {
    let (image, program) = become_owner(socket, received)?;
    Err(image.execute(program.as_ref()))
}

/// Becomes the owner, as the order says, and stays what it is.
pub(super) fn stay(socket: &OwnedFd, received: Received) -> Result<(), NotStarted> {
    become_owner(socket, received)?;
    // Becoming another may have undone it; nothing is executed from here on that could.
    step("forbid tracing", set_dumpable_behavior(DumpableBehavior::NotDumpable))
}

/// All that is done between an order and the verb.
fn become_owner(
    socket: &OwnedFd,
    received: Received,
) -> Result<(Image, Option<OwnedFd>), NotStarted> {
    let Received { order, known, attached } = received;
    let owner = Owner::find(&order.account, known)?;
    tell(socket, &owner)?;
    let mut image = Image::new(&order, &owner)?;
    let program = step("attach the standard streams", attach(attached))?;
    step("take the terminal", terminal::take(&owner))?;
    close_fds::set_fds_cloexec(3, &[]);
    // What holds for all processes together, their cgroup keeps.
    let Confinement { limits, total: _, reach, system_calls, network } = order.confinement;
    // While this process may.
    if network == NetworkAccess::None {
        network::leave()?;
    }
    owner.assume()?;
    step("drop capabilities", shed::capabilities())?;
    step("begin a keyring", shed::keyring())?;
    enter(order.directory.as_deref(), &owner)?;
    // As the owner, and after what marks descriptors to be closed: the verb keeps these.
    image.open(order.arguments)?;
    if let NetworkAccess::Owners { connect, listen } = &network {
        network::restrict(connect.as_ref(), listen.as_ref())?;
    }
    if let Some(reach) = reach {
        reach::restrict(&reach, &image.given(program.as_ref()))?;
    }
    let filter = Filter::of(system_calls).map_err(NotStarted::NoFilter)?;
    step("die with its parent", set_parent_process_death_signal(Some(Signal::KILL)))?;
    // Asked after the line above, so that a parent that died before it is seen here.
    if is_over(socket) {
        return Err(NotStarted::Withdrawn);
    }
    // What was opened for the verb has higher numbers than a limit may let it open.
    step("set limits", limits::set(limits))?;
    filter.map_or(Ok(()), Filter::apply)?;
    Ok((image, program))
}

/// Before anything of the owner's could speak in this process's name.
fn tell(socket: &OwnedFd, owner: &Owner) -> Result<(), PacketFault> {
    match &owner.looked_up {
        Some(found) if found.groups.len() <= MAX_GROUPS => {
            send_report(socket, &Report::LookedUp(found.clone()))
        }
        Some(_) | None => Ok(()),
    }
}

/// Puts the streams in their places. The program stays.
fn attach(attached: Attached) -> io::Result<Option<OwnedFd>> {
    if let Some(stdin) = attached.stdin {
        dup2_stdin(stdin)?;
    }
    dup2_stdout(attached.stdout)?;
    dup2_stderr(attached.stderr)?;
    Ok(attached.program)
}

/// As the owner, whom another's directory, or a remote one, may not let in.
fn enter(directory: Option<&str>, owner: &Owner) -> Result<(), NotStarted> {
    match directory {
        Some(directory) => chdir(directory)
            .map_err(|errno| NotStarted::Directory(directory.to_owned(), errno.into())),
        None => step("enter a directory", chdir(&owner.home).or_else(|_homeless| chdir("/"))),
    }
}

/// What execve takes.
struct Image {
    path: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    /// Those of the arguments that are names of descriptors.
    opened: Vec<String>,
}

impl Image {
    fn new(order: &Order, owner: &Owner) -> Result<Self, NotStarted> {
        let environment = environment(&order.environment, owner);
        Ok(Self {
            path: c_string(order.program.as_str())?,
            arguments: Vec::new(),
            opened: Vec::new(),
            environment: environment
                .into_iter()
                .map(|(name, value)| c_string(format!("{name}={value}")))
                .collect::<Result<_, _>>()?,
        })
    }

    fn open(&mut self, arguments: Vec<Argument>) -> Result<(), NotStarted> {
        for argument in arguments {
            let is_path = matches!(argument, Argument::Opened(_));
            let text = opened::text(argument)?;
            self.opened.extend(is_path.then(|| text.clone()));
            self.arguments.push(c_string(text)?);
        }
        Ok(())
    }

    fn given<'a>(&'a self, judged: Option<&'a OwnedFd>) -> Given<'a> {
        let program = Path::new(OsStr::from_bytes(self.path.as_bytes()));
        Given { judged, program, opened: &self.opened }
    }

    fn execute(&self, program: Option<&OwnedFd>) -> NotStarted {
        let errno = match program {
            Some(program) => self.by_descriptor(program),
            None => self.by_path(),
        };
        NotStarted::Execute(self.path.to_string_lossy().into_owned(), errno.into())
    }

    fn by_descriptor(&self, program: &OwnedFd) -> nix::errno::Errno {
        let empty = AtFlags::AT_EMPTY_PATH;
        let Err(errno) = execveat(program, c"", &self.arguments, &self.environment, empty);
        // A script: its interpreter would have to open a descriptor that is closed by then. So by its path, as long
        // as that still is what was judged; only those could change it who could change the file.
        if errno == nix::errno::Errno::ENOENT && self.is_at_path(program) {
            return self.by_path();
        }
        errno
    }

    fn by_path(&self) -> nix::errno::Errno {
        let Err(errno) = execve(&self.path, &self.arguments, &self.environment);
        errno
    }

    fn is_at_path(&self, program: &OwnedFd) -> bool {
        match (fstat(program), stat(&*self.path)) {
            (Ok(judged), Ok(there)) => {
                (judged.st_dev, judged.st_ino) == (there.st_dev, there.st_ino)
            }
            (Err(_), _) | (_, Err(_)) => false,
        }
    }
}

/// What every verb has, and what this one declares. A verb does not choose whose name it bears.
fn environment(declared: &BTreeMap<String, String>, owner: &Owner) -> BTreeMap<String, String> {
    let mut all = BTreeMap::from([("PATH".into(), PATH.into()), ("LANG".into(), LANG.into())]);
    all.extend(declared.clone());
    all.extend([
        ("HOME".into(), owner.home.clone()),
        ("USER".into(), owner.name.clone()),
        ("LOGNAME".into(), owner.name.clone()),
    ]);
    all
}

fn c_string(text: impl Into<Vec<u8>>) -> Result<CString, NotStarted> {
    CString::new(text).map_err(|_nul| NotStarted::Nul)
}
