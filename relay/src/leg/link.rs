//! A leg's datagrams, without waiting: what an asynchronous UDP socket needs of the thing below it.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn::{Connection, SendDatagramError};
use tokio::sync::Notify;

use super::fault::SendFault;
use crate::lock::lock;
use crate::protocol::flow::{self, FLOW_BYTES};
use crate::protocol::{FlowId, MAX_PACKET};

/// Datagrams that wait for room in QUIC's own queue; beyond that a sender is told to wait.
const OVERFLOW_MAX: usize = 64;

/// What QUIC's queue accounts for a datagram beside its bytes, rounded up.
const QUEUE_OVERHEAD: usize = 64;

/// The datagrams of one connection.
pub(crate) struct Link {
    connection: Connection,
    outgoing: Arc<Outgoing>,
    reading: Mutex<Option<Reading>>,
}

/// A wait for a datagram that is remembered between polls.
struct Reading(Pin<Box<dyn Future<Output = Option<Bytes>> + Send>>);

struct Outgoing {
    connection: Connection,
    overflow: Mutex<Overflow>,
    filled: Notify,
}

#[derive(Default)]
struct Overflow {
    datagrams: VecDeque<Bytes>,
    senders: Vec<Waker>,
}

/// Waits for room in a leg. One for each task that sends: each is woken on its own.
#[derive(Clone)]
pub struct Room(Arc<Outgoing>);

impl Room {
    /// Ready whenever there is room, at once, and when the leg is lost; otherwise the task is woken when there is.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut overflow = lock(&self.0.overflow);
        if overflow.datagrams.len() < OVERFLOW_MAX || self.0.connection.close_reason().is_some() {
            return Poll::Ready(());
        }
        if !overflow.senders.iter().any(|sender| sender.will_wake(cx.waker())) {
            overflow.senders.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl std::fmt::Debug for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Room")
    }
}

impl Link {
    /// The link, and the task that must run for as long as the connection lives.
    pub(crate) fn new(connection: Connection) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let outgoing = Arc::new(Outgoing {
            connection: connection.clone(),
            overflow: Mutex::default(),
            filled: Notify::new(),
        });
        let pump = pump(Arc::clone(&outgoing));
        (Self { connection, outgoing, reading: Mutex::default() }, pump)
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn room(&self) -> Room {
        Room(Arc::clone(&self.outgoing))
    }

    /// Packets of this size fit now.
    pub(crate) fn max_packet(&self) -> usize {
        let datagram = self.connection.max_datagram_size().unwrap_or_default();
        datagram.saturating_sub(FLOW_BYTES).min(MAX_PACKET)
    }

    pub(crate) fn try_send(&self, flow: FlowId, packet: &[u8]) -> Result<(), SendFault> {
        if packet.len() > MAX_PACKET {
            return Err(SendFault::TooLarge);
        }
        let datagram = flow::write(flow, packet);
        let mut overflow = lock(&self.outgoing.overflow);
        let needs = datagram.len() + QUEUE_OVERHEAD;
        if overflow.datagrams.is_empty() && self.connection.datagram_send_buffer_space() >= needs {
            return self.connection.send_datagram(datagram).map_err(|error| fault(&error));
        }
        if self.connection.close_reason().is_some() {
            return Err(SendFault::Lost);
        }
        if overflow.datagrams.len() >= OVERFLOW_MAX {
            return Err(SendFault::Full);
        }
        overflow.datagrams.push_back(datagram);
        self.outgoing.filled.notify_one();
        Ok(())
    }

    /// The next datagram; `None` when the leg is lost. One task at a time.
    pub(crate) fn poll_datagram(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut reading = lock(&self.reading);
        if reading.is_none() {
            // In bulk a datagram is nearly always there, and nothing needs to be allocated to learn so.
            if let Poll::Ready(datagram) = pin!(self.connection.read_datagram()).poll(cx) {
                return Poll::Ready(datagram.ok());
            }
        }
        let future = reading.get_or_insert_with(|| {
            let connection = self.connection.clone();
            Reading(Box::pin(async move { connection.read_datagram().await.ok() }))
        });
        let polled = future.0.as_mut().poll(cx);
        if polled.is_ready() {
            *reading = None;
        }
        polled
    }
}

/// Moves what overflowed into QUIC's queue, in order, as room appears there.
async fn pump(outgoing: Arc<Outgoing>) {
    let connection = &outgoing.connection;
    while connection.close_reason().is_none() {
        let first = lock(&outgoing.overflow).datagrams.front().cloned();
        if let Some(datagram) = first {
            // A datagram that no longer fits the path is dropped, as the path would.
            let _ = connection.send_datagram_wait(datagram).await;
            outgoing.sent();
            continue;
        }
        tokio::select! {
            biased;
            _ = connection.closed() => break,
            () = outgoing.filled.notified() => {}
        }
    }
    outgoing.end();
}

impl Outgoing {
    /// A datagram leaves the overflow only when it is in QUIC's queue, so that no later one overtakes it.
    fn sent(&self) {
        let mut overflow = lock(&self.overflow);
        overflow.datagrams.pop_front();
        overflow.senders.drain(..).for_each(Waker::wake);
    }

    fn end(&self) {
        let mut overflow = lock(&self.overflow);
        overflow.datagrams.clear();
        overflow.senders.drain(..).for_each(Waker::wake);
    }
}

fn fault(error: &SendDatagramError) -> SendFault {
    match error {
        SendDatagramError::TooLarge => SendFault::TooLarge,
        SendDatagramError::UnsupportedByPeer
        | SendDatagramError::Disabled
        | SendDatagramError::ConnectionLost(_) => SendFault::Lost,
    }
}
