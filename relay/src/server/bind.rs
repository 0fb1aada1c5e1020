//! The relay as a value: bound, then run.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Incoming, Runtime, ServerConfig, TokioRuntime,
    TransportConfig, ValidationTokenConfig, VarInt,
};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::admission::Verdict;
use super::attend::attend;
use super::drain::{self, Report};
use super::forward::Relay;
use super::identity::{Identity, IdentityFault};
use super::silence::Silent;
use crate::config::{Config, Limits};
use crate::leg::{AddressFault, Pin, RelayAddress};
use crate::quic;

/// A leg may be silent for so long; legs ask for less.
const IDLE_MS: u32 = 30_000;

/// How often what has expired is looked for.
const TICK: Duration = Duration::from_millis(250);

/// How often counts are logged.
const SUMMARY: Duration = Duration::from_mins(1);

/// What a connection may send before it is accepted, in bytes: a client's first flight.
const FIRST_FLIGHT: u64 = 8 << 10;

/// A relay that has its socket. It serves when it is [run](Server::run).
pub struct Server {
    relay: Arc<Relay>,
    endpoint: Endpoint,
    address: SocketAddr,
    pin: Pin,
    drain: Duration,
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
pub enum BindFault {
    /// No socket there.
    #[error(
        "cannot listen on `{listen}`: is another relay running, and is the address this machine's?"
    )]
    Listen {
        /// As configured.
        listen: SocketAddr,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// The identity cannot be used.
    #[error("cannot set up TLS")]
    Identity(#[from] IdentityFault),
}

impl Server {
    /// Binds the socket. Call it in a tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or the identity is no good.
    pub fn bind(config: Config) -> Result<Self, BindFault> {
        let Config { listen, identity, operators, drain, limits } = config;
        let server = server_config(&identity, &limits)?;
        let fault = |source| BindFault::Listen { listen, source };
        let endpoint = endpoint(listen, &identity, server).map_err(fault)?;
        let address = endpoint.local_addr().map_err(fault)?;
        let relay = Arc::new(Relay::new(limits, operators));
        Ok(Self { relay, endpoint, address, pin: identity.pin(), drain })
    }

    /// Where it listens; the port is known even when any was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// By which legs may know it.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// The address to give to legs that reach this machine as `host`, pin included.
    ///
    /// # Errors
    /// When `host` is no host.
    pub fn address(&self, host: &str) -> Result<RelayAddress, AddressFault> {
        RelayAddress::new(host, self.address.port(), Some(self.pin))
    }

    /// Serves until `shutdown`, then drains: legs are told, and given a bounded time to leave. To end at once, drop the
    /// future.
    pub async fn run(self, shutdown: CancellationToken) -> Report {
        let Self { relay, endpoint, drain, .. } = self;
        let mut legs = JoinSet::new();
        let (mut tick, mut summary) = (interval(TICK), interval(SUMMARY));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        summary.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                incoming = endpoint.accept() => match incoming {
                    Some(incoming) => receive(&relay, &mut legs, incoming),
                    None => break,
                },
                Some(_) = legs.join_next() => {}
                _ = tick.tick() => relay.tick(),
                _ = summary.tick() => summarise(&relay),
            }
        }
        let report = drain::drain(&relay, &endpoint, &mut legs, drain).await;
        summarise(&relay);
        report
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

fn summarise(relay: &Relay) {
    let (hosts, guests) = relay.size();
    relay.tally.summarise(hosts, guests);
}

/// Judges a connection that begins, and attends to it if it may.
pub(crate) fn receive(relay: &Arc<Relay>, legs: &mut JoinSet<()>, incoming: Incoming) {
    let peer = incoming.remote_address().ip();
    match relay.admission.arrive(peer, incoming.remote_address_validated()) {
        Verdict::Enter(entry) => {
            legs.spawn(attend(Arc::clone(relay), incoming, entry));
        }
        Verdict::Prove => {
            // A peer that cannot be asked any more has proved its address.
            if let Err(error) = incoming.retry() {
                error.into_incoming().refuse();
            }
        }
        Verdict::Refuse => {
            relay.tally.turned_away();
            incoming.refuse();
        }
    }
}

fn endpoint(listen: SocketAddr, identity: &Identity, server: ServerConfig) -> io::Result<Endpoint> {
    let socket = UdpSocket::bind(listen)?;
    quic::widen(&socket);
    let mut config = EndpointConfig::new(identity.reset_key());
    let key = identity.connection_id_key();
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    let socket = Arc::new(Silent(TokioRuntime.wrap_udp_socket(socket)?));
    Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))
}

fn server_config(identity: &Identity, limits: &Limits) -> Result<ServerConfig, IdentityFault> {
    let mut config = ServerConfig::with_crypto(Arc::new(identity.tls()?));
    let mut no_tokens = ValidationTokenConfig::default();
    no_tokens.sent(0);
    config
        .transport_config(Arc::new(transport(limits)))
        .validation_token_config(no_tokens)
        .max_incoming(limits.handshakes as usize)
        .incoming_buffer_size(FIRST_FLIGHT)
        .incoming_buffer_size_total(FIRST_FLIGHT * u64::from(limits.handshakes));
    Ok(config)
}

fn transport(limits: &Limits) -> TransportConfig {
    let queue = usize::try_from(limits.queue).unwrap_or(usize::MAX);
    let mut transport = quic::transport(queue, queue, IdleTimeout::from(VarInt::from_u32(IDLE_MS)));
    // The control stream.
    transport.max_concurrent_bidi_streams(VarInt::from_u32(1));
    transport
}
