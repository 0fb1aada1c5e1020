//! `openscoped.toml` as it is written.

use std::path::PathBuf;

use policy::DaemonName;
use relay::leg::RelayAddress;
use serde::{Deserialize, Deserializer, de};

use super::limits::WrittenLimits;
use super::{Kill, Mode};

/// Relays that a handle can name, and that a daemon keeps a leg to.
const MAX_RELAYS: usize = 3;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    pub(super) name: DaemonName,
    pub(super) mode: Option<Mode>,
    pub(super) state: Option<AbsolutePath>,
    pub(super) socket: Option<AbsolutePath>,
    pub(super) broker_user: Option<AccountName>,
    pub(super) keys_user: Option<AccountName>,
    pub(super) admin_group: Option<AccountName>,
    pub(super) kill: Option<Kill>,
    #[serde(deserialize_with = "one_to_three")]
    pub(super) relay: Vec<WrittenRelay>,
    #[serde(default)]
    pub(super) limits: WrittenLimits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRelay {
    pub(super) address: RelayAddress,
    pub(super) token_file: PathBuf,
}

/// A path that does not depend on where the daemon was started.
#[derive(Debug)]
pub(super) struct AbsolutePath(pub(super) PathBuf);

impl<'de> Deserialize<'de> for AbsolutePath {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let path = PathBuf::deserialize(from)?;
        if path.is_absolute() {
            Ok(Self(path))
        } else {
            Err(de::Error::custom(format!("`{}` is not an absolute path", path.display())))
        }
    }
}

/// The name of a user or a group.
#[derive(Debug)]
pub(super) struct AccountName(pub(super) String);

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 32 || !name.chars().all(plain) || name == "root" {
            return Err(de::Error::custom(format!(
                "`{name}` is not the name of an ordinary account"
            )));
        }
        Ok(Self(name))
    }
}

fn one_to_three<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<WrittenRelay>, D::Error> {
    let relays = Vec::deserialize(from)?;
    if relays.is_empty() || relays.len() > MAX_RELAYS {
        return Err(de::Error::custom(format!(
            "{} relays: give one to {MAX_RELAYS}",
            relays.len()
        )));
    }
    Ok(relays)
}
