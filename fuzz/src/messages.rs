//! What crosses a socket of ours.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wire::access::AccessStatement;
use wire::call::{CallStatement, ClockStatement, OutcomeStatement, Redemption, Signed, Statement};
use wire::cbor::{from_canonical, to_canonical};
use wire::control;
use wire::frame::{Frame, Frames};
use wire::privsep::{self, FromBroker, ToBroker};

/// The frames of a channel's stream, whole and byte by byte.
pub fn frames(bytes: &[u8]) -> bool {
    let whole = read_frames(std::iter::once(bytes));
    let pieces = read_frames(bytes.chunks(1));
    assert_eq!(whole, pieces, "it does not matter how they are cut");
    let Some((frames, rest)) = whole else { return false };
    let again: Vec<u8> =
        frames.iter().flat_map(|frame| frame.encode().expect("what was read")).collect();
    assert!(bytes.starts_with(&again), "a frame has one spelling");
    rest && !frames.is_empty()
}

/// The frames, and whether nothing was left over.
fn read_frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<Frame>, bool)> {
    let (mut frames, mut read) = (Frames::default(), Vec::new());
    for piece in pieces {
        frames.push(piece);
        while let Some(frame) = frames.take().ok()? {
            read.push(frame);
        }
    }
    Some((read, frames.is_empty()))
}

/// What [`Signed`] is on the wire.
#[derive(Serialize)]
struct Envelope {
    b: ByteBuf,
    s: ByteBuf,
}

/// The bytes that somebody has signed, read as each of the statements.
pub fn statements(bytes: &[u8]) -> bool {
    let envelope = Envelope { b: ByteBuf::from(bytes), s: ByteBuf::from([0; 64]) };
    let envelope = to_canonical(&envelope).expect("bytes");
    let signed: Signed = from_canonical(&envelope, usize::MAX).expect("its own form");
    let read = [
        is::<AccessStatement>(&signed),
        is::<CallStatement>(&signed),
        is::<ClockStatement>(&signed),
        is::<OutcomeStatement>(&signed),
        is::<Redemption>(&signed),
    ];
    let kinds = read.into_iter().filter(|read| *read).count();
    assert!(kinds <= 1, "a statement of one kind is none of another");
    kinds == 1
}

fn is<S: Statement>(signed: &Signed) -> bool {
    signed.read_unverified::<S>().is_ok()
}

/// What a local user writes to the owner socket, and what a daemon answers.
pub fn owner_socket(bytes: &[u8]) -> bool {
    taken::<control::Request>(bytes) || taken::<control::Reply>(bytes)
}

fn taken<T: Serialize + for<'de> Deserialize<'de>>(bytes: &[u8]) -> bool {
    let mut buffer = bytes.to_vec();
    let Ok(Some(message)) = control::take::<T>(&mut buffer) else { return false };
    let again = control::encode(&message).expect("what was read");
    assert!(bytes.starts_with(&again), "a message has one spelling");
    assert_eq!(again.len() + buffer.len(), bytes.len(), "what follows stays");
    true
}

/// What a broker that was taken over writes to the monitor, and the other way.
pub fn broker_socket(bytes: &[u8]) -> bool {
    privsep::decode::<FromBroker>(bytes).is_ok() || privsep::decode::<ToBroker>(bytes).is_ok()
}
