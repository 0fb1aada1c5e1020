//! One line of the log: a JSON object that names the hash of the line before it, and in the last
//! line of each batch a signature.
//!
//! ```text
//! {"seq":7,"time":"2026-01-31T12:00:00.000Z","prev":"<64 hex>","event":{…}}
//! {"seq":8,"time":"…","prev":"<64 hex>","event":{…},"sig":"<128 hex>"}
//! ```
//!
//! `prev` is the SHA-256 of the whole previous line without its line feed. `sig` is Ed25519 over a
//! label, the number, and the SHA-256 of the line as it would be without `sig`.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use policy::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::event::Event;
use super::recorded::{Hex, rfc3339_text};
use crate::clock::rfc3339;

/// The longest line.
pub(super) const MAX_LINE: usize = 16 * 1024;

/// What an event's JSON may have of a line; the rest is for number, time, hash and signature.
pub(super) const MAX_EVENT: usize = MAX_LINE - 512;

const LABEL: &[u8] = b"openscope audit v1\0";
const SIG_KEY: &str = ",\"sig\":\"";
const SIG_END: &str = "\"}";
const SIG_LENGTH: usize = SIG_KEY.len() + 128 + SIG_END.len();

/// Where the chain stands: after this many records, the last of which has this hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: Hex<32>,
}

impl Link {
    /// Before the first record.
    pub(super) const START: Self = Self { seq: 0, hash: Hex([0; 32]) };

    /// The next line, which carries `event`, without a line feed.
    pub(super) fn line(&self, time: Timestamp, event: &str) -> String {
        let (seq, time, prev) = (self.seq + 1, rfc3339(time), self.hash);
        format!("{{\"seq\":{seq},\"time\":\"{time}\",\"prev\":\"{prev}\",\"event\":{event}}}")
    }

    /// Where the chain stands after `line`.
    pub(super) fn after(&self, line: &str) -> Self {
        Self { seq: self.seq + 1, hash: Hex(Sha256::digest(line).into()) }
    }
}

/// What a signature vouches for, and the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Seal {
    pub(super) seq: u64,
    pub(super) body: Hex<32>,
    pub(super) signature: Hex<64>,
}

impl Seal {
    /// Vouches for `line`, which is record `seq`, and by the chain for all before it.
    pub(super) fn new(seq: u64, line: &str, key: &SigningKey) -> Self {
        let body = Hex(Sha256::digest(line).into());
        let signature = Hex(key.sign(&message(seq, &body)).to_bytes());
        Self { seq, body, signature }
    }

    /// `line` with this signature in it.
    pub(super) fn sealed(&self, line: &str) -> String {
        let open = line.strip_suffix('}').unwrap_or(line);
        format!("{open}{SIG_KEY}{}{SIG_END}", self.signature)
    }

    /// Whether `key` made it.
    pub(super) fn is_by(&self, key: &VerifyingKey) -> bool {
        let signature = Signature::from_bytes(&self.signature.0);
        key.verify_strict(&message(self.seq, &self.body), &signature).is_ok()
    }
}

fn message(seq: u64, body: &Hex<32>) -> Vec<u8> {
    [LABEL, &seq.to_be_bytes(), &body.0].concat()
}

/// What stands in every line.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry<E> {
    pub(super) seq: u64,
    #[serde(with = "rfc3339_text")]
    pub(super) time: Timestamp,
    pub(super) prev: Hex<32>,
    pub(super) event: E,
    #[serde(rename = "sig")]
    signature: Option<Hex<64>>,
}

impl<E: for<'de> Deserialize<'de>> Entry<E> {
    /// Reads a line without its line feed.
    pub(super) fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }

    /// The signature, if the line carries one.
    pub(super) fn seal(&self, line: &str) -> Option<Seal> {
        let signature = self.signature?;
        let open = line.get(..line.len().checked_sub(SIG_LENGTH)?)?;
        let body = Hex(Sha256::new().chain_update(open).chain_update("}").finalize().into());
        Some(Seal { seq: self.seq, body, signature })
    }
}

/// One record as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its number, counted from 1.
    pub seq: u64,
    /// When it was made, on the wall clock.
    pub time: Timestamp,
    /// What happened.
    pub event: Event,
}

impl From<Entry<Event>> for Record {
    fn from(entry: Entry<Event>) -> Self {
        Self { seq: entry.seq, time: entry.time, event: entry.event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    #[test]
    fn a_line_has_the_form_that_the_format_says() {
        let line = Link::START.line(Timestamp(0), "{\"type\":\"x\"}");
        let zeros = "0".repeat(64);
        assert_eq!(
            line,
            format!(
                "{{\"seq\":1,\"time\":\"1970-01-01T00:00:00.000Z\",\"prev\":\"{zeros}\",\
                 \"event\":{{\"type\":\"x\"}}}}"
            )
        );
    }

    #[test]
    fn a_sealed_line_is_verified_and_an_altered_one_is_not() {
        let line = Link::START.line(Timestamp(5), "{\"type\":\"x\"}");
        let sealed = Seal::new(1, &line, &key()).sealed(&line);
        let seal = |line: &str| Entry::<Value>::read(line).unwrap().seal(line).unwrap();
        assert!(seal(&sealed).is_by(&key().verifying_key()));
        assert!(!seal(&sealed).is_by(&SigningKey::from_bytes(&[8; 32]).verifying_key()));
        assert!(!seal(&sealed.replace("\"x\"", "\"y\"")).is_by(&key().verifying_key()));
        assert!(!seal(&sealed.replace("\"seq\":1", "\"seq\":2")).is_by(&key().verifying_key()));
    }

    #[test]
    fn a_line_without_a_signature_has_no_seal_whatever_its_event_says() {
        let fake = format!("{{\"type\":\"x\",\"sig\":\"{}\"}}", "0".repeat(128));
        let line = Link::START.line(Timestamp(5), &fake);
        assert_eq!(Entry::<Value>::read(&line).unwrap().seal(&line), None);
    }
}
