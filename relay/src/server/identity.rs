//! The relay's certificate and key, and what is derived from the key.

use std::fmt;
use std::sync::Arc;

use hkdf::Hkdf;
use hkdf::hmac::{Hmac, Mac};
use quinn::crypto::rustls::QuicServerConfig;
use quinn_proto::crypto::{CryptoError, HmacKey};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::leg::Pin;
use crate::protocol::limits::ALPN;

/// The name in a certificate that the relay makes itself; legs go by the pin and do not look at it.
const SELF_SIGNED_NAME: &str = "openscope-relay";

/// What a relay is known by.
pub struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    pin: Pin,
}

/// Why a certificate and a key make no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityFault {
    /// No certificate could be made of the key.
    #[error("cannot make a certificate")]
    Make(#[source] rcgen::Error),
    /// The certificate file does not hold one.
    #[error(
        "the certificate cannot be read: a PEM file with the chain, the relay's own first, is expected"
    )]
    Certificate,
    /// The key file does not hold one.
    #[error("the key cannot be read: a PEM file with one private key is expected")]
    Key,
    /// They do not belong together, or cannot be used for TLS.
    #[error("the certificate and the key cannot be used")]
    Unusable(#[source] rustls::Error),
}

impl Identity {
    /// A certificate made here for the Ed25519 key of this seed. Legs know it by its pin, which stays with the key.
    ///
    /// # Errors
    /// When none can be made.
    pub fn self_signed(seed: &[u8; 32]) -> Result<Self, IdentityFault> {
        let der = PrivatePkcs8KeyDer::from(crate::config::key_file::pkcs8(seed).to_vec());
        let signer = rcgen::KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519);
        let names = vec![SELF_SIGNED_NAME.to_owned()];
        let certificate = rcgen::CertificateParams::new(names)
            .and_then(|params| params.self_signed(&signer?))
            .map_err(IdentityFault::Make)?;
        Self::new(vec![certificate.der().clone()], der.into())
    }

    /// A certificate chain and its key, as PEM.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, IdentityFault> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificate).collect();
        let chain = chain.map_err(|_| IdentityFault::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityFault::Key)?;
        Self::new(chain, key)
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, IdentityFault> {
        let own = chain.first().ok_or(IdentityFault::Certificate)?;
        let spki = ParsedCertificate::try_from(own).map_err(IdentityFault::Unusable)?;
        let pin = Pin::of_spki(&spki.subject_public_key_info());
        let identity = Self { chain, key, pin };
        identity.tls()?;
        Ok(identity)
    }

    /// By which legs may know the relay.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// TLS for legs: one version, one protocol, no tickets, nothing that outlives a connection.
    pub(crate) fn tls(&self) -> Result<QuicServerConfig, IdentityFault> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| {
                let builder = builder.with_no_client_auth();
                builder.with_single_cert(self.chain.clone(), self.key.clone_key())
            })
            .map_err(IdentityFault::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let no_suite = |_| IdentityFault::Unusable(rustls::Error::General("no QUIC suite".into()));
        QuicServerConfig::try_from(config).map_err(no_suite)
    }

    /// The key of stateless resets. Stable, so that after a restart the relay can tell each leg at once that it no
    /// longer knows it; otherwise a leg notices after its idle timeout.
    pub(crate) fn reset_key(&self) -> Arc<dyn HmacKey> {
        Arc::new(ResetKey(Zeroizing::new(self.derive(b"openscope relay stateless reset v1"))))
    }

    /// The key of connection ids. Stable for the same reason: a packet whose id it does not recognise is junk, and is
    /// not answered with a reset.
    pub(crate) fn connection_id_key(&self) -> u64 {
        u64::from_be_bytes(self.derive(b"openscope relay connection ids v1"))
    }

    fn derive<const N: usize>(&self, label: &[u8]) -> [u8; N] {
        let mut derived = [0; N];
        // Only lengths above 8160 bytes can fail.
        let _ = Hkdf::<Sha256>::new(None, self.key.secret_der()).expand(label, &mut derived);
        derived
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.pin)
    }
}

struct ResetKey(Zeroizing<[u8; 32]>);

impl ResetKey {
    fn mac(&self, data: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(self.0.as_slice()).ok()?;
        mac.update(data);
        Some(mac)
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], out: &mut [u8]) {
        let tag = self.mac(data).map(|mac| mac.finalize().into_bytes()).unwrap_or_default();
        out.iter_mut().zip(tag).for_each(|(out, byte)| *out = byte);
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let mac = self.mac(data).ok_or(CryptoError)?;
        mac.verify_slice(signature).map_err(|_| CryptoError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pin_and_the_derived_keys_stay_with_the_key() {
        let (one, again) = (Identity::self_signed(&[1; 32]), Identity::self_signed(&[1; 32]));
        let (one, again) = (one.unwrap(), again.unwrap());
        assert_eq!(one.pin(), again.pin());
        assert_eq!(one.connection_id_key(), again.connection_id_key());
        let other = Identity::self_signed(&[2; 32]).unwrap();
        assert_ne!(one.pin(), other.pin());
        assert_ne!(one.connection_id_key(), other.connection_id_key());
    }

    #[test]
    fn the_pin_is_the_hash_of_an_ed25519_public_key() {
        let public = ed25519_dalek::SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes();
        // RFC 8410: SEQUENCE { SEQUENCE { OID 1.3.101.112 }, BIT STRING of 32 bytes }
        let spki = [&b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..], &public].concat();
        assert_eq!(Identity::self_signed(&[1; 32]).unwrap().pin(), Pin::of_spki(&spki));
    }

    #[test]
    fn a_reset_tag_verifies_and_another_does_not() {
        let key = Identity::self_signed(&[1; 32]).unwrap().reset_key();
        let mut tag = [0; 32];
        key.sign(b"connection", &mut tag);
        assert!(key.verify(b"connection", &tag).is_ok());
        assert!(key.verify(b"connectiom", &tag).is_err());
    }

    #[test]
    fn a_key_and_a_certificate_that_do_not_belong_together_are_refused() {
        let pem = |seed: [u8; 32]| crate::config::key_file::pem(&seed);
        let signer = rcgen::KeyPair::from_pem(&pem([1; 32])).unwrap();
        let params = rcgen::CertificateParams::new(vec!["relay".into()]).unwrap();
        let certificate = params.self_signed(&signer).unwrap().pem();
        assert!(Identity::from_pem(certificate.as_bytes(), pem([1; 32]).as_bytes()).is_ok());
        let other = Identity::from_pem(certificate.as_bytes(), pem([2; 32]).as_bytes());
        assert!(matches!(other, Err(IdentityFault::Unusable(_))));
        let junk = Identity::from_pem(b"junk", pem([1; 32]).as_bytes());
        assert!(matches!(junk, Err(IdentityFault::Certificate)));
    }
}
