//! Junk is answered with silence.
//!
//! QUIC answers a long-header packet of another version with the versions that it speaks. A port that answers random
//! bytes tells a scanner what is there, and our legs speak one version: such packets are dropped before QUIC sees them.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

/// The one QUIC version of legs (RFC 9000).
const VERSION: [u8; 4] = [0, 0, 0, 1];

const LONG_HEADER: u8 = 0x80;

/// A socket that does not hear packets of other versions.
#[derive(Debug)]
pub(crate) struct Silent(pub(crate) Arc<dyn AsyncUdpSocket>);

impl AsyncUdpSocket for Silent {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.0).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.0.poll_recv(cx, buffers, metas))?;
        for (buffer, meta) in buffers.iter().zip(metas.iter_mut()).take(received) {
            let data = buffer.get(..meta.len).unwrap_or_default();
            // The kernel joins packets of one sender only: whoever mixes junk in loses all of them.
            if data.chunks(meta.stride.max(1)).any(is_junk) {
                meta.len = 0;
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.0.may_fragment()
    }
}

fn is_junk(packet: &[u8]) -> bool {
    match packet {
        [first, a, b, c, d, ..] if first & LONG_HEADER != 0 => [*a, *b, *c, *d] != VERSION,
        [_, ..] => false,
        [] => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_header_of_another_version_is_junk() {
        assert!(!is_junk(&[0xc0, 0, 0, 0, 1, 8]));
        assert!(is_junk(&[0xc0, 0, 0, 0, 2, 8]));
        assert!(is_junk(&[0xc0, 0x6b, 0x33, 0x43, 0xcf, 8]));
        assert!(!is_junk(&[0x40, 0, 0, 0, 2, 8]));
        assert!(is_junk(&[]));
    }
}
