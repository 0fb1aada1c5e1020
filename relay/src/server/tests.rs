//! Legs through a real relay, over real sockets on loopback.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::*;
use crate::config::{Config, Limits};
use crate::leg::{
    DialFault, Dialer, GuestEvent, GuestEvents, GuestLeg, HostEvent, HostEvents, HostLeg, LegKey,
    Lost, RegisterFault, RelayAddress, Trust,
};
use crate::protocol::token::{self, Terms};
use crate::protocol::{DeploymentToken, FlowId, OperatorKey, Refusal, RendezvousKey, SAFE_PACKET};

mod hostile;
mod meeting;
mod restart;

const SEED: [u8; 32] = [21; 32];
const OTHER_SEED: [u8; 32] = [22; 32];
const LEG: [u8; 32] = [31; 32];

/// Longer than anything here takes; shorter than anyone would wait.
const PATIENCE: Duration = Duration::from_secs(20);

/// A relay that serves on a thread of its own, and dies with this.
struct World {
    address: RelayAddress,
    local: SocketAddr,
    shutdown: CancellationToken,
    killed: CancellationToken,
    thread: Option<JoinHandle<Option<Report>>>,
}

fn operator() -> OperatorKey {
    OperatorKey::from_seed(Zeroizing::new([41; 32]))
}

fn config(listen: SocketAddr, limits: Limits) -> Config {
    let identity = Identity::self_signed(&[51; 32]).unwrap();
    let config = Config::new(listen, identity, vec![operator().public()]);
    Config { limits, drain: Duration::from_millis(300), ..config }
}

fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn start(limits: Limits, listen: SocketAddr) -> World {
    let (shutdown, killed) = (CancellationToken::new(), CancellationToken::new());
    let (drained, dead) = (shutdown.clone(), killed.clone());
    let (tell, told) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let report = runtime.block_on(async {
            let server = Server::bind(config(listen, limits)).unwrap();
            tell.send((server.address("127.0.0.1").unwrap(), server.local_addr())).unwrap();
            dead.run_until_cancelled(server.run(drained)).await
        });
        // As after kill -9: nothing runs that could still say goodbye.
        runtime.shutdown_background();
        report
    });
    let (address, local) = told.recv().unwrap();
    World { address, local, shutdown, killed, thread: Some(thread) }
}

fn terms() -> Terms {
    let leg_key = LegKey::from_seed(LEG).public();
    Terms { leg_key, shares: 16, bandwidth: 1 << 30, not_after: u64::MAX / 2 }
}

fn minted(terms: &Terms) -> DeploymentToken {
    token::mint(&operator(), terms).unwrap()
}

fn dialer() -> Dialer {
    Dialer::new(Trust::pins_only(), Duration::from_secs(5))
}

impl World {
    fn new() -> Self {
        start(Limits::default(), loopback())
    }

    async fn host_with(&self, token: &DeploymentToken) -> Result<(HostLeg, HostEvents), DialFault> {
        HostLeg::dial(&dialer(), &self.address, &LegKey::from_seed(LEG), token).await
    }

    async fn host(&self) -> (HostLeg, HostEvents) {
        self.host_with(&minted(&terms())).await.unwrap()
    }

    /// A host with the key of `SEED` registered.
    async fn ready_host(&self) -> (HostLeg, HostEvents) {
        let (host, events) = self.host().await;
        host.register(RendezvousKey::of_seed(&SEED)).await.unwrap();
        (host, events)
    }

    async fn guest(&self, seed: &[u8; 32]) -> Result<(GuestLeg, GuestEvents), DialFault> {
        GuestLeg::dial(&dialer(), &self.address, seed).await
    }

    /// A guest that does not wait long.
    async fn hasty_guest(&self, seed: &[u8; 32]) -> DialFault {
        let dialer = Dialer::new(Trust::pins_only(), Duration::from_millis(500));
        GuestLeg::dial(&dialer, &self.address, seed).await.unwrap_err()
    }

    /// As with SIGKILL.
    fn kill(mut self) -> SocketAddr {
        self.killed.cancel();
        self.thread.take().unwrap().join().unwrap();
        self.local
    }

    /// What it reports when it has ended by itself.
    async fn report(mut self) -> Report {
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(|| thread.join().unwrap()).await.unwrap().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.killed.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn opened(events: &mut HostEvents) -> FlowId {
    let event = timeout(PATIENCE, events.next()).await.unwrap();
    let HostEvent::FlowOpened { flow, rendezvous } = event else { panic!("{event:?}") };
    assert_eq!(rendezvous, RendezvousKey::of_seed(&SEED));
    flow
}

/// One packet each way.
async fn echo(host: &HostLeg, guest: &GuestLeg, packet: &[u8]) -> FlowId {
    guest.try_send(packet).unwrap();
    let (flow, received) = timeout(PATIENCE, host.packet()).await.unwrap().unwrap();
    assert_eq!(received, packet);
    host.try_send(flow, packet).unwrap();
    assert_eq!(timeout(PATIENCE, guest.packet()).await.unwrap().unwrap(), packet);
    flow
}
