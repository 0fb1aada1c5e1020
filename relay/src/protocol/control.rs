//! The messages of the control stream, and the one way they are written.
//!
//! A message is canonical CBOR (RFC 8949 section 4.2.1) with its length before it, two bytes big endian. What does not
//! encode again to the bytes that were read is refused, so a message has one form and nothing rides along in it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::flow::{FlowId, RendezvousKey};
use super::hello::{GuestHello, HostHello};

/// Bytes of a message before its CBOR: its length.
pub const LENGTH_BYTES: usize = 2;

/// What a leg says to the relay.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LegMessage {
    /// First message of a host.
    Host(HostHello),
    /// First message of a guest.
    Guest(GuestHello),
    /// Host: guests that prove this key are mine.
    Register(RendezvousKey),
    /// Host: no longer. Its flows end.
    Unregister(RendezvousKey),
    /// Host: end this flow.
    CloseFlow(FlowId),
}

/// What the relay says to a leg.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RelayMessage {
    /// To a host: the hello is accepted.
    Welcome,
    /// To a guest: the hello is accepted, the host is away, and the relay holds the place for a bounded time.
    Waiting,
    /// To a guest: paired; its packets carry this flow.
    Joined(FlowId),
    /// To a host: the key is registered.
    Registered(RendezvousKey),
    /// To a host: the key is not registered.
    RegisterRefused(RegisterRefused),
    /// To a host: a guest has proved a key of this host's.
    FlowOpened(FlowOpened),
    /// To a host: the flow is over.
    FlowClosed(FlowId),
    /// To any leg: move to another relay; this one closes soon.
    Draining,
}

/// Why a key is not registered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegisterRefused {
    /// The reason.
    pub code: RegisterCode,
    /// The key that was asked for.
    pub rendezvous: RendezvousKey,
}

/// Reasons for refusing to register a key, as coarse as a host can act on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegisterCode {
    /// Another leg key holds it.
    Taken,
    /// The token's number of shares is used up.
    Shares,
    /// The relay is going away.
    Draining,
}

/// A flow and the key that its guest has proved.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlowOpened {
    /// The flow.
    pub flow: FlowId,
    /// The key.
    pub rendezvous: RendezvousKey,
}

/// Why a relay closes a leg: the application error code of the QUIC close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Nothing is wrong; the other side said goodbye.
    Bye,
    /// Something was said that this protocol does not say, or not now.
    Protocol,
    /// No hello came in time.
    TooSlow,
    /// The signature over this connection does not prove the key.
    Proof,
    /// The token is not one that this relay's operator signed, or is malformed.
    TokenInvalid,
    /// The token is bound to another leg key.
    TokenUnbound,
    /// The token's time is over.
    TokenExpired,
    /// No host for this key is here, and none came while the guest waited.
    NotHere,
    /// A bound of the relay's is reached.
    Full,
    /// The relay is going away.
    Draining,
    /// A newer leg with the same key has taken this one's place.
    Replaced,
    /// The host ended the flow.
    Ended,
}

impl Refusal {
    const ALL: [Self; 12] = [
        Self::Bye,
        Self::Protocol,
        Self::TooSlow,
        Self::Proof,
        Self::TokenInvalid,
        Self::TokenUnbound,
        Self::TokenExpired,
        Self::NotHere,
        Self::Full,
        Self::Draining,
        Self::Replaced,
        Self::Ended,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        self as u32
    }

    /// The reason that `code` stands for, if it stands for one.
    #[must_use]
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| u64::from(refusal.code()) == code)
    }
}

/// A message that is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MessageFault {
    /// Longer than its place allows.
    #[error("a control message of {length} bytes where {max} are allowed")]
    TooLong {
        /// As announced.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// Not CBOR, or CBOR of something else.
    #[error("a control message that cannot be read")]
    Malformed,
    /// It says something known, in another form than the canonical one.
    #[error("a control message in another form than the canonical one")]
    NotCanonical,
}

/// Writes `message` as canonical CBOR with its length before it.
///
/// # Errors
/// [`MessageFault::TooLong`] when a length does not fit; messages of this protocol always do.
pub fn write(message: &impl Serialize) -> Result<Vec<u8>, MessageFault> {
    let body = serde_cbor::to_vec(message).map_err(|_| MessageFault::Malformed)?;
    let too_long = MessageFault::TooLong { length: body.len(), max: usize::from(u16::MAX) };
    let length = u16::try_from(body.len()).map_err(|_| too_long)?;
    Ok([&length.to_be_bytes()[..], &body].concat())
}

/// Reads the CBOR of one message, without its length.
///
/// # Errors
/// Where it is malformed or not canonical.
pub fn read<T: Serialize + DeserializeOwned>(body: &[u8]) -> Result<T, MessageFault> {
    let message: T = serde_cbor::from_slice(body).map_err(|_| MessageFault::Malformed)?;
    let again = serde_cbor::to_vec(&message).map_err(|_| MessageFault::Malformed)?;
    if again == body { Ok(message) } else { Err(MessageFault::NotCanonical) }
}

#[cfg(test)]
mod tests {
    use super::super::limits::{MAX_CONTROL, MAX_HELLO, MAX_TOKEN};
    use super::*;
    use proptest::prelude::*;

    fn flow() -> FlowId {
        FlowId::from_number(0x0a0b_0c0d).unwrap()
    }

    fn key() -> RendezvousKey {
        RendezvousKey([7; 32])
    }

    fn leg_messages() -> Vec<LegMessage> {
        vec![
            LegMessage::Host(HostHello {
                token: vec![1; 300],
                leg_key: [2; 32],
                signature: [3; 64],
            }),
            LegMessage::Guest(GuestHello { signature: [3; 64], rendezvous: key() }),
            LegMessage::Register(key()),
            LegMessage::Unregister(key()),
            LegMessage::CloseFlow(flow()),
        ]
    }

    fn relay_messages() -> Vec<RelayMessage> {
        vec![
            RelayMessage::Welcome,
            RelayMessage::Waiting,
            RelayMessage::Joined(flow()),
            RelayMessage::Registered(key()),
            RelayMessage::RegisterRefused(RegisterRefused {
                code: RegisterCode::Taken,
                rendezvous: key(),
            }),
            RelayMessage::FlowOpened(FlowOpened { flow: flow(), rendezvous: key() }),
            RelayMessage::FlowClosed(flow()),
            RelayMessage::Draining,
        ]
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    fn body(frame: &[u8]) -> &[u8] {
        &frame[LENGTH_BYTES..]
    }

    #[test]
    fn golden_bytes() {
        let golden = |message: &dyn Fn() -> Vec<u8>| hex(&message());
        assert_eq!(golden(&|| write(&RelayMessage::Welcome).unwrap()), "00086777656c636f6d65");
        assert_eq!(
            golden(&|| write(&RelayMessage::Joined(flow())).unwrap()),
            "000da1666a6f696e65641a0a0b0c0d"
        );
        assert_eq!(
            golden(&|| write(&LegMessage::Register(key())).unwrap()),
            format!("002ca16872656769737465725820{}", "07".repeat(32))
        );
        assert_eq!(
            golden(&|| write(&RelayMessage::FlowOpened(FlowOpened {
                flow: flow(),
                rendezvous: key()
            }))
            .unwrap()),
            format!(
                "0045a16b666c6f775f6f70656e6564a264666c6f771a0a0b0c0d6a72656e64657a766f75735820{}",
                "07".repeat(32)
            )
        );
        assert_eq!(
            golden(&|| write(&LegMessage::Guest(GuestHello {
                signature: [3; 64],
                rendezvous: key()
            }))
            .unwrap()),
            format!(
                "0081a1656775657374a2697369676e61747572655840{}6a72656e64657a766f75735820{}",
                "03".repeat(64),
                "07".repeat(32)
            )
        );
    }

    #[test]
    fn every_message_comes_back_as_it_went() {
        for message in leg_messages() {
            assert_eq!(read::<LegMessage>(body(&write(&message).unwrap())), Ok(message));
        }
        for message in relay_messages() {
            assert_eq!(read::<RelayMessage>(body(&write(&message).unwrap())), Ok(message));
        }
    }

    #[test]
    fn every_message_fits_its_bound() {
        let longest = HostHello { token: vec![1; MAX_TOKEN], leg_key: [2; 32], signature: [3; 64] };
        assert!(write(&LegMessage::Host(longest)).unwrap().len() <= MAX_HELLO);
        for message in leg_messages().iter().skip(2) {
            assert!(write(message).unwrap().len() <= MAX_CONTROL);
        }
        for message in relay_messages() {
            assert!(write(&message).unwrap().len() <= MAX_CONTROL);
        }
    }

    #[test]
    fn the_same_said_another_way_is_refused() {
        // 0x78 0x07: a text of seven bytes whose length is written in two.
        let long_form = [&[0x78, 0x07][..], b"welcome"].concat();
        assert_eq!(read::<RelayMessage>(&long_form), Err(MessageFault::NotCanonical));
        assert_eq!(read::<RelayMessage>(&long_form[1..]), Err(MessageFault::Malformed));
    }

    #[test]
    fn what_follows_a_message_and_unknown_fields_are_refused() {
        let mut frame = write(&RelayMessage::Welcome).unwrap();
        frame.push(0);
        assert_eq!(read::<RelayMessage>(body(&frame)), Err(MessageFault::Malformed));
        let extra = serde_cbor::Value::Map(
            [("guest", 1), ("more", 2)]
                .into_iter()
                .map(|(k, v)| (serde_cbor::Value::Text(k.into()), serde_cbor::Value::Integer(v)))
                .collect(),
        );
        assert_eq!(
            read::<LegMessage>(&serde_cbor::to_vec(&extra).unwrap()),
            Err(MessageFault::Malformed)
        );
    }

    #[test]
    fn every_refusal_has_a_number_of_its_own() {
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::from_code(refusal.code().into()), Some(refusal));
        }
        assert_eq!(Refusal::from_code(12), None);
        assert_eq!(Refusal::from_code(u64::MAX), None);
    }

    proptest! {
        #[test]
        fn re3_perturbed_messages_never_panic_and_never_pass_unnoticed(
            which in 0..5usize, at in any::<proptest::sample::Index>(), flip in 1..=255u8
        ) {
            let message = leg_messages().swap_remove(which);
            let mut bytes = body(&write(&message).unwrap()).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_ne!(read::<LegMessage>(&bytes), Ok(message));
        }

        #[test]
        fn re3_perturbed_answers_never_panic(which in 0..8usize, at in any::<proptest::sample::Index>(), flip in 1..=255u8) {
            let message = relay_messages().swap_remove(which);
            let mut bytes = body(&write(&message).unwrap()).to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            prop_assert_ne!(read::<RelayMessage>(&bytes), Ok(message));
        }

        #[test]
        fn re3_random_messages_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            let _ = read::<LegMessage>(&bytes);
            let _ = read::<RelayMessage>(&bytes);
        }
    }
}
