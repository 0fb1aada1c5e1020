//! A relay on a thread of its own, which can die as with SIGKILL and come back at the same place.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use relay::config::Config;
use relay::leg::{LegKey, RelayAddress};
use relay::protocol::token::{self, Terms};
use relay::protocol::{DeploymentToken, OperatorKey};
use relay::server::{Identity, Server};
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

pub(crate) struct Relay {
    pub(crate) address: RelayAddress,
    local: SocketAddr,
    killed: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

fn operator() -> OperatorKey {
    OperatorKey::from_seed(Zeroizing::new([41; 32]))
}

pub(crate) fn leg_key() -> LegKey {
    LegKey::from_seed([31; 32])
}

pub(crate) fn deployment_token() -> DeploymentToken {
    let terms = Terms {
        leg_key: leg_key().public(),
        shares: 16,
        bandwidth: 1 << 30,
        not_after: u64::MAX / 2,
    };
    token::mint(&operator(), &terms).unwrap()
}

impl Relay {
    pub(crate) fn start() -> Self {
        Self::at(([127, 0, 0, 1], 0).into())
    }

    fn at(listen: SocketAddr) -> Self {
        let killed = CancellationToken::new();
        let dead = killed.clone();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let identity = Identity::self_signed(&[51; 32]).unwrap();
                let config = Config::new(listen, identity, vec![operator().public()]);
                let server = Server::bind(config).unwrap();
                tell.send((server.address("127.0.0.1").unwrap(), server.local_addr())).unwrap();
                let _report = dead.run_until_cancelled(server.run(CancellationToken::new())).await;
            });
            runtime.shutdown_background();
        });
        let (address, local) = told.recv().unwrap();
        Self { address, local, killed, thread: Some(thread) }
    }

    /// Kills it and starts another at the same place.
    pub(crate) fn restart(&mut self) {
        self.kill();
        *self = Self::at(self.local);
    }

    fn kill(&mut self) {
        self.killed.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.kill();
    }
}
