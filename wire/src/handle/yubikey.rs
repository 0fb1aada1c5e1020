//! The public key of a YubiKey as `age-plugin-yubikey` prints it, and sealing to it without that program.
//!
//! The form is the plugin's `piv-p256`: ECDH on P-256 with a fresh key, HKDF-SHA256 over both public keys, ChaCha20-Poly1305.

use std::collections::HashSet;
use std::fmt;

use age::EncryptError;
use age_core::format::{FileKey, Stanza};
use age_core::primitives::{aead_encrypt, bech32_decode, hkdf};
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use p256::PublicKey;
use p256::ecdh::EphemeralSecret;
use p256::elliptic_curve::rand_core::OsRng;
use p256::elliptic_curve::sec1::ToEncodedPoint;
use sha2::{Digest, Sha256};

/// Names the stanza, and sets its key apart from those of other uses.
const FORM: &str = "piv-p256";

/// Bytes of a compressed point.
const POINT: usize = 33;

/// `age1yubikey1…`.
#[derive(Clone, Debug)]
pub struct YubikeyRecipient {
    key: PublicKey,
    text: String,
}

impl YubikeyRecipient {
    /// None where it is damaged, or no point of the curve.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let is_ours = |name: &str| (name == "age1yubikey").then_some(()).ok_or(());
        let bytes: Vec<u8> = bech32_decode(
            text,
            |_| (),
            |name| is_ours(name.as_str()),
            |_, bytes| Ok(bytes.collect()),
        )
        .ok()?;
        let key = PublicKey::from_sec1_bytes(&bytes).ok().filter(|_| bytes.len() == POINT)?;
        Some(Self { key, text: text.to_owned() })
    }
}

impl fmt::Display for YubikeyRecipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl age::Recipient for YubikeyRecipient {
    fn wrap_file_key(
        &self,
        file_key: &FileKey,
    ) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        let compressed = |key: &PublicKey| key.to_encoded_point(true).as_bytes().to_vec();
        let fresh = EphemeralSecret::random(&mut OsRng);
        let (share, own) = (compressed(&fresh.public_key()), compressed(&self.key));
        let shared = fresh.diffie_hellman(&self.key);
        let salt = [share.as_slice(), &own].concat();
        let key = hkdf(&salt, FORM.as_bytes(), shared.raw_secret_bytes());
        let tag: Vec<u8> = Sha256::digest(&own).into_iter().take(4).collect();
        let stanza = Stanza {
            tag: FORM.to_owned(),
            args: [tag, share].map(|bytes| BASE64_STANDARD_NO_PAD.encode(bytes)).into(),
            body: aead_encrypt(&key, file_key.expose_secret()),
        };
        Ok((vec![stanza], HashSet::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::Recipient as _;
    use age_core::primitives::aead_decrypt;
    use p256::SecretKey;
    use p256::ecdh::diffie_hellman;

    /// Of the secret 01 02 … 20.
    const KEY: &str = "age1yubikey1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp47dnz2m5";

    fn secret() -> SecretKey {
        let bytes: Vec<u8> = (1..=32).collect();
        SecretKey::from_slice(&bytes).unwrap()
    }

    #[test]
    fn what_is_sealed_to_a_yubikey_takes_its_secret_to_open() {
        let key = YubikeyRecipient::parse(KEY).unwrap();
        assert_eq!((key.to_string().as_str(), &key.key), (KEY, &secret().public_key()));
        let (stanzas, labels) = key.wrap_file_key(&FileKey::new(Box::new([7; 16]))).unwrap();
        assert!(labels.is_empty());
        let [Stanza { tag, args, body }] = stanzas.as_slice() else { panic!("{stanzas:?}") };
        let own = secret().public_key().to_encoded_point(true);
        let decoded: Vec<_> =
            args.iter().map(|text| BASE64_STANDARD_NO_PAD.decode(text).unwrap()).collect();
        assert_eq!((tag.as_str(), decoded.len()), ("piv-p256", 2));
        assert_eq!(decoded[0], Sha256::digest(own.as_bytes())[..4]);

        let share = PublicKey::from_sec1_bytes(&decoded[1]).unwrap();
        let shared = diffie_hellman(secret().to_nonzero_scalar(), share.as_affine());
        let salt = [decoded[1].as_slice(), own.as_bytes()].concat();
        let key = hkdf(&salt, b"piv-p256", shared.raw_secret_bytes());
        assert_eq!(aead_decrypt(&key, 16, body).unwrap(), [7; 16]);
    }

    #[test]
    fn a_key_is_a_whole_compressed_point_and_of_a_yubikey() {
        let other = "age1tag1qfg4c0twh83edwgy60lv5l65lhxses0fj7lnwhw229ddpfkrksp4783a6c8";
        assert!(YubikeyRecipient::parse(other).is_none());
        for end in 0..KEY.len() {
            assert!(YubikeyRecipient::parse(KEY.get(..end).unwrap()).is_none(), "{end}");
        }
        // No point has this x.
        let none = "age1yubikey1qgqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqwd0mvzt";
        assert!(YubikeyRecipient::parse(none).is_none());
    }
}
