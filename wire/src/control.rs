//! What the owner's command line and the monitor say to each other over the owner socket.
//!
//! Each message is a 32-bit big-endian length and canonical CBOR. Who asks is never in a message:
//! the monitor reads it from the socket.

mod needs;
mod view;

use std::io::{self, Read, Write};

use policy::{AgentName, Alias, Approve, Budget, RequestId, SeatId, ShareId, Timestamp, VerbName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cbor::{from_canonical, to_canonical};
use crate::note::NoteView;

pub use self::needs::{Need, NeedView, VerbNeeds};
pub use self::view::{
    AccessView, Asked, CapabilitiesView, CapabilityView, ContactView, OfferView, PlanVerb,
    PlanView, RelayView, RequestView, RevokedShare, RunningView, SeatView, ShareView, StatusView,
    SubHolderView, Told,
};

/// The largest message either way.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// What an owner asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Open a share.
    Open(Open),
    /// The caller's shares, or with `all` everybody's (admins).
    List {
        /// Everybody's.
        all: bool,
    },
    /// One share.
    Show {
        /// Which.
        share: ShareId,
    },
    /// What a share would be, without opening it.
    Plan(Open),
    /// Change a share: its deadline, its scope.
    Extend(Extend),
    /// The requests for consent that the caller may see.
    Requests {
        /// Everybody's.
        all: bool,
        /// This one alone.
        only: Option<RequestId>,
    },
    /// Consent to a request.
    Approve {
        /// Which.
        request: RequestId,
        /// The hash of what is consented to; the caller does not care when absent.
        expect: Option<String>,
    },
    /// Refuse a request.
    Deny {
        /// Which.
        request: RequestId,
        /// Kept in the record.
        reason: Option<String>,
    },
    /// End shares.
    Revoke {
        /// Which.
        which: Which,
        /// Shown to the recipient and kept in the record.
        reason: Option<String>,
    },
    /// End one recipient's seat, and whatever they handed on.
    Kick {
        /// Of which share.
        share: ShareId,
        /// Whose.
        alias: Alias,
        /// Shown to the recipient and kept in the record.
        reason: Option<String>,
    },
    /// Remember a recipient's key under an alias of the caller's.
    ContactAdd {
        /// The alias, without `own/`.
        alias: Alias,
        /// An age or ssh public key.
        key: String,
        /// Whether another key under this alias may be replaced.
        replace: bool,
    },
    /// The recipients that the caller can name.
    ContactList,
    /// Forget a recipient of the caller's.
    ContactRemove {
        /// The alias, without `own/`.
        alias: Alias,
    },
    /// What the caller's agent could share.
    Capabilities {
        /// The agent; the caller's own name when absent.
        agent: Option<AgentName>,
    },
    /// What the verbs of the caller's agent take to be called, and whether the daemon can have it.
    Needs {
        /// The agent; the caller's own name when absent.
        agent: Option<AgentName>,
    },
    /// Leave a recipient of a share a note.
    Note {
        /// Of which share.
        share: ShareId,
        /// Which; needed where there are several.
        to: Option<Alias>,
        /// What it says.
        text: String,
    },
    /// The notes of a share that were left after a moment.
    Notes {
        /// Of which share.
        share: ShareId,
        /// Of none so far: 0.
        after: Timestamp,
    },
    /// How the daemon does.
    Status,
    /// Read the configuration again (admins).
    Reload,
}

/// A share to be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// As which of the caller's agents; their own name when absent.
    pub agent: Option<AgentName>,
    /// `app.action[:parameter=value,…]`, each as typed.
    pub verbs: Vec<String>,
    /// Who gets a seat.
    pub to: To,
    /// How long, in milliseconds; the configured default when absent.
    pub ttl_ms: Option<u64>,
    /// How often a recipient may hand it on.
    pub redelegate: u8,
    /// What the owner demands beyond policy.
    pub approve: Approve,
    /// How much of it may be used.
    pub budget: Budget,
    /// The hash of the plan that it must be.
    pub expect: Option<String>,
}

/// A change of a live share. What is absent stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extend {
    /// Which.
    pub share: ShareId,
    /// The life that it shall have from now, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Verbs to add, each as typed for [`Open`].
    pub add: Vec<String>,
    /// Verbs to take away.
    pub drop: Vec<VerbName>,
}

/// Whom a share is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum To {
    /// Contacts, a seat for each.
    Contacts(Vec<Alias>),
    /// Whoever holds the handle and its second value.
    Bearer,
}

/// Which shares a revocation means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Which {
    /// This one.
    Share(ShareId),
    /// All of the caller's.
    All,
    /// Those of the caller's that have a seat for this contact.
    To(Alias),
}

/// The monitor's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// A share is open.
    Opened(Box<Opened>),
    /// What a share would be.
    Plan(Box<PlanView>),
    /// It waits for somebody's consent; the answer itself follows on the same connection.
    Pending(Box<RequestView>),
    /// Requests for consent.
    Requests {
        /// As many as one answer holds.
        requests: Vec<RequestView>,
        /// The others, which have to be asked for one by one.
        left_out: Vec<RequestId>,
    },
    /// Shares.
    Shares(Vec<ShareView>),
    /// One share.
    Share(Box<ShareView>),
    /// Shares that are over now.
    Revoked(Vec<RevokedShare>),
    /// A seat was ended; its share goes on.
    Kicked(RevokedShare),
    /// Recipients.
    Contacts(Vec<ContactView>),
    /// Done; a sentence that says what.
    Done(String),
    /// What could be shared.
    Capabilities(Box<CapabilitiesView>),
    /// What verbs take to be called.
    Needs(Vec<VerbNeeds>),
    /// Notes, the oldest first.
    Notes(Vec<NoteView>),
    /// How the daemon does.
    Status(Box<StatusView>),
    /// It was not done.
    Failed(Failure),
}

/// Why a request was not done.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What kind of no.
    pub kind: FailureKind,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

/// The kinds of no; the command line's exit status follows from it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The request is wrong in itself.
    Usage,
    /// Policy, or a limit, says no.
    Refused,
    /// There is no such thing of the caller's.
    NotFound,
    /// The daemon, or what it needs, cannot do it now.
    Unavailable,
}

/// A share just opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// The share.
    pub share: ShareView,
    /// A handle per seat; only ever in this answer.
    pub handles: Vec<SeatHandle>,
    /// The daemon's fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// The same as words.
    pub words: Vec<String>,
    /// What the owner should know before they give it away: of a service that is there and not well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What the owner gives away.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatHandle {
    /// The seat.
    pub seat: SeatId,
    /// `osp1_…`.
    pub handle: String,
    /// A bearer's second value, to be sent by another way.
    pub second: Option<String>,
}

impl std::fmt::Debug for SeatHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SeatHandle").field("seat", &self.seat).finish_non_exhaustive()
    }
}

/// Writes one message.
///
/// # Errors
/// The socket's, or a message over [`MAX_MESSAGE`].
pub fn write<T: Serialize>(to: &mut impl Write, message: &T) -> io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// One message as it travels.
///
/// # Errors
/// A message over [`MAX_MESSAGE`].
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = to_canonical(message).map_err(io::Error::other)?;
    let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_MESSAGE);
    let length = length.ok_or_else(|| io::Error::other("the message is too long"))?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&body);
    Ok(framed)
}

/// Reads one message.
///
/// # Errors
/// The socket's, or bytes that are no such message.
pub fn read<T: Serialize + DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = checked_length(length)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    from_canonical(&body, MAX_MESSAGE).map_err(invalid)
}

/// Takes one message off the front of `buffer`, when it is whole.
///
/// # Errors
/// Bytes that are no such message; the connection is of no further use.
pub fn take<T: Serialize + DeserializeOwned>(buffer: &mut Vec<u8>) -> io::Result<Option<T>> {
    let Some((&prefix, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = checked_length(prefix)?;
    let Some(body) = rest.split_at_checked(length).map(|(body, _)| body) else { return Ok(None) };
    let message = from_canonical(body, MAX_MESSAGE).map_err(invalid)?;
    buffer.drain(..length.saturating_add(4));
    Ok(Some(message))
}

fn checked_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if length <= MAX_MESSAGE { Ok(length) } else { Err(invalid("the message is too long")) }
}

fn invalid(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn open() -> Request {
        Request::Open(Open {
            agent: Some("you".parse().unwrap()),
            verbs: vec!["log.tail:service=web".into()],
            to: To::Contacts(vec!["vendor-b".parse().unwrap()]),
            ttl_ms: Some(60_000),
            redelegate: 1,
            approve: Approve::Each,
            budget: Budget { calls: Some(3), bytes: None },
            expect: None,
        })
    }

    #[test]
    fn messages_come_back_as_they_were_sent_and_leave_the_rest() {
        let failure = Failure { kind: FailureKind::Refused, message: "no".into(), hint: None };
        let replies = [Reply::Done("it is done".into()), Reply::Failed(failure)];
        let mut buffer: Vec<u8> = replies.iter().flat_map(|reply| encode(reply).unwrap()).collect();
        for reply in &replies {
            assert_eq!(take::<Reply>(&mut buffer).unwrap().as_ref(), Some(reply));
        }
        assert!(buffer.is_empty());
        assert_eq!(take::<Reply>(&mut buffer).unwrap(), None);
        let bytes = encode(&open()).unwrap();
        assert_eq!(read::<Request>(&mut bytes.as_slice()).unwrap(), open());
    }

    #[test]
    fn the_bytes_of_a_request_are_fixed() {
        let bytes = encode(&Request::ContactList).unwrap();
        assert_eq!(bytes, [&[0, 0, 0, 13, 0x6c][..], b"contact_list"].concat());
    }

    #[test]
    fn half_a_message_is_waited_for() {
        let bytes = encode(&open()).unwrap();
        for cut in 0..bytes.len() {
            let mut buffer = bytes[..cut].to_vec();
            assert_eq!(take::<Request>(&mut buffer).unwrap(), None, "cut at {cut}");
            assert_eq!(buffer.len(), cut, "nothing is lost");
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_body_comes() {
        let over = u32::try_from(MAX_MESSAGE + 1).unwrap().to_be_bytes();
        assert!(take::<Request>(&mut over.to_vec()).is_err());
        assert!(read::<Request>(&mut over.as_slice()).is_err());
        let full = u32::try_from(MAX_MESSAGE).unwrap().to_be_bytes();
        assert_eq!(take::<Request>(&mut full.to_vec()).unwrap(), None);
        assert!(encode(&Reply::Done("x".repeat(MAX_MESSAGE))).is_err());
    }

    #[test]
    fn a_seats_handle_is_not_in_its_debug() {
        let handle = SeatHandle { seat: SeatId(0), handle: "osp1_secret".into(), second: None };
        assert!(!format!("{handle:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn perturbed_requests_never_panic(
            flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        ) {
            let mut bytes = encode(&open()).unwrap();
            for (at, mask) in flips {
                let at = at % bytes.len();
                bytes[at] ^= mask;
            }
            let _ = take::<Request>(&mut bytes);
        }
    }
}
