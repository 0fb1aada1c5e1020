//! Handles that tests are made with.

use ed25519_dalek::SigningKey;
use policy::{Authority, Capability, Scope, SeatId, ShareId, Timestamp, passport};
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
        depth: 0,
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
