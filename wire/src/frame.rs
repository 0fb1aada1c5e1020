//! The frames of a channel: CBOR for control, raw bytes for standard streams.
//!
//! The first bidirectional stream that the client opens carries [`Frame::Join`] and everything that
//! concerns the seat; each further stream carries one call.

use bytes::{Buf, Bytes, BytesMut};
use policy::{MenuEntry, PublicRefusal, SeatId, ShareId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::Signed;
use crate::cbor::{CborFault, from_canonical, to_canonical};

/// The largest control frame.
pub const MAX_CONTROL: usize = 64 * 1024;
/// The largest piece of a standard stream: a quarter of a stream's window, so that two are always under way.
pub const MAX_DATA: usize = 64 * 1024;
/// A frame's kind and length.
pub const HEADER: usize = 5;

/// The version of the frames, in [`Join`].
pub const VERSION: u8 = 1;

/// Why bytes are not a frame; always the peer's doing.
#[derive(Debug, thiserror::Error)]
pub enum FrameFault {
    /// No frame has this kind.
    #[error("unknown frame kind {0:#04x}")]
    Kind(u8),
    /// Larger than a frame of its kind may be.
    #[error("a frame of {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// Announced length.
        length: usize,
        /// Allowed length.
        limit: usize,
    },
    /// The payload is not what the kind says.
    #[error("a frame that cannot be read")]
    Payload(#[from] CborFault),
}

/// One frame.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// Client: who I am and what I hold; first on the control stream.
    Join(Join),
    /// Daemon: the seat is yours, and this is what it can do.
    Joined(Box<Joined>),
    /// Daemon: the seat as it stands now.
    Update(Box<Update>),
    /// Daemon: the share is over.
    Ended(ShareEnd),
    /// Client: I have seen that it is over.
    EndSeen,
    /// Client: one signed call; first on a call stream.
    Call(Signed),
    /// Daemon: it runs.
    Started,
    /// Daemon: it does not run, or the seat is not given.
    Refused(Refusal),
    /// Daemon: how it ended; last on a call stream.
    Outcome(Signed),
    /// Daemon: a piece of standard output.
    Stdout(Bytes),
    /// Daemon: a piece of standard error.
    Stderr(Bytes),
}

/// The client's first words on a channel.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// [`VERSION`].
    pub version: u8,
    /// The passport as it came in the handle.
    #[serde(with = "serde_bytes")]
    pub passport: Vec<u8>,
    /// A signed [`crate::call::Redemption`]; none under a narrowed handle, which works only where the key is bound already.
    pub redemption: Option<Signed>,
    /// For the daemon's clock.
    #[serde(with = "serde_bytes")]
    pub nonce: [u8; 16],
}

/// The daemon's answer to a [`Join`] that it accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The share.
    pub share: ShareId,
    /// The seat.
    pub seat: SeatId,
    /// A signed [`crate::call::ClockStatement`] over the nonce.
    pub clock: Signed,
    /// What stands.
    pub standing: Update,
}

/// A seat as it stands: sent when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// When the share ends, as it stands.
    pub deadline: Timestamp,
    /// A new passport, when the share was widened.
    #[serde(with = "serde_bytes")]
    pub passport: Option<Vec<u8>>,
    /// What may be called.
    pub menu: Vec<MenuEntry>,
}

/// Why a share is over.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ShareEnd {
    /// Its deadline came.
    Expired,
    /// The owner, or an admin, ended it; with the reason they gave.
    Revoked {
        /// What the owner said.
        reason: Option<String>,
    },
    /// The daemon stops for good.
    Stopped,
}

/// Why the daemon closes a channel: the application error code of its QUIC connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Farewell {
    /// Nothing is left to say.
    Bye,
    /// The share is over.
    Ended,
    /// The seat was not given.
    NotJoined,
    /// The client said what is no frame, or a frame that had no place there.
    Protocol,
    /// The client took too long to say what belongs there.
    TooSlow,
    /// The holder has come back on newer channels.
    Replaced,
    /// Others are at the door.
    Crowded,
    /// The relay has had no leg of the client's for too long.
    Unreachable,
}

impl Farewell {
    const ALL: [Self; 8] = [
        Self::Bye,
        Self::Ended,
        Self::NotJoined,
        Self::Protocol,
        Self::TooSlow,
        Self::Replaced,
        Self::Crowded,
        Self::Unreachable,
    ];

    /// As it travels.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::Bye => 0,
            Self::Ended => 1,
            Self::NotJoined => 2,
            Self::Protocol => 3,
            Self::TooSlow => 4,
            Self::Replaced => 5,
            Self::Crowded => 6,
            Self::Unreachable => 7,
        }
    }

    /// What the code of a closed connection says; `None` where a newer daemon knows more reasons.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|farewell| u64::from(farewell.code()) == code)
    }
}

/// What a refused peer is told. Equal for all denials that must not be told apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Refusal {
    /// Policy or passport says no.
    Denied(PublicRefusal),
    /// There is no such share, or it is over, or the seat is another's.
    NoSeat,
    /// The statement is not one, or its signature or time is wrong.
    BadCall,
    /// This call id was used for something else.
    Reused,
    /// This call is running already.
    Running,
    /// A bound was reached; the configuration key that sets it.
    Busy {
        /// The configuration key.
        limit: String,
    },
    /// It could not be put on record, so it was not done.
    Unrecorded,
    /// The daemon could not do it; nothing ran.
    Failed,
}

impl Frame {
    fn kind(&self) -> u8 {
        match self {
            Self::Join(_) => 0x01,
            Self::Joined(_) => 0x02,
            Self::Update(_) => 0x03,
            Self::Ended(_) => 0x04,
            Self::EndSeen => 0x05,
            Self::Call(_) => 0x10,
            Self::Started => 0x11,
            Self::Refused(_) => 0x12,
            Self::Outcome(_) => 0x13,
            Self::Stdout(_) => 0x20,
            Self::Stderr(_) => 0x21,
        }
    }

    /// The frame as it travels.
    ///
    /// # Errors
    /// When it is larger than its kind may be.
    pub fn encode(&self) -> Result<Vec<u8>, FrameFault> {
        let payload = match self {
            Self::Join(body) => to_canonical(body)?,
            Self::Joined(body) => to_canonical(body)?,
            Self::Update(body) => to_canonical(body)?,
            Self::Ended(body) => to_canonical(body)?,
            Self::Call(body) | Self::Outcome(body) => to_canonical(body)?,
            Self::Refused(body) => to_canonical(body)?,
            Self::EndSeen | Self::Started => Vec::new(),
            Self::Stdout(bytes) | Self::Stderr(bytes) => bytes.to_vec(),
        };
        let mut frame = header(self.kind(), payload.len())?.to_vec();
        frame.extend_from_slice(&payload);
        Ok(frame)
    }

    fn decode(kind: u8, payload: Bytes) -> Result<Self, FrameFault> {
        Ok(match kind {
            0x01 => Self::Join(control(&payload)?),
            0x02 => Self::Joined(control(&payload)?),
            0x03 => Self::Update(control(&payload)?),
            0x04 => Self::Ended(control(&payload)?),
            0x05 => nothing(&payload, Self::EndSeen)?,
            0x10 => Self::Call(control(&payload)?),
            0x11 => nothing(&payload, Self::Started)?,
            0x12 => Self::Refused(control(&payload)?),
            0x13 => Self::Outcome(control(&payload)?),
            0x20 => Self::Stdout(payload),
            0x21 => Self::Stderr(payload),
            unknown => return Err(FrameFault::Kind(unknown)),
        })
    }
}

/// The five bytes before a payload: for data that is written from where it lies.
///
/// # Errors
/// When `length` is over the limit of the kind, or there is no such kind.
pub fn header(kind: u8, length: usize) -> Result<[u8; HEADER], FrameFault> {
    let limit = limit(kind)?;
    let announced = u32::try_from(length).ok().filter(|_| length <= limit);
    let [a, b, c, d] = announced.ok_or(FrameFault::TooLong { length, limit })?.to_be_bytes();
    Ok([kind, a, b, c, d])
}

/// The kind of a [`Frame::Stdout`].
pub const STDOUT: u8 = 0x20;
/// The kind of a [`Frame::Stderr`].
pub const STDERR: u8 = 0x21;

fn limit(kind: u8) -> Result<usize, FrameFault> {
    match kind {
        0x05 | 0x11 => Ok(0),
        0x01..=0x04 | 0x10 | 0x12 | 0x13 => Ok(MAX_CONTROL),
        STDOUT | STDERR => Ok(MAX_DATA),
        unknown => Err(FrameFault::Kind(unknown)),
    }
}

fn control<T: Serialize + DeserializeOwned>(payload: &[u8]) -> Result<T, FrameFault> {
    Ok(from_canonical(payload, MAX_CONTROL)?)
}

fn nothing(payload: &[u8], frame: Frame) -> Result<Frame, FrameFault> {
    if payload.is_empty() {
        Ok(frame)
    } else {
        Err(FrameFault::TooLong { length: payload.len(), limit: 0 })
    }
}

/// Turns a stream's bytes into frames. Never holds more than one frame and what came with it.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: BytesMut,
}

impl Frames {
    /// Adds what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if it is there. A length over the limit is refused before its payload is awaited.
    ///
    /// # Errors
    /// The peer sent what is not a frame; the stream is of no further use.
    pub fn next(&mut self) -> Result<Option<Frame>, FrameFault> {
        let Some((&[kind, a, b, c, d], rest)) = self.buffer.split_first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let limit = limit(kind)?;
        if length > limit {
            return Err(FrameFault::TooLong { length, limit });
        }
        if rest.len() < length {
            return Ok(None);
        }
        self.buffer.advance(HEADER);
        Frame::decode(kind, self.buffer.split_to(length).freeze()).map(Some)
    }

    /// Whether the stream could end here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }
}
