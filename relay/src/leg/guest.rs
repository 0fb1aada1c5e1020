//! A client's leg: one seat, one flow.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use quinn::{Connection, Endpoint, SendStream};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::address::RelayAddress;
use super::dial::{Dialer, Dialled, why};
use super::fault::{DialFault, Lost, SendFault};
use super::link::{Link, Room};
use crate::protocol::control::{LegMessage, RelayMessage};
use crate::protocol::flow::{self, Datagram};
use crate::protocol::hello::GuestHello;
use crate::protocol::stream::ControlReader;
use crate::protocol::{FlowId, Refusal};

/// An idle guest learns of the relay's restart with its next keep-alive.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// How long a goodbye is given to leave the machine. Nobody waits for an answer to it.
const GOODBYE: Duration = Duration::from_millis(1);

/// A client's connection to a relay, paired with the host of its seat. The leg closes with its last clone.
#[derive(Clone)]
pub struct GuestLeg(Arc<Inner>);

struct Inner {
    link: Link,
    endpoint: Endpoint,
    flow: FlowId,
    /// Held, not used: its end would be the control stream's.
    _writer: SendStream,
}

/// What else happens to a guest's leg.
pub struct GuestEvents {
    connection: Connection,
    reader: ControlReader<RelayMessage>,
    lost: Option<Lost>,
}

/// One thing that has happened to a guest's leg.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GuestEvent {
    /// The relay closes soon: dial another.
    Draining,
    /// The leg is over.
    Lost(Lost),
}

impl GuestLeg {
    /// Dials the relay and proves the seat's rendezvous secret. Resolves when the relay has paired the leg with its
    /// host; a host that is away for a moment is waited for, within the relay's bound and the dialer's.
    ///
    /// # Errors
    /// [`DialFault::NotHere`] when no host came; the others say what stands in the way.
    pub async fn dial(
        dialer: &Dialer,
        address: &RelayAddress,
        rendezvous_seed: &[u8; 32],
    ) -> Result<(Self, GuestEvents), DialFault> {
        let hello = |exporter| LegMessage::Guest(GuestHello::sign(rendezvous_seed, exporter));
        let Dialled { endpoint, connection, writer, reader, welcome } =
            dialer.dial(address, KEEP_ALIVE, hello).await?;
        let RelayMessage::Joined(flow) = welcome else {
            return Err(DialFault::Lost(Lost::Protocol));
        };
        let (link, pump) = Link::new(connection.clone());
        TaskTracker::new().spawn(pump);
        let leg = Self(Arc::new(Inner { link, endpoint, flow, _writer: writer }));
        Ok((leg, GuestEvents { connection, reader, lost: None }))
    }

    /// Sends one packet, or says why not.
    ///
    /// # Errors
    /// [`SendFault::Full`] when the caller has to wait for [`GuestLeg::room`].
    pub fn try_send(&self, packet: &[u8]) -> Result<(), SendFault> {
        self.0.link.try_send(self.0.flow, packet)
    }

    /// By which one task waits for room.
    #[must_use]
    pub fn room(&self) -> Room {
        self.0.link.room()
    }

    /// The next packet, or `None` when the leg is lost. One task at a time.
    pub fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let Some(datagram) = std::task::ready!(self.0.link.poll_datagram(cx)) else {
                return Poll::Ready(None);
            };
            match flow::read(datagram) {
                Some(Datagram::Packet(flow, packet)) if flow == self.0.flow => {
                    return Poll::Ready(Some(packet));
                }
                Some(Datagram::Packet(..) | Datagram::Probe) | None => {}
            }
        }
    }

    /// The next packet, or `None` when the leg is lost.
    pub async fn packet(&self) -> Option<Bytes> {
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
}

impl Drop for Inner {
    fn drop(&mut self) {
        close(self.link.connection());
    }
}

/// Says goodbye; QUIC's task has its turn to send it.
pub(crate) async fn goodbye(connection: &Connection, endpoint: &Endpoint) {
    close(connection);
    let _ = timeout(GOODBYE, endpoint.wait_idle()).await;
}

pub(crate) fn close(connection: &Connection) {
    connection.close(Refusal::Bye.code().into(), b"");
}

impl std::fmt::Debug for GuestLeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GuestLeg({})", self.0.flow)
    }
}

impl GuestEvents {
    /// The next event. [`GuestEvent::Lost`] is the last, and is answered again to whoever asks again. Dropping the
    /// future loses nothing.
    pub async fn next(&mut self) -> GuestEvent {
        while self.lost.is_none() {
            match self.reader.next().await {
                Ok(RelayMessage::Draining) => return GuestEvent::Draining,
                // The host was away and is back, on the same flow.
                Ok(RelayMessage::Joined(_) | RelayMessage::Waiting) => {}
                Ok(_) => self.lost = Some(Lost::Protocol),
                Err(fault) => self.lost = Some(why(&self.connection, &fault).await),
            }
        }
        GuestEvent::Lost(self.lost.clone().unwrap_or(Lost::Closed))
    }
}

impl std::fmt::Debug for GuestEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GuestEvents")
    }
}
