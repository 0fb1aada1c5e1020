//! Secrets that show themselves to nobody by accident.

use std::fmt;

use age::secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// A seed of 32 bytes, wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever signs with them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The second value of a bearer handle: an age identity, `AGE-SECRET-KEY-1…`.
#[derive(Clone)]
pub struct BearerSecret(SecretString);

impl BearerSecret {
    pub(super) fn of(identity: &age::x25519::Identity) -> Self {
        Self(identity.to_string())
    }

    /// The text, to be given to the recipient by another way than the handle.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for BearerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerSecret(…)")
    }
}
