//! What a channel needs of a leg, and the addresses by which QUIC tells flows apart.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::task::{Context, Poll};

use bytes::Bytes;

/// Why a path did not take a packet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendFault {
    /// Its queue is full: wait for [`Room`].
    Full,
    /// It will never carry this packet: lost, or the packet is too large for it now.
    Dropped,
}

/// Waits until a path has room again.
pub trait Room: Send + Sync + fmt::Debug + 'static {
    /// Ready at once whenever there is room, and when the path is lost.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()>;
}

/// A leg as a channel sees it: packets in and out, each of one flow.
///
/// A guest's leg has one flow and gives it any constant number.
pub trait PacketPath: Send + Sync + fmt::Debug + 'static {
    /// Hands over one packet, or says why not. Never blocks.
    ///
    /// # Errors
    /// See [`SendFault`].
    fn try_send(&self, flow: u32, packet: &[u8]) -> Result<(), SendFault>;

    /// The next packet that arrived; `None` once the path is lost for good. Polled by one task.
    fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<(u32, Bytes)>>;

    /// A waiter for room, one for each task that sends.
    fn room(&self) -> Box<dyn Room>;
}

/// The daemon's number for one of its relays; it stays when the leg to that relay is dialled anew.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct LegNumber(pub u16);

/// Where a channel's packets come from and go to, seen from the daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Route {
    /// The leg that carries them.
    pub leg: LegNumber,
    /// The relay's number for the flow on that leg.
    pub flow: u32,
}

/// `fd6f:7370::/32`: a unique local prefix, so that a stray address is recognised as none of the network's.
const PREFIX: [u16; 2] = [0xfd6f, 0x7370];
/// QUIC refuses port 0; every other number would do.
const PORT: u16 = 1;

impl Route {
    /// The one peer that a guest's leg has.
    pub(super) const DAEMON: Self = Self { leg: LegNumber(u16::MAX), flow: 0 };

    /// The address that stands for this route inside QUIC.
    pub(super) fn address(self) -> SocketAddr {
        let [a, b, c, d] = self.flow.to_be_bytes();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let [net, site] = PREFIX;
        let ip = Ipv6Addr::new(net, site, 0, 0, 0, self.leg.0, high, low);
        SocketAddr::V6(SocketAddrV6::new(ip, PORT, 0, 0))
    }

    /// The route that `address` stands for; `None` for an address of any other kind.
    pub(super) fn of(address: SocketAddr) -> Option<Self> {
        let SocketAddr::V6(v6) = address else { return None };
        let [net, site, 0, 0, 0, leg, high, low] = v6.ip().segments() else { return None };
        let ours = [net, site] == PREFIX && v6.port() == PORT;
        let flow = (u32::from(high) << 16) | u32::from(low);
        ours.then_some(Self { leg: LegNumber(leg), flow })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_route_is_read_back_from_its_address(leg: u16, flow: u32) {
            let route = Route { leg: LegNumber(leg), flow };
            prop_assert_eq!(Route::of(route.address()), Some(route));
        }
    }

    #[test]
    fn an_address_of_the_real_network_is_no_route() {
        for foreign in ["127.0.0.1:1", "[::1]:1", "[fd6f:7371::1]:1", "[fd6f:7370::1]:2"] {
            assert_eq!(Route::of(foreign.parse().unwrap()), None, "{foreign}");
        }
    }
}
