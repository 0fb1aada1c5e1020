//! The cgroup of this daemon, with one leaf for each call: where a call's processes cannot get away from.

mod controllers;
mod leaf;
mod place;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, mkdirat, open, statfs};
use rustix::io::{Errno, pread};
use rustix::process::Pid;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::clock::Instants;
pub(crate) use controllers::{Controller, make_room, offered, wanted};
pub(crate) use leaf::Leaf;
use leaf::Room;

/// The file of the state directory that says where the calls of this life are.
const RECORD: &str = "cgroup";
const PREFIX: &str = "openscope-";
/// `f_type` of a cgroup v2 mount (`CGROUP2_SUPER_MAGIC`, linux/magic.h).
const MAGIC: u64 = 0x6367_7270;
/// How long what an earlier life left is given to die.
const LEFTOVERS: Duration = Duration::from_secs(5);
/// The most empty cgroups that wait for a call.
const MAX_VACANT: usize = 32;
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
}

/// The cgroup of one daemon.
#[derive(Debug)]
pub(crate) struct Instance {
    path: PathBuf,
    directory: Rc<OwnedFd>,
    vacant: Rc<RefCell<Vec<Room>>>,
    leaves: u64,
    /// What the cgroups of calls can be limited by.
    controllers: BTreeSet<Controller>,
}

/// Processes of an earlier life's calls that were killed and are still there: each waits in the kernel, for a disk or a
/// server that does not answer, and dies when it comes back from there.
pub(crate) type Undead = Vec<Pid>;

impl Instance {
    /// Ends what an earlier life left, and makes this life's cgroup.
    ///
    /// # Errors
    /// When there is no writable cgroup v2.
    pub(crate) fn open(state: &Path) -> Result<(Self, Undead), CgroupFault> {
        let mut undead = end_recorded(state)?;
        let home = place::home()?;
        let path = home.join(name(state));
        make(&path)?;
        // One that was there without a record is as much an earlier life's.
        undead.extend(end(&path)?);
        undead.sort_unstable_by_key(|pid| pid.as_raw_pid());
        undead.dedup();
        make(&path)?;
        record(state, &path)?;
        let directory = directory(&path)
            .map_err(|errno| CgroupFault::NotWritable(path.clone(), errno.into()))?;
        let (directory, vacant) = (Rc::new(directory), Rc::default());
        let controllers = if controllers::is_inner(&home) {
            controllers::hand_down(&home);
            controllers::hand_down(&path)
        } else {
            BTreeSet::new()
        };
        Ok((Self { path, directory, vacant, leaves: 0, controllers }, undead))
    }

    /// Whether calls can be limited by it.
    pub(crate) fn has(&self, controller: Controller) -> bool {
        self.controllers.contains(&controller)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A cgroup for one more call: one that an earlier call has left empty, or a new one.
    pub(crate) fn leaf(&mut self) -> io::Result<Leaf> {
        let vacant = self.vacant.borrow_mut().pop();
        let room = vacant.map_or_else(|| self.room(), Ok)?;
        Ok(Leaf {
            parent: Rc::clone(&self.directory),
            vacant: Rc::clone(&self.vacant),
            room: Some(room),
            is_limited: false,
        })
    }

    fn room(&mut self) -> io::Result<Room> {
        loop {
            self.leaves += 1;
            let name = format!("call-{}", self.leaves);
            match mkdirat(&self.directory, &name, Mode::from_raw_mode(0o755)) {
                // What does not die keeps its cgroup.
                Err(Errno::EXIST) => {}
                made => return Ok(made.and_then(|()| Room::open(&self.directory, name))?),
            }
        }
    }
}

/// Ends what an earlier life of the daemon left, wherever it was, and forgets it, but for what does not die.
///
/// # Errors
/// When the record is not one that this daemon wrote.
pub(crate) fn end_recorded(state: &Path) -> Result<Undead, CgroupFault> {
    let record = state.join(RECORD);
    let named = match fs::read(&record) {
        Ok(named) => PathBuf::from(OsStr::from_bytes(&named)),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Undead::new()),
        Err(fault) => return Err(CgroupFault::Record(record, fault)),
    };
    if !named.is_absolute() || named.file_name() != Some(OsStr::new(&name(state))) {
        return Err(CgroupFault::Foreign { record, named: named.display().to_string() });
    }
    let undead = end(&named)?;
    if undead.is_empty() {
        fs::remove_file(&record).map_err(|fault| CgroupFault::Record(record, fault))?;
    }
    Ok(undead)
}

/// Kills all below this cgroup, waits until it is empty, and removes it. One that is gone is ended.
fn end(path: &Path) -> Result<Undead, CgroupFault> {
    let fault = |fault: io::Error| CgroupFault::NotWritable(path.to_owned(), fault);
    if !is_cgroup(path) {
        return Ok(Undead::new());
    }
    let last = Instants::now().boot + LEFTOVERS;
    while !is_empty_after_kill(path).map_err(fault)? {
        if Instants::now().boot >= last {
            return Ok(all_below(path));
        }
    }
    remove(path).map_err(fault)?;
    Ok(Undead::new())
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

#[cfg(test)]
mod tests {
    use policy::TotalLimits;

    use super::*;

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
    fn a_vacated_leaf_is_used_again_and_a_dropped_one_is_not() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, _) = Instance::open(state.path()).unwrap();
        let path = instance.path().to_owned();
        instance.leaf().unwrap().vacate();
        let again = instance.leaf().unwrap();
        assert!(!path.join("call-2").exists(), "the first is used again");
        let second = instance.leaf().unwrap();
        assert!(path.join("call-2").exists());
        drop(again);
        second.vacate();
        assert!(!path.join("call-1").exists() && path.join("call-2").exists());
        end_recorded(state.path()).unwrap();
    }

    #[test]
    fn a_cgroup_with_processes_in_it_is_left_as_it_is() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, _) = Instance::open(state.path()).unwrap();
        let leaf = instance.leaf().unwrap();
        let path = instance.path().join(leaf.name().unwrap());
        assert!(controllers::is_inner(&path));
        #[expect(clippy::disallowed_methods, reason = "somebody is in it")]
        let mut there = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(path.join("cgroup.procs"), there.id().to_string()).unwrap();
        assert!(!controllers::is_inner(&path));
        there.kill().unwrap();
        there.wait().unwrap();
        drop(leaf);
        end_recorded(state.path()).unwrap();
    }

    #[test]
    fn a_limit_holds_where_the_kernel_takes_it_and_its_leaf_is_used_once() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, _) = Instance::open(state.path()).unwrap();
        let path = instance.path().to_owned();
        for (controller, file, total) in [
            (
                Controller::Pids,
                "pids.max",
                TotalLimits { processes: Some(7), ..TotalLimits::default() },
            ),
            (Controller::Cpu, "cpu.max", TotalLimits { cpu: Some(50), ..TotalLimits::default() }),
        ] {
            let mut leaf = instance.leaf().unwrap();
            let at = path.join(leaf.name().unwrap());
            let limited = leaf.limit(total);
            assert_eq!(limited.is_ok(), instance.has(controller), "{file}: {limited:?}");
            let set = fs::read_to_string(at.join(file)).ok();
            let wanted = controllers::settings(total).pop().map(|(_, text)| text + "\n");
            assert_eq!(set, wanted.filter(|_| instance.has(controller)));
            leaf.vacate();
            assert!(!at.exists(), "no other call is kept to it");
        }
        end_recorded(state.path()).unwrap();
    }

    #[test]
    fn a_cgroup_that_something_keeps_is_passed_over() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, undead) = Instance::open(state.path()).unwrap();
        assert!(undead.is_empty());
        fs::create_dir(instance.path().join("call-1")).unwrap();
        let leaf = instance.leaf().unwrap();
        assert!(instance.path().join("call-2").exists());
        drop(leaf);
        assert!(
            !instance.path().join("call-2").exists() && instance.path().join("call-1").exists()
        );
        end_recorded(state.path()).unwrap();
    }

    #[test]
    fn no_more_leaves_are_kept_than_the_bound() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, _) = Instance::open(state.path()).unwrap();
        let all: Vec<Leaf> = (0..=MAX_VACANT).map(|_| instance.leaf().unwrap()).collect();
        all.into_iter().for_each(Leaf::vacate);
        assert_eq!(instance.vacant.borrow().len(), MAX_VACANT);
        assert!(!instance.path().join(format!("call-{}", MAX_VACANT + 1)).exists());
        end_recorded(state.path()).unwrap();
    }

    #[test]
    fn p12_nothing_of_an_instance_stays() {
        let state = tempfile::tempdir().unwrap();
        let (mut instance, _) = Instance::open(state.path()).unwrap();
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
