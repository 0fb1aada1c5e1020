//! The way to the server: a socket, the network, or TLS over it.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::reach::sql::fault::Fault;
use crate::reach::sql::order::{Server, Way};
use crate::reach::tls;

/// What bytes go through.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// How much is known of whoever is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Trust {
    /// Its certificate is vouched for, or it has a socket where only it can have one.
    Known,
    /// It may be anybody who has the port.
    Anybody,
}

/// Connects.
pub(super) struct Dialer {
    way: Way,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dialer {
    pub(super) fn new(
        server: &Server,
        files: &mut impl Iterator<Item = OwnedFd>,
    ) -> io::Result<Self> {
        let tls = match &server.way {
            Way::Socket(_) | Way::Plain(_) => None,
            Way::Tls(host, has_ca) => {
                let missing = || io::Error::other("the file of the authorities did not come along");
                let ca = has_ca.then(|| files.next().ok_or_else(missing)).transpose()?;
                let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                Some((TlsConnector::from(Arc::new(tls::config(ca)?)), name))
            }
        };
        Ok(Self { way: server.way.clone(), port: server.port, tls })
    }

    pub(super) fn trust(&self) -> Trust {
        match self.way {
            Way::Tls(..) => Trust::Known,
            // Who has made a socket is not known either: the owner may have, while the server is down.
            Way::Socket(_) | Way::Plain(_) => Trust::Anybody,
        }
    }

    pub(super) async fn dial(&self) -> Result<Box<dyn Stream>, Fault> {
        let host = match &self.way {
            Way::Socket(directory) => {
                let path = format!("{directory}/.s.PGSQL.{}", self.port);
                let stream = UnixStream::connect(path).await;
                return Ok(Box::new(stream.map_err(|fault| Fault::lost("no connection", &fault))?));
            }
            Way::Plain(host) | Way::Tls(host, _) => host.as_str(),
        };
        let stream = TcpStream::connect((host, self.port)).await;
        let stream = stream.map_err(|fault| Fault::lost("no connection", &fault))?;
        let _ = stream.set_nodelay(true);
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((connector, name)) => {
                let secured = secured(stream, connector, name.clone()).await;
                secured.map_err(|fault| Fault::lost("no TLS", &fault))
            }
        }
    }
}

async fn secured(
    mut stream: TcpStream,
    connector: &TlsConnector,
    name: ServerName<'static>,
) -> io::Result<Box<dyn Stream>> {
    let mut asked = BytesMut::new();
    frontend::ssl_request(&mut asked);
    stream.write_all(&asked).await?;
    // One byte and no more: what else comes in the clear would be taken for what TLS has protected.
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    if answer != *b"S" {
        return Err(io::Error::other("the server has none"));
    }
    Ok(Box::new(connector.connect(name, stream).await?))
}
