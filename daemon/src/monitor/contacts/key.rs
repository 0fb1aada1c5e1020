//! A recipient's public key, as it is written.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest key: an ssh-rsa key of 16,384 bits.
const MAX_KEY: usize = 4096;

/// An age or ssh public key that a handle can be sealed to. Without an ssh key's comment.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RecipientKey(String);

/// Not a key that a handle can be sealed to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "not a public key that a handle can be sealed to\n   = give an age key (`age1…`) or an ssh key (`ssh-ed25519 AAAA…`, `ssh-rsa AAAA…`)"
)]
pub struct KeyFault;

impl RecipientKey {
    /// The key as age takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `SHA256:…`: for an ssh key what `ssh-keygen -l` says, for an age key the hash of its text.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let blob = self.0.split(' ').nth(1).and_then(|blob| STANDARD.decode(blob).ok());
        let hash = Sha256::digest(blob.as_deref().unwrap_or(self.0.as_bytes()));
        format!("SHA256:{}", STANDARD_NO_PAD.encode(hash))
    }
}

impl FromStr for RecipientKey {
    type Err = KeyFault;

    fn from_str(text: &str) -> Result<Self, KeyFault> {
        if text.len() > MAX_KEY {
            return Err(KeyFault);
        }
        let key: Vec<&str> = text.split_ascii_whitespace().take(2).collect();
        let key = key.join(" ");
        let is_age = key.parse::<age::x25519::Recipient>().is_ok();
        let is_ssh = || key.parse::<age::ssh::Recipient>().is_ok();
        if is_age || is_ssh() { Ok(Self(key)) } else { Err(KeyFault) }
    }
}

impl TryFrom<String> for RecipientKey {
    type Error = KeyFault;

    fn try_from(text: String) -> Result<Self, KeyFault> {
        text.parse()
    }
}

impl From<RecipientKey> for String {
    fn from(key: RecipientKey) -> Self {
        key.0
    }
}

impl fmt::Display for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
