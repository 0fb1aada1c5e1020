//! The files by which ssh, as an owner, is told what to do: beside the owner socket, root's, and no secret among them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, symlink,
};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use policy::{Route, ShareId, TargetName};
use rustix::fs::{
    AtFlags, CWD, Dir, Mode, OFlags, ResolveFlags, Uid, fchmod, fchown, openat, openat2, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::config::{config, known_hosts};

/// Entered by anyone, listed by nobody.
const ENTERED: u32 = 0o711;
/// As long as a socket's path may be, less what ssh appends while it makes one.
const MAX_SOCKET_PATH: usize = 107 - 17;
/// The most of what somebody left in their directory that is removed, and how deep: ssh makes a few files there.
const MAX_LEFT: usize = 16 * 1024;
const DEPTH: usize = 16;
/// The most of what ssh said that is read.
const MAX_SAID: u64 = 4 * 1024;

/// Where every user may fill memory anyway, and root's daemons keep nothing.
const SHARED_MEMORY: &str = "/dev/shm";

/// `openscope.d` beside `openscope.sock`.
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes it, and clears what an earlier life left of its shares.
    pub(crate) fn open(socket: &Path) -> io::Result<Self> {
        let directory = Self(socket.with_extension("d"));
        for name in ["", "targets", "agents"] {
            make(&directory.0.join(name), ENTERED)?;
        }
        clear(&directory.0.join("agents"));
        place_shares(&directory.0.join("shares"), &prefix(&directory.0))?;
        Ok(directory)
    }

    /// Writes what there is of targets, and removes what there was.
    pub(crate) fn write_targets<'r>(
        &self,
        routes: impl Iterator<Item = &'r Route>,
    ) -> io::Result<()> {
        let routes: BTreeMap<&TargetName, &Route> =
            routes.map(|route| (&route.target.name, route)).collect();
        let directory = self.0.join("targets");
        if !routes.is_empty() && !is_plain(&directory) {
            return Err(io::Error::other(
                "the owner socket's path has characters that ssh reads otherwise",
            ));
        }
        let mut written = Vec::new();
        for (name, route) in &routes {
            let (hosts, own) = (self.target(name, "hosts"), self.target(name, "conf"));
            let texts = [known_hosts(route), config(route, &own, &hosts)];
            written.extend([hosts, own].into_iter().zip(texts));
        }
        // What takes room first, so that all of them change or none.
        let prepared = written.iter().try_for_each(|(path, text)| prepare(path, text));
        if let Err(fault) = prepared {
            for (path, _) in &written {
                let _ = fs::remove_file(next(path));
            }
            return Err(fault);
        }
        for (path, _) in &written {
            fs::rename(next(path), path)?;
        }
        for entry in fs::read_dir(&directory)? {
            let path = entry?.path();
            let is_new = path.extension().is_some_and(|ending| ending == "new");
            let stem =
                path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            if is_new || !stem.is_some_and(|name: TargetName| routes.contains_key(&name)) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The configuration of a target.
    pub(super) fn config(&self, target: &TargetName) -> PathBuf {
        self.target(target, "conf")
    }

    fn target(&self, target: &TargetName, ending: &str) -> PathBuf {
        self.0.join("targets").join(format!("{target}.{ending}"))
    }

    /// A share's own directory, in which only its owner's processes make anything.
    pub(super) fn of_share(&self, share: ShareId, owner: Option<u32>) -> io::Result<PathBuf> {
        let path = self.share(share);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => chown(&path, owner, None)?,
            // What is in it, or lies over it, is its owner's: it is not looked at.
            Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => {}
            Err(fault) => return Err(fault),
        }
        Ok(path)
    }

    fn share(&self, share: ShareId) -> PathBuf {
        self.0.join("shares").join(share.to_string())
    }

    /// Removes a share's directory, if it has one.
    pub(crate) fn clear_share(&self, share: ShareId) -> io::Result<()> {
        remove(&self.share(share))
    }

    /// A socket that listens for the owner's ssh. It is removed when what is returned is dropped.
    pub(crate) fn agent(&self) -> io::Result<(Bell, UnixListener)> {
        let mut number = [0; 8];
        getrandom::fill(&mut number).map_err(|fault| io::Error::other(fault.to_string()))?;
        let path = self.0.join("agents").join(format!("{:016x}", u64::from_ne_bytes(number)));
        let listener = UnixListener::bind(&path)?;
        let bell = Bell(path);
        // Who connects is looked at by the process that answers.
        fs::set_permissions(&bell.0, Permissions::from_mode(0o666))?;
        Ok((bell, listener))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // No ssh outlives its daemon. What cannot be removed now is tried again at the next start.
        let shares = self.0.join("shares");
        if shares.is_symlink() {
            let _ = fs::remove_file(&shares);
        }
        if rustix::process::geteuid().is_root() {
            sweep(&prefix(&self.0));
        }
    }
}

/// A socket's name; gone with this.
#[derive(Debug)]
pub(crate) struct Bell(PathBuf);

impl Bell {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        // What is left is cleared at the next start.
        let _ = fs::remove_file(&self.0);
    }
}

/// The path for a socket that ssh makes, if it is not too long for one.
pub(super) fn socket(path: PathBuf) -> Option<PathBuf> {
    (path.as_os_str().len() <= MAX_SOCKET_PATH).then_some(path)
}

/// How what is in an owner's directory is found: past no link, and not on a file system that they have put there, which
/// need never answer.
const HERE: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// A directory beside that of a file of the owner's, and the file's way from there.
fn above(path: &Path) -> io::Result<(OwnedFd, PathBuf)> {
    let unnamed = || io::Error::other("a path without a name");
    let (directory, name) = path.parent().zip(path.file_name()).ok_or_else(unnamed)?;
    let (shares, share) = directory.parent().zip(directory.file_name()).ok_or_else(unnamed)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok((openat(CWD, shares, flags, Mode::empty())?, Path::new(share).join(name)))
}

/// Removes a file of the owner's.
pub(in crate::monitor) fn forget(path: &Path) -> io::Result<()> {
    let (shares, file) = above(path)?;
    let (share, name) = file.parent().zip(file.file_name()).unwrap_or((&file, OsStr::new("")));
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let share = openat2(&shares, share, flags, Mode::empty(), HERE)?;
    Ok(unlinkat(share, name, AtFlags::empty())?)
}

/// What a file of the owner's holds, as far as it is read; nothing where it is no file.
pub(super) fn said(path: &Path) -> String {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = above(path)
        .and_then(|(shares, file)| Ok(openat2(&shares, &file, flags, Mode::empty(), HERE)?));
    let Ok(file) = opened else { return String::new() };
    let file = File::from(file);
    let mut bytes = Vec::new();
    if file.metadata().is_ok_and(|meta| meta.is_file()) {
        // What cannot be read was not said.
        let _ = file.take(MAX_SAID).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Removes a file, or a directory with the files in it. Whose it is may make new ones meanwhile: what is removed is
/// beneath the directory that was opened, and nothing that a link leads to.
fn remove(path: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let parent = path.parent().unwrap_or(Path::new("/"));
    let parent = openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())?;
    let name = path.file_name().unwrap_or_default();
    match openat2(&parent, name, flags, Mode::empty(), HERE) {
        Ok(directory) => {
            // Nobody makes anything in it any more.
            if rustix::process::geteuid().is_root() {
                fchown(&directory, Some(Uid::ROOT), None)?;
                fchmod(&directory, Mode::RWXU)?;
            }
            empty(&directory, DEPTH, &mut MAX_LEFT.clone());
            Ok(unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
        }
        Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {
            Ok(unlinkat(&parent, name, AtFlags::empty())?)
        }
        Err(errno) => Err(errno.into()),
    }
}

/// Removes what is in a directory, on its own file system and past no link, as far as it may.
fn empty(directory: &OwnedFd, depth: usize, room: &mut usize) {
    let entries = Dir::read_from(directory).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if *room == 0 {
            return;
        }
        *room -= 1;
        if unlinkat(directory, name, AtFlags::empty()).is_ok() {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if let Ok(below) = openat2(directory, name, flags, Mode::empty(), HERE)
            && depth > 0
        {
            // Whoever may have it open already makes nothing in it from here on.
            let _ = fchown(&below, Some(Uid::ROOT), None).and(fchmod(&below, Mode::RWXU));
            empty(&below, depth - 1, room);
        }
        let _ = unlinkat(directory, name, AtFlags::REMOVEDIR);
    }
}

/// Makes the place for the directories of shares, and clears what an earlier life left there. Their owners may fill them, so
/// root's are not beside what the machine's own daemons keep: there is a link to them, which is never followed to find
/// them again.
fn place_shares(shares: &Path, prefix: &str) -> io::Result<()> {
    if shares.is_symlink() {
        fs::remove_file(shares)?;
    }
    clear(shares);
    if !rustix::process::geteuid().is_root() {
        return make(shares, ENTERED);
    }
    sweep(prefix);
    match elsewhere(prefix) {
        Some(place) => {
            let _ = fs::remove_dir(shares);
            symlink(&place, shares).inspect_err(|_| drop(fs::remove_dir(&place)))
        }
        None => make(shares, ENTERED),
    }
}

/// How the names begin of what one daemon makes in shared memory.
fn prefix(directory: &Path) -> String {
    let digest = Sha256::digest(directory.as_os_str().as_bytes());
    let tag = digest.first_chunk::<8>().copied().unwrap_or_default();
    format!("openscope-{:016x}-", u64::from_be_bytes(tag))
}

/// Removes what lives of this daemon have left in shared memory. Anybody makes what they like there: only what is root's
/// is looked into, and nobody but root can put something else in its place.
fn sweep(prefix: &str) {
    for entry in fs::read_dir(SHARED_MEMORY).into_iter().flatten().flatten() {
        let is_meant = entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
        let is_roots = |about: &fs::Metadata| {
            about.is_dir() && about.uid() == 0 && about.permissions().mode() & 0o022 == 0
        };
        let path = entry.path();
        if is_meant && fs::symlink_metadata(&path).is_ok_and(|about| is_roots(&about)) {
            clear(&path);
            let _ = fs::remove_dir(path);
        }
    }
}

/// A new directory of root's in shared memory, by a name that nobody could have taken.
fn elsewhere(prefix: &str) -> Option<PathBuf> {
    let mut number = [0; 8];
    getrandom::fill(&mut number).ok()?;
    let place = format!("{SHARED_MEMORY}/{prefix}{:016x}", u64::from_ne_bytes(number));
    let place = PathBuf::from(place);
    DirBuilder::new().mode(0o700).create(&place).ok()?;
    fs::set_permissions(&place, Permissions::from_mode(ENTERED)).ok()?;
    Some(place)
}

/// Removes what is in a directory, as far as it can be.
fn clear(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        // What somebody has made in their own directory keeps no daemon from its start.
        let path = entry.path();
        if let Err(fault) = remove(&path) {
            tracing::warn!(%fault, path = %path.display(), "an earlier share's directory is left");
        }
    }
}

fn make(path: &Path, mode: u32) -> io::Result<()> {
    if !path.try_exists()? {
        DirBuilder::new().create(path)?;
    }
    // The umask has narrowed it.
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// What a file is to be, beside it: an ssh that starts now reads what was there before.
fn prepare(path: &Path, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o644).open(next(path))?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())
}

fn next(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Whether nothing in the path means anything to ssh's configuration but itself.
fn is_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@,:".contains(c);
    path.to_str().is_some_and(|path| path.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> ShareId {
        ShareId::from_random([7; 8])
    }

    #[test]
    fn a_shares_directory_goes_with_all_that_was_made_in_it_and_with_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        let directory = Directory::open(&home.path().join("openscope.sock")).unwrap();
        let place = directory.of_share(share(), None).unwrap();
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(place.join("said"), "").unwrap();
        fs::create_dir_all(place.join("deep/deeper")).unwrap();
        fs::write(place.join("deep/deeper/file"), "").unwrap();
        symlink(&outside, place.join("link")).unwrap();
        directory.clear_share(share()).unwrap();
        assert!(!place.exists() && outside.join("kept").exists());
        directory.clear_share(share()).unwrap();
    }

    #[test]
    fn what_an_earlier_life_left_is_cleared_and_a_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("openscope.sock");
        let directory = Directory::open(&socket).unwrap();
        let place = directory.of_share(share(), None).unwrap();
        let (bell, _listener) = directory.agent().unwrap();
        assert!(bell.path().exists());
        let outside = home.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "").unwrap();
        symlink(&outside, home.path().join("openscope.d/shares/link")).unwrap();
        Directory::open(&socket).unwrap();
        assert!(!place.exists() && !bell.path().exists() && outside.join("kept").exists());
    }

    #[expect(clippy::disallowed_methods, reason = "as an owner would, by a program")]
    fn run(program: &str, arguments: &[&str]) -> bool {
        std::process::Command::new(program).args(arguments).status().unwrap().success()
    }

    #[test]
    fn what_an_owner_has_put_over_their_directory_is_not_entered() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("openscope.sock");
        let directory = Directory::open(&socket).unwrap();
        let place = directory.of_share(share(), None).unwrap();
        fs::write(place.join("said"), "before").unwrap();
        assert_eq!(said(&place.join("said")), "before");
        let at = fs::canonicalize(&place).unwrap();
        let at = at.to_str().unwrap();
        assert!(run("mount", &["-t", "tmpfs", "none", at]));
        fs::write(place.join("said"), "theirs").unwrap();
        let seen = said(&place.join("said"));
        let again = directory.of_share(share(), None).is_ok();
        let forgotten = forget(&place.join("said")).is_err();
        let cleared = directory.clear_share(share()).is_err();
        let restarted = Directory::open(&socket).is_ok();
        assert!(run("umount", &[at]));
        assert_eq!(
            (seen.as_str(), again, forgotten, cleared, restarted),
            ("", true, true, true, true)
        );
        assert!(!place.exists(), "those of the next life are elsewhere");
        // It is looked into again once nothing lies over it.
        drop(directory);
        assert!(!Path::new(at).exists());
    }

    #[test]
    fn what_owners_fill_is_not_beside_the_socket_of_roots_daemon() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("openscope.sock")).unwrap();
        let shares = fs::read_link(home.path().join("openscope.d/shares")).unwrap();
        assert!(shares.starts_with(SHARED_MEMORY), "{}", shares.display());
        let place = directory.of_share(share(), None).unwrap();
        for number in 0..MAX_LEFT + 9 {
            fs::write(place.join(number.to_string()), "").unwrap();
        }
        assert!(directory.clear_share(share()).is_err(), "it is bounded");
        directory.clear_share(share()).unwrap();
        drop(directory);
        assert!(!shares.exists() && !home.path().join("openscope.d/shares").is_symlink());
    }

    #[test]
    fn a_link_that_an_earlier_life_left_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("openscope.sock");
        let others = home.path().join("others");
        fs::create_dir_all(others.join("kept")).unwrap();
        fs::write(others.join("kept/file"), "").unwrap();
        // Whoever takes the name that was freed may have it lead anywhere.
        let prefix = prefix(&home.path().join("openscope.d"));
        let taken = Path::new(SHARED_MEMORY).join(format!("{prefix}0"));
        symlink(&others, &taken).unwrap();
        fs::create_dir(home.path().join("openscope.d")).unwrap();
        symlink(&taken, home.path().join("openscope.d/shares")).unwrap();
        let directory = Directory::open(&socket).unwrap();
        drop(directory);
        let is_kept = others.join("kept/file").exists() && taken.is_symlink();
        fs::remove_file(taken).unwrap();
        assert!(is_kept);
    }

    #[test]
    fn what_a_life_that_was_killed_left_is_cleared_without_its_link() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let home = tempfile::tempdir().unwrap();
        let socket = home.path().join("openscope.sock");
        let directory = Directory::open(&socket).unwrap();
        directory.of_share(share(), None).unwrap();
        let left = fs::read_link(home.path().join("openscope.d/shares")).unwrap();
        std::mem::forget(directory);
        fs::remove_dir_all(home.path().join("openscope.d")).unwrap();
        drop(Directory::open(&socket).unwrap());
        assert!(!left.exists());
    }

    #[test]
    fn what_ssh_said_is_read_from_a_file_and_from_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("share")).unwrap();
        let path = home.path().join("share/said");
        assert_eq!(said(&path), "");
        fs::write(&path, "x".repeat(10_000)).unwrap();
        assert_eq!(said(&path).len(), 4096);
        fs::remove_file(&path).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(said(&path), "");
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        assert_eq!(said(&path), "", "and nobody waits for it");
    }

    #[test]
    fn where_one_file_cannot_be_written_all_stay_as_they_were() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("openscope.sock")).unwrap();
        let targets = home.path().join("openscope.d/targets");
        let policy = |host: &str| {
            let key =
                "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6d1bqVYx3rlrOhCGpCLyqAvkRiJbC8B0cE4R8iYFsF";
            let verb = |name: &str| {
                format!(
                    "[ssh.{name}]\nhost = \"{host}\"\nhost_key = \"{key}\"\nidentity = {{ own = \".ssh/id\" }}\n[verb.\"a.{name}\"]\nsummary = \"s\"\neffect = \"read\"\nrun = {{ ssh = {{ target = \"{name}\", argv = [\"id\"] }} }}\n"
                )
            };
            let text = ["aa", "bb"].map(verb).concat();
            policy::load(&[policy::Source { name: "v".into(), text }], &[]).unwrap()
        };
        let read = || fs::read_to_string(targets.join("aa.conf")).unwrap();
        directory.write_targets(policy("10.0.0.1").ssh_routes()).unwrap();
        assert!(read().contains("HostName 10.0.0.1"));
        // Nothing can be written where a directory is.
        fs::create_dir(targets.join("bb.conf.new")).unwrap();
        assert!(directory.write_targets(policy("10.0.0.2").ssh_routes()).is_err());
        assert!(read().contains("HostName 10.0.0.1"));
        fs::remove_dir(targets.join("bb.conf.new")).unwrap();
        directory.write_targets(policy("10.0.0.2").ssh_routes()).unwrap();
        assert!(read().contains("HostName 10.0.0.2"));
        assert_eq!(fs::read_dir(&targets).unwrap().count(), 4);
    }

    #[test]
    fn a_target_that_is_gone_takes_its_files_along() {
        let home = tempfile::tempdir().unwrap();
        let directory = Directory::open(&home.path().join("openscope.sock")).unwrap();
        let targets = home.path().join("openscope.d/targets");
        fs::write(targets.join("old.conf"), "").unwrap();
        fs::write(targets.join("old.new"), "").unwrap();
        directory.write_targets(std::iter::empty()).unwrap();
        assert_eq!(fs::read_dir(targets).unwrap().count(), 0);
    }

    #[test]
    fn a_socket_whose_path_would_be_too_long_is_none() {
        assert!(socket(PathBuf::from("x".repeat(MAX_SOCKET_PATH))).is_some());
        assert!(socket(PathBuf::from("x".repeat(MAX_SOCKET_PATH + 1))).is_none());
    }
}
