//! Rendezvous keys, flows, and the datagrams that carry a flow's packets.

use std::fmt;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

/// Bytes of a datagram before its packet: the flow's number, big endian.
pub const FLOW_BYTES: usize = 4;

/// The public key by which a guest's leg meets a host's. New for every seat, so it links a recipient to nothing.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RendezvousKey(#[serde(with = "serde_bytes")] pub [u8; 32]);

impl RendezvousKey {
    /// The public key of a seat's rendezvous secret.
    #[must_use]
    pub fn of_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed).verifying_key().to_bytes())
    }
}

impl fmt::Debug for RendezvousKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RendezvousKey({})", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// One paired path through a relay. Random, so that a guest learns nothing from its own about how many there are.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FlowId(NonZeroU32);

impl FlowId {
    /// The flow of this number; zero is none, it marks a probe.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// The number that stands before each of the flow's packets.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}

impl From<NonZeroU32> for FlowId {
    fn from(number: NonZeroU32) -> Self {
        Self(number)
    }
}

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What one datagram of a leg is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Datagram {
    /// A packet of a flow.
    Packet(FlowId, Bytes),
    /// A question whether this size gets through; the relay sends the same bytes back.
    Probe,
}

/// Reads a datagram; `None` when it is too short to be one.
#[must_use]
pub fn read(mut datagram: Bytes) -> Option<Datagram> {
    let number = u32::from_be_bytes(*datagram.first_chunk()?);
    let Some(flow) = FlowId::from_number(number) else { return Some(Datagram::Probe) };
    Some(Datagram::Packet(flow, datagram.split_off(FLOW_BYTES)))
}

/// The datagram that carries `packet` on `flow`.
#[must_use]
pub fn write(flow: FlowId, packet: &[u8]) -> Bytes {
    let mut datagram = BytesMut::with_capacity(FLOW_BYTES + packet.len());
    datagram.put_u32(flow.number());
    datagram.put_slice(packet);
    datagram.freeze()
}

/// A probe of `size` bytes in all that carries `nonce`, so that its echo is known from another's.
#[must_use]
pub fn probe(nonce: [u8; 8], size: usize) -> Bytes {
    let mut datagram = BytesMut::zeroed(FLOW_BYTES);
    datagram.put_slice(&nonce);
    datagram.resize(size.max(FLOW_BYTES + nonce.len()), 0);
    datagram.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flow(number: u32) -> FlowId {
        FlowId::from_number(number).unwrap()
    }

    #[test]
    fn a_packet_has_its_flow_in_front() {
        assert_eq!(write(flow(0x0102_0304), b"abc").as_ref(), b"\x01\x02\x03\x04abc");
    }

    #[test]
    fn flow_zero_is_a_probe_and_no_flow() {
        assert_eq!(FlowId::from_number(0), None);
        assert_eq!(read(Bytes::from_static(b"\0\0\0\0junk")), Some(Datagram::Probe));
    }

    #[test]
    fn a_datagram_shorter_than_its_flow_is_none_and_one_as_long_is_empty() {
        assert_eq!(read(Bytes::from_static(b"\x01\x02\x03")), None);
        let empty = Datagram::Packet(flow(0x0102_0304), Bytes::new());
        assert_eq!(read(Bytes::from_static(b"\x01\x02\x03\x04")), Some(empty));
    }

    #[test]
    fn a_probe_has_the_size_asked_for() {
        assert_eq!(probe([7; 8], 1242).len(), 1242);
        assert_eq!(read(probe([7; 8], 1242)), Some(Datagram::Probe));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1..=u32::MAX, packet in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let expected = Datagram::Packet(flow(number), Bytes::from(packet.clone()));
            prop_assert_eq!(read(write(flow(number), &packet)), Some(expected));
        }

        #[test]
        fn re3_random_datagrams_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(Bytes::from(bytes));
        }
    }
}
