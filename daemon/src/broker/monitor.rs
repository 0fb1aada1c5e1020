//! The broker's end of its socket to the monitor.

use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;
use wire::privsep::{self, FromBroker, MAX_PACKET, Packet, ToBroker};

use super::lock::lock;

/// While so many messages wait for the monitor, no new call and no new guest is brought to it. What ends something may
/// still queue: there is at most a handful of such messages for each call that was brought.
const BUSY: usize = 256;

/// A monitor that is this far behind does not listen any more. The broker ends, and is started again.
const WAITING_MAX: usize = 1 << 16;

/// Says things to the monitor, without waiting.
#[derive(Clone)]
pub(super) struct Monitor(Arc<Link>);

struct Link {
    /// A socket of packets. It keeps their order as well, which its type here does not say: only its readiness is used.
    socket: UnixDatagram,
    waiting: Mutex<VecDeque<Vec<u8>>>,
    queued: Notify,
    sent: Notify,
    deaf: Notify,
}

impl Monitor {
    /// Takes over the socket, which must be non-blocking. Needs a tokio runtime around it.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = UnixDatagram::from_std(socket.into())?;
        let link = Link {
            socket,
            waiting: Mutex::default(),
            queued: Notify::new(),
            sent: Notify::new(),
            deaf: Notify::new(),
        };
        Ok(Self(Arc::new(link)))
    }

    /// Says `message`, now if the socket takes it, later and in order if not.
    pub(super) fn say(&self, message: &FromBroker) {
        let Ok(body) = privsep::encode(message) else {
            return tracing::error!("a message to the monitor cannot be encoded");
        };
        let mut waiting = lock(&self.0.waiting);
        if waiting.is_empty() && self.0.send(&body).is_ok() {
            return;
        }
        if waiting.len() >= WAITING_MAX {
            return self.0.deaf.notify_one();
        }
        waiting.push_back(body);
        self.0.queued.notify_one();
    }

    /// Waits until the monitor keeps up again.
    pub(super) async fn room(&self) {
        loop {
            let sent = self.0.sent.notified();
            if lock(&self.0.waiting).len() < BUSY {
                return;
            }
            sent.await;
        }
    }

    /// The monitor's next message; `None` when it is gone.
    pub(super) async fn hear(&self, buffer: &mut [u8]) -> io::Result<Option<Packet<ToBroker>>> {
        loop {
            let socket = &self.0.socket;
            socket.readable().await?;
            match socket.try_io(Interest::READABLE, || privsep::receive(socket, buffer)) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                heard => return heard,
            }
        }
    }

    /// Sends what waits, for as long as the monitor is there and listens.
    pub(super) async fn deliver(&self) -> io::Error {
        tokio::select! {
            biased;
            () = self.0.deaf.notified() => io::Error::other("the monitor does not listen"),
            fault = self.0.flush() => fault,
        }
    }
}

impl Link {
    fn send(&self, body: &[u8]) -> io::Result<()> {
        privsep::send_packet(&self.socket, body, &[])
    }

    async fn flush(&self) -> io::Error {
        loop {
            self.queued.notified().await;
            if let Err(fault) = self.send_waiting().await {
                return fault;
            }
        }
    }

    async fn send_waiting(&self) -> io::Result<()> {
        loop {
            let Some(next) = lock(&self.waiting).front().cloned() else { return Ok(()) };
            self.socket.writable().await?;
            match self.socket.try_io(Interest::WRITABLE, || self.send(&next)) {
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => continue,
                sent => sent?,
            }
            lock(&self.waiting).pop_front();
            self.sent.notify_waiters();
        }
    }
}

/// Where one message of the monitor's fits.
pub(super) fn buffer() -> Vec<u8> {
    vec![0; MAX_PACKET]
}
