//! Who is at either end: Ed25519 keys, raw (RFC 7250) and pinned. TLS 1.3 only, no tickets, no resumption, no 0-RTT.
//!
//! The relay can read the first packet, so its server name and protocol are the same for every share.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::{SigningKey, VerifyingKey};
use hkdf::Hkdf;
use policy::ShareId;
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error,
    PeerIncompatible, ServerConfig, SignatureScheme,
};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The one application protocol of a channel.
pub const ALPN: &[u8] = b"osp/1";
/// The one server name of a channel.
pub const SERVER_NAME: &str = "openscope";

const CHANNEL_LABEL: &[u8] = b"openscope channel v1";
const RESET_LABEL: &[u8] = b"openscope channel reset v1";

/// An Ed25519 public key as `SubjectPublicKeyInfo` (RFC 8410): this, then the 32 bytes of the key.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];
/// An Ed25519 private key as PKCS #8 (RFC 8410): this, then the 32 bytes of the seed.
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

macro_rules! secret_key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(Zeroizing<[u8; 32]>);

        impl $name {
            /// The key of this seed.
            #[must_use]
            pub fn from_seed(seed: [u8; 32]) -> Self {
                Self(Zeroizing::new(seed))
            }

            /// The secret itself, for the process that needs it next.
            #[must_use]
            pub fn seed(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret_key! {
    /// The daemon's key for the channels of one share.
    ChannelKey
}
secret_key! {
    /// The client's key for the seat that it holds.
    HolderKey
}
secret_key! {
    /// Lets a broker that was restarted tell clients at once that their connections are over.
    ResetKey
}

impl ChannelKey {
    /// The key of `share`, the same after every restart, from the daemon's state secret.
    #[must_use]
    pub fn derive(state_secret: &[u8; 32], share: ShareId) -> Self {
        Self(expand(state_secret, &[CHANNEL_LABEL, share.as_bytes()]))
    }

    /// The public half, which the passport names.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        public(&self.0)
    }
}

impl HolderKey {
    /// The public half, which the seat is bound to.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        public(&self.0)
    }
}

impl ResetKey {
    /// The daemon's one reset key, from its state secret.
    #[must_use]
    pub fn derive(state_secret: &[u8; 32]) -> Self {
        Self(expand(state_secret, &[RESET_LABEL]))
    }
}

/// HKDF-SHA256 without salt: the state secret is uniform.
fn expand(secret: &[u8; 32], info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    #[expect(clippy::expect_used, reason = "a key of zeros would be worse than a crash")]
    Hkdf::<Sha256>::new(None, secret)
        .expand_multi_info(info, &mut *key)
        .expect("32 bytes are within HKDF's bound of 8,160");
    key
}

fn public(seed: &[u8; 32]) -> [u8; 32] {
    SigningKey::from_bytes(seed).verifying_key().to_bytes()
}

/// TLS of a client that speaks to exactly the holder of `channel_key`.
pub(super) fn client_tls(holder: &HolderKey, channel_key: [u8; 32]) -> Result<ClientConfig, Error> {
    let certified = certified(holder.seed(), holder.public())?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Pinned { channel_key }))
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// TLS of the daemon for one share: any holder key may speak, and is told.
pub(super) fn server_tls(key: &ChannelKey) -> Result<ServerConfig, Error> {
    let certified = certified(key.seed(), key.public())?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(Arc::new(AnyHolder))
        .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certified(seed: &[u8; 32], public: [u8; 32]) -> Result<Arc<CertifiedKey>, Error> {
    let pkcs8 = Zeroizing::new([PKCS8_PREFIX.as_slice(), seed].concat());
    let key = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()))?;
    let spki = CertificateDer::from([SPKI_PREFIX.as_slice(), &public].concat());
    Ok(Arc::new(CertifiedKey::new(vec![spki], key)))
}

/// The key inside `spki`, if it is an Ed25519 key that proves anything: everybody can sign for a weak one.
pub(super) fn raw_key(spki: &[u8]) -> Option<[u8; 32]> {
    let key: [u8; 32] = spki.strip_prefix(&SPKI_PREFIX)?.try_into().ok()?;
    let strong = VerifyingKey::from_bytes(&key).is_ok_and(|point| !point.is_weak());
    strong.then_some(key)
}

fn verify(
    message: &[u8],
    spki: &[u8],
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms = ring::default_provider().signature_verification_algorithms;
    let spki = SubjectPublicKeyInfoDer::from(spki);
    verify_tls13_signature_with_raw_key(message, &spki, dss, &algorithms)
}

fn only_tls13() -> Error {
    PeerIncompatible::Tls12NotOffered.into()
}

/// Accepts one key and no other.
#[derive(Debug)]
struct Pinned {
    channel_key: [u8; 32],
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if intermediates.is_empty() && raw_key(end_entity) == Some(self.channel_key) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

/// Accepts every Ed25519 key: which seat it holds is the monitor's question, not TLS's.
#[derive(Debug)]
struct AnyHolder;

impl ClientCertVerifier for AnyHolder {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.is_empty() && raw_key(end_entity).is_some() {
            return Ok(ClientCertVerified::assertion());
        }
        Err(CertificateError::BadEncoding.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(only_tls13())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey, KeypairBytes};

    fn spki(key: [u8; 32]) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), &key].concat()
    }

    #[test]
    fn keys_are_encoded_as_the_standard_says() {
        let key = SigningKey::from_bytes(&[5; 32]);
        let public = key.verifying_key().to_public_key_der().unwrap();
        assert_eq!(spki(key.verifying_key().to_bytes()), public.as_bytes());
        let bare = KeypairBytes { secret_key: [5; 32], public_key: None };
        let private = bare.to_pkcs8_der().unwrap();
        assert_eq!([PKCS8_PREFIX.as_slice(), &[5; 32]].concat(), private.as_bytes());
    }

    #[test]
    fn a_strong_ed25519_key_is_read_and_nothing_else() {
        let key = public(&[5; 32]);
        assert_eq!(raw_key(&spki(key)), Some(key));
        let mut longer = spki(key);
        longer.push(0);
        assert_eq!(raw_key(&longer), None);
        assert_eq!(raw_key(spki(key).get(..43).unwrap()), None);
        let mut x25519 = spki(key);
        x25519[8] = 0x6e;
        assert_eq!(raw_key(&x25519), None);
    }

    #[test]
    fn a_key_for_which_everybody_can_sign_is_refused() {
        let mut identity_point = [0; 32];
        identity_point[0] = 1;
        assert_eq!(raw_key(&spki(identity_point)), None);
        assert_eq!(raw_key(&spki([0; 32])), None);
    }

    #[test]
    fn nothing_lets_the_relay_link_two_connections() {
        let client = client_tls(&HolderKey::from_seed([1; 32]), [2; 32]).unwrap();
        assert_eq!(client.alpn_protocols, [ALPN]);
        assert!(!client.enable_early_data);
        let server = server_tls(&ChannelKey::from_seed([1; 32])).unwrap();
        assert_eq!((server.send_tls13_tickets, server.max_early_data_size), (0, 0));
        assert!(!server.session_storage.can_cache());
    }
}
