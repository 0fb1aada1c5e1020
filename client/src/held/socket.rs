//! Where a holder listens: a socket for its user alone, one for each handle of a seat.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::environment::Environment;
use crate::private_file::{Lock, make_directory};
use crate::seat::Seat;

/// What the address of a socket has room for, and the zero after it.
const LONGEST: usize = 107;

/// The place of one holder's socket.
#[derive(Clone, Debug)]
pub(super) struct Socket {
    directory: PathBuf,
    path: PathBuf,
}

/// Why there is no place for a holder's socket.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoPlace {
    /// Nothing says where.
    #[error("neither XDG_RUNTIME_DIR, XDG_STATE_HOME nor HOME says where its socket belongs")]
    Nowhere,
    /// Too long for a socket.
    #[error("`{}` is too long for a socket's name", .0.display())]
    TooLong(PathBuf),
    /// Others could be there.
    #[error("`{}` is not a directory of yours alone", .0.display())]
    Foreign(PathBuf),
    /// It cannot be used.
    #[error("cannot use `{}`", .0.display())]
    Storage(PathBuf, #[source] io::Error),
}

impl Socket {
    /// Where the holder of this seat's channel belongs: where the system keeps what lasts as long as a login, if that is ours
    /// and its name is short enough, else where the keys are.
    pub(super) fn of(seat: &Seat, environment: &Environment) -> Result<Self, NoPlace> {
        let runtime = environment.runtime.clone().filter(|path| is_owned(path.parent()));
        let state = environment.state.as_ref().map(|state| state.join("held"));
        let mut long = None;
        for directory in [runtime, state].into_iter().flatten() {
            let path = directory.join(name(seat));
            if path.as_os_str().len() <= LONGEST {
                return Ok(Self { directory, path });
            }
            long = Some(path);
        }
        Err(long.map_or(NoPlace::Nowhere, NoPlace::TooLong))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nobody but this user can have put anything there.
    pub(super) fn is_private(&self) -> bool {
        let found = self.directory.symlink_metadata();
        found.is_ok_and(|found| {
            let is_alone = found.permissions().mode().trailing_zeros() >= 6;
            found.is_dir() && is_alone && found.uid() == geteuid().as_raw()
        })
    }

    /// Listens there; nothing where somebody does already. A socket that a dead holder has left is replaced.
    pub(super) fn listen(&self) -> Result<Option<UnixListener>, NoPlace> {
        make_directory(&self.directory).map_err(|fault| self.storage(fault))?;
        if !self.is_private() {
            return Err(NoPlace::Foreign(self.directory.clone()));
        }
        self.bind().map_err(|fault| self.storage(fault))
    }

    fn bind(&self) -> io::Result<Option<UnixListener>> {
        let _alone = Lock::on(&self.directory)?;
        if !self.is_free()? {
            return Ok(None);
        }
        let listener = UnixListener::bind(&self.path)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Some(listener))
    }

    /// Removes what a dead holder has left.
    pub(super) fn clear(&self) {
        if let Ok(_alone) = Lock::on(&self.directory) {
            let _best_effort = self.is_free();
        }
    }

    /// Removes it; for whoever listens there.
    pub(super) fn remove(&self) {
        let _gone_already = fs::remove_file(&self.path);
    }

    /// Whether nobody listens; then nothing is there any more.
    fn is_free(&self) -> io::Result<bool> {
        match UnixStream::connect(&self.path) {
            Ok(_) => Ok(false),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(&self.path).map(|()| true)
            }
            Err(fault) => Err(fault),
        }
    }

    fn storage(&self, fault: io::Error) -> NoPlace {
        NoPlace::Storage(self.path.clone(), fault)
    }
}

/// One for each handle: a channel is joined with one, and a narrower one has no part in it.
fn name(seat: &Seat) -> String {
    let authority = seat.authority();
    let digest = seat.passport().digest();
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    format!("{}-{}-{}", authority.share, authority.seat, digits.collect::<String>())
}

fn is_owned(directory: Option<&Path>) -> bool {
    let found = directory.and_then(|directory| directory.metadata().ok());
    found.is_some_and(|found| found.is_dir() && found.uid() == geteuid().as_raw())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use std::os::unix::fs::symlink;

    fn environment(runtime: Option<&Path>, state: &Path) -> Environment {
        Environment {
            runtime: runtime.map(|path| path.join("openscope")),
            state: Some(state.join("openscope")),
            ..Environment::default()
        }
    }

    fn socket(home: &Path) -> Socket {
        Socket::of(&sample::seat(), &environment(Some(home), home)).unwrap()
    }

    fn mode(path: &Path) -> u32 {
        path.symlink_metadata().unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn p12_socket_and_directory_are_for_their_user_alone() {
        let home = tempfile::tempdir().unwrap();
        let socket = socket(home.path());
        let _listener = socket.listen().unwrap().unwrap();
        assert_eq!((mode(&socket.directory), mode(&socket.path)), (0o700, 0o600));
        assert!(socket.path.starts_with(home.path().join("openscope")));
    }

    #[test]
    fn one_listens_at_a_time_and_what_a_dead_one_left_is_replaced() {
        let home = tempfile::tempdir().unwrap();
        let socket = socket(home.path());
        let first = socket.listen().unwrap().unwrap();
        assert!(socket.listen().unwrap().is_none());
        drop(first);
        assert!(socket.path.exists(), "as after a kill");
        let second = socket.listen().unwrap().unwrap();
        socket.clear();
        assert!(socket.path.exists(), "somebody listens");
        drop(second);
        socket.clear();
        assert!(!socket.path.exists());
    }

    #[test]
    fn a_directory_that_others_can_enter_or_that_is_a_link_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let socket = socket(home.path());
        fs::create_dir(&socket.directory).unwrap();
        fs::set_permissions(&socket.directory, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(socket.listen(), Err(NoPlace::Foreign(_))));
        fs::remove_dir(&socket.directory).unwrap();
        let other = home.path().join("other");
        make_directory(&other).unwrap();
        symlink(&other, &socket.directory).unwrap();
        assert!(matches!(socket.listen(), Err(NoPlace::Foreign(_))));
        assert_eq!(fs::read_dir(other).unwrap().count(), 0);
    }

    #[test]
    fn a_name_that_is_too_long_leads_to_the_state_directory_and_then_to_none() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("d".repeat(80));
        make_directory(&deep).unwrap();
        let seat = sample::seat();
        let found = Socket::of(&seat, &environment(Some(&deep), home.path())).unwrap();
        assert!(found.path.starts_with(home.path().join("openscope/held")));
        let none = Socket::of(&seat, &environment(Some(&deep), &deep));
        assert!(matches!(none, Err(NoPlace::TooLong(_))));
        assert!(matches!(Socket::of(&seat, &Environment::default()), Err(NoPlace::Nowhere)));
    }

    #[test]
    fn each_handle_has_a_socket_of_its_own() {
        let names = [sample::seat(), sample::narrowed(), sample::handed_on(20)];
        let names: std::collections::BTreeSet<_> = names.iter().map(name).collect();
        assert_eq!(names.len(), 3);
    }
}
