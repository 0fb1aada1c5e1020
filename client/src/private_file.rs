//! Files that nobody else may read, written whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Makes a directory and those above it, 0700 where they are new.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Holds a directory against other processes of this user until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Lock {
    /// Waits for the directory, which must be there.
    pub(crate) fn on(directory: &Path) -> io::Result<Self> {
        let directory = File::open(directory)?;
        flock(&directory, FlockOperation::LockExclusive)?;
        Ok(Self(directory))
    }

    /// Puts a file, 0600, in the place of what has this name, and both on the disk.
    pub(crate) fn replace(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let draft = path.with_extension("new");
        // A draft that an earlier life left behind; the lock says that it is nobody's.
        if let Err(error) = std::fs::remove_file(&draft)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        create(&draft, text)?;
        std::fs::rename(&draft, path)?;
        self.0.sync_all()
    }
}

/// Writes a new file, 0600, and puts it on the disk; one that is there already is an error.
pub(crate) fn create(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn p12_directories_and_files_are_for_their_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("a/b");
        make_directory(&directory).unwrap();
        let file = directory.join("secret");
        Lock::on(&directory).unwrap().replace(&file, b"one").unwrap();
        assert_eq!(
            (mode(&home.path().join("a")), mode(&directory), mode(&file)),
            (0o700, 0o700, 0o600)
        );
    }

    #[test]
    fn a_file_is_replaced_whole_even_after_a_crash_left_a_draft() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("known");
        std::fs::write(home.path().join("known.new"), "half").unwrap();
        let lock = Lock::on(home.path()).unwrap();
        lock.replace(&file, b"one").unwrap();
        lock.replace(&file, b"two").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_never_overwrites_another() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("identity.txt");
        create(&file, b"first").unwrap();
        assert_eq!(create(&file, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&file).unwrap(), b"first");
    }
}
