//! How QUIC is set for legs, at both of their ends. Each setting that is not Quinn's default has its reason here.

use std::any::Any;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quinn::congestion::{Controller, ControllerFactory};
use quinn::{AckFrequencyConfig, IdleTimeout, TransportConfig, VarInt};

use crate::protocol::limits::LEG_MTU;

/// Kernel buffers of a leg's socket, in bytes; the kernel may grant less. Bulk comes in bursts of hundreds of packets.
const SOCKET_BUFFER: usize = 4 << 20;

/// The control stream carries messages of a hundred bytes.
const CONTROL_WINDOW: u32 = 16 << 10;

/// Packets that the other end of a leg may acknowledge together.
const ACKNOWLEDGED_TOGETHER: VarInt = VarInt::from_u32(16);

/// Without it a lost first packet costs a second (Quinn assumes 333 ms).
const INITIAL_RTT: Duration = Duration::from_millis(100);

/// The transport of a leg. Each direction's waiting datagrams are bounded, in bytes; of those that have come and are not
/// read, the oldest goes.
pub(crate) fn transport(send: usize, receive: usize, idle: IdleTimeout) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .initial_mtu(LEG_MTU)
        .min_mtu(LEG_MTU)
        .initial_rtt(INITIAL_RTT)
        .congestion_controller_factory(Arc::new(Uncontrolled))
        .max_idle_timeout(Some(idle))
        // Quinn allocates for each stream that it permits: 100 cost 40 KB a leg.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(CONTROL_WINDOW))
        .receive_window(VarInt::from_u32(CONTROL_WINDOW))
        .send_window(u64::from(CONTROL_WINDOW))
        .datagram_receive_buffer_size(Some(receive))
        .datagram_send_buffer_size(send)
        .ack_frequency_config(Some(ack_frequency()))
        .allow_spin(false);
    config
}

/// A datagram is not sent again, so that nobody waits for its acknowledgement.
fn ack_frequency() -> AckFrequencyConfig {
    let mut config = AckFrequencyConfig::default();
    config.ack_eliciting_threshold(ACKNOWLEDGED_TOGETHER);
    config
}

/// Asks the kernel for room. It is a wish: what it grants is enough for correctness, not for full speed.
pub(crate) fn widen(socket: &UdpSocket) {
    use rustix::net::sockopt;
    let _ = sockopt::set_socket_recv_buffer_size(socket, SOCKET_BUFFER);
    let _ = sockopt::set_socket_send_buffer_size(socket, SOCKET_BUFFER);
}

/// No congestion control on a leg. The inner connection has its own (BBR), and two loops, one inside the other, starve:
/// CUBIC on the legs moved 0.6 MiB/s where none moved 7.1 (1 % loss, 50 ms). The relay caps each flow's rate instead.
#[derive(Clone, Copy, Debug)]
struct Uncontrolled;

/// As good as none: 320 MiB/s at a round trip of 100 ms. Yet a bound, since Quinn remembers each packet until it is
/// acknowledged: a leg that takes packets and acknowledges none would otherwise fill the memory of whoever sends.
const NO_WINDOW: u64 = 32 << 20;

impl ControllerFactory for Uncontrolled {
    fn build(self: Arc<Self>, _now: Instant, _mtu: u16) -> Box<dyn Controller> {
        Box::new(*self)
    }
}

impl Controller for Uncontrolled {
    fn on_congestion_event(
        &mut self,
        _now: Instant,
        _sent: Instant,
        _persistent: bool,
        _lost: u64,
    ) {
    }

    fn on_mtu_update(&mut self, _mtu: u16) {}

    fn window(&self) -> u64 {
        NO_WINDOW
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(*self)
    }

    fn initial_window(&self) -> u64 {
        NO_WINDOW
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
