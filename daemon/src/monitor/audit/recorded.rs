//! The forms in which values enter the record: bounded, and harmless to show.

use std::fmt;

use policy::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// A value longer than this in JSON is recorded by its hash, so that every record fits its line.
const MAX_WHOLE: usize = 6 * 1024;

/// Characters of another's text that are kept.
const MAX_SAID: usize = 256;

/// Bytes as lower-case hexadecimal.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Hex<const N: usize>(pub [u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        let text: String = digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect();
        f.write_str(&text)
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> std::str::FromStr for Hex<N> {
    type Err = HexFault;

    fn from_str(text: &str) -> Result<Self, HexFault> {
        let mut bytes = [0; N];
        let digits = text.as_bytes();
        if digits.len() != N * 2 {
            return Err(HexFault { wanted: N * 2 });
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair
                .iter()
                .try_fold(0, |sum, digit| Some(sum << 4 | nibble(*digit)?))
                .ok_or(HexFault { wanted: N * 2 })?;
        }
        Ok(Self(bytes))
    }
}

/// Not hexadecimal of this length.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not {wanted} lower-case hexadecimal digits")]
pub struct HexFault {
    wanted: usize,
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl<const N: usize> Serialize for Hex<N> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// Text that somebody else may have chosen: cut to 256 characters, and without any that a terminal
/// acts upon or that turn the direction of reading.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Said(String);

impl Said {
    /// Makes `text` harmless.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut said: String = text
            .chars()
            .take(MAX_SAID)
            .map(|c| if is_harmless(c) { c } else { '\u{fffd}' })
            .collect();
        if text.chars().nth(MAX_SAID).is_some() {
            said.push('…');
        }
        Self(said)
    }

    /// The harmless text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        // A text that was cut has one character more; cutting it again would add nothing but `…`.
        if text.chars().count() == MAX_SAID + 1 && text.ends_with('…') {
            return Self(Self::new(text.trim_end_matches('…')).0 + "…");
        }
        Self::new(&text)
    }
}

impl From<Said> for String {
    fn from(said: Said) -> Self {
        said.0
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_harmless(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// A value, or where it would not fit a line, what identifies it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recorded<T> {
    /// Too long: its hash.
    Hashed(Hashed),
    /// The value itself.
    Whole(T),
}

/// What identifies a value that was too long to record.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hashed {
    /// SHA-256 of its JSON.
    #[serde(rename = "$sha256")]
    pub sha256: Hex<32>,
    /// Length of its JSON.
    #[serde(rename = "$bytes")]
    pub bytes: usize,
}

impl<T: Serialize + DeserializeOwned + Clone> Recorded<T> {
    /// `value` as it is recorded.
    #[must_use]
    pub fn of(value: &T) -> Self {
        let json = serde_json::to_vec(value).unwrap_or_default();
        if !json.is_empty() && json.len() <= MAX_WHOLE {
            return Self::Whole(value.clone());
        }
        Self::Hashed(Hashed::of(&json))
    }

    /// What identifies `value`, for what is nobody else's to read.
    #[must_use]
    pub fn hashed(value: &T) -> Self {
        Self::Hashed(Hashed::of(&serde_json::to_vec(value).unwrap_or_default()))
    }
}

impl Hashed {
    fn of(json: &[u8]) -> Self {
        let sha256 = Hex(Sha256::digest(json).into());
        Self { sha256, bytes: json.len() }
    }
}

/// Times in the record are RFC 3339.
pub(super) mod rfc3339_text {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, de};
    use crate::clock::{from_rfc3339, rfc3339};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
    pub(in super::super) fn serialize<S: Serializer>(
        time: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(&rfc3339(*time))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(from)?;
        from_rfc3339(&text).ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn hexadecimal_is_read_back_and_nothing_else_is() {
        let hex = Hex([0x00, 0xff, 0x1a]);
        assert_eq!(hex.to_string(), "00ff1a");
        assert_eq!("00ff1a".parse(), Ok(hex));
        for bad in ["00ff1", "00ff1a0", "00FF1A", "00ff1g", "é0ff1"] {
            assert!(bad.parse::<Hex<3>>().is_err(), "{bad}");
        }
    }

    #[test]
    fn control_and_direction_characters_are_replaced() {
        assert_eq!(
            Said::new("a\x1b[2Jb\u{202e}c\nd\0").as_str(),
            "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}"
        );
        assert_eq!(Said::new("Grüße, 世界").as_str(), "Grüße, 世界");
    }

    #[test]
    fn text_is_cut_over_256_characters_and_reads_back_as_it_was() {
        for (length, kept) in [(255, 255), (256, 256), (257, 257), (5_000, 257)] {
            let said = Said::new(&"é".repeat(length));
            assert_eq!(said.as_str().chars().count(), kept);
            let json = serde_json::to_string(&said).unwrap();
            assert_eq!(serde_json::from_str::<Said>(&json).unwrap(), said);
        }
        assert!(Said::new(&"a".repeat(257)).as_str().ends_with('…'));
    }

    #[test]
    fn a_value_is_recorded_whole_up_to_its_bound_and_by_its_hash_over_it() {
        let of = |bytes: usize| BTreeMap::from([("k".to_owned(), "x".repeat(bytes))]);
        let frame = serde_json::to_vec(&of(0)).unwrap().len();
        assert!(matches!(Recorded::of(&of(MAX_WHOLE - frame)), Recorded::Whole(_)));
        let over = Recorded::of(&of(MAX_WHOLE - frame + 1));
        assert!(matches!(&over, Recorded::Hashed(hashed) if hashed.bytes == MAX_WHOLE + 1));
        let json = serde_json::to_string(&over).unwrap();
        assert_eq!(
            serde_json::from_str::<Recorded<BTreeMap<String, String>>>(&json).unwrap(),
            over
        );
    }
}
