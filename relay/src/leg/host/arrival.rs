//! Packets in the order that a host can use: none before its flow is known.
//!
//! The relay tells of a flow on the control stream and its packets come as datagrams, which can overtake it. Early ones
//! are held, few of them: dropping the first packet of a channel would cost its client a retransmission.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::task::{Context, Waker};

use bytes::Bytes;

use crate::lock::lock;
use crate::protocol::{FlowId, RendezvousKey};

/// Packets of unknown flows that are held; the oldest goes first.
const EARLY_MAX: usize = 32;

/// Flows of one leg. The relay is not trusted to keep to a bound.
const FLOWS_MAX: usize = 1 << 16;

/// The flows of a leg, and the packets that came too early.
#[derive(Default)]
pub(super) struct Arrivals(Mutex<Held>);

#[derive(Default)]
struct Held {
    flows: HashMap<FlowId, RendezvousKey>,
    early: VecDeque<(FlowId, Bytes)>,
    released: VecDeque<(FlowId, Bytes)>,
    reader: Option<Waker>,
}

impl Arrivals {
    /// The key of an open flow.
    pub(super) fn rendezvous_of(&self, flow: FlowId) -> Option<RendezvousKey> {
        lock(&self.0).flows.get(&flow).copied()
    }

    /// The packet, if its flow is known; otherwise it is held.
    pub(super) fn admit(&self, flow: FlowId, packet: Bytes) -> Option<Bytes> {
        let mut held = lock(&self.0);
        if held.flows.contains_key(&flow) {
            return Some(packet);
        }
        if held.early.len() >= EARLY_MAX {
            held.early.pop_front();
        }
        held.early.push_back((flow, packet));
        None
    }

    /// A packet that was held and whose flow is known now. Otherwise the task of `cx` is woken when there is one.
    pub(super) fn released(&self, cx: &Context<'_>) -> Option<(FlowId, Bytes)> {
        let mut held = lock(&self.0);
        let packet = held.released.pop_front();
        if packet.is_none() && !held.reader.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            held.reader = Some(cx.waker().clone());
        }
        packet
    }

    /// Opens a flow and releases its early packets. Whether there was room for it.
    #[must_use]
    pub(super) fn open(&self, flow: FlowId, rendezvous: RendezvousKey) -> bool {
        let mut held = lock(&self.0);
        if held.flows.len() >= FLOWS_MAX {
            return false;
        }
        held.flows.insert(flow, rendezvous);
        let (released, early): (VecDeque<_>, VecDeque<_>) =
            held.early.drain(..).partition(|(early, _)| *early == flow);
        held.early = early;
        held.released.extend(released);
        if let Some(reader) = held.reader.take() {
            reader.wake();
        }
        true
    }

    /// Forgets a flow. Whether it was open.
    pub(super) fn close(&self, flow: FlowId) -> bool {
        lock(&self.0).flows.remove(&flow).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(number: u32) -> FlowId {
        FlowId::from_number(number).unwrap()
    }

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn a_packet_that_overtakes_its_flow_comes_out_after_it() {
        let arrivals = Arrivals::default();
        assert_eq!(arrivals.admit(flow(1), Bytes::from_static(b"early")), None);
        assert_eq!(arrivals.released(&context()), None);
        assert!(arrivals.open(flow(1), RendezvousKey([1; 32])));
        assert_eq!(arrivals.released(&context()), Some((flow(1), Bytes::from_static(b"early"))));
        assert_eq!(arrivals.rendezvous_of(flow(1)), Some(RendezvousKey([1; 32])));
        let next = Bytes::from_static(b"next");
        assert_eq!(arrivals.admit(flow(1), next.clone()), Some(next));
    }

    #[test]
    fn packets_of_another_flow_stay_held() {
        let arrivals = Arrivals::default();
        arrivals.admit(flow(1), Bytes::new());
        assert!(arrivals.open(flow(2), RendezvousKey([2; 32])));
        assert_eq!(arrivals.released(&context()), None);
    }

    #[test]
    fn re3_early_packets_are_bounded_and_the_oldest_goes() {
        let arrivals = Arrivals::default();
        for number in 0..=EARLY_MAX {
            arrivals.admit(flow(u32::try_from(number).unwrap() + 1), Bytes::new());
        }
        assert!(arrivals.open(flow(1), RendezvousKey([1; 32])));
        assert_eq!(arrivals.released(&context()), None);
        assert!(arrivals.open(flow(2), RendezvousKey([1; 32])));
        assert!(arrivals.released(&context()).is_some());
    }

    #[test]
    fn a_closed_flow_has_no_key() {
        let arrivals = Arrivals::default();
        assert!(arrivals.open(flow(1), RendezvousKey([1; 32])));
        assert!(arrivals.close(flow(1)));
        assert!(!arrivals.close(flow(1)));
        assert_eq!(arrivals.rendezvous_of(flow(1)), None);
    }
}
