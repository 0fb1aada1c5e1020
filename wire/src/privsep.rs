//! What the monitor and the broker say to each other: one CBOR message per packet of a
//! `SOCK_SEQPACKET` pair, with the broker's ends of a verb's pipes riding along.
//!
//! The monitor believes nothing that the broker says but for what a signature inside it proves.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use policy::{Input, Mark, Redact, RedactName, RequestId, SeatId, ShareId};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::call::Signed;
use crate::control::Told;
use crate::frame::{Join, Joined, Refusal, ShareEnd, Update};
use crate::terminal::Terminal;

/// The largest packet.
pub const MAX_PACKET: usize = 128 * 1024;
/// The most descriptors in one packet: a socket and a key for each host on a way.
pub const MAX_DESCRIPTORS: usize = 8;

/// A channel, as the broker numbers them.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChannelId(pub u64);

/// Where the answers to one call go: the broker's number for its stream.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallRef(pub u64);

/// The monitor's orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum ToBroker {
    /// The first message, once.
    Configure(Box<Configuration>),
    /// Make a share reachable; answered by [`FromBroker::Admitted`].
    Admit(Box<Admission>),
    /// Tell the holders, then forget the share, or one seat of it; answered by [`FromBroker::Told`].
    Retire {
        /// The share.
        share: ShareId,
        /// The seat, where the others stay.
        seat: Option<SeatId>,
        /// What the holders are told.
        end: ShareEnd,
    },
    /// The seat is theirs.
    Joined {
        /// The channel that asked.
        channel: ChannelId,
        /// What it is told.
        joined: Box<Joined>,
    },
    /// The seat is not theirs; the channel ends.
    NotJoined {
        /// The channel that asked.
        channel: ChannelId,
        /// What it is told.
        refusal: Refusal,
    },
    /// What the client of one channel holds has changed.
    Update {
        /// The channel.
        channel: ChannelId,
        /// How it stands.
        update: Box<Update>,
    },
    /// A note was left for the client of one channel, or by it.
    Noted {
        /// The channel.
        channel: ChannelId,
        /// A signed [`crate::note::NoteStatement`].
        note: Signed,
    },
    /// What else is a secret, for the calls that start from here on; in place of what was said before.
    Rules(Box<RedactRules>),
    /// The call runs; its stdout and stderr ride along, and after them its stdin, if it has one. Of one that has a
    /// terminal it is that alone, to read and to write.
    Started {
        /// The call.
        call: CallRef,
        /// Bytes of both streams that may be passed on; more is [`FromBroker::Overflow`].
        output_max: u64,
        /// By which rules the secrets in it are masked; by none, they are not.
        redact: Vec<RedactBy>,
        /// What the holder may give it.
        input: Input,
    },
    /// The call, or the asking, waits for somebody's consent.
    Pending {
        /// The call.
        call: CallRef,
        /// Under which number.
        request: RequestId,
    },
    /// What was asked for is in the share; the last word on it.
    Granted {
        /// The asking.
        call: CallRef,
    },
    /// The call does not run, or what was asked for is not given.
    Refused {
        /// The call.
        call: CallRef,
        /// What the holder is told.
        refusal: Refusal,
    },
    /// No process of the call is left: read the pipes to their end, then say [`FromBroker::Drained`].
    Exited {
        /// The call.
        call: CallRef,
    },
    /// How the call ended; the last word on it.
    Outcome {
        /// The call.
        call: CallRef,
        /// A signed [`crate::call::OutcomeStatement`].
        outcome: Signed,
    },
    /// The holder came back: what is left of `from`'s output goes to `to`.
    Reattach {
        /// Where the output went before.
        from: CallRef,
        /// Where it goes now.
        to: CallRef,
    },
}

/// What the broker needs to know once.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The relays, in order of preference.
    pub relays: Vec<RelaySetting>,
    /// The seed of the daemon's leg key.
    #[serde(with = "serde_bytes")]
    pub leg_key: [u8; 32],
    /// The key of the channel endpoint's stateless resets: [`crate::channel::ResetKey`].
    #[serde(with = "serde_bytes")]
    pub reset_key: [u8; 32],
    /// Calls that one channel may have in flight.
    pub calls_in_flight: u32,
    /// How long a call outlives its channel, in milliseconds.
    pub grace_ms: u64,
    /// Channels that one seat may have.
    pub channels_per_seat: u32,
}

impl std::fmt::Debug for Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Configuration").field("relays", &self.relays).finish_non_exhaustive()
    }
}

/// A relay to keep a leg on.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelaySetting {
    /// `host:port[#SHA256:…]`.
    pub address: String,
    /// The deployment token.
    pub token: String,
}

impl std::fmt::Debug for RelaySetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RelaySetting").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A share to be made reachable.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// The share.
    pub share: ShareId,
    /// The seed of its channel key.
    #[serde(with = "serde_bytes")]
    pub channel_key: [u8; 32],
    /// Its seats.
    pub seats: Vec<SeatAdmission>,
}

impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admission").field("share", &self.share).finish_non_exhaustive()
    }
}

/// A seat to be made reachable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatAdmission {
    /// The seat.
    pub seat: SeatId,
    /// The public key by which its legs meet.
    #[serde(with = "serde_bytes")]
    pub rendezvous: [u8; 32],
}

/// Rules by which secrets are found, by name.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum RedactBy {
    /// The built-in ones.
    Default,
    /// Words that look drawn.
    Entropy,
    /// A set of [`RedactRules`].
    Own(RedactName),
}

impl From<&Redact> for RedactBy {
    fn from(redact: &Redact) -> Self {
        match redact {
            Redact::Default => Self::Default,
            Redact::Entropy => Self::Entropy,
            Redact::Own(set) => Self::Own(set.name.clone()),
        }
    }
}

/// The redaction rules of a catalog, once for each policy. Policy bounds how many there are, so that they fit a packet.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactRules {
    /// By what values are sealed: drawn when they were read.
    #[serde(with = "serde_bytes")]
    pub key: [u8; 32],
    /// How many bits of a product tell apart how values begin.
    pub slot_bits: u8,
    /// The sets.
    pub sets: Vec<RedactSetRules>,
}

impl std::fmt::Debug for RedactRules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedactRules").field("sets", &self.sets).finish_non_exhaustive()
    }
}

/// One set of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactSetRules {
    /// What [`RedactBy`] calls it.
    pub name: RedactName,
    /// What its marks say.
    pub label: Mark,
    /// Forms of secrets.
    pub forms: Vec<RedactForm>,
    /// Values, none of them in clear.
    pub literals: Vec<SealedLiteral>,
}

/// A form of secrets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedactForm {
    /// [`policy::SecretPattern::form`].
    pub form: String,
    /// The least length of a match.
    pub least: u16,
}

/// A value that only root knows, as whoever looks for it is told of it: enough to tell that it is there, and not what
/// it is.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedLiteral {
    /// How long it is.
    pub length: u16,
    /// A few bits of the product of its first eight bytes and a number drawn from the key.
    pub slot: u32,
    /// The beginning of SHA-256 over the key and all of it.
    #[serde(with = "serde_bytes")]
    pub tag: [u8; 16],
}

impl std::fmt::Debug for SealedLiteral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedLiteral").finish_non_exhaustive()
    }
}

/// What the broker reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum FromBroker {
    /// It runs, and this is how far it is confined.
    Ready {
        /// No file can be opened.
        landlock: bool,
        /// No program can be run, no process traced.
        seccomp: bool,
    },
    /// Whether a share can be reached.
    Admitted {
        /// The share.
        share: ShareId,
        /// Why not: the first relay's reason.
        failure: Option<String>,
    },
    /// Somebody wants a seat.
    Join {
        /// Their channel.
        channel: ChannelId,
        /// The share whose channel key they met.
        share: ShareId,
        /// The seat whose rendezvous key they met.
        seat: SeatId,
        /// The raw key of their side of the channel.
        #[serde(with = "serde_bytes")]
        holder: [u8; 32],
        /// What they said.
        join: Join,
    },
    /// Somebody wants a call.
    Call {
        /// Their channel.
        channel: ChannelId,
        /// Where the answer goes.
        call: CallRef,
        /// A signed [`crate::call::CallStatement`].
        signed: Signed,
        /// At what terminal it is made, if its client says so; not signed, and worth as much.
        terminal: Option<Terminal>,
    },
    /// Somebody asks for more of a share.
    Ask {
        /// Their channel.
        channel: ChannelId,
        /// Where the answer goes.
        call: CallRef,
        /// A signed [`crate::access::AccessStatement`].
        signed: Signed,
    },
    /// The holder reset the call's stream, or its channel is gone and the grace is over.
    Cancel {
        /// The call.
        call: CallRef,
    },
    /// The call wrote more than it may.
    Overflow {
        /// The call.
        call: CallRef,
    },
    /// The holder gave the call what it does not take.
    Unfit {
        /// The call.
        call: CallRef,
        /// What is wrong with it.
        why: Unfit,
    },
    /// The call's pipes are at their end.
    Drained {
        /// The call.
        call: CallRef,
        /// Bytes of stdout passed on.
        stdout: u64,
        /// Bytes of stderr passed on.
        stderr: u64,
        /// Secrets that were masked in both.
        redactions: u64,
        /// What it was given, if it takes standard input.
        given: Option<Given>,
    },
    /// The holders were told that a share is over, or a seat.
    Told {
        /// The share.
        share: ShareId,
        /// The seat, if it was one.
        seat: Option<SeatId>,
        /// Whether they know.
        told: Told,
    },
    /// A joined channel is gone.
    ChannelGone {
        /// Which.
        channel: ChannelId,
    },
    /// A relay's leg went up or down.
    Relay {
        /// Its address.
        address: String,
        /// Why it is down; none when it is up.
        down: Option<String>,
    },
    /// Failures on channels of a share before anything was signed, since the last such message.
    Strangers {
        /// The share.
        share: ShareId,
        /// How many.
        count: u64,
    },
}

/// What is wrong with a standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Unfit {
    /// It is longer than it may be.
    TooLong,
    /// It is no text, where text is wanted.
    NotText,
}

/// What a call was given as standard input.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// How much.
    pub bytes: u64,
    /// SHA-256 of it.
    #[serde(with = "serde_bytes")]
    pub sha256: [u8; 32],
}

/// One packet as it arrived.
#[derive(Debug)]
pub struct Packet<T> {
    /// The message.
    pub message: T,
    /// The descriptors that came with it.
    pub descriptors: Vec<OwnedFd>,
}

/// A message as it crosses. Nothing of it is signed or compared, so that it may have more than one encoding.
///
/// # Errors
/// A message over [`MAX_PACKET`].
pub fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let body = serde_cbor::to_vec(message).map_err(io::Error::other)?;
    if body.len() > MAX_PACKET {
        return Err(io::Error::other("the message is too long"));
    }
    Ok(body)
}

/// The message of one packet.
///
/// # Errors
/// Bytes that are no such message.
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> io::Result<T> {
    serde_cbor::from_slice(body).map_err(|fault| io::Error::new(io::ErrorKind::InvalidData, fault))
}

/// Sends one message, and copies of `descriptors` with it.
///
/// # Errors
/// The socket's; `WouldBlock` when it is non-blocking and full; a message over [`MAX_PACKET`].
pub fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    if descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    send_packet(socket, &encode(message)?, descriptors)
}

/// Sends one packet of bytes.
///
/// # Errors
/// The socket's.
pub fn send_packet(
    socket: impl AsFd,
    body: &[u8],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    sendmsg(socket, &[IoSlice::new(body)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives one message; `None` when the other side is gone.
///
/// # Errors
/// The socket's, `WouldBlock` included; bytes that are no such message.
pub fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<Option<Packet<T>>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = ancillary
        .drain()
        .filter_map(|message| {
            let RecvAncillaryMessage::ScmRights(descriptors) = message else { return None };
            Some(descriptors)
        })
        .flatten()
        .collect();
    if received.bytes == 0 {
        return Ok(None);
    }
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the packet is too long"));
    }
    let body = buffer.get(..received.bytes).unwrap_or_default();
    Ok(Some(Packet { message: decode(body)?, descriptors }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Content, Stdin};
    use proptest::prelude::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    fn pair() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn started() -> ToBroker {
        let input = Input::Stdin(Stdin { content: Content::Text, max: 9 });
        ToBroker::Started {
            call: CallRef(7),
            output_max: 64,
            redact: vec![RedactBy::Default],
            input,
        }
    }

    #[test]
    fn a_message_arrives_with_copies_of_its_descriptors() {
        let (ours, theirs) = pair();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        send(&ours, &started(), &[reader.as_fd()]).unwrap();
        let mut buffer = vec![0; MAX_PACKET];
        let packet = receive::<ToBroker>(&theirs, &mut buffer).unwrap().unwrap();
        assert_eq!(packet.message, started());
        rustix::io::write(&writer, b"hello").unwrap();
        let mut heard = [0; 8];
        assert_eq!(rustix::io::read(&packet.descriptors[0], &mut heard).unwrap(), 5);
    }

    #[test]
    fn the_other_sides_end_is_told_from_silence() {
        let (ours, theirs) = pair();
        let mut buffer = vec![0; MAX_PACKET];
        let quiet = receive::<ToBroker>(&theirs, &mut buffer).unwrap_err();
        assert_eq!(quiet.kind(), io::ErrorKind::WouldBlock);
        drop(ours);
        assert!(receive::<ToBroker>(&theirs, &mut buffer).unwrap().is_none());
    }

    #[test]
    fn a_packet_that_is_cut_or_no_message_is_an_error() {
        let (ours, theirs) = pair();
        send_packet(&ours, &[0xff; 64], &[]).unwrap();
        let mut buffer = vec![0; MAX_PACKET];
        assert!(receive::<ToBroker>(&theirs, &mut buffer).is_err());
        send(&ours, &started(), &[]).unwrap();
        assert!(receive::<ToBroker>(&theirs, &mut buffer[..8]).is_err());
    }

    #[test]
    fn more_than_a_packet_holds_is_not_sent() {
        let (ours, _theirs) = pair();
        let reason = Some("x".repeat(MAX_PACKET));
        let end = ShareEnd::Revoked { reason };
        let long = ToBroker::Retire { share: ShareId::from_random([1; 8]), seat: None, end };
        assert!(send(&ours, &long, &[]).is_err());
        let many = [ours.as_fd(); MAX_DESCRIPTORS + 1];
        assert!(send(&ours, &started(), &many[1..]).is_ok());
        assert!(send(&ours, &started(), &many).is_err());
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let admission = Admission {
            share: ShareId::from_random([1; 8]),
            channel_key: [0x5a; 32],
            seats: Vec::new(),
        };
        assert!(!format!("{admission:?}").contains("90"));
        let sealed = SealedLiteral { length: 90, slot: 90, tag: [90; 16] };
        let set = RedactSetRules {
            name: "a".parse().unwrap(),
            label: "b".parse().unwrap(),
            forms: Vec::new(),
            literals: vec![sealed],
        };
        let rules = RedactRules { key: [90; 32], slot_bits: 10, sets: vec![set] };
        assert!(!format!("{rules:?}").contains("90"));
    }

    #[test]
    fn as_many_rules_as_a_catalog_may_have_fit_a_packet() {
        let form = RedactForm { form: "x".repeat(2048), least: 1024 };
        let sealed = SealedLiteral { length: 1024, slot: u32::MAX, tag: [255; 16] };
        let set = |forms, literals| RedactSetRules {
            name: "n".repeat(64).parse().unwrap(),
            label: "l".repeat(64).parse().unwrap(),
            forms: vec![form.clone(); forms],
            literals: vec![sealed; literals],
        };
        let mut sets = vec![set(2, 16); 16];
        sets.push(set(0, 0));
        let rules = RedactRules { key: [255; 32], slot_bits: 18, sets };
        encode(&ToBroker::Rules(Box::new(rules))).unwrap();
    }

    proptest! {
        #[test]
        fn perturbed_packets_never_panic(
            flips in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..4),
        ) {
            let given = Some(Given { bytes: 5, sha256: [6; 32] });
            let mut bytes = encode(&FromBroker::Drained { call: CallRef(1), stdout: 2, stderr: 3, redactions: 4, given }).unwrap();
            for (at, mask) in flips {
                let at = at % bytes.len();
                bytes[at] ^= mask;
            }
            let _ = decode::<FromBroker>(&bytes);
        }
    }
}
