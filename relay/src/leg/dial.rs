//! From an address to a connection that is known to carry full packets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{
    ClientConfig, Connection, Endpoint, EndpointConfig, IdleTimeout, NoneTokenStore, SendStream,
    TokioRuntime, VarInt,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::RelayAddress;
use super::fault::{DialFault, Lost};
use super::trust::Trust;
use crate::protocol::control::{LegMessage, RelayMessage};
use crate::protocol::flow;
use crate::protocol::hello::{EXPORTER_LABEL, Exporter};
use crate::protocol::limits::MAX_CONTROL;
use crate::protocol::stream::{self, ControlReader, ReadFault};
use crate::quic;

/// Datagrams that wait for the socket, in bytes; a sender beyond it waits, too.
const SEND_QUEUE: usize = 1 << 20;

/// Datagrams that wait for the leg's owner, in bytes. The kernel hands over two thousand packets at a time, 2.6 MiB.
const RECEIVE_QUEUE: usize = 4 << 20;

/// A leg on which nothing comes for so long is lost; keep-alives are three times as frequent, or more.
const IDLE_MS: u32 = 6000;

/// The second address of a name is tried when the first has not answered for so long (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// A probe may be lost like any packet.
const PROBES: u32 = 8;
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// How to dial: whom to trust, how long to try.
#[derive(Clone, Debug)]
pub struct Dialer {
    trust: Trust,
    timeout: Duration,
}

/// A connection whose hello was accepted.
pub(crate) struct Dialled {
    pub(crate) endpoint: Endpoint,
    pub(crate) connection: Connection,
    pub(crate) writer: SendStream,
    pub(crate) reader: ControlReader<RelayMessage>,
    pub(crate) welcome: RelayMessage,
}

impl Dialer {
    /// A dial takes at most `timeout`, all its tries together.
    #[must_use]
    pub fn new(trust: Trust, timeout: Duration) -> Self {
        Self { trust, timeout }
    }

    /// Dials, says the hello that `hello` makes for the connection, and probes the path meanwhile.
    pub(crate) async fn dial(
        &self,
        address: &RelayAddress,
        keep_alive: Duration,
        hello: impl FnOnce(Exporter) -> LegMessage,
    ) -> Result<Dialled, DialFault> {
        let deadline = Instant::now() + self.timeout;
        let config = self.config(address, keep_alive)?;
        let connecting = async {
            let places = resolve(address).await?;
            race(places, config, address).await
        };
        let (endpoint, connection) = match timeout_at(deadline, connecting).await {
            Ok(connected) => connected?,
            Err(_) => return Err(DialFault::Unreachable { address: address.clone() }),
        };
        let (welcome, wide) = tokio::join!(
            greet(&connection, hello, deadline, address),
            timeout_at(deadline, is_wide(&connection))
        );
        let (writer, reader, welcome) = welcome?;
        if wide != Ok(true) {
            return Err(DialFault::Narrow { address: address.clone() });
        }
        Ok(Dialled { endpoint, connection, writer, reader, welcome })
    }

    fn config(
        &self,
        address: &RelayAddress,
        keep_alive: Duration,
    ) -> Result<ClientConfig, DialFault> {
        let tls = self.trust.client(address.pin()).ok_or_else(|| DialFault::Certificate {
            address: address.clone(),
            reason: "there is no pin in the address and no certificate authority to ask".to_owned(),
        })?;
        let tls = QuicClientConfig::try_from(tls)
            .map_err(|error| DialFault::Socket(io::Error::other(error)))?;
        let mut transport = quic::transport(
            SEND_QUEUE,
            RECEIVE_QUEUE,
            IdleTimeout::from(VarInt::from_u32(IDLE_MS)),
        );
        transport.keep_alive_interval(Some(keep_alive));
        let mut config = ClientConfig::new(Arc::new(tls));
        config.transport_config(Arc::new(transport)).token_store(Arc::new(NoneTokenStore));
        Ok(config)
    }
}

/// A literal address is never given to the resolver, which reads files that a sandbox may have closed.
async fn resolve(address: &RelayAddress) -> Result<Vec<SocketAddr>, DialFault> {
    if let Ok(ip) = address.host().parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, address.port())]);
    }
    let fault = |source| DialFault::Resolve { host: address.host().to_owned(), source };
    let found = tokio::net::lookup_host((address.host(), address.port())).await.map_err(fault)?;
    let places: Vec<_> = found.take(ADDRESSES_MAX).collect();
    if places.is_empty() { Err(fault(io::ErrorKind::NotFound.into())) } else { Ok(places) }
}

/// The first of the addresses to complete a handshake; when none does, the fault of the last.
async fn race(
    places: Vec<SocketAddr>,
    config: ClientConfig,
    address: &RelayAddress,
) -> Result<(Endpoint, Connection), DialFault> {
    let mut tries = JoinSet::new();
    let mut start = Duration::ZERO;
    for place in places {
        let (config, address) = (config.clone(), address.clone());
        tries.spawn(async move {
            sleep(start).await;
            connect(place, config, &address).await
        });
        start += STAGGER;
    }
    let mut last = DialFault::Unreachable { address: address.clone() };
    while let Some(tried) = tries.join_next().await {
        match tried {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(fault)) => last = fault,
            Err(_) => {}
        }
    }
    Err(last)
}

async fn connect(
    place: SocketAddr,
    config: ClientConfig,
    address: &RelayAddress,
) -> Result<(Endpoint, Connection), DialFault> {
    let endpoint = endpoint(place).map_err(DialFault::Socket)?;
    let connecting = endpoint
        .connect_with(config, place, address.host())
        .map_err(|error| DialFault::Socket(io::Error::other(error)))?;
    let connection = connecting.await;
    connection
        .map(|connection| (endpoint, connection))
        .map_err(|error| DialFault::from_handshake(&error, address))
}

fn endpoint(place: SocketAddr) -> io::Result<Endpoint> {
    let any: IpAddr = match place {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    quic::widen(&socket);
    Endpoint::new(EndpointConfig::default(), None, socket, Arc::new(TokioRuntime))
}

/// Says hello and waits for the answer that ends the wait: a welcome, or a place with a host.
async fn greet(
    connection: &Connection,
    hello: impl FnOnce(Exporter) -> LegMessage,
    deadline: Instant,
    address: &RelayAddress,
) -> Result<(SendStream, ControlReader<RelayMessage>, RelayMessage), DialFault> {
    let waits = AtomicBool::new(false);
    let talk = async {
        let (mut writer, reader) = connection.open_bi().await.map_err(|_| ReadFault::Ended)?;
        let mut reader = ControlReader::new(reader, MAX_CONTROL);
        stream::write(&mut writer, &hello(exporter(connection)?)).await?;
        loop {
            let answer = reader.next().await?;
            if answer != RelayMessage::Waiting {
                return Ok((writer, reader, answer));
            }
            waits.store(true, Ordering::Relaxed);
        }
    };
    match timeout_at(deadline, talk).await {
        Ok(Ok(talked)) => Ok(talked),
        Ok(Err(fault)) => Err(DialFault::from_lost(why(connection, &fault).await)),
        Err(_) if waits.load(Ordering::Relaxed) => Err(DialFault::NotHere),
        Err(_) => Err(DialFault::Unreachable { address: address.clone() }),
    }
}

fn exporter(connection: &Connection) -> Result<Exporter, ReadFault> {
    let mut material = [0; 32];
    let exported = connection.export_keying_material(&mut material, EXPORTER_LABEL, &[]);
    exported.map(|()| Exporter(material)).map_err(|_| ReadFault::Ended)
}

/// Why the control stream of a connection broke. The stream may end a moment before the connection says why.
pub(crate) async fn why(connection: &Connection, fault: &ReadFault) -> Lost {
    match fault {
        ReadFault::Message(_) => Lost::Protocol,
        ReadFault::Ended => {
            let closed = timeout(Duration::from_secs(1), connection.closed()).await;
            closed.map_or(Lost::Protocol, |error| Lost::from_quic(&error))
        }
    }
}

/// Whether a datagram of the full size gets through both ways. The hello alone shows that small packets do, and a leg
/// that carries only those would hang later, in the first large one.
async fn is_wide(connection: &Connection) -> bool {
    let Some(size) = connection.max_datagram_size() else { return false };
    let mut nonce = [0; 8];
    if getrandom::fill(&mut nonce).is_err() {
        return false;
    }
    let probe = flow::probe(nonce, size);
    for _ in 0..PROBES {
        if connection.send_datagram(probe.clone()).is_err() {
            return false;
        }
        let echo = async {
            while connection.read_datagram().await? != probe {}
            Ok::<_, quinn::ConnectionError>(())
        };
        if let Ok(echoed) = timeout(PROBE_EVERY, echo).await {
            return echoed.is_ok();
        }
    }
    false
}
