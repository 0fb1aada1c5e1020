//! What a holder asks the owner for: more of the share than it is.

use policy::{SeatId, ShareId, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::call::{CallId, Claims, HolderStatement, Statement};
use crate::cbor::{CborFault, to_canonical};

/// The most requests in one asking.
pub const MAX_WANTED: usize = 16;
/// The most bytes of one of them.
pub const MAX_WANTED_BYTES: usize = 1024;
/// The most bytes of a reason.
pub const MAX_REASON_BYTES: usize = 500;

/// What is asked for is not within its bounds.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AccessFault {
    /// No request, or too many.
    #[error("1 to {MAX_WANTED} verbs can be asked for at once, not {0}")]
    Count(usize),
    /// A request that is too long.
    #[error("what is asked for has at most {MAX_WANTED_BYTES} bytes a verb, not {0}")]
    Long(usize),
    /// A reason that is too long, or none.
    #[error("a reason has 1 to {MAX_REASON_BYTES} bytes, not {0}")]
    Reason(usize),
}

/// Requests as `share open --verb` takes them: one to [`MAX_WANTED`], each of at most [`MAX_WANTED_BYTES`].
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Wanted(Vec<String>);

impl Wanted {
    /// The requests, as they were typed.
    #[must_use]
    pub fn requests(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Wanted {
    type Error = AccessFault;

    fn try_from(requests: Vec<String>) -> Result<Self, AccessFault> {
        if !(1..=MAX_WANTED).contains(&requests.len()) {
            return Err(AccessFault::Count(requests.len()));
        }
        match requests.iter().map(String::len).find(|length| *length > MAX_WANTED_BYTES) {
            Some(length) => Err(AccessFault::Long(length)),
            None => Ok(Self(requests)),
        }
    }
}

impl From<Wanted> for Vec<String> {
    fn from(wanted: Wanted) -> Self {
        wanted.0
    }
}

/// Why it is asked for, in the words of whoever asks: one to [`MAX_REASON_BYTES`] bytes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Why(String);

impl Why {
    /// The words.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Why {
    type Error = AccessFault;

    fn try_from(text: String) -> Result<Self, AccessFault> {
        let fits = (1..=MAX_REASON_BYTES).contains(&text.len());
        if fits { Ok(Self(text)) } else { Err(AccessFault::Reason(text.len())) }
    }
}

impl From<Why> for String {
    fn from(why: Why) -> Self {
        why.0
    }
}

/// One asking for more of a share, signed by the holder's key. It makes no call, and grants nothing by itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessStatement {
    /// The daemon's identity key.
    #[serde(with = "serde_bytes")]
    pub daemon: [u8; 32],
    /// The share.
    pub share: ShareId,
    /// The seat within it.
    pub seat: SeatId,
    /// SHA-256 of the passport of whoever asks.
    #[serde(with = "serde_bytes")]
    pub passport: [u8; 32],
    /// The asking's own id: the same id and content is the same asking.
    pub id: CallId,
    /// What is asked for.
    pub wanted: Wanted,
    /// Why.
    pub reason: Why,
    /// Worthless after this, on the daemon's clock; at most [`crate::call::CALL_LIFE_MS`] ahead.
    pub not_after: Timestamp,
}

impl AccessStatement {
    /// SHA-256 of all but the not-after: the same when the same is asked for again.
    ///
    /// # Errors
    /// Never in fact: an asking is small.
    pub fn content(&self) -> Result<[u8; 32], CborFault> {
        let timeless = Self { not_after: Timestamp(0), ..self.clone() };
        Ok(Sha256::digest(to_canonical(&timeless)?).into())
    }
}

impl Statement for AccessStatement {
    const LABEL: &'static str = "openscope access v1";
}

impl HolderStatement for AccessStatement {
    fn claims(&self) -> Claims {
        let Self { daemon, share, seat, passport, not_after, .. } = *self;
        Claims { daemon, share, seat, passport, not_after }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::call::tests::key;
    use crate::call::{CallStatement, Signed};

    fn wanted(requests: &[&str]) -> Wanted {
        let requests: Vec<String> = requests.iter().map(|one| (*one).to_owned()).collect();
        requests.try_into().unwrap()
    }

    pub(crate) fn statement() -> AccessStatement {
        AccessStatement {
            daemon: [1; 32],
            share: ShareId::from_random([2; 8]),
            seat: SeatId(0),
            passport: [3; 32],
            id: CallId([4; 16]),
            wanted: wanted(&["service.restart:service=web"]),
            reason: Why::try_from("it hangs".to_owned()).unwrap(),
            not_after: Timestamp(1_795_000_000_000),
        }
    }

    #[test]
    fn an_asking_is_verified_by_its_key_and_is_no_call() {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        let public = key(9).verifying_key().to_bytes();
        assert_eq!(signed.verify::<AccessStatement>(&public).unwrap(), statement());
        assert!(signed.verify::<AccessStatement>(&key(8).verifying_key().to_bytes()).is_err());
        assert!(signed.verify::<CallStatement>(&public).is_err());
    }

    #[test]
    fn content_is_the_same_whenever_it_is_asked_for_and_differs_by_what_is_asked() {
        let later = AccessStatement { not_after: Timestamp(9), ..statement() };
        assert_eq!(statement().content().unwrap(), later.content().unwrap());
        let other = AccessStatement { wanted: wanted(&["service.restart"]), ..statement() };
        assert_ne!(statement().content().unwrap(), other.content().unwrap());
        let why = Why::try_from("it is slow".to_owned()).unwrap();
        let other = AccessStatement { reason: why, ..statement() };
        assert_ne!(statement().content().unwrap(), other.content().unwrap());
    }

    #[test]
    fn what_is_asked_for_has_its_bounds() {
        let of = |count: usize, length: usize| Wanted::try_from(vec!["v".repeat(length); count]);
        assert!(of(1, 1).is_ok() && of(MAX_WANTED, MAX_WANTED_BYTES).is_ok());
        assert_eq!(of(0, 1), Err(AccessFault::Count(0)));
        assert_eq!(of(MAX_WANTED + 1, 1), Err(AccessFault::Count(MAX_WANTED + 1)));
        assert_eq!(of(1, MAX_WANTED_BYTES + 1), Err(AccessFault::Long(MAX_WANTED_BYTES + 1)));
        let why = |length: usize| Why::try_from("w".repeat(length));
        assert!(why(1).is_ok() && why(MAX_REASON_BYTES).is_ok());
        assert_eq!(why(0), Err(AccessFault::Reason(0)));
        assert_eq!(why(MAX_REASON_BYTES + 1), Err(AccessFault::Reason(MAX_REASON_BYTES + 1)));
    }

    #[test]
    fn an_asking_out_of_its_bounds_is_not_read() {
        let many = vec!["a.b"; MAX_WANTED + 1];
        let bytes = to_canonical(&many).unwrap();
        assert!(crate::cbor::from_canonical::<Wanted>(&bytes, bytes.len()).is_err());
        let bytes = to_canonical(&many[1..].to_vec()).unwrap();
        assert!(crate::cbor::from_canonical::<Wanted>(&bytes, bytes.len()).is_ok());
    }
}
