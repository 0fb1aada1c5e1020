//! Handles that tests are made with.

use ed25519_dalek::SigningKey;
use policy::passport::{self, Narrowing};
use policy::{Authority, Capability, Scope, SeatId, ShareId, Timestamp};
use wire::handle::{Handle, Secret};

use crate::seat::Seat;

/// When every sample expires.
pub(crate) const NOT_AFTER: Timestamp = Timestamp(2_000_000);

/// What a sample passport says, with the relays and channel key that a test needs.
pub(crate) fn authority() -> Authority {
    let verb = |name: &str| Capability::new(name.parse().unwrap(), []);
    Authority {
        daemon: "web-1".parse().unwrap(),
        share: ShareId::from_random([7; 8]),
        seat: SeatId(0),
        owner: "alice".to_owned(),
        relays: vec!["127.0.0.1:9".to_owned()],
        not_after: NOT_AFTER,
        channel_key: [3; 32],
        redeem_key: SigningKey::from_bytes(&[2; 32]).verifying_key().to_bytes(),
        depth: 1,
        scope: Scope::new([verb("log.tail"), verb("disk.use")]),
    }
}

/// A handle that the daemon with this key signed.
pub(crate) fn handle(daemon: u8, authority: &Authority) -> Handle {
    let key = SigningKey::from_bytes(&[daemon; 32]);
    Handle {
        rendezvous: Secret::new([1; 32]),
        redeem: Some(Secret::new([2; 32])),
        daemon_key: key.verifying_key().to_bytes(),
        passport: passport::mint(&key, authority).unwrap(),
        ancestors: Vec::new(),
    }
}

pub(crate) fn seat_of_daemon(daemon: u8) -> Seat {
    Seat::verified(handle(daemon, &authority()), Timestamp(0)).unwrap()
}

pub(crate) fn seat() -> Seat {
    seat_of_daemon(4)
}

fn narrowing() -> Narrowing {
    Narrowing { not_after: NOT_AFTER, depth: 0, scope: authority().scope, reason: String::new() }
}

/// The seat, narrowed for its own holder.
pub(crate) fn narrowed() -> Seat {
    let whole = handle(4, &authority());
    let root = SigningKey::from_bytes(&[4; 32]).verifying_key();
    let passport = passport::narrow(&whole.passport, &root, &narrowing()).unwrap();
    Seat::verified(Handle { redeem: None, passport, ..whole }, Timestamp(0)).unwrap()
}

/// The seat, handed on to whoever has this redeem secret.
pub(crate) fn handed_on(redeem: u8) -> Seat {
    let whole = handle(4, &authority());
    let key = |seed| SigningKey::from_bytes(&[seed; 32]);
    let (root, redeem_key) = (key(4).verifying_key(), key(redeem).verifying_key().to_bytes());
    let passport =
        passport::hand_on(&whole.passport, &root, &key(9), &narrowing(), redeem_key).unwrap();
    let redeem = Some(Secret::new([redeem; 32]));
    let handle = Handle { redeem, passport, ancestors: vec![None], ..whole };
    Seat::verified(handle, Timestamp(0)).unwrap()
}
