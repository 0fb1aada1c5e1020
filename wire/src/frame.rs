//! The frames of a channel: CBOR for control, raw bytes for standard streams.
//!
//! The first bidirectional stream that the client opens carries [`Frame::Join`] and everything that
//! concerns the seat; each further stream carries one call, or one asking for more.

use bytes::{Buf, Bytes, BytesMut};
use policy::{MenuEntry, PublicRefusal, RequestId, SeatId, ShareId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::{Proof, Signed};
use crate::cbor::{CborFault, from_canonical, to_canonical};
use crate::terminal::{Terminal, WindowSize};

/// The largest control frame.
pub const MAX_CONTROL: usize = 64 * 1024;
/// The largest piece of a standard stream: a quarter of a stream's window, so that two are always under way.
pub const MAX_DATA: usize = 64 * 1024;
/// How much of a standard input may be given ahead of what the verb reads: what one that does not read costs the daemon.
pub const STDIN_AHEAD: usize = 256 * 1024;
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
    /// Client: one signed call; first on a call stream, or after [`Frame::Terminal`].
    Call(Signed),
    /// Client: one signed asking for more of the share, a [`crate::access::AccessStatement`]; first on a stream of its
    /// own. A daemon that does not know it closes the channel.
    Ask(Signed),
    /// Daemon: it waits for somebody's consent, under this number; what comes of it follows.
    Pending(RequestId),
    /// Daemon: what was asked for is in the share; last on the stream of a [`Frame::Ask`].
    Granted,
    /// Daemon: a note was left, a signed [`crate::note::NoteStatement`]; on the control stream.
    Noted(Signed),
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
    /// Client: a piece of standard input, once the daemon has said [`Frame::Taken`] on this stream.
    Stdin(Bytes),
    /// Client: that was all of standard input. A stream that ends without it says nothing of the kind.
    StdinEnd,
    /// Daemon: how much of standard input it has; after [`Frame::Started`], and as it takes more.
    Taken(Taken),
    /// Client: at what terminal the call that follows is made. A verb that takes none is told nothing of it.
    Terminal(Terminal),
    /// Client: the terminal has another size; where [`Frame::Stdin`] may be given, to a verb that has a terminal.
    Resize(WindowSize),
}

/// How much of a call's standard input the daemon has: what was given before need not be given again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Bytes from the beginning, whatever the stream.
    pub bytes: u64,
    /// Up to where it may be given now; nothing once no more of it is wanted.
    pub until: Option<u64>,
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
    /// For each time that the passport was handed on: that whoever did so held it, proven by the redeem key named before.
    /// Nothing where the client does not know, as the daemon then must.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ancestors: Vec<Option<Proof>>,
    /// A [`crate::call::Redemption`] signed by the redeem key that the passport names last; none under a narrowed handle, which works only where the key is bound already.
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
    /// When the share ends as it stands, or the passport if that is sooner.
    pub deadline: Timestamp,
    /// A new passport, when the share was widened.
    #[serde(with = "serde_bytes")]
    pub passport: Option<Vec<u8>>,
    /// What may be called.
    pub menu: Vec<MenuEntry>,
    /// In a [`Joined`]: how many notes follow that were left before.
    #[serde(default, skip_serializing_if = "is_none")]
    pub notes: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_none(count: &u32) -> bool {
    *count == 0
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
            Self::Pending(_) => 0x14,
            Self::StdinEnd => 0x15,
            Self::Taken(_) => TAKEN,
            Self::Terminal(_) => 0x17,
            Self::Resize(_) => 0x18,
            Self::Ask(_) => 0x19,
            Self::Granted => 0x1a,
            Self::Noted(_) => 0x1b,
            Self::Stdout(_) => STDOUT,
            Self::Stderr(_) => STDERR,
            Self::Stdin(_) => STDIN,
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
            Self::Call(body) | Self::Ask(body) | Self::Outcome(body) | Self::Noted(body) => {
                to_canonical(body)?
            }
            Self::Refused(body) => to_canonical(body)?,
            Self::Pending(body) => to_canonical(body)?,
            Self::Taken(body) => to_canonical(body)?,
            Self::Terminal(body) => to_canonical(body)?,
            Self::Resize(body) => to_canonical(body)?,
            Self::EndSeen | Self::Started | Self::StdinEnd | Self::Granted => Vec::new(),
            Self::Stdout(bytes) | Self::Stderr(bytes) | Self::Stdin(bytes) => bytes.to_vec(),
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
            0x14 => Self::Pending(control(&payload)?),
            0x15 => nothing(&payload, Self::StdinEnd)?,
            TAKEN => Self::Taken(control(&payload)?),
            0x17 => Self::Terminal(control(&payload)?),
            0x18 => Self::Resize(control(&payload)?),
            0x19 => Self::Ask(control(&payload)?),
            0x1a => nothing(&payload, Self::Granted)?,
            0x1b => Self::Noted(control(&payload)?),
            STDOUT => Self::Stdout(payload),
            STDERR => Self::Stderr(payload),
            STDIN => Self::Stdin(payload),
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
/// The kind of a [`Frame::Stdin`].
pub const STDIN: u8 = 0x22;
/// The kind of a [`Frame::Taken`].
pub const TAKEN: u8 = 0x16;

fn limit(kind: u8) -> Result<usize, FrameFault> {
    match kind {
        0x05 | 0x11 | 0x15 | 0x1a => Ok(0),
        0x01..=0x04 | 0x10 | 0x12..=0x14 | TAKEN | 0x17..=0x19 | 0x1b => Ok(MAX_CONTROL),
        STDOUT | STDERR | STDIN => Ok(MAX_DATA),
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
    pub fn take(&mut self) -> Result<Option<Frame>, FrameFault> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::{key, statement};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn samples() -> Vec<Frame> {
        let signed = Signed::new(&statement(), &key(9)).unwrap();
        let update = Update { deadline: Timestamp(7), passport: None, menu: Vec::new(), notes: 0 };
        let joined = Joined {
            share: ShareId::from_random([2; 8]),
            seat: SeatId(1),
            clock: signed.clone(),
            standing: Update { notes: 3, ..update.clone() },
        };
        let join = Join {
            version: VERSION,
            passport: vec![1, 2],
            ancestors: Vec::new(),
            redemption: None,
            nonce: [5; 16],
        };
        let ancestors = vec![Some(Proof([8; 64])), None];
        vec![
            Frame::Join(join.clone()),
            Frame::Join(Join { ancestors, ..join }),
            Frame::Joined(Box::new(joined)),
            Frame::Update(Box::new(update)),
            Frame::Ended(ShareEnd::Expired),
            Frame::Ended(ShareEnd::Revoked { reason: Some("done".into()) }),
            Frame::EndSeen,
            Frame::Call(signed.clone()),
            Frame::Started,
            Frame::Refused(Refusal::NoSeat),
            Frame::Refused(Refusal::Busy { limit: "limits.calls_per_share".into() }),
            Frame::Outcome(signed.clone()),
            Frame::Stdout(Bytes::from_static(b"out\0\xff")),
            Frame::Stderr(Bytes::new()),
            Frame::Stdin(Bytes::from_static(b"in\0\xff")),
            Frame::StdinEnd,
            Frame::Taken(Taken { bytes: 1 << 40, until: Some(1 << 41) }),
            Frame::Terminal(Terminal::default()),
            Frame::Terminal(terminal()),
            Frame::Resize(terminal().size),
            Frame::Pending(RequestId::from_random([6; 8])),
            Frame::Ask(Signed::new(&crate::access::tests::statement(), &key(9)).unwrap()),
            Frame::Granted,
            Frame::Noted(signed.clone()),
        ]
    }

    fn terminal() -> Terminal {
        let name = Some(String::from("vt100").try_into().unwrap());
        Terminal { name, size: WindowSize::new(2, 1000).unwrap() }
    }

    fn read(bytes: &[u8]) -> Result<Vec<Frame>, FrameFault> {
        let mut frames = Frames::default();
        frames.push(bytes);
        let mut read = Vec::new();
        while let Some(frame) = frames.take()? {
            read.push(frame);
        }
        Ok(read)
    }

    #[test]
    fn every_frame_comes_back_as_it_was_sent_however_it_is_cut() {
        let sent = samples();
        let bytes: Vec<u8> = sent.iter().flat_map(|frame| frame.encode().unwrap()).collect();
        assert_eq!(read(&bytes).unwrap(), sent);
        let mut frames = Frames::default();
        let mut one_by_one = Vec::new();
        for byte in bytes {
            frames.push(&[byte]);
            one_by_one.extend(frames.take().unwrap());
        }
        assert_eq!(one_by_one, sent);
        assert!(frames.is_empty());
    }

    #[test]
    fn the_bytes_of_simple_frames_are_fixed() {
        assert_eq!(Frame::EndSeen.encode().unwrap(), [0x05, 0, 0, 0, 0]);
        assert_eq!(Frame::Started.encode().unwrap(), [0x11, 0, 0, 0, 0]);
        assert_eq!(Frame::Granted.encode().unwrap(), [0x1a, 0, 0, 0, 0]);
        let stdout = Frame::Stdout(Bytes::from_static(b"hi"));
        assert_eq!(stdout.encode().unwrap(), [0x20, 0, 0, 0, 2, b'h', b'i']);
        let stdin = Frame::Stdin(Bytes::from_static(b"hi"));
        assert_eq!(stdin.encode().unwrap(), [0x22, 0, 0, 0, 2, b'h', b'i']);
        assert_eq!(Frame::StdinEnd.encode().unwrap(), [0x15, 0, 0, 0, 0]);
        let taken = Frame::Taken(Taken { bytes: 300, until: None }).encode().unwrap();
        assert_eq!(
            taken,
            [&[0x16, 0, 0, 0, 17, 0xa2, 0x65][..], b"bytes\x19\x01\x2c\x65until\xf6"].concat()
        );
        let size = [&b"\xa2\x64rows\x02\x67columns\x19\x03\xe8"[..]].concat();
        let resize = Frame::Resize(terminal().size).encode().unwrap();
        assert_eq!(resize, [&[0x18, 0, 0, 0, 18][..], &size].concat());
        let told = Frame::Terminal(terminal()).encode().unwrap();
        let name = b"\xa2\x64name\x65vt100\x64size".as_slice();
        assert_eq!(told, [&[0x17, 0, 0, 0, 35][..], name, &size].concat());
        let refused = Frame::Refused(Refusal::NoSeat).encode().unwrap();
        assert_eq!(refused, [&[0x12, 0, 0, 0, 8, 0x67][..], b"no_seat"].concat());
    }

    #[test]
    fn data_is_taken_at_the_limit_and_not_over_it() {
        for kind in [Frame::Stdout, Frame::Stdin] {
            let full = kind(Bytes::from(vec![0; MAX_DATA]));
            assert_eq!(read(&full.encode().unwrap()).unwrap(), [full]);
            let over = kind(Bytes::from(vec![0; MAX_DATA + 1]));
            assert!(matches!(over.encode(), Err(FrameFault::TooLong { .. })));
        }
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_its_payload_comes() {
        let announced = [0x20, 0, 1, 0, 1];
        assert!(matches!(read(&announced), Err(FrameFault::TooLong { length: 65_537, .. })));
        assert!(matches!(read(&[0x11, 0, 0, 0, 1]), Err(FrameFault::TooLong { limit: 0, .. })));
        assert!(matches!(read(&[0x15, 0, 0, 0, 1]), Err(FrameFault::TooLong { limit: 0, .. })));
        assert!(matches!(
            read(&[0x22, 0, 1, 0, 1]),
            Err(FrameFault::TooLong { length: 65_537, .. })
        ));
    }

    #[test]
    fn an_unknown_kind_is_refused_at_its_first_bytes() {
        assert!(matches!(read(&[0x7f, 0, 0, 0, 0]), Err(FrameFault::Kind(0x7f))));
    }

    #[test]
    fn a_field_that_nobody_knows_is_refused() {
        let extra = BTreeMap::from([("limit", "x"), ("more", "y")]);
        let payload = to_canonical(&BTreeMap::from([("busy", extra)])).unwrap();
        let mut bytes = header(0x12, payload.len()).unwrap().to_vec();
        bytes.extend(payload);
        assert!(matches!(read(&bytes), Err(FrameFault::Payload(_))));
    }

    #[test]
    fn a_terminal_out_of_its_bounds_is_no_frame() {
        let size = |rows: u16, columns: u16| BTreeMap::from([("rows", rows), ("columns", columns)]);
        let resized = |rows, columns| framed(0x18, &size(rows, columns));
        assert!(read(&resized(1, 1000)).is_ok());
        for (rows, columns) in [(0, 80), (24, 0), (1001, 80), (24, 1001)] {
            assert!(read(&resized(rows, columns)).is_err(), "{rows} {columns}");
        }
        for (name, fits) in [("vt100", true), ("../vt100", false), ("", false)] {
            let told = framed(0x17, &Told { name, size: size(24, 80) });
            assert_eq!(read(&told).is_ok(), fits, "{name}");
        }
    }

    #[derive(Serialize)]
    struct Told {
        name: &'static str,
        size: BTreeMap<&'static str, u16>,
    }

    fn framed(kind: u8, body: &impl Serialize) -> Vec<u8> {
        let payload = to_canonical(body).unwrap();
        [&header(kind, payload.len()).unwrap()[..], &payload].concat()
    }

    proptest! {
        #[test]
        fn perturbed_frames_never_panic(
            which in 0..23usize,
            flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
            cut in any::<usize>(),
        ) {
            let mut bytes = samples()[which].encode().unwrap();
            for (at, mask) in flips {
                let at = at % bytes.len();
                bytes[at] ^= mask;
            }
            bytes.truncate(cut % (bytes.len() + 1));
            let _ = read(&bytes);
        }

        #[test]
        fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }
    }
}
