//! The daemon's keys at rest: its identity, its leg key, and the secret that channel keys come from.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use zeroize::Zeroizing;

use super::audit::{Hex, LOG};
use crate::strict::{Judge, StrictFault};

const IDENTITY: &str = "identity.key";
const PUBLIC: &str = "identity.pub";
const SECRET: &str = "state.secret";
const LEG: &str = "leg.key";

/// The public key's file: 64 digits and a line feed.
const MAX_PUBLIC: u64 = 65;

/// The daemon's secrets, each 32 random bytes in a file of mode 0600.
pub(crate) struct Identity {
    key: SigningKey,
    state_secret: Zeroizing<[u8; 32]>,
    leg_seed: Zeroizing<[u8; 32]>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("public", &self.public_key()).finish_non_exhaustive()
    }
}

/// Why the daemon has no identity.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityFault {
    /// A file that others could have written or read.
    #[error(transparent)]
    Strict(#[from] StrictFault),
    /// A key of another length.
    #[error("`{}` is not a key of this daemon\n   = put the file back from a backup", path.display())]
    Shape {
        /// Which file.
        path: PathBuf,
    },
    /// The identity is gone, and the log that it signed is not.
    #[error(
        "`{}` is gone, and an audit log signed with it is there\n   = put the key back, or move the whole state directory away: recipients then see a new daemon",
        path.display()
    )]
    Lost {
        /// The key's file.
        path: PathBuf,
    },
    /// The machine's refusal.
    #[error("`{}` cannot be made", path.display())]
    Make {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Identity {
    /// Reads the keys in `state`, and makes those that are not there yet.
    pub(crate) fn load_or_create(state: &Path, judge: &Judge) -> Result<Self, IdentityFault> {
        make_directory(state)?;
        judge.directory(state)?;
        let path = state.join(IDENTITY);
        if !path.exists() && state.join(LOG).metadata().is_ok_and(|log| log.len() > 0) {
            return Err(IdentityFault::Lost { path });
        }
        let key = SigningKey::from_bytes(&*seed(&path, judge)?);
        publish(state, &key.verifying_key())?;
        let state_secret = seed(&state.join(SECRET), judge)?;
        let leg_seed = seed(&state.join(LEG), judge)?;
        Ok(Self { key, state_secret, leg_seed })
    }

    /// The identity key: it signs passports, the audit log, clocks and outcomes.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.key
    }

    /// Its public half, whose fingerprint recipients confirm.
    pub(crate) fn public_key(&self) -> VerifyingKey {
        self.key.verifying_key()
    }

    /// What every share's channel key is derived from.
    pub(crate) fn state_secret(&self) -> &[u8; 32] {
        &self.state_secret
    }

    /// The seed of the key that deployment tokens are bound to.
    pub(crate) fn leg_seed(&self) -> &[u8; 32] {
        &self.leg_seed
    }
}

/// The identity's public key, from the copy beside it: to verify a log no secret is read.
///
/// # Errors
/// No such file, one that others could have written, or not a key.
pub(crate) fn published_key(state: &Path) -> Result<VerifyingKey, IdentityFault> {
    let path = state.join(PUBLIC);
    let text = crate::config::judge().text(&path, MAX_PUBLIC)?;
    let key = text.trim_end().parse::<Hex<32>>().ok();
    key.and_then(|key| VerifyingKey::from_bytes(&key.0).ok()).ok_or(IdentityFault::Shape { path })
}

fn make_directory(state: &Path) -> Result<(), IdentityFault> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(state);
    made.map_err(|source| IdentityFault::Make { path: state.to_owned(), source })
}

fn seed(path: &Path, judge: &Judge) -> Result<Zeroizing<[u8; 32]>, IdentityFault> {
    match judge.secret(path, 32) {
        Err(fault) if fault.is_missing() => make_seed(path),
        Err(fault) => Err(fault.into()),
        Ok(bytes) => <[u8; 32]>::try_from(bytes.as_slice())
            .map(Zeroizing::new)
            .map_err(|_| IdentityFault::Shape { path: path.to_owned() }),
    }
}

fn make_seed(path: &Path) -> Result<Zeroizing<[u8; 32]>, IdentityFault> {
    let make = |source| IdentityFault::Make { path: path.to_owned(), source };
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| make(io::Error::other(error.to_string())))?;
    write_once(path, seed.as_ref()).map_err(make)?;
    Ok(seed)
}

fn publish(state: &Path, key: &VerifyingKey) -> Result<(), IdentityFault> {
    let path = state.join(PUBLIC);
    let text = format!("{}\n", Hex(key.to_bytes()));
    if std::fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    replace(&path, text.as_bytes()).map_err(|source| IdentityFault::Make { path, source })
}

/// Makes a file with all of `bytes`, durably, or none; never over one that is there.
fn write_once(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, bytes)?;
    let moved = renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE);
    if moved.is_err() {
        std::fs::remove_file(&aside)?;
    }
    moved?;
    sync_directory(path)
}

/// Puts a file with all of `bytes` in the place of the one that is there, durably, or leaves that.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = write_aside(path, bytes)?;
    std::fs::rename(&aside, path)?;
    sync_directory(path)
}

fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let aside = path.with_extension("new");
    // What an earlier life left half-way.
    match std::fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        std::fs::remove_file(&aside)?;
    }
    written.map(|()| aside)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strict::Above;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn judge() -> Judge {
        Judge::of_process(Above::AllowSticky)
    }

    fn state() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        (dir, state)
    }

    #[test]
    fn p11_the_identity_is_the_same_after_a_restart() {
        let (_dir, state) = state();
        let first = Identity::load_or_create(&state, &judge()).unwrap();
        let second = Identity::load_or_create(&state, &judge()).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        assert_eq!(first.state_secret(), second.state_secret());
        assert_eq!(first.leg_seed(), second.leg_seed());
        assert_ne!(first.state_secret(), first.leg_seed());
    }

    #[test]
    fn p12_secrets_are_readable_by_their_owner_only_and_nothing_else_is_left() {
        let (_dir, state) = state();
        Identity::load_or_create(&state, &judge()).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        let mut names = Vec::new();
        for entry in fs::read_dir(&state).unwrap() {
            let entry = entry.unwrap();
            assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            names.push(entry.file_name().into_string().unwrap());
        }
        names.sort();
        assert_eq!(names, [IDENTITY, PUBLIC, LEG, SECRET]);
    }

    #[test]
    fn p12_debug_shows_no_secret() {
        let (_dir, state) = state();
        let identity = Identity::load_or_create(&state, &judge()).unwrap();
        let shown = format!("{identity:?}");
        assert!(!shown.contains(&format!("{:?}", identity.state_secret())));
        assert!(!shown.contains(&Hex(*identity.state_secret()).to_string()));
    }

    #[test]
    fn lo5_a_key_that_others_may_read_is_refused_by_name() {
        let (_dir, state) = state();
        Identity::load_or_create(&state, &judge()).unwrap();
        fs::set_permissions(state.join(SECRET), fs::Permissions::from_mode(0o640)).unwrap();
        let said = Identity::load_or_create(&state, &judge()).unwrap_err().to_string();
        assert!(said.contains("state.secret` is readable") && said.contains("chmod 600"), "{said}");
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let (_dir, state) = state();
        Identity::load_or_create(&state, &judge()).unwrap();
        for length in [0, 31, 33] {
            fs::write(state.join(LEG), vec![1; length]).unwrap();
            assert!(Identity::load_or_create(&state, &judge()).is_err(), "{length}");
        }
        fs::write(state.join(LEG), vec![1; 32]).unwrap();
        assert_eq!(Identity::load_or_create(&state, &judge()).unwrap().leg_seed(), &[1; 32]);
    }

    #[test]
    fn an_identity_that_was_lost_is_not_silently_replaced() {
        let (_dir, state) = state();
        Identity::load_or_create(&state, &judge()).unwrap();
        fs::remove_file(state.join(IDENTITY)).unwrap();
        fs::write(state.join(LOG), "{}\n").unwrap();
        let fault = Identity::load_or_create(&state, &judge()).unwrap_err();
        assert!(matches!(fault, IdentityFault::Lost { .. }));
        fs::remove_file(state.join(LOG)).unwrap();
        Identity::load_or_create(&state, &judge()).unwrap();
    }

    #[test]
    fn the_public_key_is_published_beside_the_secret_one() {
        let (_dir, state) = state();
        let identity = Identity::load_or_create(&state, &judge()).unwrap();
        let text = fs::read_to_string(state.join(PUBLIC)).unwrap();
        assert_eq!(text.trim_end(), Hex(identity.public_key().to_bytes()).to_string());
    }

    #[test]
    fn a_file_left_half_way_by_a_crash_does_not_hinder() {
        let (_dir, state) = state();
        fs::create_dir(&state).unwrap();
        fs::write(state.join("identity.new"), "half").unwrap();
        Identity::load_or_create(&state, &judge()).unwrap();
        assert!(!state.join("identity.new").exists());
    }
}
