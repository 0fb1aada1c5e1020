//! A file on its way: under another name until all of it is there and is what was meant.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FlockOperation, Mode, OFlags, RenameFlags, fchmod, flock, linkat, openat,
    renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::PIECE;

/// What has come of a file, beside where it will be.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    hash: Sha256,
    length: u64,
    /// What the file has is of another, and goes when something else comes.
    is_stale: bool,
}

impl Part {
    /// Where the file that is to be here is put together.
    pub(super) fn path_of(target: &Path) -> PathBuf {
        let mut name = target.file_name().map_or_else(OsString::new, ToOwned::to_owned);
        name.push(".openscope-part");
        target.with_file_name(name)
    }

    /// What there is of it, or the beginning of nothing: for its owner alone, and for one program at a time.
    pub(super) fn open(target: &Path) -> io::Result<Self> {
        let path = Self::path_of(target);
        let how =
            OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(openat(CWD, &path, how, Mode::RUSR | Mode::WUSR)?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let told = format!("another program is fetching {}", path.display());
                return Err(io::Error::other(told));
            }
            locked => locked?,
        }
        check(&file, &path)?;
        fchmod(&file, Mode::RUSR | Mode::WUSR)?;
        let mut part = Self { path, file, hash: Sha256::new(), length: 0, is_stale: false };
        part.read()?;
        Ok(part)
    }

    fn read(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; PIECE];
        loop {
            let count = self.file.read(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            self.hash.update(bytes);
            self.length = self.length.saturating_add(count as u64);
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The SHA-256 of what there is, in hexadecimal digits.
    pub(super) fn digest(&self) -> String {
        format!("{:x}", self.hash.clone().finalize())
    }

    pub(super) fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.clear()?;
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// From the beginning. What there is stays until something else has come.
    pub(super) fn begin_again(&mut self) {
        (self.hash, self.length, self.is_stale) = (Sha256::new(), 0, true);
    }

    fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_stale) {
            self.file.set_len(0)?;
            self.file.rewind()?;
        }
        Ok(())
    }

    /// Gives it its name. One that another file has is taken only where that is wanted.
    pub(super) fn finish(mut self, target: &Path, overwrite: bool) -> io::Result<()> {
        self.clear()?;
        self.file.sync_all()?;
        if overwrite {
            renameat(CWD, &self.path, CWD, target)?;
        } else {
            match renameat_with(CWD, &self.path, CWD, target, RenameFlags::NOREPLACE) {
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS) => {
                    linkat(CWD, &self.path, CWD, target, AtFlags::empty())?;
                    unlinkat(CWD, &self.path, AtFlags::empty())?;
                }
                named => named?,
            }
        }
        let above = target.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()
    }

    /// Keeps what there is for another time. Where it is, if there is any.
    pub(super) fn keep(self) -> Option<PathBuf> {
        if self.length == 0 && !self.is_stale {
            self.remove();
            return None;
        }
        Some(self.path)
    }

    pub(super) fn remove(self) {
        // What stays is found and gone on with, or not, by the next.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether what was opened is ours alone, and still has its name: a program that was fetching has given it another.
fn check(file: &File, path: &Path) -> io::Result<()> {
    let (state, named) = (file.metadata()?, path.symlink_metadata()?);
    let is_there = (state.dev(), state.ino()) == (named.dev(), named.ino());
    let is_ours = state.uid() == rustix::process::geteuid().as_raw() && state.nlink() == 1;
    if state.is_file() && is_there && is_ours {
        return Ok(());
    }
    let told = format!("{} is not a file that was being fetched: move it away", path.display());
    Err(io::Error::other(told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn what_was_fetched_is_gone_on_with_and_takes_no_other_file_s_name() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a.bin");
        let mut part = Part::open(&target).unwrap();
        part.add(b"one ").unwrap();
        assert!(Part::open(&target).is_err(), "one at a time");
        assert_eq!(part.keep().unwrap(), home.path().join("a.bin.openscope-part"));
        let mut part = Part::open(&target).unwrap();
        assert_eq!(part.length(), 4);
        part.add(b"two").unwrap();
        assert_eq!(part.digest(), format!("{:x}", Sha256::digest(b"one two")));
        std::fs::write(&target, "mine").unwrap();
        let taken = part.finish(&target, false).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&target).unwrap(), b"mine");
        Part::open(&target).unwrap().finish(&target, true).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"one two");
        assert_eq!(target.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_left_of_nothing_and_no_link_is_followed() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("a.bin");
        assert_eq!(Part::open(&target).unwrap().keep(), None);
        let mut part = Part::open(&target).unwrap();
        part.add(b"stale").unwrap();
        part.begin_again();
        assert_eq!(std::fs::read(Part::path_of(&target)).unwrap(), b"stale");
        part.add(b"new").unwrap();
        part.finish(&target, false).unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
        std::os::unix::fs::symlink("elsewhere", Part::path_of(&target)).unwrap();
        assert!(Part::open(&target).is_err());
        std::fs::remove_file(Part::path_of(&target)).unwrap();
        std::fs::hard_link(&target, Part::path_of(&target)).unwrap();
        assert!(Part::open(&target).is_err());
        assert_eq!(std::fs::read(&target).unwrap(), b"new");
    }
}
