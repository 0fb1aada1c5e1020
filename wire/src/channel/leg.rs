//! The relay's legs as paths of a channel.

use std::task::{Context, Poll};

use bytes::Bytes;
use relay::leg::{GuestLeg, HostLeg};
use relay::protocol::FlowId;

use super::path::{PacketPath, Room, SendFault};

/// A guest's leg has one flow, which needs no number.
const ONLY_FLOW: u32 = 0;

impl PacketPath for HostLeg {
    fn try_send(&self, flow: u32, packet: &[u8]) -> Result<(), SendFault> {
        let flow = FlowId::from_number(flow).ok_or(SendFault::Dropped)?;
        Self::try_send(self, flow, packet).map_err(SendFault::from)
    }

    fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<(u32, Bytes)>> {
        let numbered = |(flow, packet): (FlowId, Bytes)| (flow.number(), packet);
        Self::poll_packet(self, cx).map(|packet| packet.map(numbered))
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(Self::room(self))
    }
}

impl PacketPath for GuestLeg {
    fn try_send(&self, _: u32, packet: &[u8]) -> Result<(), SendFault> {
        Self::try_send(self, packet).map_err(SendFault::from)
    }

    fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<(u32, Bytes)>> {
        Self::poll_packet(self, cx).map(|packet| packet.map(|packet| (ONLY_FLOW, packet)))
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(Self::room(self))
    }
}

impl Room for relay::leg::Room {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx)
    }
}

impl From<relay::leg::SendFault> for SendFault {
    fn from(fault: relay::leg::SendFault) -> Self {
        match fault {
            relay::leg::SendFault::Full => Self::Full,
            relay::leg::SendFault::TooLarge | relay::leg::SendFault::Lost => Self::Dropped,
        }
    }
}
