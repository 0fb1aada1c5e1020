//! Opens the files that give authority, and only those that nobody else could have written.
//!
//! As sshd's `StrictModes`: a file, and every directory above it, belongs to root or to the user
//! that we run as, and neither group nor others may write to it. Paths are walked from `/`, a
//! component at a time, without following links; what is judged is the open descriptor that is
//! then read, so nothing can be swapped in between.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat, fstat, openat, readlinkat};
use zeroize::Zeroizing;

/// Links that one program's path may go through, as the kernel's own limit.
const MAX_LINKS: u32 = 40;

/// Files in one configuration directory.
const MAX_NAMES: usize = 256;

/// Whether a sticky directory of root's, such as `/tmp`, is tolerated on the way down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Above {
    /// Never: what root obeys does not lie in `/tmp`.
    Refuse,
    /// As sshd does for a user's own files: in such a directory nobody can replace another's file.
    AllowSticky,
}

/// Judges files: who may own them, and where they may lie.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    uid: u32,
    above: Above,
}

/// A file that is not trusted. Says how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("`{}` {wrong}{}", .path.display(), .wrong.mend(.path))]
pub(crate) struct StrictFault {
    path: PathBuf,
    wrong: Wrong,
}

/// What is wrong with a path.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("is not an absolute path without `..`")]
    NotPlain,
    #[error("is a symbolic link")]
    Link,
    #[error("goes through more than {MAX_LINKS} symbolic links")]
    Links,
    #[error("belongs to uid {uid}, not to {wanted}")]
    Owner { uid: u32, wanted: Wanted },
    #[error("is writable by group or others")]
    Writable,
    #[error("is readable by group or others, and holds a secret")]
    Readable,
    #[error("is not a directory")]
    NotDirectory,
    #[error("is not a regular file")]
    NotFile,
    #[error("is not executable")]
    NotExecutable,
    #[error("is larger than {cap} bytes")]
    TooLarge { cap: u64 },
    #[error("has more than {MAX_NAMES} entries")]
    TooMany,
    #[error("is not UTF-8")]
    NotText,
    #[error("cannot be opened: {0}")]
    Io(io::Error),
}

/// Who should own a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wanted {
    Root,
    RootOr(u32),
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Root => f.write_str("root"),
            Self::RootOr(uid) => write!(f, "root or uid {uid}"),
        }
    }
}

impl Wrong {
    fn mend(&self, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Owner { wanted: Wanted::Root, .. } => format!("\n   = run `chown root {path}`"),
            Self::Owner { wanted: Wanted::RootOr(uid), .. } => {
                format!("\n   = run `chown {uid} {path}`")
            }
            Self::Writable => format!("\n   = run `chmod go-w {path}`"),
            Self::Readable => format!("\n   = run `chmod 600 {path}`"),
            Self::NotExecutable => format!("\n   = run `chmod a+x {path}`"),
            Self::Link => "\n   = put the file itself there, links are not followed".into(),
            Self::NotPlain
            | Self::Links
            | Self::NotDirectory
            | Self::NotFile
            | Self::TooLarge { .. }
            | Self::TooMany
            | Self::NotText
            | Self::Io(_) => String::new(),
        }
    }

    fn at(self, path: &Path) -> StrictFault {
        StrictFault { path: path.to_owned(), wrong: self }
    }
}

impl StrictFault {
    /// Whether there simply is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(&self.wrong, Wrong::Io(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// The file or directory that is to blame.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Judge {
    /// Trusts files of root and of the user that this process runs as.
    pub(crate) fn of_process(above: Above) -> Self {
        Self::new(rustix::process::geteuid().as_raw(), above)
    }

    /// Trusts files of root and of `uid`.
    pub(crate) fn new(uid: u32, above: Above) -> Self {
        Self { uid, above }
    }

    /// Opens a regular file for reading.
    pub(crate) fn file(&self, path: &Path) -> Result<File, StrictFault> {
        let file = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        let stat = self.judged(&file, path)?;
        expect(&stat, FileType::RegularFile, Wrong::NotFile).map_err(|wrong| wrong.at(path))?;
        Ok(file.into())
    }

    /// The text of a file of at most `cap` bytes.
    pub(crate) fn text(&self, path: &Path, cap: u64) -> Result<String, StrictFault> {
        let bytes = read(self.file(path)?, path, cap)?;
        String::from_utf8(bytes.to_vec()).map_err(|_| Wrong::NotText.at(path))
    }

    /// The bytes of a file of at most `cap` bytes that only its owner may read.
    pub(crate) fn secret(&self, path: &Path, cap: u64) -> Result<Zeroizing<Vec<u8>>, StrictFault> {
        read(self.secret_file(path)?, path, cap)
    }

    /// Opens a file that only its owner may read.
    pub(crate) fn secret_file(&self, path: &Path) -> Result<File, StrictFault> {
        let file = self.file(path)?;
        let stat = fstat(&file).map_err(|error| Wrong::Io(error.into()).at(path))?;
        if stat.st_mode & 0o077 != 0 {
            return Err(Wrong::Readable.at(path));
        }
        Ok(file)
    }

    /// Opens a directory for reading.
    pub(crate) fn directory(&self, path: &Path) -> Result<OwnedFd, StrictFault> {
        let directory = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let stat = self.judged(&directory, path)?;
        expect(&stat, FileType::Directory, Wrong::NotDirectory).map_err(|wrong| wrong.at(path))?;
        Ok(directory)
    }

    /// The paths in `directory` that end in `.extension`, sorted. Hidden files are passed over.
    pub(crate) fn names(
        &self,
        directory: &Path,
        extension: &str,
    ) -> Result<Vec<PathBuf>, StrictFault> {
        let io = |error: rustix::io::Errno| Wrong::Io(error.into()).at(directory);
        let mut names = Vec::new();
        for entry in Dir::new(self.directory(directory)?).map_err(io)? {
            let name = OsString::from_vec(entry.map_err(io)?.file_name().to_bytes().to_vec());
            let path = directory.join(&name);
            if path.extension() == Some(OsStr::new(extension)) && !starts_with_dot(&name) {
                names.push(path);
            }
            if names.len() > MAX_NAMES {
                return Err(Wrong::TooMany.at(directory));
            }
        }
        names.sort();
        Ok(names)
    }

    /// A descriptor by which to execute a program. Unlike for configuration, links are followed (on
    /// most systems `/bin` is one), each judged as a file and within directories that were judged.
    pub(crate) fn program(&self, path: &Path) -> Result<OwnedFd, StrictFault> {
        let (parent, name, seen) = self.walk(path, Links::Follow)?;
        let file = open_at(&parent, &name, OFlags::PATH).map_err(|wrong| wrong.at(&seen))?;
        let stat = self.judged(&file, &seen)?;
        expect(&stat, FileType::RegularFile, Wrong::NotFile).map_err(|wrong| wrong.at(&seen))?;
        if stat.st_mode & 0o111 == 0 {
            return Err(Wrong::NotExecutable.at(&seen));
        }
        Ok(file)
    }

    fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, StrictFault> {
        let (parent, name, seen) = self.walk(path, Links::Refuse)?;
        open_at(&parent, &name, flags).map_err(|wrong| wrong.at(&seen))
    }

    /// The judged directory of `path`'s last component, that component, and the path as walked.
    fn walk(&self, path: &Path, links: Links) -> Result<(OwnedFd, OsString, PathBuf), StrictFault> {
        let mut ahead = components(path, links).map_err(|wrong| wrong.at(path))?;
        let mut seen = PathBuf::from("/");
        let mut at = self.root()?;
        let mut hops = 0;
        while let Some(name) = ahead.pop_front() {
            let here = if name == ".." { seen.clone() } else { seen.join(&name) };
            let next = open_at(&at, &name, OFlags::PATH).map_err(|wrong| wrong.at(&here))?;
            let stat = fstat(&next).map_err(|error| Wrong::Io(error.into()).at(&here))?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                let target = self.target(&next, &stat, links, &mut hops);
                let target = target.map_err(|wrong| wrong.at(&here))?;
                if target.is_absolute() {
                    (at, seen) = (self.root()?, PathBuf::from("/"));
                }
                splice(&mut ahead, &target);
                continue;
            }
            if ahead.is_empty() {
                return Ok((at, name, here));
            }
            expect(&stat, FileType::Directory, Wrong::NotDirectory)
                .map_err(|wrong| wrong.at(&here))?;
            self.judge(&stat).map_err(|wrong| wrong.at(&here))?;
            (at, seen) = (next, step(seen, &name));
        }
        // `/` itself, or a link to it.
        Ok((at, OsString::from("."), seen))
    }

    fn root(&self) -> Result<OwnedFd, StrictFault> {
        let root = Path::new("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|error| Wrong::Io(error.into()).at(root))?;
        self.judged(&fd, root)?;
        Ok(fd)
    }

    fn target(
        &self,
        link: &OwnedFd,
        stat: &Stat,
        links: Links,
        hops: &mut u32,
    ) -> Result<PathBuf, Wrong> {
        if links == Links::Refuse {
            return Err(Wrong::Link);
        }
        *hops += 1;
        if *hops > MAX_LINKS {
            return Err(Wrong::Links);
        }
        self.owned(stat)?;
        let target = readlinkat(link, "", Vec::new()).map_err(|error| Wrong::Io(error.into()))?;
        Ok(PathBuf::from(OsString::from_vec(target.into_bytes())))
    }

    fn judged(&self, file: &OwnedFd, path: &Path) -> Result<Stat, StrictFault> {
        let stat = fstat(file).map_err(|error| Wrong::Io(error.into()).at(path))?;
        self.judge(&stat).map_err(|wrong| wrong.at(path))?;
        Ok(stat)
    }

    fn judge(&self, stat: &Stat) -> Result<(), Wrong> {
        self.owned(stat)?;
        if stat.st_mode & 0o022 == 0 || self.tolerates(stat) {
            Ok(())
        } else {
            Err(Wrong::Writable)
        }
    }

    fn owned(&self, stat: &Stat) -> Result<(), Wrong> {
        let wanted = if self.uid == 0 { Wanted::Root } else { Wanted::RootOr(self.uid) };
        if stat.st_uid == 0 || stat.st_uid == self.uid {
            Ok(())
        } else {
            Err(Wrong::Owner { uid: stat.st_uid, wanted })
        }
    }

    fn tolerates(&self, stat: &Stat) -> bool {
        self.above == Above::AllowSticky
            && stat.st_uid == 0
            && stat.st_mode & 0o1000 != 0
            && FileType::from_raw_mode(stat.st_mode) == FileType::Directory
    }
}

/// What becomes of a symbolic link on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Links {
    Refuse,
    Follow,
}

fn components(path: &Path, links: Links) -> Result<VecDeque<OsString>, Wrong> {
    let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
    // A link's own target may say `..`; what a person wrote in a configuration may not.
    if !plain && (links == Links::Refuse || !path.is_absolute()) {
        return Err(Wrong::NotPlain);
    }
    let mut names = VecDeque::new();
    splice(&mut names, path);
    Ok(names)
}

fn splice(ahead: &mut VecDeque<OsString>, path: &Path) {
    for part in path.components().rev() {
        match part {
            Component::Normal(name) => ahead.push_front(name.to_owned()),
            Component::ParentDir => ahead.push_front("..".into()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn step(mut seen: PathBuf, name: &OsStr) -> PathBuf {
    if name == ".." {
        seen.pop();
    } else {
        seen.push(name);
    }
    seen
}

fn open_at(parent: &OwnedFd, name: &OsStr, flags: OFlags) -> Result<OwnedFd, Wrong> {
    match openat(parent, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => Err(Wrong::Link),
        opened => opened.map_err(|error| Wrong::Io(error.into())),
    }
}

fn expect(stat: &Stat, wanted: FileType, wrong: Wrong) -> Result<(), Wrong> {
    if FileType::from_raw_mode(stat.st_mode) == wanted { Ok(()) } else { Err(wrong) }
}

fn read(file: File, path: &Path, cap: u64) -> Result<Zeroizing<Vec<u8>>, StrictFault> {
    // As much at once as there is: a buffer that grows leaves copies of secrets behind.
    let length = file.metadata().map_or(0, |stat| stat.len()).min(cap);
    let room = usize::try_from(length).unwrap_or_default().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| Wrong::Io(error).at(path))?;
    if bytes.len() as u64 > cap { Err(Wrong::TooLarge { cap }.at(path)) } else { Ok(bytes) }
}

fn starts_with_dot(name: &OsStr) -> bool {
    name.as_encoded_bytes().first() == Some(&b'.')
}

/// A directory that a test may trust as the daemon trusts its own: root's do not lie in `/tmp`.
#[cfg(test)]
pub(crate) fn trusted_directory() -> tempfile::TempDir {
    let root = rustix::process::geteuid().is_root();
    if root { tempfile::tempdir_in("/run") } else { tempfile::tempdir() }.unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn place() -> (tempfile::TempDir, PathBuf, Judge) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        fs::write(&file, "text").unwrap();
        set_mode(&file, 0o644);
        (dir, file, Judge::of_process(Above::AllowSticky))
    }

    fn said<T>(result: Result<T, StrictFault>) -> String {
        result.err().expect("should be refused").to_string()
    }

    #[test]
    fn a_file_of_ones_own_is_read() {
        let (_dir, file, judge) = place();
        assert_eq!(judge.text(&file, 4).unwrap(), "text");
    }

    #[test]
    fn lo5_a_file_writable_by_the_group_is_refused_by_name_with_its_remedy() {
        let (_dir, file, judge) = place();
        set_mode(&file, 0o664);
        let said = said(judge.text(&file, 64));
        assert!(said.contains(&format!("`{}` is writable by group", file.display())), "{said}");
        assert!(said.contains(&format!("run `chmod go-w {}`", file.display())), "{said}");
    }

    #[test]
    fn lo5_a_file_writable_by_others_is_refused() {
        let (_dir, file, judge) = place();
        set_mode(&file, 0o646);
        assert!(said(judge.text(&file, 64)).contains("writable by group or others"));
    }

    #[test]
    fn lo5_a_writable_directory_above_is_refused_by_its_own_name() {
        let (dir, _, judge) = place();
        let below = dir.path().join("conf/deep");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("a.toml"), "x").unwrap();
        judge.text(&below.join("a.toml"), 64).unwrap();
        set_mode(&dir.path().join("conf"), 0o777);
        let said = said(judge.text(&below.join("a.toml"), 64));
        assert!(said.starts_with(&format!("`{}` is writable", dir.path().join("conf").display())));
    }

    #[test]
    fn lo5_a_symlinked_file_or_directory_is_refused() {
        let (dir, file, judge) = place();
        symlink(&file, dir.path().join("b.toml")).unwrap();
        assert!(said(judge.text(&dir.path().join("b.toml"), 64)).contains("is a symbolic link"));
        symlink(dir.path(), dir.path().join("d")).unwrap();
        let said = said(judge.text(&dir.path().join("d/a.toml"), 64));
        assert!(said.contains("/d` is a symbolic link"), "{said}");
    }

    #[test]
    fn lo5_a_file_of_another_user_is_refused_by_name() {
        let (_dir, file, _) = place();
        let mine = rustix::process::geteuid().as_raw();
        let judge = if mine == 0 {
            std::os::unix::fs::chown(&file, Some(4242), None).unwrap();
            Judge::new(0, Above::AllowSticky)
        } else {
            Judge::new(mine + 1, Above::AllowSticky)
        };
        let said = said(judge.text(&file, 64));
        assert!(said.contains("belongs to uid") && said.contains("run `chown"), "{said}");
    }

    #[test]
    fn lo5_a_sticky_directory_is_refused_unless_tolerated() {
        let (_dir, file, _) = place();
        let said = said(Judge::of_process(Above::Refuse).text(&file, 64));
        assert!(said.starts_with("`/tmp` is writable"), "{said}");
        assert!(Judge::of_process(Above::Refuse).file(Path::new("/etc/passwd")).is_ok());
    }

    #[test]
    fn a_text_is_read_at_its_cap_and_refused_over_it() {
        let (_dir, file, judge) = place();
        assert!(judge.text(&file, 5).is_ok());
        assert!(judge.text(&file, 4).is_ok());
        assert!(said(judge.text(&file, 3)).contains("larger than 3 bytes"));
    }

    #[test]
    fn relative_paths_and_parent_components_are_refused() {
        let judge = Judge::of_process(Above::AllowSticky);
        assert!(said(judge.file(Path::new("a.toml"))).contains("not an absolute path"));
        assert!(said(judge.file(Path::new("/etc/../etc/passwd"))).contains("not an absolute path"));
    }

    #[test]
    fn a_secret_that_the_group_may_read_is_refused() {
        let (_dir, file, judge) = place();
        assert!(said(judge.secret(&file, 64)).contains("chmod 600"));
        set_mode(&file, 0o600);
        assert_eq!(judge.secret(&file, 64).unwrap().as_slice(), b"text");
    }

    #[test]
    fn what_is_neither_file_nor_directory_is_refused_and_does_not_block() {
        let (dir, file, judge) = place();
        let fifo = dir.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert!(said(judge.file(&fifo)).contains("not a regular file"));
        assert!(said(judge.directory(&file)).contains("not a directory"));
        assert!(said(judge.file(&file.join("x"))).contains("not a directory"));
    }

    #[test]
    fn a_directory_lists_its_visible_files_of_one_extension_in_order() {
        let (dir, file, judge) = place();
        for name in ["c.toml", "b.toml", ".hidden.toml", "b.toml~", "readme"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names = judge.names(dir.path(), "toml").unwrap();
        assert_eq!(names, [file, dir.path().join("b.toml"), dir.path().join("c.toml")]);
    }

    #[test]
    fn a_program_is_found_through_links_that_are_trusted() {
        let (dir, file, judge) = place();
        assert!(said(judge.program(&file)).contains("not executable"));
        set_mode(&file, 0o755);
        judge.program(&file).unwrap();
        fs::create_dir(dir.path().join("bin")).unwrap();
        symlink("../a.toml", dir.path().join("bin/tool")).unwrap();
        judge.program(&dir.path().join("bin/tool")).unwrap();
        judge.program(Path::new("/bin/sh")).unwrap();
        set_mode(&file, 0o757);
        assert!(said(judge.program(&dir.path().join("bin/tool"))).contains("/a.toml` is writable"));
    }

    #[test]
    fn a_loop_of_links_ends() {
        let (dir, _, judge) = place();
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(said(judge.program(&dir.path().join("loop"))).contains("more than 40"));
    }
}
