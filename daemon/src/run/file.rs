//! Files that a verb is about: what the runner does with one itself, once it is the owner.
//!
//! A file is found beneath its root past no link of any sort, and nothing else can be opened by then. What the verb
//! gives is on standard output; what is to be known of it, a line of JSON each, on standard error.

mod get;
mod list;
mod put;
mod tail;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, SystemTime};

use policy::{FileAsk, FileAt};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::order::FileOrder;
use super::reach::{self, ReachFault};

/// What every line of JSON says of its form.
const SCHEMA: &str = "openscope.file/1";
/// What is read or written at once.
const PIECE: usize = 128 * 1024;
/// Room that is left for what is told on standard error.
const TOLD: u64 = 1024;

/// Why it was not done. Whoever asks knows which file it is, as far as that is theirs to know.
#[derive(Debug, Error)]
enum Fault {
    #[error("cannot open it: {0}")]
    Open(String),
    #[error("cannot {0}: {1}")]
    Step(&'static str, #[source] io::Error),
    #[error("it is {0}, and not a file")]
    Sort(&'static str),
    #[error("it has {size} bytes, and none from {offset} on")]
    Offset { size: u64, offset: u64 },
    #[error("{length} bytes are more than the {most} that this call may write")]
    TooLong { length: u64, most: u64 },
    #[error("it became shorter while it was read")]
    Cut,
    #[error("it says that it is empty and is not: how long it is cannot be known")]
    Endless,
    #[error("it is there already")]
    There,
    #[error("{0} bytes are the most that it may have: nothing is kept")]
    TooLarge(u64),
    #[error("what arrived has another SHA-256 than was said: nothing is kept")]
    Digest,
    #[error("the file system cannot keep a file without a name until it is whole")]
    NoDraft,
    #[error("there are more than {0} entries: the others are not told")]
    TooMany(usize),
    #[error(transparent)]
    Reach(#[from] ReachFault),
}

/// Says what is being done, for a fault.
fn step<T>(what: &'static str, result: Result<T, impl Into<io::Error>>) -> Result<T, Fault> {
    result.map_err(|fault| Fault::Step(what, fault.into()))
}

/// Does it. The status of the verb.
pub(super) fn carry_out(order: &FileOrder) -> u8 {
    let Err(fault) = done(order) else { return 0 };
    // Where nobody reads it, the status says as much.
    let _ = writeln!(io::stderr(), "{fault}");
    1
}

fn done(order: &FileOrder) -> Result<(), Fault> {
    let FileOrder { at, ask, max, length_max } = order;
    let at = &split(at);
    match reach::only(&at.root, matches!(ask, FileAsk::Put { .. })) {
        // How it is opened keeps it beneath its root; the kernel would have been asked besides.
        Ok(()) | Err(ReachFault::Kernel) => {}
        // Where the root is, is not for whoever asks.
        Err(ReachFault::Path(_, fault)) => return Err(Fault::Open(fault.to_string())),
        Err(fault) => return Err(fault.into()),
    }
    let place = Place::new(at)?;
    match ask {
        FileAsk::Get { offset, is_masked } => {
            get::get(&place, (*offset, *is_masked), (*max, *length_max))
        }
        FileAsk::Put { sha256, max, overwrite } => put::put(&place, (sha256, *max), *overwrite),
        FileAsk::List => list::list(&place),
        FileAsk::Tail { lines, follow } => tail::tail(&place, *lines, *follow, *max),
    }
}

/// A root that is a file itself, as that in its directory: another may have its name later.
fn split(at: &FileAt) -> FileAt {
    let is_file = at.rest.is_empty()
        && std::fs::symlink_metadata(&at.root).is_ok_and(|state| state.is_file());
    match at.root.rsplit_once('/').filter(|_| is_file) {
        Some(("", name)) => FileAt { root: "/".to_owned(), rest: name.to_owned() },
        Some((above, name)) => FileAt { root: above.to_owned(), rest: name.to_owned() },
        None => at.clone(),
    }
}

/// Where a file is.
struct Place<'a> {
    /// Nothing where the root is meant.
    root: Option<OwnedFd>,
    at: &'a FileAt,
}

impl<'a> Place<'a> {
    fn new(at: &'a FileAt) -> Result<Self, Fault> {
        let how = OFlags::PATH | OFlags::CLOEXEC | OFlags::DIRECTORY;
        let root = (!at.rest.is_empty()).then(|| openat(CWD, &at.root, how, Mode::empty()));
        Ok(Self { root: root.transpose().map_err(opening)?, at })
    }

    /// What bears the name now.
    fn open(&self, how: OFlags) -> Result<OwnedFd, Errno> {
        self.beneath(&self.at.rest, how)
    }

    fn beneath(&self, path: &str, how: OFlags) -> Result<OwnedFd, Errno> {
        let how = how | OFlags::CLOEXEC;
        let Some(root) = &self.root else {
            return openat(CWD, &self.at.root, how, Mode::empty());
        };
        let path = if path.is_empty() { "." } else { path };
        let within =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        openat2(root, path, how, Mode::empty(), within)
    }

    /// The file, to be read. What is none is not opened: a device would do something.
    fn regular(&self) -> Result<(File, Stat), Fault> {
        let found = self.open(OFlags::PATH).map_err(opening)?;
        check(&step("look at it", fstat(&found))?)?;
        let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = self.open(how).map_err(opening)?;
        let state = step("look at it", fstat(&opened))?;
        check(&state)?;
        Ok((File::from(opened), state))
    }
}

fn check(state: &Stat) -> Result<(), Fault> {
    match FileType::from_raw_mode(state.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(Fault::Sort("a directory")),
        FileType::Symlink => Err(Fault::Sort("a symbolic link")),
        FileType::Fifo => Err(Fault::Sort("a pipe")),
        FileType::Socket => Err(Fault::Sort("a socket")),
        FileType::CharacterDevice | FileType::BlockDevice => Err(Fault::Sort("a device")),
        FileType::Unknown => Err(Fault::Sort("something else")),
    }
}

fn opening(errno: Errno) -> Fault {
    Fault::Open(match errno {
        Errno::LOOP => "it is a symbolic link, or leads through one".to_owned(),
        Errno::XDEV => "it leads out".to_owned(),
        other => io::Error::from(other).to_string(),
    })
}

fn length(state: &Stat) -> u64 {
    u64::try_from(state.st_size).unwrap_or_default()
}

/// When it was changed last, for people and programs alike.
fn modified(state: &Stat) -> String {
    let since = Duration::from_secs(u64::try_from(state.st_mtime).unwrap_or_default());
    let time = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

fn stdout() -> Result<File, Fault> {
    step("write", rustix::stdio::stdout().as_fd().try_clone_to_owned()).map(File::from)
}

/// Tells something of the file.
fn tell(line: &serde_json::Value) -> Result<(), Fault> {
    step("write", writeln!(io::stderr(), "{line}"))
}

fn hex(digest: Sha256) -> String {
    format!("{:x}", digest.finalize())
}
