//! CBOR with one encoding per value (RFC 8949, 4.2.1), because bytes are signed and compared.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_cbor::value::to_value;

/// Why bytes are not one canonical message.
#[derive(Debug, thiserror::Error)]
pub enum CborFault {
    /// More bytes than the message may have.
    #[error("{length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes received.
        length: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Not CBOR, or not this message.
    #[error("not a well-formed message")]
    Malformed(#[source] serde_cbor::Error),
    /// Well-formed, but not in the one encoding that is accepted.
    #[error("not in the canonical encoding")]
    NotCanonical,
}

/// Encodes `message` with sorted map keys and shortest lengths.
///
/// # Errors
/// When the message holds what CBOR cannot express; none of this crate's messages does.
pub fn to_canonical<T: Serialize>(message: &T) -> Result<Vec<u8>, CborFault> {
    let value = to_value(message).map_err(CborFault::Malformed)?;
    serde_cbor::to_vec(&value).map_err(CborFault::Malformed)
}

/// Decodes `bytes`, and refuses what would not encode to the same bytes again.
///
/// # Errors
/// Over `limit`, malformed, or not canonical.
pub fn from_canonical<T: Serialize + DeserializeOwned>(
    bytes: &[u8],
    limit: usize,
) -> Result<T, CborFault> {
    if bytes.len() > limit {
        return Err(CborFault::TooLong { length: bytes.len(), limit });
    }
    let message = serde_cbor::from_slice(bytes).map_err(CborFault::Malformed)?;
    if to_canonical(&message)? == bytes { Ok(message) } else { Err(CborFault::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn shorter_keys_come_first_as_the_rfc_says() {
        let map = BTreeMap::from([("aa", 1), ("b", 2)]);
        assert_eq!(to_canonical(&map).unwrap(), [0xa2, 0x61, b'b', 2, 0x62, b'a', b'a', 1]);
    }

    #[test]
    fn a_duplicate_key_is_refused() {
        let twice = [0xa2, 0x61, b'b', 2, 0x61, b'b', 2];
        let fault = from_canonical::<BTreeMap<String, u8>>(&twice, 64).unwrap_err();
        assert!(matches!(fault, CborFault::NotCanonical), "{fault}");
    }

    #[test]
    fn a_longer_integer_than_needed_is_refused() {
        let padded = [0x18, 0x05];
        assert!(matches!(from_canonical::<u8>(&padded, 64), Err(CborFault::NotCanonical)));
        assert_eq!(from_canonical::<u8>(&[0x05], 64).unwrap(), 5);
    }

    #[test]
    fn the_limit_is_exact() {
        let text = to_canonical(&"abc").unwrap();
        assert!(from_canonical::<String>(&text, 4).is_ok());
        assert!(matches!(from_canonical::<String>(&text, 3), Err(CborFault::TooLong { .. })));
    }

    #[test]
    fn depth_is_bounded() {
        let mut nested = vec![0x81; 100_000];
        nested.push(0x01);
        assert!(from_canonical::<serde_cbor::Value>(&nested, 200_000).is_err());
    }
}
