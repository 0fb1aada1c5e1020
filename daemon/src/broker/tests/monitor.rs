//! The monitor's side of the socket, played by the test.

use std::os::fd::{BorrowedFd, OwnedFd};

use ed25519_dalek::SigningKey;
use policy::Timestamp;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use wire::call::{ClockStatement, Signed};
use wire::control::Told;
use wire::frame::{Joined, Refusal, Update};
use wire::privsep::{self, CallRef, ChannelId, FromBroker, Given, MAX_PACKET, ToBroker, Unfit};

use super::{SEAT, share, soon};

pub(super) struct Monitor {
    socket: UnixDatagram,
    buffer: Vec<u8>,
    /// What came while something else was waited for.
    aside: Vec<FromBroker>,
}

impl Monitor {
    pub(super) fn new(socket: OwnedFd) -> Self {
        let socket = UnixDatagram::from_std(socket.into()).unwrap();
        Self { socket, buffer: vec![0; MAX_PACKET], aside: Vec::new() }
    }

    pub(super) fn say(&self, message: &ToBroker) {
        self.say_with(message, &[]);
    }

    pub(super) fn say_with(&self, message: &ToBroker, descriptors: &[BorrowedFd<'_>]) {
        privsep::send(&self.socket, message, descriptors).unwrap();
    }

    /// The next message of any kind.
    pub(super) async fn next(&mut self) -> FromBroker {
        soon("a message of the broker's", async {
            loop {
                self.socket.readable().await.unwrap();
                let (socket, buffer) = (&self.socket, &mut self.buffer);
                let heard = socket
                    .try_io(Interest::READABLE, || privsep::receive::<FromBroker>(socket, buffer));
                match heard {
                    Ok(packet) => return packet.expect("the broker ended").message,
                    Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(fault) => panic!("{fault}"),
                }
            }
        })
        .await
    }

    /// The first message that `wanted` takes, of those that have come or will; the others stay.
    pub(super) async fn hear<T>(&mut self, wanted: impl Fn(&FromBroker) -> Option<T>) -> T {
        if let Some(place) = self.aside.iter().position(|message| wanted(message).is_some()) {
            return wanted(&self.aside.remove(place)).unwrap();
        }
        loop {
            let message = self.next().await;
            match wanted(&message) {
                Some(found) => return found,
                None => self.aside.push(message),
            }
        }
    }

    /// Whether nothing that `unwanted` takes has come.
    pub(super) fn has_not_heard(&self, unwanted: impl Fn(&FromBroker) -> bool) -> bool {
        !self.aside.iter().any(unwanted)
    }

    pub(super) async fn admitted(&mut self) -> Option<String> {
        self.hear(|message| match message {
            FromBroker::Admitted { failure, .. } => Some(failure.clone()),
            _ => None,
        })
        .await
    }

    /// Who wants the seat, by what key.
    pub(super) async fn asked(&mut self) -> (ChannelId, [u8; 32]) {
        self.hear(|message| match message {
            FromBroker::Join { channel, share: of, seat, holder, .. } => {
                assert_eq!((*of, *seat), (share(), SEAT));
                Some((*channel, *holder))
            }
            _ => None,
        })
        .await
    }

    pub(super) fn seat(&self, channel: ChannelId) {
        self.say(&ToBroker::Joined { channel, joined: Box::new(joined()) });
    }

    pub(super) fn turn_away(&self, channel: ChannelId) {
        self.say(&ToBroker::NotJoined { channel, refusal: Refusal::NoSeat });
    }

    pub(super) async fn called(&mut self) -> CallRef {
        self.hear(|message| match message {
            FromBroker::Call { call, signed, .. } => {
                assert_eq!(*signed, a_signed());
                Some(*call)
            }
            _ => None,
        })
        .await
    }

    pub(super) async fn asked_for_more(&mut self) -> CallRef {
        self.hear(|message| match message {
            FromBroker::Ask { call, signed, .. } => {
                assert_eq!(*signed, a_signed());
                Some(*call)
            }
            _ => None,
        })
        .await
    }

    pub(super) async fn cancelled(&mut self) -> CallRef {
        self.hear(|message| match message {
            FromBroker::Cancel { call } => Some(*call),
            _ => None,
        })
        .await
    }

    pub(super) async fn overflowed(&mut self) -> CallRef {
        self.hear(|message| match message {
            FromBroker::Overflow { call } => Some(*call),
            _ => None,
        })
        .await
    }

    pub(super) async fn drained(&mut self) -> (CallRef, u64, u64) {
        self.hear(|message| match message {
            FromBroker::Drained { call, stdout, stderr, .. } => Some((*call, *stdout, *stderr)),
            _ => None,
        })
        .await
    }

    pub(super) async fn given(&mut self) -> (CallRef, Option<Given>) {
        self.hear(|message| match message {
            FromBroker::Drained { call, given, .. } => Some((*call, *given)),
            _ => None,
        })
        .await
    }

    pub(super) async fn unfit(&mut self) -> (CallRef, Unfit) {
        self.hear(|message| match message {
            FromBroker::Unfit { call, why } => Some((*call, *why)),
            _ => None,
        })
        .await
    }

    pub(super) async fn told(&mut self) -> Told {
        self.hear(|message| match message {
            FromBroker::Told { share: of, told, .. } if *of == share() => Some(*told),
            _ => None,
        })
        .await
    }

    pub(super) async fn gone(&mut self) -> ChannelId {
        self.hear(|message| match message {
            FromBroker::ChannelGone { channel } => Some(*channel),
            _ => None,
        })
        .await
    }

    pub(super) async fn strangers(&mut self) -> u64 {
        self.hear(|message| match message {
            FromBroker::Strangers { share: of, count } if *of == share() => Some(*count),
            _ => None,
        })
        .await
    }

    /// Why the relay is down; none when it is up.
    pub(super) async fn relay(&mut self) -> Option<String> {
        self.hear(|message| match message {
            FromBroker::Relay { down, .. } => Some(down.clone()),
            _ => None,
        })
        .await
    }
}

/// Something signed: the broker looks into none of it.
pub(super) fn a_signed() -> Signed {
    let clock = ClockStatement { nonce: [7; 16], now: Timestamp(1) };
    Signed::new(&clock, &SigningKey::from_bytes(&[8; 32])).unwrap()
}

pub(super) fn joined() -> Joined {
    Joined { share: share(), seat: SEAT, clock: a_signed(), standing: update(1) }
}

pub(super) fn update(deadline: u64) -> Update {
    Update { deadline: Timestamp(deadline), passport: None, menu: Vec::new(), notes: 0 }
}
