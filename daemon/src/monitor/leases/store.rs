//! Opening the store, whatever a crash or a full disk has left of it.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};

use super::LeaseFault;

/// Leases are few and small.
const CACHE_BYTES: u64 = 8 * 1024 * 1024;
/// How sled names a snapshot that it has not written to its end.
const UNFINISHED: &str = "generating";
/// The file that keeps room on the disk: sled writes before it can be read, and a daemon that starts on a full disk
/// must still know which shares to end.
const ROOM: &str = "room";
const ROOM_BYTES: u64 = 2 * 1024 * 1024;

/// Opens the store, or makes it. On a full disk it gives up the room that was kept for that.
pub(super) fn open(path: &Path) -> Result<sled::Db, LeaseFault> {
    let room = path.with_extension(ROOM);
    let store = attempt(path).or_else(|fault| {
        fs::remove_file(&room).map_err(|_| fault)?;
        tracing::warn!("the leases are opened in the room that was kept for a full disk");
        attempt(path)
    })?;
    if let Err(fault) = keep(&room) {
        tracing::warn!(%fault, "no room is kept for opening the leases on a full disk");
    }
    Ok(store)
}

fn attempt(path: &Path) -> Result<sled::Db, LeaseFault> {
    let cleared = clear_unfinished(path).map_err(sled::Error::Io);
    let config = sled::Config::new().path(path).cache_capacity(CACHE_BYTES).flush_every_ms(None);
    cleared
        .and_then(|()| config.open())
        .map_err(|error| LeaseFault::Open { path: path.to_owned(), source: Box::new(error) })
}

/// Sled takes a snapshot that a crash left unfinished for a whole one, finds it damaged, and would not open the store
/// ever again. The one before it is there, and the log after that.
fn clear_unfinished(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == UNFINISHED) {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

fn keep(room: &Path) -> io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(room)?;
    if file.metadata()?.len() < ROOM_BYTES {
        fallocate(&file, FallocateFlags::empty(), 0, ROOM_BYTES)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_a_snapshot_that_a_crash_left_unfinished_does_not_close_the_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leases");
        let store = open(&path).unwrap();
        store.insert(b"one", b"1").unwrap();
        store.flush().unwrap();
        drop(store);
        fs::write(path.join("snap.00000000000FFFFF.generating"), b"").unwrap();
        let store = open(&path).unwrap();
        assert_eq!(store.get(b"one").unwrap().unwrap(), b"1");
    }

    #[test]
    fn room_is_kept_beside_the_store_and_given_up_when_it_does_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let (path, room) = (dir.path().join("leases"), dir.path().join("leases.room"));
        drop(open(&path).unwrap());
        assert_eq!(fs::metadata(&room).unwrap().len(), ROOM_BYTES);
        let other = dir.path().join("file");
        fs::write(&other, b"not a directory").unwrap();
        keep(&other.with_extension(ROOM)).unwrap();
        assert!(open(&other).is_err());
        assert!(!other.with_extension(ROOM).exists());
    }
}
