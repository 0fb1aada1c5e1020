//! The recipient's own key, read from the files in which people have them.

use std::fmt;

use age::secrecy::{ExposeSecret, SecretString};
use age::ssh::UnsupportedKey;
use zeroize::Zeroizing;

use super::{KeyFile, RecipientKey};

/// A secret key that opens handles.
#[derive(Clone)]
pub struct Identity {
    key: Key,
    recipient: RecipientKey,
}

#[derive(Clone)]
enum Key {
    X25519(age::x25519::Identity),
    Ssh(Box<age::ssh::Identity>),
}

/// Why text gives no key that opens handles. None of them shows any of the text.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IdentityFault {
    /// A file without a key.
    #[error("the file holds no key; `openscope-reflect-client keygen` makes one")]
    Empty,
    /// Far larger than a key.
    #[error("the file is too large for a key file")]
    TooLarge,
    /// A line of another kind.
    #[error(
        "line {line} is no age secret key (`AGE-SECRET-KEY-1…`), and the file is no OpenSSH private key"
    )]
    NotKey {
        /// Which line, from 1.
        line: usize,
    },
    /// A public key.
    #[error(
        "this is a public key; the handle opens with the secret one (the same file name without `.pub`)"
    )]
    Public,
    /// A key of an age plugin, where no program is run because of a text.
    #[error(
        "this is a key that an age plugin keeps: it can only be in a file of your own, named with `--identity`"
    )]
    Plugin,
    /// A key of an age plugin that is not whole.
    #[error("line {line} is no whole key of an age plugin (`AGE-PLUGIN-NAME-1…`): copy it again")]
    DamagedPlugin {
        /// Which line, from 1.
        line: usize,
    },
    /// An age file that has to be decrypted first.
    #[error("this key file is itself encrypted by age; decrypt it first, with `age -d`")]
    AgeEncrypted,
    /// An ssh key that is damaged or cut short.
    #[error("this OpenSSH private key is damaged or cut short")]
    Damaged,
    /// An old form of encrypted key.
    #[error("this key is encrypted in an old form; `ssh-keygen -p -f FILE` converts it")]
    OldEncryption,
    /// A cipher that is not supported.
    #[error(
        "this key is encrypted with `{cipher}`, which is not supported; `ssh-keygen -p -f FILE` converts it"
    )]
    Cipher {
        /// The cipher.
        cipher: String,
    },
    /// A private key in another form than OpenSSH's.
    #[error("this private key is not in OpenSSH's form; `ssh-keygen -p -f FILE` converts it")]
    OtherForm,
    /// A kind of ssh key that cannot decrypt.
    #[error(
        "an ssh key of type `{kind}` cannot open anything; use an ssh-ed25519, ssh-rsa or age key"
    )]
    SshKind {
        /// The type.
        kind: String,
    },
    /// An encrypted key and no passphrase.
    #[error("the key is encrypted, and no passphrase was given")]
    NoPassphrase,
    /// An encrypted key and a wrong passphrase.
    #[error("the passphrase does not open the key")]
    WrongPassphrase,
}

impl Identity {
    /// The keys in `text`, as of a [`KeyFile`], but for those that a plugin keeps.
    ///
    /// # Errors
    /// Says what the text is instead, or what is wrong with the key.
    pub fn parse(
        text: &str,
        passphrase: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<Vec<Self>, IdentityFault> {
        let file = KeyFile::parse(text, passphrase)?;
        if file.plugins.is_empty() { Ok(file.keys) } else { Err(IdentityFault::Plugin) }
    }

    /// `AGE-SECRET-KEY-1…`.
    pub(super) fn of_age(line: &str) -> Option<Self> {
        line.parse().map(Self::x25519).ok()
    }

    /// A new age key.
    #[must_use]
    pub fn generate() -> Self {
        Self::x25519(age::x25519::Identity::generate())
    }

    /// The key as an age identity file; `None` for an ssh key, which has its own.
    #[must_use]
    pub fn to_file(&self) -> Option<Zeroizing<String>> {
        match &self.key {
            Key::X25519(key) => {
                let secret = key.to_string();
                let secret = secret.expose_secret();
                Some(Zeroizing::new(format!("# public key: {}\n{secret}\n", self.recipient)))
            }
            Key::Ssh(_) => None,
        }
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn recipient(&self) -> &RecipientKey {
        &self.recipient
    }

    pub(super) fn as_age(&self) -> &dyn age::Identity {
        match &self.key {
            Key::X25519(key) => key,
            Key::Ssh(key) => &**key,
        }
    }

    fn x25519(key: age::x25519::Identity) -> Self {
        let recipient = RecipientKey::X25519(key.to_public());
        Self { key: Key::X25519(key), recipient }
    }

    fn ssh(key: age::ssh::Identity) -> Result<Self, IdentityFault> {
        let recipient = key.clone().try_into().map_err(|_| IdentityFault::Damaged)?;
        Ok(Self { key: Key::Ssh(Box::new(key)), recipient: RecipientKey::Ssh(recipient) })
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity of {}", self.recipient)
    }
}

/// An OpenSSH private key, whose text goes on with `rest` after its first word.
pub(super) fn pem(
    text: &str,
    rest: &str,
    passphrase: impl FnOnce() -> Option<Zeroizing<String>>,
) -> Result<Identity, IdentityFault> {
    if rest.starts_with("AGE ENCRYPTED FILE") {
        return Err(IdentityFault::AgeEncrypted);
    }
    if !rest.starts_with("OPENSSH PRIVATE KEY") && !rest.starts_with("RSA PRIVATE KEY") {
        return Err(IdentityFault::OtherForm);
    }
    let parsed = age::ssh::Identity::from_buffer(text.as_bytes(), None);
    match parsed.map_err(|_| IdentityFault::Damaged)? {
        key @ age::ssh::Identity::Unencrypted(_) => Identity::ssh(key),
        age::ssh::Identity::Encrypted(key) => Identity::ssh(decrypted(&key, passphrase)?),
        age::ssh::Identity::Unsupported(kind) => Err(unsupported(kind)),
    }
}

fn decrypted(
    key: &age::ssh::EncryptedKey,
    passphrase: impl FnOnce() -> Option<Zeroizing<String>>,
) -> Result<age::ssh::Identity, IdentityFault> {
    let passphrase = passphrase().ok_or(IdentityFault::NoPassphrase)?;
    let passphrase = SecretString::from(passphrase.as_str());
    key.decrypt(passphrase)
        .map(age::ssh::Identity::from)
        .map_err(|_| IdentityFault::WrongPassphrase)
}

fn unsupported(kind: UnsupportedKey) -> IdentityFault {
    match kind {
        UnsupportedKey::EncryptedPem => IdentityFault::OldEncryption,
        UnsupportedKey::EncryptedSsh(cipher) => IdentityFault::Cipher { cipher },
        UnsupportedKey::Hardware(kind) | UnsupportedKey::Type(kind) => {
            IdentityFault::SshKind { kind }
        }
    }
}
