//! Who gets at a file of this user's.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde_json::{Value, json};

/// What mode and owner say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protection {
    /// Nobody but this user, and root.
    Own {
        /// Its mode.
        mode: u32,
    },
    /// Others of this machine may do what they should not.
    Open {
        /// Its mode.
        mode: u32,
    },
    /// Another user's, who may do with it what they like.
    Foreign {
        /// That user.
        owner: u32,
        /// Its mode.
        mode: u32,
    },
}

impl Protection {
    /// Of a file that nobody else is to read.
    pub(crate) fn of_secret(path: &Path) -> io::Result<Self> {
        Self::of(path, 0o077)
    }

    /// Of what others may know of, and not change.
    pub(crate) fn of_place(path: &Path) -> io::Result<Self> {
        Self::of(path, 0o022)
    }

    fn of(path: &Path, forbidden: u32) -> io::Result<Self> {
        let about = fs::metadata(path)?;
        let (owner, mode) = (about.uid(), about.mode() & 0o7777);
        let is_ours = owner == 0 || owner == rustix::process::geteuid().as_raw();
        Ok(match (is_ours, mode & forbidden) {
            (false, _) => Self::Foreign { owner, mode },
            (true, 0) => Self::Own { mode },
            (true, _) => Self::Open { mode },
        })
    }

    /// What to do about it, where there is something to do.
    pub(crate) fn remedy(self, path: &Path) -> Option<String> {
        let shown = path.display();
        match self {
            Self::Own { .. } => None,
            Self::Open { .. } => Some(format!("`chmod go= {}` leaves it to you", as_word(path))),
            Self::Foreign { .. } => {
                Some(format!("see why `{shown}` is not yours, and take another"))
            }
        }
    }

    /// For programs.
    pub(crate) fn json(self) -> Value {
        let (mode, is_private) = match self {
            Self::Own { mode } => (mode, true),
            Self::Open { mode } | Self::Foreign { mode, .. } => (mode, false),
        };
        json!({ "mode": format!("{mode:04o}"), "private": is_private })
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own { mode } => write!(out, "yours alone (mode {mode:04o})"),
            Self::Open { mode } => {
                write!(out, "OPEN to others of this machine (mode {mode:04o})")
            }
            Self::Foreign { owner, mode } => {
                write!(out, "ANOTHER user's (number {owner}, mode {mode:04o})")
            }
        }
    }
}

/// A path as a shell takes it.
pub(crate) fn as_word(path: &Path) -> String {
    let shown = path.display().to_string();
    shlex::try_quote(&shown).map_or_else(|_| shown.clone(), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_secret_is_for_its_owner_alone_and_a_place_may_be_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("key");
        fs::write(&path, "x").unwrap();
        let of = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            (Protection::of_secret(&path).unwrap(), Protection::of_place(&path).unwrap())
        };
        let own = |mode| Protection::Own { mode };
        let open = |mode| Protection::Open { mode };
        assert_eq!(of(0o600), (own(0o600), own(0o600)));
        assert_eq!(of(0o700), (own(0o700), own(0o700)));
        for mode in [0o604, 0o640, 0o755] {
            assert_eq!(of(mode), (open(mode), own(mode)));
        }
        for mode in [0o602, 0o620, 0o777] {
            assert_eq!(of(mode), (open(mode), open(mode)));
        }
        assert!(own(0o600).remedy(&path).is_none());
        assert!(open(0o644).remedy(&path).unwrap().contains("chmod go= "));
        assert_eq!(open(0o644).json(), json!({ "mode": "0644", "private": false }));
    }
}
