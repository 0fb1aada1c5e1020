//! The monitor's side of the line to its keeper.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{fcntl_dupfd_cloexec, retry_on_intr};
use rustix::net::{SendFlags, send};
use rustix::stdio::dup2_stdin;

/// What a monitor says that is not stuck. No path: those begin with `/`.
pub(super) const BEAT: &[u8] = b".";

/// How often the monitor is to say so.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);

/// The monitor's end of the socket to its keeper.
#[derive(Debug)]
pub struct KeeperLine(OwnedFd);

impl KeeperLine {
    /// Takes descriptor 0, and leaves `/dev/null` there.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn take() -> io::Result<Self> {
        let socket = fcntl_dupfd_cloexec(io::stdin(), 3)?;
        dup2_stdin(File::open("/dev/null")?)?;
        Ok(Self(socket))
    }

    /// Says where the calls are, so that the keeper can end them. To be said before the first one starts.
    ///
    /// # Errors
    /// When the keeper is gone.
    pub fn tell_instance(&self, path: &Path) -> io::Result<()> {
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        retry_on_intr(|| send(&self.0, path.as_os_str().as_bytes(), flags))?;
        Ok(())
    }

    /// Says that the monitor is not stuck. The first time is when it has started up; from then on the keeper waits for it.
    pub fn beat(&self) {
        // A keeper that is gone is noticed elsewhere, and one with a full socket has enough of them.
        let _ = send(&self.0, BEAT, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }

    /// Whether the keeper has ended. The monitor must then end too, and its calls with it.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let mut socket = [PollFd::new(&self.0, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        retry_on_intr(|| poll(&mut socket, Some(&now))) != Ok(0)
    }
}

impl AsFd for KeeperLine {
    /// Poll for `RDHUP`.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
