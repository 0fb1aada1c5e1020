//! Keys by which clients notice a restarted broker: without them they would wait out the idle timeout.

use std::sync::Arc;

use hkdf::HkdfExtract;
use quinn::EndpointConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn_proto::HashedConnectionIdGenerator;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::identity::ResetKey;

/// HMAC-SHA256, which is what HKDF's extraction is.
struct Hmac(Zeroizing<[u8; 32]>);

impl Hmac {
    fn code(&self, data: &[u8]) -> [u8; 32] {
        let mut hmac = HkdfExtract::<Sha256>::new(Some(self.0.as_slice()));
        hmac.input_ikm(data);
        hmac.finalize().0.into()
    }
}

impl HmacKey for Hmac {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.code(data));
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        if self.code(data) == signature { Ok(()) } else { Err(CryptoError) }
    }
}

/// An endpoint that recognises connection ids of its earlier life, and answers them with a reset.
pub(super) fn endpoint_config(key: &ResetKey) -> EndpointConfig {
    let hmac = Hmac(Zeroizing::new(*key.seed()));
    let code = hmac.code(b"connection ids");
    let id_key = code.iter().take(8).fold(0, |key, byte| (key << 8) | u64::from(*byte));
    let mut config = EndpointConfig::new(Arc::new(hmac));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(id_key)));
    config
}
