//! A path in memory: two ends, a delay, and weather.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::channel::{PacketPath, Room, SendFault};

/// The one flow of a link.
pub(super) const FLOW: u32 = 0x1234_5678;
const DELAY: Duration = Duration::from_millis(10);

/// What happens to packets, in percent, and how many may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) seed: u64,
    pub(super) loss: u64,
    pub(super) duplicates: u64,
    pub(super) corruption: u64,
    pub(super) delayed: u64,
    pub(super) queue: usize,
}

impl Weather {
    pub(super) const FAIR: Self =
        Self { seed: 1, loss: 0, duplicates: 0, corruption: 0, delayed: 0, queue: 100_000 };
    pub(super) const STORM: Self =
        Self { loss: 5, duplicates: 5, corruption: 5, delayed: 10, ..Self::FAIR };
}

/// One end: what it sends arrives in the other's inbox.
pub(super) struct End {
    inbox: Arc<Inbox>,
    outbox: Arc<Inbox>,
    weather: Weather,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    random: u64,
    sent: u64,
    mangled: u64,
    refused: u64,
    cut: bool,
    sleep: Option<Pin<Box<Sleep>>>,
}

#[derive(Default)]
struct Inbox(Mutex<Packets>);

#[derive(Default)]
struct Packets {
    due: BTreeMap<(Instant, u64), Bytes>,
    count: u64,
    receiver: Option<Waker>,
    senders: VecDeque<Waker>,
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("End")
    }
}

/// A fresh path: the guest's end, and the host's.
pub(super) fn link(weather: Weather) -> (Arc<End>, Arc<End>) {
    let (up, down) = (Arc::<Inbox>::default(), Arc::<Inbox>::default());
    let near = End::new(Arc::clone(&down), Arc::clone(&up), weather);
    (near, End::new(up, down, Weather { seed: weather.seed + 77, ..weather }))
}

impl End {
    fn new(inbox: Arc<Inbox>, outbox: Arc<Inbox>, weather: Weather) -> Arc<Self> {
        let state = State { random: weather.seed, ..State::default() };
        Arc::new(Self { inbox, outbox, weather, state: Mutex::new(state) })
    }

    /// From now on nothing gets through this end, and nobody is told.
    pub(super) fn cut(&self) {
        self.state().cut = true;
    }

    /// Ends this end for good, as a lost leg does, and gives another in its place.
    pub(super) fn reconnect(&self) -> Arc<Self> {
        self.cut();
        Self::new(Arc::clone(&self.inbox), Arc::clone(&self.outbox), self.weather)
    }

    /// Puts `packet` on the way as it is.
    pub(super) fn inject(&self, packet: &[u8]) {
        self.outbox.put(Bytes::copy_from_slice(packet), DELAY);
    }

    pub(super) fn sent(&self) -> u64 {
        self.state().sent
    }

    pub(super) fn mangled(&self) -> u64 {
        self.state().mangled
    }

    pub(super) fn refused(&self) -> u64 {
        self.state().refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn happens(&mut self, percent: u64) -> bool {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let happens = (self.random >> 33) % 100 < percent;
        self.mangled += u64::from(happens);
        happens
    }

    fn corrupt(&mut self, packet: &mut [u8]) {
        let place = usize::try_from(self.random >> 33).unwrap() % packet.len();
        packet[place] ^= 1 << (self.random >> 61);
    }
}

impl Inbox {
    fn packets(&self) -> MutexGuard<'_, Packets> {
        self.0.lock().unwrap()
    }

    fn put(&self, packet: Bytes, delay: Duration) {
        let mut packets = self.packets();
        packets.count += 1;
        let key = (Instant::now() + delay, packets.count);
        packets.due.insert(key, packet);
        if let Some(receiver) = packets.receiver.take() {
            receiver.wake();
        }
    }
}

impl PacketPath for End {
    fn try_send(&self, flow: u32, packet: &[u8]) -> Result<(), SendFault> {
        assert!(flow == FLOW || flow == 0, "sent to flow {flow}, which nobody opened");
        let mut state = self.state();
        if self.outbox.packets().due.len() >= self.weather.queue {
            state.refused += 1;
            return Err(SendFault::Full);
        }
        state.sent += 1;
        if state.cut || state.happens(self.weather.loss) {
            return Ok(());
        }
        let mut packet = packet.to_vec();
        if state.happens(self.weather.corruption) {
            state.corrupt(&mut packet);
        }
        let delay = if state.happens(self.weather.delayed) { DELAY * 3 } else { DELAY };
        if state.happens(self.weather.duplicates) {
            self.outbox.put(Bytes::copy_from_slice(&packet), delay * 2);
        }
        self.outbox.put(packet.into(), delay);
        Ok(())
    }

    fn poll_packet(&self, cx: &mut Context<'_>) -> Poll<Option<(u32, Bytes)>> {
        let mut state = self.state();
        let mut packets = self.inbox.packets();
        packets.receiver = Some(cx.waker().clone());
        if state.cut {
            return Poll::Pending;
        }
        let Some(next) = packets.due.first_entry() else { return Poll::Pending };
        let mut sleep = Box::pin(sleep_until(next.key().0));
        if sleep.as_mut().poll(cx).is_pending() {
            state.sleep = Some(sleep);
            return Poll::Pending;
        }
        let packet = next.remove();
        packets.senders.drain(..).for_each(Waker::wake);
        Poll::Ready(Some((FLOW, packet)))
    }

    fn room(&self) -> Box<dyn Room> {
        Box::new(LinkRoom { outbox: Arc::clone(&self.outbox), queue: self.weather.queue })
    }
}

struct LinkRoom {
    outbox: Arc<Inbox>,
    queue: usize,
}

impl fmt::Debug for LinkRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkRoom")
    }
}

impl Room for LinkRoom {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut packets = self.outbox.packets();
        if packets.due.len() < self.queue {
            return Poll::Ready(());
        }
        packets.senders.push_back(cx.waker().clone());
        Poll::Pending
    }
}
