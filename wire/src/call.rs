//! What the parties sign: a redemption, a call, the daemon's clock, an outcome.
//!
//! Each statement is a canonical CBOR array whose first element names it, so that a signature
//! over one can never be shown as a signature over another.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use policy::{Arguments, Passport, SeatId, ShareId, Timestamp, VerbName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cbor::{CborFault, from_canonical, to_canonical};

/// The largest statement that is looked at: a call with the largest arguments fits.
pub const MAX_STATEMENT: usize = 60 * 1024;

/// How far ahead of the daemon's clock the not-after of a holder's statement may lie.
pub const CALL_LIFE_MS: u64 = 30_000;

/// A call's name for itself, chosen at random by the client; it never runs twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(#[serde(with = "serde_bytes")] pub [u8; 16]);

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a signed statement is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum StatementFault {
    /// Not a canonical statement.
    #[error("the statement cannot be read")]
    Encoding(#[from] CborFault),
    /// A statement of another kind.
    #[error("the statement is not a `{wanted}`")]
    Label {
        /// The label that belongs there.
        wanted: &'static str,
    },
    /// The signature does not belong to these bytes and this key.
    #[error("the signature does not verify")]
    Signature,
    /// The key is not a point that may sign.
    #[error("the key is not a valid Ed25519 key")]
    Key,
}

/// A statement that can be signed: its label sets it apart from all others.
pub trait Statement: Serialize + DeserializeOwned {
    /// The first element of the signed array.
    const LABEL: &'static str;
}

/// What each statement of a holder's says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claims {
    /// The daemon's identity key.
    pub daemon: [u8; 32],
    /// The share.
    pub share: ShareId,
    /// The seat within it.
    pub seat: SeatId,
    /// SHA-256 of the passport under which it is made.
    pub passport: [u8; 32],
    /// Worthless after this, on the daemon's clock.
    pub not_after: Timestamp,
}

/// A statement that the holder of a seat signs, each time anew.
pub trait HolderStatement: Statement {
    /// By whom it says that it is, and until when it counts.
    fn claims(&self) -> Claims;
}

/// A statement's exact bytes and a signature over them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    #[serde(rename = "b", with = "serde_bytes")]
    bytes: Vec<u8>,
    #[serde(rename = "s", with = "serde_bytes")]
    signature: [u8; 64],
}

impl Signed {
    /// Signs `statement` with `key`.
    ///
    /// # Errors
    /// When the statement is larger than [`MAX_STATEMENT`].
    pub fn new<S: Statement>(statement: &S, key: &SigningKey) -> Result<Self, StatementFault> {
        let bytes = to_canonical(&(S::LABEL, statement))?;
        if bytes.len() > MAX_STATEMENT {
            return Err(CborFault::TooLong { length: bytes.len(), limit: MAX_STATEMENT }.into());
        }
        let signature = key.sign(&bytes).to_bytes();
        Ok(Self { bytes, signature })
    }

    /// Verifies the signature by `key`, strictly, then reads the statement.
    ///
    /// # Errors
    /// Another key's, another kind's, altered, or not canonical.
    pub fn verify<S: Statement>(&self, key: &[u8; 32]) -> Result<S, StatementFault> {
        self.verify_signature(key)?;
        self.read_unverified()
    }

    /// Verifies the signature alone, strictly: for what [`Signed::read_unverified`] has read already.
    ///
    /// # Errors
    /// Another key's, or altered.
    pub fn verify_signature(&self, key: &[u8; 32]) -> Result<(), StatementFault> {
        let key = VerifyingKey::from_bytes(key).map_err(|_| StatementFault::Key)?;
        let signature = Signature::from_bytes(&self.signature);
        key.verify_strict(&self.bytes, &signature).map_err(|_| StatementFault::Signature)
    }

    /// Reads the statement without looking at the signature: to learn which key should have signed.
    ///
    /// # Errors
    /// Another kind's, or not canonical.
    pub fn read_unverified<S: Statement>(&self) -> Result<S, StatementFault> {
        let (label, statement): (String, S) = from_canonical(&self.bytes, MAX_STATEMENT)?;
        if label == S::LABEL {
            Ok(statement)
        } else {
            Err(StatementFault::Label { wanted: S::LABEL })
        }
    }

    /// SHA-256 of the signed bytes: names this content in the record.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(&self.bytes).into()
    }
}

/// "This seat is held by `holder`", signed once by the seat's redeem key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// The daemon's identity key.
    #[serde(with = "serde_bytes")]
    pub daemon: [u8; 32],
    /// The share.
    pub share: ShareId,
    /// The seat within it.
    pub seat: SeatId,
    /// The key that the client made for this seat.
    #[serde(with = "serde_bytes")]
    pub holder: [u8; 32],
}

impl Statement for Redemption {
    const LABEL: &'static str = "openscope redeem v1";
}

/// The signature under a [`Redemption`] whose words the reader knows already.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Proof(#[serde(with = "serde_bytes")] pub [u8; 64]);

impl Redemption {
    /// That `holder` holds what the daemon with this key states in `passport`.
    #[must_use]
    pub fn of(daemon: [u8; 32], passport: &Passport, holder: [u8; 32]) -> Self {
        let authority = passport.authority();
        Self { daemon, share: authority.share, seat: authority.seat, holder }
    }

    /// Signs it with the redeem key, and keeps the signature alone.
    ///
    /// # Errors
    /// Never in fact: a redemption is small.
    pub fn prove(&self, redeem: &SigningKey) -> Result<Proof, StatementFault> {
        Signed::new(self, redeem).map(|signed| Proof(signed.signature))
    }

    /// Whether the signature is the redeem key's under this very redemption.
    #[must_use]
    pub fn is_proven_by(&self, proof: &Proof, redeem_key: &[u8; 32]) -> bool {
        let bytes = to_canonical(&(Self::LABEL, self));
        let signed = bytes.map(|bytes| Signed { bytes, signature: proof.0 });
        signed.is_ok_and(|signed| signed.verify_signature(redeem_key).is_ok())
    }
}

/// One use of a verb, signed by the holder's key.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallStatement {
    /// The daemon's identity key.
    #[serde(with = "serde_bytes")]
    pub daemon: [u8; 32],
    /// The share.
    pub share: ShareId,
    /// The seat within it.
    pub seat: SeatId,
    /// SHA-256 of the passport under which the call is made.
    #[serde(with = "serde_bytes")]
    pub passport: [u8; 32],
    /// The call's own id.
    pub id: CallId,
    /// The verb.
    pub verb: VerbName,
    /// Its arguments, as given; defaults are the daemon's to fill in.
    pub arguments: Arguments,
    /// What goes with it that is not for the record: the header fields of a request, as HTTP/1.1 writes them, with the
    /// empty line. A verb that takes none does not look at it.
    #[serde(default, with = "serde_bytes", skip_serializing_if = "Vec::is_empty")]
    pub head: Vec<u8>,
    /// Worthless after this, on the daemon's clock; at most [`CALL_LIFE_MS`] ahead.
    pub not_after: Timestamp,
}

impl CallStatement {
    /// SHA-256 of all but the not-after: the same when the same call is asked for again.
    ///
    /// # Errors
    /// When the arguments cannot be encoded; what was decoded always can.
    pub fn content(&self) -> Result<[u8; 32], CborFault> {
        let timeless = Self { not_after: Timestamp(0), ..self.clone() };
        Ok(Sha256::digest(to_canonical(&timeless)?).into())
    }
}

impl Statement for CallStatement {
    const LABEL: &'static str = "openscope call v1";
}

impl HolderStatement for CallStatement {
    fn claims(&self) -> Claims {
        let Self { daemon, share, seat, passport, not_after, .. } = *self;
        Claims { daemon, share, seat, passport, not_after }
    }
}

/// The daemon's time, signed over the client's nonce, so that a broker cannot keep calls for later.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockStatement {
    /// What the client sent when it asked.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
    /// The share's clock when the daemon answered.
    pub now: Timestamp,
}

impl Statement for ClockStatement {
    const LABEL: &'static str = "openscope clock v1";
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ending {
    /// The program ended with this status.
    Exited(u8),
    /// A signal that was not ours ended the program.
    Signaled(u8),
    /// It ran longer than the verb may.
    TimedOut,
    /// It wrote more than the verb may.
    OutputLimit,
    /// The recipient gave it more than the verb takes.
    InputLimit,
    /// The recipient gave it what the verb does not take: bytes that are no text.
    BadInput,
    /// The recipient ended it, or went away.
    Cancelled,
    /// The owner revoked the share.
    Revoked,
    /// The share's deadline came.
    Expired,
    /// Policy no longer permits it.
    Withdrawn,
    /// The daemon went down while it ran; whether it finished is not known.
    Interrupted,
    /// The program could not be started; nothing ran.
    NotStarted(String),
    /// The host that it was to run on was not reached, or lost; whether it ran is not known.
    TargetLost(String),
}

/// The record of one call that ended, signed by the daemon's identity key: a receipt.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutcomeStatement {
    /// The share.
    pub share: ShareId,
    /// The call's id.
    pub id: CallId,
    /// [`CallStatement::content`] of the call.
    #[serde(with = "serde_bytes")]
    pub call: [u8; 32],
    /// How it ended.
    pub ending: Ending,
    /// Bytes of standard output that were passed on.
    pub stdout: u64,
    /// Bytes of standard error that were passed on.
    pub stderr: u64,
    /// Secrets that were masked in both.
    pub redactions: u64,
    /// Bytes of standard input that it was given.
    pub stdin: u64,
    /// When it was started.
    pub started: Timestamp,
    /// When the last of its processes was gone.
    pub ended: Timestamp,
}

impl Statement for OutcomeStatement {
    const LABEL: &'static str = "openscope outcome v1";
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use policy::{ParameterName, Value};
    use proptest::prelude::*;
    use std::fmt::Write as _;

    pub(crate) fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    pub(crate) fn statement() -> CallStatement {
        let argument = |name: &str, value| (name.parse::<ParameterName>().unwrap(), value);
        CallStatement {
            daemon: [1; 32],
            share: ShareId::from_random([2; 8]),
            seat: SeatId(0),
            passport: [3; 32],
            id: CallId([4; 16]),
            verb: "log.tail".parse().unwrap(),
            arguments: [
                argument("service", Value::text("web").unwrap()),
                argument("lines", Value::Int(50)),
            ]
            .into_iter()
            .collect(),
            head: Vec::new(),
            not_after: Timestamp(1_795_000_000_000),
        }
    }

    #[test]
    fn a_statement_verifies_by_its_key_and_by_no_other() {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        assert_eq!(
            signed.verify::<CallStatement>(&key(9).verifying_key().to_bytes()).unwrap(),
            statement()
        );
        let other = signed.verify::<CallStatement>(&key(8).verifying_key().to_bytes());
        assert!(matches!(other, Err(StatementFault::Signature)));
    }

    #[test]
    fn a_statement_of_one_kind_is_not_taken_for_another() {
        let clock = ClockStatement { nonce: [7; 16], now: Timestamp(5) };
        let signed = Signed::new(&clock, &key(9)).unwrap();
        let read = signed.verify::<Redemption>(&key(9).verifying_key().to_bytes());
        assert!(read.is_err());
    }

    #[test]
    fn any_flipped_bit_is_noticed() {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        let public = key(9).verifying_key().to_bytes();
        for at in 0..signed.bytes.len() {
            let mut altered = signed.clone();
            altered.bytes[at] ^= 1;
            assert!(altered.verify::<CallStatement>(&public).is_err(), "byte {at}");
        }
        for at in 0..64 {
            let mut altered = signed.clone();
            altered.signature[at] ^= 1;
            assert!(
                altered.verify::<CallStatement>(&public).is_err(),
                "byte {at} of the signature"
            );
        }
    }

    #[test]
    fn a_redemption_is_proven_by_its_redeem_key_for_its_holder_alone() {
        let redemption = |holder| Redemption {
            daemon: [1; 32],
            share: ShareId::from_random([2; 8]),
            seat: SeatId(0),
            holder: [holder; 32],
        };
        let proof = redemption(5).prove(&key(9)).unwrap();
        let redeem_key = |seed| key(seed).verifying_key().to_bytes();
        assert!(redemption(5).is_proven_by(&proof, &redeem_key(9)));
        assert!(!redemption(6).is_proven_by(&proof, &redeem_key(9)));
        assert!(!redemption(5).is_proven_by(&proof, &redeem_key(8)));
        let whole = Signed::new(&redemption(5), &key(9)).unwrap();
        assert_eq!(whole.signature, proof.0);
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(signed.verify::<CallStatement>(&identity).is_err());
    }

    #[test]
    fn the_bytes_of_a_call_are_fixed() {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        let mut hex = String::new();
        signed.bytes.iter().for_each(|byte| write!(hex, "{byte:02x}").unwrap());
        let expected = [
            "82716f70656e73636f70652063616c6c207631a8626964500404040404040404040404040404",
            "04046473656174006476657262686c6f672e7461696c657368617265746f73705f3032303230",
            "3230323032303230323032666461656d6f6e5820010101010101010101010101010101010101",
            "01010101010101010101010101016870617373706f7274582003030303030303030303030303",
            "0303030303030303030303030303030303030369617267756d656e7473a2656c696e65731832",
            "677365727669636563776562696e6f745f61667465721b000001a1ee565e00",
        ];
        assert_eq!(hex, expected.concat());
    }

    fn with_services(items: &[&str]) -> CallStatement {
        let items = items.iter().map(|item| Value::text(*item).unwrap());
        let mut statement = statement();
        let services = "services".parse().unwrap();
        statement.arguments.0.insert(services, Value::list(items).unwrap());
        statement
    }

    #[test]
    fn a_list_crosses_in_its_one_spelling() {
        let stated = with_services(&["web", "db", "web"]);
        let signed = Signed::new(&stated, &key(9)).unwrap();
        assert_eq!(signed.read_unverified::<CallStatement>().unwrap(), stated);
        let list = b"hservices\x83cwebbdbcweb";
        let at = signed.bytes.windows(list.len()).position(|part| part == list).unwrap() + 9;
        let respelled = |list: &[u8]| {
            let rest = at + b"\x83cwebbdbcweb".len();
            let bytes = [&signed.bytes[..at], list, &signed.bytes[rest..]].concat();
            Signed { bytes, signature: [0; 64] }.read_unverified::<CallStatement>().map(drop)
        };
        assert!(respelled(b"\x83cwebbdbcweb").is_ok());
        for bad in [
            &b"\x9fcwebbdbcweb\xff"[..],
            b"\x98\x03cwebbdbcweb",
            b"\x83x\x03webbdbcweb",
            b"\x82cwebb\x81bdb",
            b"\x82cweb\x01",
            b"\x81\x81cweb",
            b"\x81\xf6",
        ] {
            assert!(respelled(bad).is_err(), "{bad:x?}");
        }
        let other = with_services(&["db", "web", "web"]);
        assert_ne!(stated.content().unwrap(), other.content().unwrap(), "the order counts");
    }

    #[test]
    fn content_is_the_same_whenever_it_is_asked_for_and_differs_by_argument() {
        let later = CallStatement { not_after: Timestamp(9), ..statement() };
        assert_eq!(statement().content().unwrap(), later.content().unwrap());
        let mut other = statement();
        other.arguments.0.insert("lines".parse().unwrap(), Value::Int(51));
        assert_ne!(statement().content().unwrap(), other.content().unwrap());
    }

    #[test]
    fn a_statement_over_the_limit_is_not_signed() {
        let mut statement = statement();
        for number in 0..20 {
            let name = format!("p{number}").parse().unwrap();
            statement.arguments.0.insert(name, Value::text("x".repeat(4000)).unwrap());
        }
        assert!(Signed::new(&statement, &key(9)).is_err());
    }

    proptest! {
        #[test]
        fn perturbed_statements_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let signed = Signed { bytes, signature: [0; 64] };
            prop_assert!(signed.read_unverified::<CallStatement>().is_err());
            prop_assert!(signed.read_unverified::<OutcomeStatement>().is_err());
        }
    }
}
