//! What has to be known of a database to ask it.

use std::time::Duration;

use policy::{Database, Postgres, SqlTarget, Via};
use serde::{Deserialize, Serialize};

/// A database, and how much may be asked of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlService {
    pub(crate) place: Place,
    pub(crate) statement_timeout: Duration,
    pub(crate) rows_max: u32,
}

/// Where it is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Place {
    Server(Server),
    File(String),
}

/// A server of `PostgreSQL`.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) way: Way,
    pub(crate) port: u16,
    pub(crate) database: String,
    pub(crate) user: String,
    /// Whether the file of the password came along, after that of the authorities.
    pub(crate) has_password: bool,
    pub(crate) connect_timeout: Duration,
}

/// The way to a server.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Way {
    Socket(String),
    Plain(String),
    /// And whether the file of the authorities came along.
    Tls(String, bool),
}

/// A statement that is to be looked at before anybody puts it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Planned {
    /// Whose it is.
    pub(crate) verb: String,
    pub(crate) statement: String,
    /// How many placeholders it must have.
    pub(crate) values: usize,
}

impl SqlService {
    /// The same for an owner of this name.
    pub(crate) fn of(target: &SqlTarget, owner: &str) -> Self {
        let place = match &target.database {
            Database::Sqlite(path) => Place::File(path.clone()),
            Database::Postgres(server) => Place::Server(Server::of(server, owner)),
        };
        let SqlTarget { statement_timeout, rows_max, .. } = *target;
        Self { place, statement_timeout, rows_max }
    }
}

impl Server {
    fn of(server: &Postgres, owner: &str) -> Self {
        let way = match &server.via {
            Via::Socket(directory) => Way::Socket(directory.clone()),
            Via::Plain(host) => Way::Plain(host.as_str().to_owned()),
            Via::Tls { host, ca } => Way::Tls(host.as_str().to_owned(), ca.is_some()),
        };
        Self {
            way,
            port: server.port,
            database: server.database.clone(),
            user: server.user.clone().unwrap_or_else(|| owner.to_owned()),
            has_password: server.password.is_some(),
            connect_timeout: server.connect_timeout,
        }
    }

    /// Where it is, in words.
    pub(super) fn shown(&self) -> String {
        match &self.way {
            Way::Socket(directory) => format!("{directory}/.s.PGSQL.{}", self.port),
            Way::Plain(host) | Way::Tls(host, _) => format!("{host}:{}", self.port),
        }
    }
}
