//! The cgroup of this daemon, with one leaf for each call: where a call's processes cannot get away from.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, statfs, unlinkat};
use rustix::io::{Errno, pread, write};
use rustix::process::Pid;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::clock::Instants;

/// The file of the state directory that says where the calls of this life are.
const RECORD: &str = "cgroup";
const PREFIX: &str = "openscope-";
/// `f_type` of a cgroup v2 mount (`CGROUP2_SUPER_MAGIC`, linux/magic.h).
const MAGIC: u64 = 0x6367_7270;
/// How long what an earlier life left is given to die.
const LEFTOVERS: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why calls cannot be contained in cgroups.
#[derive(Debug, Error)]
pub(crate) enum CgroupFault {
    #[error(
        "no cgroup v2 is mounted\n   = mount one, or set `kill = \"subreaper\"` in openscoped.toml"
    )]
    NotMounted,
    #[error(
        "the cgroup `{}` cannot be written\n   = give the daemon one (`Delegate=yes` under systemd), or set `kill = \"subreaper\"` in openscoped.toml",
        .0.display()
    )]
    NotWritable(PathBuf, #[source] io::Error),
    #[error(
        "the kernel has no cgroup.kill (it came with Linux 5.14)\n   = set `kill = \"subreaper\"` in openscoped.toml"
    )]
    NoKill,
    #[error("cannot read `{0}`")]
    Read(&'static str, #[source] io::Error),
    #[error("cannot use the record `{}`", .0.display())]
    Record(PathBuf, #[source] io::Error),
    #[error("`{}` names `{named}`, which is no cgroup of this daemon's\n   = remove the file", .record.display())]
    Foreign { record: PathBuf, named: String },
    #[error("processes that an earlier life of the daemon left in `{}` do not die: {}", .0.display(), listed(.1))]
    Undead(PathBuf, Vec<Pid>),
}

/// The cgroup of one daemon.
#[derive(Debug)]
pub(crate) struct Instance {
    path: PathBuf,
    directory: OwnedFd,
    leaves: u64,
}

impl Instance {
    /// Ends what an earlier life left, and makes this life's cgroup.
    ///
    /// # Errors
    /// When there is no writable cgroup v2, or the earlier life's processes do not die.
    pub(crate) fn open(state: &Path) -> Result<Self, CgroupFault> {
        end_recorded(state)?;
        let path = own()?.join(name(state));
        make(&path)?;
        // One that was there without a record is as much an earlier life's.
        end(&path)?;
        make(&path)?;
        record(state, &path)?;
        let directory = directory(&path)
            .map_err(|errno| CgroupFault::NotWritable(path.clone(), errno.into()))?;
        Ok(Self { path, directory, leaves: 0 })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A cgroup for one more call.
    pub(crate) fn leaf(&mut self) -> io::Result<Leaf> {
        self.leaves += 1;
        let name = format!("call-{}", self.leaves);
        mkdirat(&self.directory, &name, Mode::from_raw_mode(0o755))?;
        let parent = self.directory.try_clone()?;
        Leaf::at(parent, name)
    }
}

/// The cgroup of one call. It is removed when it is dropped; by then nothing should be in it.
#[derive(Debug)]
pub(crate) struct Leaf {
    parent: OwnedFd,
    name: String,
    kill: OwnedFd,
    events: OwnedFd,
}

impl Leaf {
    fn at(parent: OwnedFd, name: String) -> io::Result<Self> {
        let file = |file: &str, flags| {
            openat(&parent, format!("{name}/{file}"), flags | OFlags::CLOEXEC, Mode::empty())
        };
        let (kill, events) =
            (file("cgroup.kill", OFlags::WRONLY)?, file("cgroup.events", OFlags::RDONLY)?);
        Ok(Self { parent, name, kill, events })
    }

    /// The descriptor by which a process enters: it writes `0`.
    pub(crate) fn entrance(&self) -> io::Result<OwnedFd> {
        Ok(self.file("cgroup.procs", OFlags::WRONLY)?)
    }

    /// Kills all that is in it now.
    pub(crate) fn kill(&self) -> io::Result<()> {
        write(&self.kill, b"1")?;
        Ok(())
    }

    /// Whether a process that has not ended is in it. After this, `events` is ready (PRI) once the answer changes.
    pub(crate) fn is_populated(&self) -> io::Result<bool> {
        populated(&self.events)
    }

    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }

    pub(crate) fn processes(&self) -> io::Result<Vec<Pid>> {
        let file = fs::File::from(self.file("cgroup.procs", OFlags::RDONLY)?);
        Ok(pids(&io::read_to_string(file)?))
    }

    fn file(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = format!("{}/{name}", self.name);
        openat(&self.parent, path, flags | OFlags::CLOEXEC, Mode::empty())
    }
}

impl Drop for Leaf {
    fn drop(&mut self) {
        // What is still in it keeps it, and is found there by the next life.
        let _ = unlinkat(&self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}

/// Ends what an earlier life of the daemon left, wherever it was, and forgets it.
///
/// # Errors
/// When something of it does not die, or the record is not one that this daemon wrote.
pub(crate) fn end_recorded(state: &Path) -> Result<(), CgroupFault> {
    let record = state.join(RECORD);
    let named = match fs::read(&record) {
        Ok(named) => PathBuf::from(OsStr::from_bytes(&named)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(CgroupFault::Record(record, fault)),
    };
    if !named.is_absolute() || named.file_name() != Some(OsStr::new(&name(state))) {
        return Err(CgroupFault::Foreign { record, named: named.display().to_string() });
    }
    end(&named)?;
    fs::remove_file(&record).map_err(|fault| CgroupFault::Record(record, fault))
}

/// Kills all below this cgroup, waits until it is empty, and removes it. One that is gone is ended.
fn end(path: &Path) -> Result<(), CgroupFault> {
    let fault = |fault: io::Error| CgroupFault::NotWritable(path.to_owned(), fault);
    if !is_cgroup(path) {
        return Ok(());
    }
    let last = Instants::now().boot + LEFTOVERS;
    while !is_empty_after_kill(path).map_err(fault)? {
        if Instants::now().boot >= last {
            return Err(CgroupFault::Undead(path.to_owned(), all_below(path)));
        }
    }
    remove(path).map_err(fault)
}

/// Whether nothing is left there. Waits for it, not long.
pub(crate) fn is_empty_after_kill(path: &Path) -> io::Result<bool> {
    fs::write(path.join("cgroup.kill"), "1")?;
    let events = open(path.join("cgroup.events"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    if !populated(&events)? {
        return Ok(true);
    }
    let timeout = Timespec::try_from(LOOK_AGAIN).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(!populated(&events)?),
        Err(errno) => Err(errno.into()),
    }
}

/// Removes an empty cgroup and its empty leaves.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir(entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Kernel files tell numbers by `statfs`; a path that is no cgroup is not written to.
pub(crate) fn is_cgroup(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| u64::try_from(found.f_type) == Ok(MAGIC))
}

fn populated(events: &OwnedFd) -> io::Result<bool> {
    let mut text = [0; 128];
    let read = pread(events, &mut text, 0)?;
    let text = text.get(..read).unwrap_or_default();
    Ok(text.split(|byte| *byte == b'\n').any(|line| line == b"populated 1"))
}

fn all_below(path: &Path) -> Vec<Pid> {
    let leaves = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    leaves
        .chain([path.to_owned()])
        .filter_map(|cgroup| fs::read_to_string(cgroup.join("cgroup.procs")).ok())
        .flat_map(|text| pids(&text))
        .collect()
}

fn pids(text: &str) -> Vec<Pid> {
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

fn listed(pids: &[Pid]) -> String {
    let numbers: Vec<String> = pids.iter().map(|pid| pid.as_raw_pid().to_string()).collect();
    numbers.join(", ")
}

fn make(path: &Path) -> Result<(), CgroupFault> {
    match fs::create_dir(path) {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => {
            Err(CgroupFault::NotWritable(path.to_owned(), fault))
        }
        Ok(()) | Err(_) if path.join("cgroup.kill").exists() => Ok(()),
        Ok(()) | Err(_) => Err(CgroupFault::NoKill),
    }
}

fn directory(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Written before anything is started there, and synced, so that no life leaves what no record names.
fn record(state: &Path, path: &Path) -> Result<(), CgroupFault> {
    let record = state.join(RECORD);
    let fault = |fault| CgroupFault::Record(record.clone(), fault);
    let next = state.join(format!("{RECORD}.next"));
    let mut file = fs::File::create(&next).map_err(fault)?;
    io::Write::write_all(&mut file, path.as_os_str().as_bytes()).map_err(fault)?;
    file.sync_all().map_err(fault)?;
    fs::rename(&next, &record).map_err(fault)?;
    fs::File::open(state).and_then(|directory| directory.sync_all()).map_err(fault)
}

/// The same for every life of one daemon, and different for two on one machine.
fn name(state: &Path) -> String {
    let digest = Sha256::digest(state.as_os_str().as_bytes());
    digest.iter().take(4).fold(PREFIX.to_owned(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    })
}

/// The directory of the cgroup that this process is in.
fn own() -> Result<PathBuf, CgroupFault> {
    let mounts = read("/proc/self/mountinfo")?;
    let cgroups = read("/proc/self/cgroup")?;
    located(&mounts, &cgroups).ok_or(CgroupFault::NotMounted)
}

fn read(path: &'static str) -> Result<String, CgroupFault> {
    fs::read_to_string(path).map_err(|fault| CgroupFault::Read(path, fault))
}

/// `0::/path` of `/proc/self/cgroup`, below the first cgroup v2 mount that shows it.
fn located(mounts: &str, cgroups: &str) -> Option<PathBuf> {
    let own = Path::new(cgroups.lines().find_map(|line| line.strip_prefix("0::"))?);
    mounts
        .lines()
        .filter_map(mount)
        .find_map(|(root, at)| Some(at.join(own.strip_prefix(root).ok()?)))
}

/// Root and place of a cgroup v2 mount: `id parent device root place options … - type source options`.
fn mount(line: &str) -> Option<(PathBuf, PathBuf)> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, at) = (fields.next()?, fields.next()?);
    (after.split(' ').next()? == "cgroup2").then(|| (unescaped(root), unescaped(at)))
}

/// mountinfo writes space, tab, newline and backslash as three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let plain = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    PathBuf::from(plain.replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw shared:4 - cgroup cgroup rw,cpuset\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
    const PURE: &str = "30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw\n";

    fn place(mounts: &str, cgroups: &str) -> Option<String> {
        Some(located(mounts, cgroups)?.to_str().unwrap().trim_end_matches('/').to_owned())
    }

    #[test]
    fn the_own_cgroup_is_found_on_pure_and_on_hybrid_hosts() {
        let service = "0::/system.slice/openscoped.service\n";
        assert_eq!(place(PURE, service).unwrap(), "/sys/fs/cgroup/system.slice/openscoped.service");
        let legacy_first = "4:memory:/a\n1:name=systemd:/\n0::/b\n";
        assert_eq!(place(HYBRID, legacy_first).unwrap(), "/sys/fs/cgroup/unified/b");
        assert_eq!(place(HYBRID, "0::/\n").unwrap(), "/sys/fs/cgroup/unified");
    }

    #[test]
    fn a_container_that_sees_a_part_of_the_tree_finds_itself_in_it() {
        let mounts = "30 23 0:26 /docker/1f /sys/fs/my\\040cgroup rw - cgroup2 cgroup2 rw\n";
        assert_eq!(place(mounts, "0::/docker/1f/x\n").unwrap(), "/sys/fs/my cgroup/x");
        assert_eq!(place(mounts, "0::/docker/2e\n"), None, "not shown by this mount");
    }

    #[test]
    fn no_cgroup_v2_is_none() {
        assert_eq!(place("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "0::/\n"), None);
        assert_eq!(place(PURE, "4:memory:/a\n"), None);
        assert_eq!(place("", ""), None);
        assert_eq!(place("garbage - cgroup2", "0::/\n"), None);
    }

    #[test]
    fn where_nothing_can_be_written_the_way_out_is_named() {
        let fault = make(Path::new("/proc/openscope-00000000")).unwrap_err();
        assert!(matches!(fault, CgroupFault::NotWritable(..)));
        assert!(fault.to_string().contains("set `kill = \"subreaper\"`"), "{fault}");
        let place = tempfile::tempdir().unwrap();
        let fault = make(&place.path().join("openscope-00000000")).unwrap_err();
        assert!(matches!(fault, CgroupFault::NoKill), "no cgroup at all: {fault}");
    }

    #[test]
    fn each_daemon_has_its_own_and_keeps_it() {
        assert_eq!(name(Path::new("/var/lib/openscope")), name(Path::new("/var/lib/openscope")));
        assert_ne!(name(Path::new("/var/lib/openscope")), name(Path::new("/var/lib/openscope2")));
        assert_eq!(name(Path::new("/x")).len(), PREFIX.len() + 8);
    }

    #[test]
    fn a_record_of_what_is_not_ours_is_refused() {
        let state = tempfile::tempdir().unwrap();
        for named in ["/sys/fs/cgroup", "/sys/fs/cgroup/openscope-00000000", "openscope", ""] {
            fs::write(state.path().join(RECORD), named).unwrap();
            let fault = end_recorded(state.path()).unwrap_err();
            assert!(matches!(fault, CgroupFault::Foreign { .. }), "{named}: {fault}");
        }
        assert!(state.path().join(RECORD).exists());
    }

    #[test]
    fn a_record_of_what_is_gone_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        end_recorded(state.path()).unwrap();
        let gone = Path::new("/sys/fs/cgroup").join(name(state.path()));
        fs::write(state.path().join(RECORD), gone.as_os_str().as_bytes()).unwrap();
        end_recorded(state.path()).unwrap();
        assert!(!state.path().join(RECORD).exists());
    }

    #[test]
    fn p12_nothing_of_an_instance_stays() {
        let state = tempfile::tempdir().unwrap();
        let mut instance = Instance::open(state.path()).unwrap();
        let path = instance.path().to_owned();
        let leaf = instance.leaf().unwrap();
        assert!(path.join("call-1").exists());
        drop(leaf);
        assert!(!path.join("call-1").exists());
        let _left = instance.leaf().unwrap();
        end_recorded(state.path()).unwrap();
        assert!(!path.exists());
    }
}
