//! The two ends of a channel.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig, QuicServerConfig};
use quinn::{
    Connection, ConnectionError, Endpoint, EndpointConfig, Incoming, TokioRuntime, TransportConfig,
    TransportErrorCode, ValidationTokenConfig, VarInt,
};
use rustls::pki_types::CertificateDer;

use super::identity::{
    ChannelKey, HolderKey, ResetKey, SERVER_NAME, client_tls, raw_key, server_tls,
};
use super::path::{LegNumber, PacketPath, Route};
use super::reset;
use super::settings::{Limits, transport};
use super::socket::VirtualSocket;

/// How long a peer has to finish the handshake.
pub const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// How long [`ServerEndpoint::close`] and [`ClientEndpoint::close`] wait for the peers to hear of it.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// Handshakes that wait to be accepted or ignored; more are refused.
const MAX_ARRIVALS: usize = 256;
/// Bytes that an arrival may send before it is accepted: its first flight and a repetition of it.
const ARRIVAL_BYTES: u64 = 8 * 1024;

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelFault {
    /// The other end holds another key than the passport names.
    #[error("the other end does not hold the key that the passport names")]
    WrongChannelKey,
    /// The handshake took too long.
    #[error("no answer within {} s", HANDSHAKE_LIMIT.as_secs())]
    TimedOut,
    /// The connection ended.
    #[error("the channel failed")]
    Connection(#[source] ConnectionError),
    /// The endpoint is being closed.
    #[error("the endpoint is closed")]
    Closed,
    /// The keys could not be set up.
    #[error("cannot set up the channel's keys")]
    Keys(#[source] rustls::Error),
    /// The cryptography library lacks what QUIC needs.
    #[error("cannot set up the channel's first cipher")]
    Cipher(#[source] NoInitialCipherSuite),
    /// QUIC could not be started.
    #[error("cannot start QUIC")]
    Start(#[source] io::Error),
}

impl From<ConnectionError> for ChannelFault {
    fn from(error: ConnectionError) -> Self {
        /// TLS's alert `access_denied`, which only our own check of the peer's key raises at this end.
        const ACCESS_DENIED: u8 = 49;
        let denied = TransportErrorCode::crypto(ACCESS_DENIED);
        if matches!(&error, ConnectionError::TransportError(fault) if fault.code == denied) {
            return Self::WrongChannelKey;
        }
        if error == ConnectionError::TimedOut { Self::TimedOut } else { Self::Connection(error) }
    }
}

/// The daemon's end: one for all legs, flows and shares.
#[derive(Clone, Debug)]
pub struct ServerEndpoint {
    endpoint: Endpoint,
    socket: Arc<VirtualSocket>,
    transport: Arc<TransportConfig>,
}

impl ServerEndpoint {
    /// An end without legs. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When QUIC or its keys cannot be set up: a fault of this machine.
    pub fn new(reset: &ResetKey, limits: Limits) -> Result<Self, ChannelFault> {
        let socket = VirtualSocket::daemon();
        let transport = transport(limits);
        let unused = server_config(&ChannelKey::from_seed(random()?), &transport)?;
        let endpoint = start(reset::endpoint_config(reset), Some(unused), Arc::clone(&socket))?;
        Ok(Self { endpoint, socket, transport })
    }

    /// Adds a leg, in place of an older one of the same number; connections over it go on.
    pub fn attach(&self, leg: LegNumber, path: Arc<dyn PacketPath>) {
        self.socket.attach(leg, path);
    }

    /// Removes a leg. A lost one removes itself.
    pub fn detach(&self, leg: LegNumber) {
        self.socket.detach(leg);
    }

    /// The next client; `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Arrival> {
        loop {
            let incoming = self.endpoint.accept().await?;
            match Route::of(incoming.remote_address()) {
                Some(route) => {
                    let transport = Arc::clone(&self.transport);
                    return Some(Arrival { incoming: Some(incoming), route, transport });
                }
                None => incoming.ignore(),
            }
        }
    }

    /// Ends every connection, and waits up to a second for the peers to hear of it.
    pub async fn close(&self) {
        farewell(&self.endpoint).await;
    }
}

/// A client whose first packet has arrived and nothing else. Dropped, it is ignored in silence.
#[derive(Debug)]
pub struct Arrival {
    incoming: Option<Incoming>,
    route: Route,
    transport: Arc<TransportConfig>,
}

impl Arrival {
    /// Where it came from, by which the broker knows the share.
    #[must_use]
    pub fn route(&self) -> Route {
        self.route
    }

    /// Completes the handshake with the key of the share that the route leads to.
    ///
    /// # Errors
    /// The peer broke it off, took longer than [`HANDSHAKE_LIMIT`], or showed no key.
    pub async fn admit(mut self, key: &ChannelKey) -> Result<Connection, ChannelFault> {
        let config = Arc::new(server_config(key, &self.transport)?);
        let incoming = self.incoming.take().ok_or(ChannelFault::Closed)?;
        let connection = within_limit(incoming.accept_with(config)?).await?;
        match peer_holder_key(&connection) {
            Some(_) => Ok(connection),
            None => Err(ChannelFault::WrongChannelKey),
        }
    }

    /// Says nothing to the client.
    pub fn ignore(self) {}
}

impl Drop for Arrival {
    /// QUIC's own drop answers with a refusal, which would tell a stranger that there is somebody.
    fn drop(&mut self) {
        if let Some(incoming) = self.incoming.take() {
            incoming.ignore();
        }
    }
}

/// The key that the client of `connection` has proved to hold; always there after [`Arrival::admit`].
#[must_use]
pub fn peer_holder_key(connection: &Connection) -> Option<[u8; 32]> {
    let identity = connection.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    raw_key(identity.first()?)
}

/// Where the client of `connection` is now. It moves when the client changes its leg.
#[must_use]
pub fn route_of(connection: &Connection) -> Option<Route> {
    Route::of(connection.remote_address())
}

/// The client's end, over one leg at a time.
#[derive(Clone, Debug)]
pub struct ClientEndpoint {
    endpoint: Endpoint,
    transport: Arc<TransportConfig>,
}

impl ClientEndpoint {
    /// An end over `path`. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// When QUIC cannot be started.
    pub fn new(path: Arc<dyn PacketPath>, limits: Limits) -> Result<Self, ChannelFault> {
        let socket = VirtualSocket::guest(path);
        let endpoint = start(EndpointConfig::default(), None, socket)?;
        Ok(Self { endpoint, transport: transport(limits) })
    }

    /// Connects as `holder` to the daemon that holds `channel_key`.
    ///
    /// # Errors
    /// The daemon holds another key, broke off, or did not answer within [`HANDSHAKE_LIMIT`].
    pub async fn connect(
        &self,
        holder: &HolderKey,
        channel_key: &[u8; 32],
    ) -> Result<Connection, ChannelFault> {
        let config = client_config(holder, *channel_key, &self.transport)?;
        let daemon = Route::DAEMON.address();
        let connecting = self.endpoint.connect_with(config, daemon, SERVER_NAME);
        within_limit(connecting.map_err(|_| ChannelFault::Closed)?).await
    }

    /// Moves to another leg, with every live connection: the daemon hears of it at once.
    ///
    /// # Errors
    /// When QUIC does not take the new leg; the old one stays.
    pub fn replace_leg(&self, path: Arc<dyn PacketPath>) -> Result<(), ChannelFault> {
        self.endpoint.rebind_abstract(VirtualSocket::guest(path)).map_err(ChannelFault::Start)
    }

    /// Ends every connection, and waits up to a second for the daemon to hear of it.
    pub async fn close(&self) {
        farewell(&self.endpoint).await;
    }
}

fn start(
    config: EndpointConfig,
    server: Option<quinn::ServerConfig>,
    socket: Arc<VirtualSocket>,
) -> Result<Endpoint, ChannelFault> {
    Endpoint::new_with_abstract_socket(config, server, socket, Arc::new(TokioRuntime))
        .map_err(ChannelFault::Start)
}

fn client_config(
    holder: &HolderKey,
    channel_key: [u8; 32],
    transport: &Arc<TransportConfig>,
) -> Result<quinn::ClientConfig, ChannelFault> {
    let tls = client_tls(holder, channel_key).map_err(ChannelFault::Keys)?;
    let crypto = QuicClientConfig::try_from(tls).map_err(ChannelFault::Cipher)?;
    let mut config = quinn::ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::clone(transport));
    config.token_store(Arc::new(quinn::NoneTokenStore));
    Ok(config)
}

fn server_config(
    key: &ChannelKey,
    transport: &Arc<TransportConfig>,
) -> Result<quinn::ServerConfig, ChannelFault> {
    let tls = server_tls(key).map_err(ChannelFault::Keys)?;
    let crypto = QuicServerConfig::try_from(tls).map_err(ChannelFault::Cipher)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    config
        .transport_config(Arc::clone(transport))
        .validation_token_config(no_tokens())
        .max_incoming(MAX_ARRIVALS)
        .incoming_buffer_size(ARRIVAL_BYTES)
        .incoming_buffer_size_total(ARRIVAL_BYTES * MAX_ARRIVALS as u64);
    Ok(config)
}

/// A token would let the relay link two connections of one client.
fn no_tokens() -> ValidationTokenConfig {
    let mut config = ValidationTokenConfig::default();
    config.sent(0).log(Arc::new(quinn::NoneTokenLog));
    config
}

async fn within_limit(connecting: quinn::Connecting) -> Result<Connection, ChannelFault> {
    match tokio::time::timeout(HANDSHAKE_LIMIT, connecting).await {
        Ok(result) => Ok(result?),
        Err(_) => Err(ChannelFault::TimedOut),
    }
}

async fn farewell(endpoint: &Endpoint) {
    endpoint.close(VarInt::from_u32(0), b"");
    let _late = tokio::time::timeout(FAREWELL_LIMIT, endpoint.wait_idle()).await;
}

fn random() -> Result<[u8; 32], ChannelFault> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|fault| ChannelFault::Start(io::Error::other(fault.to_string())))?;
    Ok(seed)
}
