//! A UDP socket that is none: QUIC's packets, routed over legs by made-up addresses.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::path::{LegNumber, PacketPath, Room, Route, SendFault};

/// Several legs seen as one socket. It holds no packet itself: each leg's bounded queues do.
#[derive(Debug)]
pub(super) struct VirtualSocket {
    side: Side,
    state: Mutex<State>,
}

/// How packets that arrive are given an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    /// By leg and flow: each is another client.
    Daemon,
    /// All from the one daemon, whatever leg carries them, so that a change of leg is no change of peer.
    Guest,
}

#[derive(Debug, Default)]
struct State {
    legs: Vec<(LegNumber, Arc<dyn PacketPath>)>,
    /// Which leg is asked first, so that a busy one cannot starve the others.
    turn: usize,
    /// The leg that refused the last packet; whoever sent it waits for its room in the same poll.
    full: Option<Arc<dyn PacketPath>>,
    /// The task that receives, to be woken when a leg is added.
    receiver: Option<Waker>,
}

impl VirtualSocket {
    /// The daemon's socket, over legs that come and go.
    pub(super) fn daemon() -> Arc<Self> {
        Arc::new(Self { side: Side::Daemon, state: Mutex::default() })
    }

    /// A guest's socket over its one leg.
    pub(super) fn guest(path: Arc<dyn PacketPath>) -> Arc<Self> {
        let socket = Self { side: Side::Guest, state: Mutex::default() };
        socket.attach(Route::DAEMON.leg, path);
        Arc::new(socket)
    }

    /// Adds a leg, in place of an older one of the same number.
    pub(super) fn attach(&self, leg: LegNumber, path: Arc<dyn PacketPath>) {
        let mut state = self.state();
        state.remove(leg);
        state.legs.push((leg, path));
        if let Some(receiver) = state.receiver.take() {
            receiver.wake();
        }
    }

    /// Removes a leg; packets for it are dropped from now on.
    pub(super) fn detach(&self, leg: LegNumber) {
        self.state().remove(leg);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self, leg: LegNumber, flow: u32) -> SocketAddr {
        match self.side {
            Side::Daemon => Route { leg, flow }.address(),
            Side::Guest => Route::DAEMON.address(),
        }
    }
}

impl State {
    fn remove(&mut self, leg: LegNumber) {
        self.legs.retain(|(number, _)| *number != leg);
    }

    fn leg(&self, leg: LegNumber) -> Option<&Arc<dyn PacketPath>> {
        self.legs.iter().find_map(|(number, path)| (*number == leg).then_some(path))
    }

    /// The next packet of any leg, the leg whose turn it is first. A leg that is lost is removed.
    fn poll_packet(&mut self, cx: &mut Context<'_>) -> Option<(LegNumber, u32, Bytes)> {
        let mut asked = 0;
        while asked < self.legs.len() {
            let place = self.turn % self.legs.len();
            let (leg, path) = self.legs.get(place)?;
            match path.poll_packet(cx) {
                Poll::Ready(Some((flow, packet))) => return Some((*leg, flow, packet)),
                Poll::Ready(None) => drop(self.legs.remove(place)),
                Poll::Pending => {
                    asked += 1;
                    self.turn = self.turn.wrapping_add(1);
                }
            }
        }
        None
    }
}

/// Copies `packet` to the front of `buffer`; `None` when it is larger than any packet of QUIC's here may be.
fn place(packet: &[u8], buffer: &mut [u8]) -> Option<usize> {
    buffer.get_mut(..packet.len())?.copy_from_slice(packet);
    Some(packet.len())
}

impl AsyncUdpSocket for VirtualSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(Poller { socket: self, room: None })
    }

    /// Packets for a leg that is gone vanish, as on any network: QUIC sends again, and the peer comes back elsewhere.
    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let mut state = self.state();
        let Some(route) = Route::of(transmit.destination) else { return Ok(()) };
        let Some(path) = state.leg(route.leg) else { return Ok(()) };
        if path.try_send(route.flow, transmit.contents) == Err(SendFault::Full) {
            state.full = Some(Arc::clone(path));
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Never an error: QUIC would take that for the end of the socket, and a leg may still be added.
    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        let mut slots = bufs.iter_mut().zip(meta.iter_mut());
        let mut filled = 0;
        let mut slot = slots.next();
        while let Some((buffer, meta)) = slot.as_mut() {
            let Some((leg, flow, packet)) = state.poll_packet(cx) else { break };
            let Some(len) = place(&packet, buffer) else { continue };
            let addr = self.source(leg, flow);
            **meta = RecvMeta { addr, len, stride: len, ecn: None, dst_ip: None };
            filled += 1;
            slot = slots.next();
        }
        state.turn = state.turn.wrapping_add(1);
        if filled > 0 {
            return Poll::Ready(Ok(filled));
        }
        state.receiver = Some(cx.waker().clone());
        Poll::Pending
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(Route::DAEMON.address())
    }

    /// Legs carry whole packets or none, so QUIC may look for the largest that fits.
    fn may_fragment(&self) -> bool {
        false
    }
}

/// One sender's wait for room. Ready until a leg has refused a packet: to ask first would cost every call a wait.
#[derive(Debug)]
struct Poller {
    socket: Arc<VirtualSocket>,
    room: Option<Box<dyn Room>>,
}

impl UdpPoller for Poller {
    fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let full = self.socket.state().full.take();
        if let Some(path) = full {
            self.room = Some(path.room());
        }
        let Some(room) = self.room.as_mut() else { return Poll::Ready(Ok(())) };
        if room.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        self.room = None;
        Poll::Ready(Ok(()))
    }
}
