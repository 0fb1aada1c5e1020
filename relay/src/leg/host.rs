//! A daemon's leg: many seats, many flows.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quinn::Endpoint;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::address::RelayAddress;
use super::dial::{Dialer, Dialled};
use super::fault::{DialFault, Lost, RegisterFault, SendFault};
use super::guest::{close, goodbye};
use super::key::LegKey;
use super::link::{Link, Room};
use crate::protocol::control::{LegMessage, RelayMessage};
use crate::protocol::flow::{self, Datagram};
use crate::protocol::hello::HostHello;
use crate::protocol::{DeploymentToken, FlowId, RendezvousKey};

mod arrival;
mod control;

use arrival::Arrivals;
use control::{Answer, Control, Order};

/// A host learns of the relay's restart with its next keep-alive: guests wait for it.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Orders that may wait to be written.
const ORDERS_MAX: usize = 4096;

/// Events that may wait for their reader: a leg dialled anew is told of all its flows at once.
const EVENTS_MAX: usize = 1 << 16;

/// A daemon's connection to a relay. The leg closes with its last clone.
#[derive(Clone)]
pub struct HostLeg(Arc<Inner>);

struct Inner {
    link: Link,
    endpoint: Endpoint,
    arrivals: Arc<Arrivals>,
    orders: mpsc::Sender<Order>,
}

/// What else happens to a host's leg.
pub struct HostEvents {
    events: mpsc::Receiver<HostEvent>,
    lost: Option<Lost>,
}

/// One thing that has happened to a host's leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostEvent {
    /// A guest has proved a registered key. On a leg dialled anew, flows whose guests stayed are opened again, with the
    /// same number.
    FlowOpened {
        /// The flow.
        flow: FlowId,
        /// The key.
        rendezvous: RendezvousKey,
    },
    /// The flow is over; its number is not used again.
    FlowClosed {
        /// The flow.
        flow: FlowId,
    },
    /// The relay closes soon: dial another.
    Draining,
    /// The leg is over.
    Lost(Lost),
}

impl HostLeg {
    /// Dials the relay, proves the leg key and shows the token.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn dial(
        dialer: &Dialer,
        address: &RelayAddress,
        key: &LegKey,
        token: &DeploymentToken,
    ) -> Result<(Self, HostEvents), DialFault> {
        let hello = |exporter| {
            LegMessage::Host(HostHello::sign(&key.signing(), token.as_bytes().to_vec(), exporter))
        };
        let Dialled { endpoint, connection, writer, reader, welcome } =
            dialer.dial(address, KEEP_ALIVE, hello).await?;
        if welcome != RelayMessage::Welcome {
            return Err(DialFault::Lost(Lost::Protocol));
        }
        let arrivals = Arc::new(Arrivals::default());
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (told, events) = mpsc::channel(EVENTS_MAX);
        let (link, pump) = Link::new(connection.clone());
        let control =
            Control::new(connection, reader, writer, ordered, told, Arc::clone(&arrivals));
        let tasks = TaskTracker::new();
        tasks.spawn(pump);
        tasks.spawn(control.run());
        let leg = Self(Arc::new(Inner { link, endpoint, arrivals, orders }));
        Ok((leg, HostEvents { events, lost: None }))
    }

    /// Registers a seat's key: from now on its guests are paired with this leg. Registering it again on a newer leg of
    /// the same leg key takes it over, with its flows.
    ///
    /// # Errors
    /// Why the relay does not.
    pub async fn register(&self, key: RendezvousKey) -> Result<(), RegisterFault> {
        let (answer, answered) = oneshot::channel();
        let lost = || RegisterFault::Lost(self.lost());
        self.0.orders.send(Order::Register(key, Answer(answer))).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?
    }

    /// Takes a seat's key back; its flows end.
    pub fn unregister(&self, key: RendezvousKey) {
        self.order(Order::Unregister(key));
    }

    /// Ends one flow.
    pub fn close_flow(&self, flow: FlowId) {
        self.order(Order::CloseFlow(flow));
    }

    /// An order that cannot be queued ends the leg: what the relay was not told would stay open there.
    fn order(&self, order: Order) {
        if self.0.orders.try_send(order).is_err() {
            close(self.0.link.connection());
        }
    }

    /// The key that the flow's guest has proved. Known before the first packet of the flow is handed out, and until the
    /// flow is closed.
    #[must_use]
    pub fn rendezvous_of(&self, flow: FlowId) -> Option<RendezvousKey> {
        self.0.arrivals.rendezvous_of(flow)
    }

    /// Sends one packet on a flow, or says why not.
    ///
    /// # Errors
    /// [`SendFault::Full`] when the caller has to wait for [`HostLeg::room`].
    pub fn try_send(&self, flow: FlowId, packet: &[u8]) -> Result<(), SendFault> {
        self.0.link.try_send(flow, packet)
    }

    /// By which one task waits for room.
    #[must_use]
    pub fn room(&self) -> Room {
        self.0.link.room()
    }

    /// The next packet and its flow, or `None` when the leg is lost. One task at a time.
    pub fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<(FlowId, Bytes)>> {
        loop {
            if let Some(packet) = self.0.arrivals.released(cx) {
                return Poll::Ready(Some(packet));
            }
            let Some(datagram) = std::task::ready!(self.0.link.poll_datagram(cx)) else {
                return Poll::Ready(None);
            };
            let Some(Datagram::Packet(flow, packet)) = flow::read(datagram) else { continue };
            if let Some(packet) = self.0.arrivals.admit(flow, packet) {
                return Poll::Ready(Some((flow, packet)));
            }
        }
    }

    /// The next packet and its flow, or `None` when the leg is lost.
    pub async fn packet(&self) -> Option<(FlowId, Bytes)> {
        poll_fn(|cx| self.poll_packet(cx)).await
    }

    /// The largest packet that fits now: at least [`crate::protocol::SAFE_PACKET`], more when the path proves wider.
    #[must_use]
    pub fn max_packet(&self) -> usize {
        self.0.link.max_packet()
    }

    /// Whether the leg is over.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0.link.connection().close_reason().is_some()
    }

    /// Says goodbye, and gives that a moment to leave.
    pub async fn close(self) {
        goodbye(self.0.link.connection(), &self.0.endpoint).await;
    }

    fn lost(&self) -> Lost {
        let reason = self.0.link.connection().close_reason();
        reason.map_or(Lost::Protocol, |reason| Lost::from_quic(&reason))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        close(self.link.connection());
    }
}

impl std::fmt::Debug for HostLeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostLeg")
    }
}

impl HostEvents {
    /// The next event. [`HostEvent::Lost`] is the last, and is answered again to whoever asks again. Dropping the future
    /// loses nothing.
    pub async fn next(&mut self) -> HostEvent {
        if let Some(lost) = &self.lost {
            return HostEvent::Lost(lost.clone());
        }
        let event = self.events.recv().await.unwrap_or(HostEvent::Lost(Lost::Closed));
        if let HostEvent::Lost(lost) = &event {
            self.lost = Some(lost.clone());
        }
        event
    }
}

impl std::fmt::Debug for HostEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostEvents")
    }
}
