//! The log's file: appended to whole or not at all, with room kept for endings.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Room that only endings may use: some four thousand of them.
pub(super) const RESERVE: u64 = 1024 * 1024;

/// How much more than the reserve is allocated at a time.
const STEP: u64 = 1024 * 1024;

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    end: u64,
    allocated: u64,
}

impl Log {
    /// Takes a file whose content up to `end` is whole. What follows is cut off.
    pub(super) fn new(file: File, end: u64) -> io::Result<Self> {
        // Cutting gives up what is allocated behind the end, so it is done only where needed.
        if file.metadata()?.len() > end {
            file.set_len(end)?;
        }
        let mut log = Self { file, end, allocated: end };
        log.allocate(0);
        Ok(log)
    }

    /// The length of what has been appended.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Whether `more` bytes can be appended without touching the reserve.
    pub(super) fn has_room(&mut self, more: u64) -> bool {
        let needed = self.end.saturating_add(more).saturating_add(RESERVE);
        if self.allocated < needed {
            self.allocate(more);
        }
        self.allocated >= needed
    }

    /// Appends all of `bytes`, or nothing of them.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all_at(bytes, self.end) {
            // Cutting also gives up what was allocated behind the end.
            self.allocated = self.end;
            self.file.set_len(self.end)?;
            self.allocate(0);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Waits until everything is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// A step ahead, or on a disk that is nearly full just enough, or nothing.
    fn allocate(&mut self, more: u64) {
        let least = self.end.saturating_add(more).saturating_add(RESERVE);
        self.extend_to(least.saturating_add(STEP));
        self.extend_to(least);
    }

    fn extend_to(&mut self, to: u64) {
        let length = to.saturating_sub(self.allocated);
        if length == 0 {
            return;
        }
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.allocated, length) {
            Ok(()) => self.allocated = to,
            // A file system that cannot promise room: a full disk then shows at the write.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.allocated = u64::MAX,
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_end_is_cut_off_and_appending_goes_on_there() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"whole\ntorn", 0).unwrap();
        let mut log = Log::new(file, 6).unwrap();
        log.append(b"next\n").unwrap();
        let mut bytes = vec![0; 64];
        let length = log.file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes.get(..length).unwrap(), b"whole\nnext\n");
        assert_eq!(log.end(), 11);
    }

    #[test]
    fn room_is_allocated_without_lengthening_the_file() {
        use std::os::unix::fs::MetadataExt;
        let mut log = Log::new(tempfile::tempfile().unwrap(), 0).unwrap();
        assert!(log.has_room(4096));
        let metadata = log.file.metadata().unwrap();
        assert_eq!(metadata.len(), 0);
        assert!(metadata.blocks() * 512 >= RESERVE, "{}", metadata.blocks());
    }
}
