//! A real relay, on a thread of its own.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use ::relay::config::Config;
use ::relay::leg::{LegKey, RelayAddress};
use ::relay::protocol::OperatorKey;
use ::relay::protocol::token::{self, Terms};
use ::relay::server::{Identity, Server};
use tokio_util::sync::CancellationToken;
use wire::privsep::RelaySetting;
use zeroize::Zeroizing;

use super::LEG_KEY;

pub(super) struct Relay {
    pub(super) address: RelayAddress,
    local: SocketAddr,
    shutdown: CancellationToken,
    killed: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

fn operator() -> OperatorKey {
    OperatorKey::from_seed(Zeroizing::new([41; 32]))
}

impl Relay {
    pub(super) fn start() -> Self {
        Self::start_at(([127, 0, 0, 1], 0).into())
    }

    fn start_at(listen: SocketAddr) -> Self {
        let (shutdown, killed) = (CancellationToken::new(), CancellationToken::new());
        let (drained, dead) = (shutdown.clone(), killed.clone());
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let identity = Identity::self_signed(&[51; 32]).unwrap();
                let config = Config::new(listen, identity, vec![operator().public()]);
                let server = Server::bind(config).unwrap();
                tell.send((server.address("127.0.0.1").unwrap(), server.local_addr())).unwrap();
                dead.run_until_cancelled(server.run(drained)).await
            });
            // As after kill -9: nothing runs that could still say goodbye.
            runtime.shutdown_background();
        });
        let (address, local) = told.recv().unwrap();
        Self { address, local, shutdown, killed, thread: Some(thread) }
    }

    /// As the daemon is configured for it.
    pub(super) fn setting(&self) -> RelaySetting {
        let leg_key = LegKey::from_seed(LEG_KEY).public();
        let terms = Terms { leg_key, shares: 16, bandwidth: 1 << 30, not_after: u64::MAX / 2 };
        let token = token::mint(&operator(), &terms).unwrap();
        RelaySetting { address: self.address.to_string(), token: token.to_string() }
    }

    /// Begins a drain.
    pub(super) fn drain(&self) {
        self.shutdown.cancel();
    }

    /// Kills it, as with SIGKILL, and starts it again in the same place.
    pub(super) fn restart(&mut self) {
        self.killed.cancel();
        self.thread.take().unwrap().join().unwrap();
        let again = Self::start_at(self.local);
        *self = again;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.killed.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}
