//! The one service that this process asks.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use policy::HttpRequest;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

use super::connection;
use super::order::{Finish, PortService, Probed, Served, What};
use super::question::Asker;
use super::sql::{Database, Planned};

/// How long a service may take to let somebody in, and to say anything, when it is only looked for.
const PROBE: Duration = Duration::from_secs(2);

/// A service that can be asked.
pub(super) enum Service {
    Http(Box<Asker>),
    Port(PortService),
    Sql(Database),
}

/// The ends of one errand's pipes.
pub(super) struct Attached {
    pub(super) stdout: pipe::Sender,
    pub(super) stderr: pipe::Sender,
    pub(super) stdin: Option<pipe::Receiver>,
}

impl Attached {
    pub(super) fn new(descriptors: Vec<OwnedFd>) -> io::Result<Self> {
        let mut ends = descriptors.into_iter();
        let (Some(stdout), Some(stderr)) = (ends.next(), ends.next()) else {
            return Err(io::Error::other("an errand came without its pipes"));
        };
        Ok(Self {
            stdout: pipe::Sender::from_owned_fd(stdout)?,
            stderr: pipe::Sender::from_owned_fd(stderr)?,
            stdin: ends.next().map(pipe::Receiver::from_owned_fd).transpose()?,
        })
    }
}

impl Service {
    pub(super) fn new(served: Served, files: Vec<OwnedFd>) -> io::Result<Self> {
        match served {
            Served::Http(service) => Ok(Self::Http(Box::new(Asker::new(*service, files)?))),
            Served::Port(port) => Ok(Self::Port(port)),
            Served::Sql(service) => Ok(Self::Sql(Database::new(*service, files)?)),
        }
    }

    /// Does it until it is done, or stopped.
    pub(super) async fn carry_out(
        &self,
        what: What,
        attached: Attached,
        stopped: oneshot::Receiver<()>,
    ) -> Finish {
        match (self, what) {
            // What has been put to a database is ended there first.
            (Self::Sql(database), What::Query(query)) => {
                database.carry_out(query, attached, stopped).await
            }
            (_, what) => tokio::select! {
                biased;
                _ = stopped => Finish::Stopped,
                finish = self.do_what(what, attached) => finish,
            },
        }
    }

    async fn do_what(&self, what: What, attached: Attached) -> Finish {
        match (self, what) {
            (Self::Http(asker), What::Request { request, head, is_masked }) => {
                asker.ask(request, &head, is_masked, attached).await
            }
            (Self::Port(port), What::Connection) => connection::carry(port, attached).await,
            (Self::Http(_) | Self::Port(_) | Self::Sql(_), _) => {
                Finish::Lost("this is not what the service is".to_owned())
            }
        }
    }

    /// Whether the service is there, soon enough for somebody who waits.
    pub(super) async fn probe(
        &self,
        request: Option<Box<HttpRequest>>,
        planned: Vec<Planned>,
    ) -> Probed {
        let (host, port) = match self {
            Self::Http(asker) => (asker.service.host.clone(), asker.service.port),
            Self::Port(port) => (port.host.clone(), port.port),
            Self::Sql(database) => return database.probe(planned).await,
        };
        if let Err(why) = connection::connect((&host, port), PROBE).await {
            return Probed::Away(why);
        }
        match (self, request) {
            (Self::Http(asker), Some(request)) => asker.probe(*request, PROBE).await,
            (Self::Http(asker), None) if asker.service.is_tls => asker.greet(PROBE).await,
            (Self::Http(_) | Self::Port(_) | Self::Sql(_), _) => Probed::There,
        }
    }
}
