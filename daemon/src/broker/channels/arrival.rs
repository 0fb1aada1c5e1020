//! The way to a seat: handshake, first word, the monitor's answer. Each step has its time, and its place can be lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use wire::channel::{Arrival, Connection, RecvStream, SendStream, VarInt, peer_holder_key};
use wire::frame::{Farewell, Frame, Frames, Join, Refusal};
use wire::privsep::{ChannelId, FromBroker};

use super::super::Broker;
use super::super::farewell::{PeerFault, close, read_frame};
use super::super::lock::lock;
use super::super::shares::Door;
use super::channel::Channel;
use super::{Answer, Asking};

/// A client says who it is with its first packets; this is for the slowest network.
const JOIN_LIMIT: Duration = Duration::from_secs(5);

/// How long one who was refused may take to hear why.
const REFUSAL_LIMIT: Duration = Duration::from_secs(1);

/// The stream for all that concerns the seat, which the client opens first.
pub(super) struct Control {
    pub(super) send: SendStream,
    pub(super) receive: RecvStream,
    pub(super) frames: Frames,
}

/// A place at a door. Dropped, it is free again.
struct Place {
    broker: Broker,
    door: Door,
    id: ChannelId,
    evicted: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut channels = lock(&self.broker.channels);
        channels.places.leave(self.door, self.id);
        channels.asking.remove(&self.id);
    }
}

impl Broker {
    /// Answers guests, for ever. Whoever comes to no door, or to a crowded one, hears nothing at all.
    pub(in super::super) async fn receive_guests(&self) {
        while let Some(arrival) = self.endpoint.accept().await {
            if let Some(place) = self.door(arrival.route()).and_then(|door| self.enter(door)) {
                let broker = self.clone();
                self.tasks.spawn(async move { broker.receive(arrival, place).await });
            }
        }
    }

    fn enter(&self, door: Door) -> Option<Place> {
        let mut channels = lock(&self.channels);
        let id = channels.number();
        let evicted = channels.places.enter(door, id)?;
        Some(Place { broker: self.clone(), door, id, evicted })
    }

    async fn receive(&self, arrival: Arrival, place: Place) {
        let Some(connection) = self.shake_hands(arrival, &place).await else {
            return self.strangers.count(place.door.share);
        };
        match self.first_word(&connection, &place).await {
            Ok((control, join)) => self.seat(connection, control, join, place).await,
            Err(fault) => {
                tracing::debug!(share = %place.door.share, %fault, "a stranger");
                self.strangers.count(place.door.share);
                close(&connection, fault.farewell());
            }
        }
    }

    async fn shake_hands(&self, arrival: Arrival, place: &Place) -> Option<Connection> {
        let key = lock(&self.shares).channel_key(place.door.share)?;
        tokio::select! {
            biased;
            () = place.evicted.cancelled() => None,
            admitted = arrival.admit(&key) => admitted.ok(),
        }
    }

    async fn first_word(
        &self,
        connection: &Connection,
        place: &Place,
    ) -> Result<(Control, Join), PeerFault> {
        tokio::select! {
            biased;
            () = place.evicted.cancelled() => Err(PeerFault::Crowded),
            word = timeout(JOIN_LIMIT, read_join(connection)) => {
                word.unwrap_or(Err(PeerFault::TooSlow))
            }
        }
    }

    async fn seat(&self, connection: Connection, mut control: Control, join: Join, place: Place) {
        match self.ask(&connection, join, &place).await {
            None => {}
            Some(Answer::Seated(channel, joined)) => {
                drop(place);
                self.hold(channel, control, Frame::Joined(joined)).await;
            }
            Some(Answer::Refused(refusal)) => {
                turn_away(&mut control, refusal).await;
                close(&connection, Farewell::NotJoined);
            }
        }
    }

    /// The monitor's answer; `None` when the client did not wait for it, or the monitor's has no meaning any more.
    async fn ask(&self, connection: &Connection, join: Join, place: &Place) -> Option<Answer> {
        let Door { share, seat } = place.door;
        let holder = peer_holder_key(connection)?;
        let (answer, answered) = oneshot::channel();
        self.monitor.room().await;
        {
            let mut channels = lock(&self.channels);
            channels.places.settle(place.door, place.id);
            let (door, connection) = (place.door, connection.clone());
            let asking = Asking { door, holder, connection, answer };
            channels.asking.insert(place.id, asking);
        }
        self.monitor.say(&FromBroker::Join { channel: place.id, share, seat, holder, join });
        tokio::select! {
            biased;
            answer = answered => answer.ok(),
            _ = connection.closed() => None,
        }
    }

    /// Keeps a joined channel until it is over, and the monitor's books with it.
    async fn hold(&self, channel: Arc<Channel>, control: Control, joined: Frame) {
        let streams = self.bounds.calls_in_flight.saturating_add(1);
        channel.connection.set_max_concurrent_bi_streams(VarInt::from_u32(streams));
        let farewell = self.attend(&channel, control, joined).await;
        close(&channel.connection, farewell);
        self.forget(&channel);
    }
}

async fn read_join(connection: &Connection) -> Result<(Control, Join), PeerFault> {
    let stream = connection.accept_bi().await;
    let (send, receive) = stream.map_err(|fault| PeerFault::Stream(fault.into()))?;
    let mut control = Control { send, receive, frames: Frames::default() };
    match read_frame(&mut control.receive, &mut control.frames).await? {
        Frame::Join(join) => Ok((control, join)),
        Frame::Joined(_)
        | Frame::Update(_)
        | Frame::Ended(_)
        | Frame::EndSeen
        | Frame::Call(_)
        | Frame::Ask(_)
        | Frame::Granted
        | Frame::Noted(_)
        | Frame::Pending(_)
        | Frame::Started
        | Frame::Refused(_)
        | Frame::Outcome(_)
        | Frame::Stdout(_)
        | Frame::Stderr(_)
        | Frame::Stdin(_)
        | Frame::StdinEnd
        | Frame::Taken(_)
        | Frame::Terminal(_)
        | Frame::Resize(_) => Err(PeerFault::OutOfPlace),
    }
}

/// Says no, and stays until it is heard.
async fn turn_away(control: &mut Control, refusal: Refusal) {
    let Ok(frame) = Frame::Refused(refusal).encode() else { return };
    let told = async {
        control.send.write_all(&frame).await.ok()?;
        control.send.finish().ok()?;
        control.send.stopped().await.ok()
    };
    let _ = timeout(REFUSAL_LIMIT, told).await;
}
