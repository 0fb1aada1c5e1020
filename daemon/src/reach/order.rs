//! What the monitor and `openscope-reach` say to each other, one message a packet.

use std::collections::BTreeSet;
use std::time::Duration;

use policy::{HttpRequest, HttpTarget, SqlQuery, TcpTarget};
use serde::{Deserialize, Serialize};

use super::sql::{Planned, SqlService};

/// The monitor's orders.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum ToReach {
    /// First, once. With it come the files of the authorities and of the credential, or the password, if the service has them.
    Serve(Served),
    /// Carry this out. With it come standard output and error, and standard input if there is any.
    Do {
        /// Its number.
        errand: u64,
        /// What to do.
        what: Box<What>,
    },
    /// Do no more of it.
    Stop {
        /// Its number.
        errand: u64,
    },
    /// Look whether the service is there, and how it does.
    Probe {
        /// What it is asked, if it may be asked anything.
        request: Option<Box<HttpRequest>>,
        /// What a database is going to be asked.
        planned: Vec<Planned>,
    },
}

/// The service.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Served {
    Http(Box<HttpService>),
    Port(PortService),
    Sql(Box<SqlService>),
}

/// What has to be known of an HTTP service to ask it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpService {
    pub(crate) is_tls: bool,
    /// As a URL has it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Host and port, as a URL has them.
    pub(crate) authority: String,
    /// What it is told of its own name.
    pub(crate) host_header: String,
    /// What all its paths begin with.
    pub(crate) base: String,
    pub(crate) request_headers: BTreeSet<String>,
    pub(crate) response_headers: BTreeSet<String>,
    /// The header field of the credential, and what stands before the secret in it.
    pub(crate) credential: Option<(String, String)>,
    /// Whether the file of the authorities came along.
    pub(crate) has_ca: bool,
    pub(crate) connect_timeout: Duration,
    /// How long a WebSocket may be silent.
    pub(crate) idle: Duration,
}

/// What has to be known of a port.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PortService {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle: Duration,
}

/// One errand.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum What {
    Request {
        request: HttpRequest,
        /// The caller's header fields, as lines.
        #[serde(with = "serde_bytes")]
        head: Vec<u8>,
        /// Whether somebody looks for secrets in the answer, which then has to be in plain.
        is_masked: bool,
    },
    Connection,
    Query(SqlQuery),
}

/// What `openscope-reach` reports.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum FromReach {
    /// An errand is over; its pipes are closed.
    Done {
        /// Its number.
        errand: u64,
        /// How it went.
        finish: Finish,
    },
    /// The answer to [`ToReach::Probe`].
    Probed(Probed),
}

/// How an errand went.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Finish {
    /// It is done, with this status.
    Exited(u8),
    /// The service was not reached, or lost, and why.
    Lost(String),
    /// The service was lost, or not seen to stop, after something was asked of it that may go on there, and why.
    Cut(String),
    /// It was told to stop, or nobody took what it had.
    Stopped,
}

/// Whether a service is there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) enum Probed {
    /// It answered.
    There,
    /// It answered that something is wrong.
    Unwell(String),
    /// It did not.
    Away(String),
}

/// The most characters of a reason.
const REASON_MAX: usize = 512;

fn shortened(why: &str) -> String {
    why.chars().take(REASON_MAX).collect()
}

impl Finish {
    /// With as much of its reason as is wanted.
    pub(super) fn shortened(self) -> Self {
        match self {
            Self::Lost(why) => Self::Lost(shortened(&why)),
            Self::Cut(why) => Self::Cut(shortened(&why)),
            Self::Exited(_) | Self::Stopped => self,
        }
    }
}

impl Probed {
    /// With as much of its reason as is wanted.
    pub(super) fn shortened(self) -> Self {
        match self {
            Self::Unwell(why) => Self::Unwell(shortened(&why)),
            Self::Away(why) => Self::Away(shortened(&why)),
            Self::There => self,
        }
    }
}

impl From<&HttpTarget> for HttpService {
    fn from(target: &HttpTarget) -> Self {
        let credential = target.credential.as_ref();
        Self {
            is_tls: target.is_tls,
            host: target.host.clone(),
            port: target.port,
            authority: target.authority(),
            host_header: target.host_header.clone().unwrap_or_else(|| target.authority()),
            base: target.base.clone(),
            request_headers: target.request_headers.clone(),
            response_headers: target.response_headers.clone(),
            credential: credential.map(|one| (one.header.clone(), one.before.clone())),
            has_ca: target.ca.is_some(),
            connect_timeout: target.connect_timeout,
            idle: target.sockets.idle,
        }
    }
}

impl From<&TcpTarget> for PortService {
    fn from(target: &TcpTarget) -> Self {
        Self {
            host: target.host.as_str().to_owned(),
            port: target.port,
            connect_timeout: target.connect_timeout,
            idle: target.idle,
        }
    }
}
