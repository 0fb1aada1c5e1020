//! The public key that a handle is sealed to.

use std::fmt;
use std::str::FromStr;

use age::ssh::ParseRecipientKeyError;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::YubikeyRecipient;

/// The largest line that is looked at; an RSA key of 16,384 bits has 2,800 characters.
const MAX_TEXT: usize = 8 * 1024;

/// A recipient's public key, of age or of OpenSSH. Sealing to any of them runs no program: who seals may be root, and a
/// stranger has chosen the key.
#[derive(Clone)]
pub enum RecipientKey {
    /// `age1…`, as `age-keygen` and `openscope-reflect-client keygen` make it.
    X25519(age::x25519::Recipient),
    /// `age1tag1…`: of a key in hardware, as plugins of age print it.
    Tag(age::tag::Recipient),
    /// `age1yubikey1…`, as `age-plugin-yubikey` prints it.
    Yubikey(YubikeyRecipient),
    /// `ssh-ed25519 …` or `ssh-rsa …`, as in `~/.ssh/id_ed25519.pub`.
    Ssh(age::ssh::Recipient),
}

/// Why text is no key that a handle can be sealed to.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecipientFault {
    /// Not a public key.
    #[error(
        "this is not a public key; give one that begins with `age1`, `ssh-ed25519` or `ssh-rsa`"
    )]
    NotKey,
    /// Begins as one, and is damaged.
    #[error("this `{kind}` key is damaged: copy it again, all of it")]
    Damaged {
        /// What it begins with.
        kind: &'static str,
    },
    /// A secret key, which nobody should have sent.
    #[error(
        "this is a secret key: it must stay with its owner, who gives the public one (`age1…`, or the `.pub` file)"
    )]
    Secret,
    /// A recipient of an age plugin that would have to be run.
    #[error(
        "nothing can be sealed to `age1{plugin}1…` without running `age-plugin-{plugin}`, and nobody's key says what is run here; ask for the same key as `age1tag1…`, which newer plugins print, or for an `age1…` or `ssh-ed25519` key"
    )]
    Plugin {
        /// The plugin's name.
        plugin: String,
    },
    /// A kind of ssh key that cannot receive.
    #[error(
        "nothing can be sealed to an ssh key of type `{kind}`; ask for an `ssh-ed25519`, `ssh-rsa` or `age1…` key"
    )]
    SshKind {
        /// The type that the key names.
        kind: String,
    },
    /// An RSA key of too few bits.
    #[error("this `ssh-rsa` key has fewer than 2,048 bits; ask for a stronger one")]
    Weak,
    /// An RSA key of too many bits.
    #[error(
        "this `ssh-rsa` key is larger than is supported; ask for an `ssh-ed25519` or `age1…` key"
    )]
    TooLarge,
}

impl RecipientKey {
    /// `SHA256:…`: for an ssh key what `ssh-keygen -l` shows, for an age key the hash of its text.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let digest = match self {
            Self::X25519(_) | Self::Tag(_) | Self::Yubikey(_) => Sha256::digest(self.to_string()),
            Self::Ssh(
                age::ssh::Recipient::SshEd25519(blob, _) | age::ssh::Recipient::SshRsa(blob, _),
            ) => Sha256::digest(blob),
        };
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(digest))
    }

    pub(super) fn as_age(&self) -> &dyn age::Recipient {
        match self {
            Self::X25519(key) => key,
            Self::Tag(key) => key,
            Self::Yubikey(key) => key,
            Self::Ssh(key) => key,
        }
    }
}

impl FromStr for RecipientKey {
    type Err = RecipientFault;

    fn from_str(text: &str) -> Result<Self, RecipientFault> {
        let text = text.trim();
        if text.len() > MAX_TEXT || text.is_empty() {
            return Err(RecipientFault::NotKey);
        }
        let upper = text.to_ascii_uppercase();
        if ["-----BEGIN", "AGE-PLUGIN-"].iter().any(|start| upper.starts_with(start))
            || upper.contains("SECRET-KEY-1")
        {
            return Err(RecipientFault::Secret);
        }
        if text.starts_with("age1") { age_key(text) } else { ssh_key(text) }
    }
}

fn age_key(text: &str) -> Result<RecipientKey, RecipientFault> {
    if let Ok(key) = text.parse() {
        return Ok(RecipientKey::X25519(key));
    }
    let damaged = |kind| RecipientFault::Damaged { kind };
    match plugin(text).as_deref() {
        Some("tag") => text.parse().map(RecipientKey::Tag).map_err(|_| damaged("age1tag1")),
        Some("yubikey") => YubikeyRecipient::parse(text)
            .map(RecipientKey::Yubikey)
            .ok_or_else(|| damaged("age1yubikey1")),
        Some(plugin) => Err(RecipientFault::Plugin { plugin: plugin.to_owned() }),
        None => Err(damaged("age1")),
    }
}

/// `yubikey` of `age1yubikey1…`: the part between the last `1` of a Bech32 text and `age1`.
fn plugin(text: &str) -> Option<String> {
    let (name, _) = text.strip_prefix("age1")?.rsplit_once('1')?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
    (is_name && !name.is_empty()).then(|| name.to_owned())
}

fn ssh_key(text: &str) -> Result<RecipientKey, RecipientFault> {
    let mut fields = text.split_whitespace();
    let (Some(kind), Some(blob)) = (fields.next(), fields.next()) else {
        return Err(RecipientFault::NotKey);
    };
    let kind = match kind {
        "ssh-ed25519" => "ssh-ed25519",
        "ssh-rsa" => "ssh-rsa",
        other if is_ssh_kind(other) => {
            return Err(RecipientFault::SshKind { kind: other.to_owned() });
        }
        _ => return Err(RecipientFault::NotKey),
    };
    if !is_whole(blob) {
        return Err(RecipientFault::Damaged { kind });
    }
    format!("{kind} {blob}").parse().map(RecipientKey::Ssh).map_err(|fault| ssh_fault(kind, fault))
}

/// Whether an ssh key's blob is what it says: fields, each after its length. None is all zeros, at which age 0.12 panics.
fn is_whole(blob: &str) -> bool {
    let Ok(blob) = BASE64_STANDARD.decode(blob) else { return false };
    let mut rest = blob.as_slice();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, next)) = after.split_at_checked(length) else { return false };
        if !field.is_empty() && field.iter().all(|byte| *byte == 0) {
            return false;
        }
        rest = next;
    }
    rest.is_empty()
}

fn is_ssh_kind(text: &str) -> bool {
    let known = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|start| text.starts_with(start));
    known && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-@.".contains(&b))
}

fn ssh_fault(kind: &'static str, fault: ParseRecipientKeyError) -> RecipientFault {
    match fault {
        ParseRecipientKeyError::RsaModulusTooSmall => RecipientFault::Weak,
        ParseRecipientKeyError::RsaModulusTooLarge => RecipientFault::TooLarge,
        ParseRecipientKeyError::Unsupported(kind) => RecipientFault::SshKind { kind },
        ParseRecipientKeyError::Ignore | ParseRecipientKeyError::Invalid(_) | _ => {
            RecipientFault::Damaged { kind }
        }
    }
}

impl PartialEq for RecipientKey {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for RecipientKey {}

impl fmt::Display for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::X25519(key) => fmt::Display::fmt(key, f),
            Self::Tag(key) => fmt::Display::fmt(key, f),
            Self::Yubikey(key) => fmt::Display::fmt(key, f),
            Self::Ssh(key) => fmt::Display::fmt(key, f),
        }
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
