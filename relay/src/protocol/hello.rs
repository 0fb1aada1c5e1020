//! How a leg proves its key: a signature over this very connection.
//!
//! What is signed holds keying material that TLS exports, which only the two ends of this connection know and which no
//! other connection has. So a proof cannot be carried from one relay, connection, role or key to another.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::flow::RendezvousKey;

/// The label of the keying material that TLS exports for the proof (RFC 8446 section 7.5).
pub const EXPORTER_LABEL: &[u8] = b"EXPORTER-openscope-relay-leg-1";

const STATEMENT_LABEL: &[u8] = b"openscope relay leg v1\0";

/// Keying material of one TLS connection.
#[derive(Clone, Copy)]
pub struct Exporter(pub [u8; 32]);

/// First message of a host: who the operator says it is, and the proof.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostHello {
    /// The deployment token, as Biscuit bytes.
    #[serde(with = "serde_bytes")]
    pub token: Vec<u8>,
    /// The key that the token is bound to.
    #[serde(with = "serde_bytes")]
    pub leg_key: [u8; 32],
    /// By that key.
    #[serde(with = "serde_bytes")]
    pub signature: [u8; 64],
}

/// First message of a guest: the seat's key, and the proof.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestHello {
    /// By the rendezvous key.
    #[serde(with = "serde_bytes")]
    pub signature: [u8; 64],
    /// Where the guest wants to go.
    pub rendezvous: RendezvousKey,
}

impl HostHello {
    /// Signs with the leg key, over this connection and this token.
    #[must_use]
    pub fn sign(key: &SigningKey, token: Vec<u8>, exporter: Exporter) -> Self {
        let leg_key = key.verifying_key().to_bytes();
        let signature = key.sign(&host_statement(&leg_key, &token, exporter)).to_bytes();
        Self { token, leg_key, signature }
    }

    /// Whether the sender holds the leg key, on this connection. Says nothing about the token's worth.
    #[must_use]
    pub fn proves(&self, exporter: Exporter) -> bool {
        let statement = host_statement(&self.leg_key, &self.token, exporter);
        verify(&self.leg_key, &statement, &self.signature)
    }
}

impl GuestHello {
    /// Signs with the seat's rendezvous secret, over this connection.
    #[must_use]
    pub fn sign(seed: &[u8; 32], exporter: Exporter) -> Self {
        let key = SigningKey::from_bytes(seed);
        let rendezvous = RendezvousKey(key.verifying_key().to_bytes());
        let signature = key.sign(&guest_statement(rendezvous, exporter)).to_bytes();
        Self { signature, rendezvous }
    }

    /// Whether the sender holds the rendezvous secret, on this connection.
    #[must_use]
    pub fn proves(&self, exporter: Exporter) -> bool {
        let statement = guest_statement(self.rendezvous, exporter);
        verify(&self.rendezvous.0, &statement, &self.signature)
    }
}

fn host_statement(leg_key: &[u8; 32], token: &[u8], exporter: Exporter) -> Vec<u8> {
    let digest = Sha256::digest(token);
    [STATEMENT_LABEL, b"host\0", &exporter.0, leg_key, digest.as_slice()].concat()
}

fn guest_statement(rendezvous: RendezvousKey, exporter: Exporter) -> Vec<u8> {
    [STATEMENT_LABEL, b"guest\0", &exporter.0, &rendezvous.0].concat()
}

/// Strict: a key of small order, for which any signature would do, proves nothing.
fn verify(key: &[u8; 32], statement: &[u8], signature: &[u8; 64]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    key.verify_strict(statement, &Signature::from_bytes(signature)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Exporter = Exporter([1; 32]);
    const ELSEWHERE: Exporter = Exporter([2; 32]);

    fn host() -> HostHello {
        HostHello::sign(&SigningKey::from_bytes(&[9; 32]), b"token".to_vec(), HERE)
    }

    #[test]
    fn re1_a_guest_proves_its_key_here_and_nowhere_else() {
        let hello = GuestHello::sign(&[8; 32], HERE);
        assert_eq!(hello.rendezvous, RendezvousKey::of_seed(&[8; 32]));
        assert!(hello.proves(HERE));
        assert!(!hello.proves(ELSEWHERE));
    }

    #[test]
    fn re1_a_guest_that_names_another_key_proves_nothing() {
        let stolen = RendezvousKey::of_seed(&[7; 32]);
        let hello = GuestHello { rendezvous: stolen, ..GuestHello::sign(&[8; 32], HERE) };
        assert!(!hello.proves(HERE));
    }

    #[test]
    fn re1_a_key_of_small_order_proves_nothing() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let hello = GuestHello { rendezvous: RendezvousKey(identity), signature };
        assert!(!hello.proves(HERE));
    }

    #[test]
    fn re2_a_host_proves_its_key_with_this_token_here() {
        assert!(host().proves(HERE));
        assert!(!host().proves(ELSEWHERE));
        assert!(!HostHello { token: b"other".to_vec(), ..host() }.proves(HERE));
        assert!(!HostHello { leg_key: [4; 32], ..host() }.proves(HERE));
    }

    #[test]
    fn a_proof_of_one_role_is_none_of_the_other() {
        let seed = [9; 32];
        let guest = GuestHello::sign(&seed, HERE);
        assert!(!HostHello { signature: guest.signature, ..host() }.proves(HERE));
        assert!(!GuestHello { signature: host().signature, ..guest }.proves(HERE));
    }
}
