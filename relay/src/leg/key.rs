//! The key of a daemon's legs.

use std::fmt;

use ed25519_dalek::SigningKey;
use zeroize::Zeroizing;

/// The Ed25519 key that a deployment token is bound to. Wiped when dropped.
#[derive(Clone)]
pub struct LegKey(Zeroizing<[u8; 32]>);

impl LegKey {
    /// The key of this seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// Its public half, which the operator's token names.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.signing().verifying_key().to_bytes()
    }

    pub(crate) fn signing(&self) -> SigningKey {
        SigningKey::from_bytes(&self.0)
    }
}

impl fmt::Debug for LegKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LegKey(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", LegKey::from_seed([7; 32])), "LegKey(secret)");
    }
}
