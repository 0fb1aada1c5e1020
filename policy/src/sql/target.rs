//! Databases, as root describes them.

use std::net::IpAddr;
use std::time::Duration;

use crate::name::TargetName;
use crate::target::{FileName, Host};

/// A database, and how much may be asked of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SqlTarget {
    /// What verbs call it.
    pub name: TargetName,
    /// Where and what it is.
    pub database: Database,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// How many rows a statement may give.
    pub rows_max: u32,
}

/// What sort of database it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Database {
    /// A `PostgreSQL` server's.
    Postgres(Box<Postgres>),
    /// An `SQLite` file: an absolute path, opened as the owner.
    Sqlite(String),
}

/// A database of a `PostgreSQL` server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Postgres {
    /// How the server is reached.
    pub via: Via,
    /// Its port; of a socket, the number in its name.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role; the owner's own name where there is none.
    pub user: Option<String>,
    /// The file that holds the role's password: beside the configuration, or at an absolute path.
    pub password: Option<FileName>,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
}

/// The way to a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Via {
    /// A socket in this directory, an absolute path.
    Socket(String),
    /// The network, in plain.
    Plain(Host),
    /// The network, over TLS.
    Tls {
        /// Its name or address, for which its certificate must be.
        host: Host,
        /// The authorities that may vouch for it; the system's where there is none.
        ca: Option<FileName>,
    },
}

impl SqlTarget {
    /// Where it is, in words.
    #[must_use]
    pub fn uri(&self) -> String {
        match &self.database {
            Database::Sqlite(path) => format!("sqlite:{path}"),
            Database::Postgres(postgres) => postgres.uri(),
        }
    }

    /// The file, if it is one.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match &self.database {
            Database::Sqlite(file) => Some(file),
            Database::Postgres(_) => None,
        }
    }

    /// The server's, if it is one.
    #[must_use]
    pub fn postgres(&self) -> Option<&Postgres> {
        match &self.database {
            Database::Postgres(postgres) => Some(postgres),
            Database::Sqlite(_) => None,
        }
    }
}

impl Postgres {
    /// The file of the authorities that may vouch for it.
    #[must_use]
    pub fn ca(&self) -> Option<&FileName> {
        match &self.via {
            Via::Tls { ca, .. } => ca.as_ref(),
            Via::Plain(_) | Via::Socket(_) => None,
        }
    }

    fn uri(&self) -> String {
        let user = self.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
        let Self { database, port, .. } = self;
        match &self.via {
            Via::Socket(directory) => format!("postgres://{user}{directory}:{port}/{database}"),
            Via::Plain(host) | Via::Tls { host, .. } => {
                let host = host.as_str();
                let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
                let port = if *port == 5432 { String::new() } else { format!(":{port}") };
                format!("postgres://{user}{host}{port}/{database}")
            }
        }
    }
}

/// Whether what is said to this host stays on this machine.
pub(crate) fn is_here(host: &Host) -> bool {
    let host = host.as_str();
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
