//! Holder keys: one for each seat, made before the first join and gone with the share.
//!
//! A lost holder key locks its recipient out, so it is on the disk before the daemon hears of it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use policy::Timestamp;
use wire::channel::HolderKey;
use zeroize::Zeroizing;

use crate::private_file::{Lock, make_directory};
use crate::seat::Seat;

const TITLE: &str = "# OpenScope: the key that holds a seat. Gone when its share is over.";

/// The directory of this user's holder keys.
#[derive(Debug)]
pub(crate) struct Seats {
    directory: PathBuf,
}

/// Why there is no holder key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFault {
    /// A file or directory cannot be used.
    #[error("cannot use `{}`", .path.display())]
    Storage {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A key file is not one.
    #[error("`{}` is not a holder key: it was changed or cut short", .path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A key file of the same share and seat that another daemon signed.
    #[error("`{}` belongs to another daemon's seat of the same number", .path.display())]
    OtherSeat {
        /// Which.
        path: PathBuf,
    },
    /// The system gives no randomness.
    #[error("this machine gives no random numbers")]
    Random(#[source] getrandom::Error),
}

/// A file among the holder keys, and what it says but for the key.
pub(crate) struct KeptSeat {
    pub(crate) path: PathBuf,
    /// When the share ends for good, and the daemon's identity key.
    pub(crate) says: Result<(Timestamp, [u8; 32]), KeyFault>,
}

/// What a key file says.
struct Kept {
    not_after: Timestamp,
    daemon: [u8; 32],
    key: HolderKey,
}

impl Seats {
    /// The keys under this state directory.
    pub(crate) fn within(state: &Path) -> Self {
        Self { directory: state.join("seats") }
    }

    /// The key for a seat: the one that this user's processes hold already, or a new one that is on the disk.
    ///
    /// # Errors
    /// When it can be neither read nor kept.
    pub(crate) fn holder(&self, seat: &Seat, now: Timestamp) -> Result<HolderKey, KeyFault> {
        make_directory(&self.directory).map_err(|source| self.storage(source))?;
        let lock = Lock::on(&self.directory).map_err(|source| self.storage(source))?;
        self.sweep(now);
        match self.known(seat)? {
            Some(key) => Ok(key),
            None => make(&lock, self.path(seat), seat),
        }
    }

    /// The key that this user's processes hold already, if there is one.
    ///
    /// # Errors
    /// When it is there and cannot be read, or is another daemon's.
    pub(crate) fn known(&self, seat: &Seat) -> Result<Option<HolderKey>, KeyFault> {
        let path = self.path(seat);
        match read(&path)? {
            Some(kept) if kept.daemon == seat.handle().daemon_key => Ok(Some(kept.key)),
            Some(_) => Err(KeyFault::OtherSeat { path }),
            None => Ok(None),
        }
    }

    /// All keys that are kept, by the names of their files.
    ///
    /// # Errors
    /// When the directory is there and cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<KeptSeat>, KeyFault> {
        let entries = match fs::read_dir(&self.directory) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|source| self.storage(source))?,
        };
        let paths: Result<BTreeSet<PathBuf>, _> =
            entries.map(|entry| entry.map(|entry| entry.path())).collect();
        let paths = paths.map_err(|source| self.storage(source))?;
        // One that is gone by now has been removed meanwhile.
        let kept = paths.into_iter().filter_map(|path| {
            let says = read(&path).transpose()?.map(|kept| (kept.not_after, kept.daemon));
            Some(KeptSeat { path, says })
        });
        Ok(kept.collect())
    }

    /// Removes a seat's key, since its share is over.
    pub(crate) fn forget(&self, seat: &Seat) {
        let _gone_already = fs::remove_file(self.path(seat));
    }

    /// Removes the keys of shares that are past their hard stop.
    fn sweep(&self, now: Timestamp) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            let kept = read(&path);
            if matches!(kept, Ok(Some(Kept { not_after, .. })) if not_after <= now) {
                let _gone_already = fs::remove_file(path);
            }
        }
    }

    /// A place of its own for each holder: who hands a seat on to an agent of the same user is not to share the key.
    pub(crate) fn path(&self, seat: &Seat) -> PathBuf {
        let authority = seat.authority();
        let (share, number) = (authority.share, authority.seat);
        let name = match seat.passport().hops().next_back() {
            None => format!("{share}-{number}"),
            Some(hop) => {
                let digits = hop.redeem_key.iter().take(8).map(|byte| format!("{byte:02x}"));
                format!("{share}-{number}-{}", digits.collect::<String>())
            }
        };
        self.directory.join(name)
    }

    fn storage(&self, source: io::Error) -> KeyFault {
        KeyFault::Storage { path: self.directory.clone(), source }
    }
}

fn make(lock: &Lock, path: PathBuf, seat: &Seat) -> Result<HolderKey, KeyFault> {
    let key = Seat::new_holder_key().map_err(KeyFault::Random)?;
    let kept =
        Kept { not_after: seat.authority().not_after, daemon: seat.handle().daemon_key, key };
    match lock.replace(&path, kept.text().as_bytes()) {
        Ok(()) => Ok(kept.key),
        Err(source) => Err(KeyFault::Storage { path, source }),
    }
}

fn read(path: &Path) -> Result<Option<Kept>, KeyFault> {
    match fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => {
            Kept::parse(&text).map(Some).ok_or_else(|| KeyFault::Damaged { path: path.into() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFault::Storage { path: path.into(), source }),
    }
}

impl Kept {
    fn text(&self) -> Zeroizing<String> {
        let (daemon, key) =
            (BASE64.encode(self.daemon), Zeroizing::new(BASE64.encode(self.key.seed())));
        let key = key.as_str();
        Zeroizing::new(format!("{TITLE}\n{}\n{daemon}\n{key}\n", self.not_after.0))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return None;
        }
        let not_after = Timestamp(lines.next()?.parse().ok()?);
        let daemon = decode(lines.next()?)?;
        let key = Zeroizing::new(decode(lines.next()?)?);
        Some(Self { not_after, daemon, key: HolderKey::from_seed(*key) })
    }
}

fn decode(text: &str) -> Option<[u8; 32]> {
    Zeroizing::new(BASE64.decode(text).ok()?).as_slice().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use std::os::unix::fs::PermissionsExt;

    const NOW: Timestamp = Timestamp(1_000);

    #[test]
    fn a_seat_has_one_key_however_often_it_is_asked_for_and_nobody_else_reads_it() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        let seat = sample::seat();
        let first = seats.holder(&seat, NOW).unwrap();
        let second = seats.holder(&seat, NOW).unwrap();
        assert_eq!(first.public(), second.public());
        let path = seats.path(&seat);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn p12_a_key_is_gone_with_its_share() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        let seat = sample::seat();
        seats.holder(&seat, NOW).unwrap();
        seats.forget(&seat);
        assert_eq!(fs::read_dir(home.path().join("seats")).unwrap().count(), 0);
    }

    #[test]
    fn p12_a_key_past_its_hard_stop_is_swept_and_not_a_moment_before() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        let seat = sample::seat();
        let end = seat.authority().not_after;
        seats.holder(&seat, NOW).unwrap();
        let other = seats.directory.join("someone-elses");
        fs::write(&other, "not a key").unwrap();
        seats.sweep(Timestamp(end.0 - 1));
        assert_eq!(fs::read_dir(&seats.directory).unwrap().count(), 2);
        seats.sweep(end);
        assert_eq!(fs::read_dir(&seats.directory).unwrap().count(), 1);
        assert!(other.exists());
    }

    #[test]
    fn a_damaged_key_is_named_and_never_replaced() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        let seat = sample::seat();
        seats.holder(&seat, NOW).unwrap();
        let path = seats.path(&seat);
        fs::write(&path, "cut").unwrap();
        assert!(matches!(seats.holder(&seat, NOW), Err(KeyFault::Damaged { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "cut");
    }

    #[test]
    fn a_key_is_not_used_for_another_daemons_seat_of_the_same_number() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        seats.holder(&sample::seat(), NOW).unwrap();
        let other = sample::seat_of_daemon(99);
        assert!(matches!(seats.holder(&other, NOW), Err(KeyFault::OtherSeat { .. })));
    }

    #[test]
    fn who_was_handed_a_seat_has_a_key_of_their_own_and_who_narrowed_it_the_holders() {
        let home = tempfile::tempdir().unwrap();
        let seats = Seats::within(home.path());
        let own = seats.holder(&sample::seat(), NOW).unwrap().public();
        assert_eq!(seats.known(&sample::narrowed()).unwrap().unwrap().public(), own);
        assert!(seats.known(&sample::handed_on(20)).unwrap().is_none());
        let first = seats.holder(&sample::handed_on(20), NOW).unwrap().public();
        let second = seats.holder(&sample::handed_on(21), NOW).unwrap().public();
        assert!(first != own && second != own && first != second);
        assert_eq!(seats.holder(&sample::handed_on(20), NOW).unwrap().public(), first);
    }
}
