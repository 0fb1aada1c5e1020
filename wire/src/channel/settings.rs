//! How QUIC is set for a path of datagrams over a relay. Each number has its reason beside it.

use std::sync::Arc;
use std::time::Duration;

use quinn::congestion::BbrConfig;
use quinn::{IdleTimeout, MtuDiscoveryConfig, TransportConfig, VarInt};

/// Every leg that is up carries this much both ways.
const SAFE_PACKET: u16 = 1200;
/// With the relay's and the leg's own headers this fills the 1,450 bytes that ordinary paths carry.
const LARGEST_PACKET: u16 = 1404;
/// QUIC's usual 333 ms would make a lost first packet cost a second.
const INITIAL_RTT: Duration = Duration::from_millis(100);
/// A peer that is silent for so long is gone.
const IDLE: VarInt = VarInt::from_u32(30_000);
/// Three tries within [`IDLE`].
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// All of it fits the relay's queue for a leg (4 MiB) when a process there is not scheduled for a while. QUIC's BBR does
/// not bound what is under way on a fast path: with 4 MiB a busy machine lost 2 to 12 % of a bulk transfer in that
/// queue, with this nothing, and was no slower. Over 50 ms it lets 17 MiB/s.
const SEND_WINDOW: u32 = 896 * 1024;
/// A client opens one stream for control beside its calls.
const CONTROL_STREAMS: u32 = 1;

/// What one connection may use at this end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Streams that the peer may have open at once. QUIC allocates for each, used or not.
    pub streams: u32,
    /// Bytes that one stream may bring before they are read: what a stalled reader costs here.
    pub stream_window: u32,
    /// Bytes sent and not yet acknowledged, over all streams.
    pub send_window: u32,
}

impl Limits {
    /// For the daemon: `calls` at once beside the control stream, little from each.
    #[must_use]
    pub fn daemon(calls: u32) -> Self {
        Self {
            streams: calls.saturating_add(CONTROL_STREAMS),
            stream_window: 256 * 1024,
            send_window: SEND_WINDOW,
        }
    }

    /// For a client: the daemon opens no streams, and may fill 1 MiB of each, more than it has under way.
    #[must_use]
    pub fn client() -> Self {
        Self { streams: 0, stream_window: 1024 * 1024, send_window: SEND_WINDOW }
    }

    /// Room for every stream's whole window, so that stalled streams do not stop the others.
    fn connection_window(self) -> VarInt {
        let streams = u64::from(self.streams.max(Self::daemon(32).streams));
        VarInt::from_u64(u64::from(self.stream_window) * streams).unwrap_or(VarInt::MAX)
    }
}

/// The transport of one end of a channel.
pub(super) fn transport(limits: Limits) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(limits.streams.into())
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(limits.stream_window.into())
        .receive_window(limits.connection_window())
        .send_window(limits.send_window.into())
        .max_idle_timeout(Some(IdleTimeout::from(IDLE)))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .initial_rtt(INITIAL_RTT)
        .min_mtu(SAFE_PACKET)
        .initial_mtu(SAFE_PACKET)
        .mtu_discovery_config(Some(mtu_discovery()))
        .congestion_controller_factory(Arc::new(BbrConfig::default()));
    Arc::new(config)
}

fn mtu_discovery() -> MtuDiscoveryConfig {
    let mut config = MtuDiscoveryConfig::default();
    config.upper_bound(LARGEST_PACKET);
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_window_holds_every_stream_s() {
        let limits = Limits::daemon(32);
        assert_eq!(limits.connection_window().into_inner(), 33 * 256 * 1024);
        let many = Limits { streams: u32::MAX, stream_window: u32::MAX, send_window: 0 };
        assert!(many.connection_window() <= VarInt::MAX);
    }
}
