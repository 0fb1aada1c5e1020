//! A UDP proxy before the relay: it keeps what passes, and spoils as much of it as it is told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;

/// The largest UDP payload.
const MAX_DATAGRAM: usize = 65_536;
/// What is kept of the traffic, at most.
const MAX_KEPT: usize = 64 << 20;

/// What happens to packets, in each direction, per thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    pub dropped: u64,
    pub duplicated: u64,
    /// Held back for up to this long, so that others overtake it.
    pub reordered: u64,
    pub held: Duration,
    pub corrupted: u64,
}

impl Weather {
    /// A line as bad as a phone's in a train.
    pub fn foul() -> Self {
        let held = Duration::from_millis(30);
        Self { dropped: 50, duplicated: 30, reordered: 50, held, corrupted: 20 }
    }
}

/// A running proxy; it ends with the test.
pub struct Proxy {
    /// Where to send instead of to the relay.
    pub address: SocketAddr,
    sky: Arc<Sky>,
}

struct Sky {
    weather: Weather,
    relay: SocketAddr,
    random: AtomicU64,
    spoilt: AtomicU64,
    passed: AtomicU64,
    seen: Mutex<Vec<u8>>,
}

impl Proxy {
    /// Starts a proxy for the relay at `relay`.
    pub fn start(relay: SocketAddr, weather: Weather) -> Self {
        let sky = Arc::new(Sky {
            weather,
            relay,
            random: AtomicU64::new(0x9e37_79b9_7f4a_7c15),
            spoilt: AtomicU64::new(0),
            passed: AtomicU64::new(0),
            seen: Mutex::default(),
        });
        let (tell, told) = std::sync::mpsc::channel();
        let serving = Arc::clone(&sky);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("start a runtime").block_on(async {
                let front = UdpSocket::bind("127.0.0.1:0").await.expect("bind the proxy");
                tell.send(front.local_addr().expect("it is bound")).expect("the test waits");
                serve(Arc::new(front), serving).await;
            });
        });
        Self { address: told.recv().expect("the proxy starts"), sky }
    }

    /// All that has passed so far, both ways, one packet after the other.
    pub fn seen(&self) -> Vec<u8> {
        self.sky.seen.lock().expect("the proxy lives").clone()
    }

    /// Packets that came, and packets that were dropped, doubled, held back or changed.
    pub fn counts(&self) -> (u64, u64) {
        (self.sky.passed.load(Ordering::Relaxed), self.sky.spoilt.load(Ordering::Relaxed))
    }
}

async fn serve(front: Arc<UdpSocket>, sky: Arc<Sky>) {
    let mut behind: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((length, party)) = front.recv_from(&mut buffer).await else { continue };
        let back = if let Some(back) = behind.get(&party) {
            Arc::clone(back)
        } else {
            let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.expect("bind a way back"));
            behind.insert(party, Arc::clone(&back));
            let (to, by) = (Arc::clone(&front), Arc::clone(&back));
            tokio::spawn(bring_back(by, to, party, Arc::clone(&sky)));
            back
        };
        sky.pass(&back, sky.relay, &buffer[..length]);
    }
}

async fn bring_back(back: Arc<UdpSocket>, front: Arc<UdpSocket>, party: SocketAddr, sky: Arc<Sky>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        // A relay that is away answers with an ICMP error, which is none of ours.
        let Ok((length, _)) = back.recv_from(&mut buffer).await else { continue };
        sky.pass(&front, party, &buffer[..length]);
    }
}

impl Sky {
    fn pass(&self, by: &Arc<UdpSocket>, to: SocketAddr, packet: &[u8]) {
        self.keep(packet);
        self.passed.fetch_add(1, Ordering::Relaxed);
        let Weather { dropped, duplicated, reordered, held, corrupted } = self.weather;
        if self.happens(dropped) {
            return;
        }
        let mut packet = packet.to_vec();
        if self.happens(corrupted) && !packet.is_empty() {
            let at = usize::try_from(self.dice()).unwrap_or(0) % packet.len();
            packet[at] ^= 1 << (self.dice() % 8);
        }
        if self.happens(duplicated) {
            let _ = by.try_send_to(&packet, to);
        }
        if self.happens(reordered) {
            let (by, pause) = (Arc::clone(by), self.part_of(held));
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                let _ = by.try_send_to(&packet, to);
            });
        } else {
            // A full socket drops, as a network does.
            let _ = by.try_send_to(&packet, to);
        }
    }

    fn keep(&self, packet: &[u8]) {
        let mut seen = self.seen.lock().expect("no thread dies with it");
        if seen.len() < MAX_KEPT {
            seen.extend_from_slice(packet);
        }
    }

    fn happens(&self, of_thousand: u64) -> bool {
        let happens = self.dice() % 1000 < of_thousand;
        if happens {
            self.spoilt.fetch_add(1, Ordering::Relaxed);
        }
        happens
    }

    fn part_of(&self, whole: Duration) -> Duration {
        whole * u32::try_from(self.dice() % 1000).unwrap_or(0) / 1000
    }

    /// Xorshift: the same dice in every run.
    fn dice(&self) -> u64 {
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.store(x, Ordering::Relaxed);
        x >> 16
    }
}
