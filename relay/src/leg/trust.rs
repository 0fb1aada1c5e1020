//! Whose word a leg takes for a relay's certificate.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::address::Pin;
use crate::protocol::limits::ALPN;

/// The certificate authorities that a leg believes where an address has no pin.
#[derive(Clone)]
pub struct Trust {
    roots: Option<Arc<dyn ServerCertVerifier>>,
}

/// Why this machine's certificate authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFault {
    /// None was found.
    #[error(
        "no certificate authority is installed on this machine: install `ca-certificates`, or pin the relay's certificate in its address"
    )]
    Empty,
    /// They do not make a verifier.
    #[error("the certificate authorities of this machine cannot be used")]
    Unusable(#[source] rustls::client::VerifierBuilderError),
}

impl Trust {
    /// Believes no authority: only addresses with a pin can be dialled.
    #[must_use]
    pub fn pins_only() -> Self {
        Self { roots: None }
    }

    /// Believes the authorities that this machine does. Reads files: call it before a sandbox closes.
    ///
    /// # Errors
    /// When there are none.
    pub fn native() -> Result<Self, TrustFault> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TrustFault::Empty);
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Ok(Self { roots: Some(verifier.build().map_err(TrustFault::Unusable)?) })
    }

    /// TLS for dialling an address with this pin; `None` where there is nobody to vouch for it.
    pub(crate) fn client(&self, pin: Option<&Pin>) -> Option<ClientConfig> {
        let verifier = match pin {
            Some(pin) => Arc::new(Pinned::new(*pin)),
            None => self.roots.clone()?,
        };
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .ok()?;
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // A resumed session would let the relay link a guest's legs.
        config.resumption = Resumption::disabled();
        config.enable_early_data = false;
        Some(config)
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.roots.is_some() { "Trust(roots)" } else { "Trust(pins only)" })
    }
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Believes exactly one public key, whatever else the certificate says: names and dates are the pin's giver's business.
#[derive(Debug)]
struct Pinned {
    pin: Pin,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Pinned {
    fn new(pin: Pin) -> Self {
        Self { pin, algorithms: ring::default_provider().signature_verification_algorithms }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let spki = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        if Pin::of_spki(&spki) == self.pin {
            return Ok(ServerCertVerified::assertion());
        }
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("QUIC has no TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_roots_only_a_pin_can_be_dialled() {
        let trust = Trust::pins_only();
        assert!(trust.client(None).is_none());
        assert!(trust.client(Some(&Pin::of_spki(b"key"))).is_some());
    }
}
