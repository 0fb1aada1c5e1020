//! Ports of services that are reflected as they are.

use std::sync::Arc;
use std::time::Duration;

use crate::input::{Content, Input, Stdin};
use crate::name::TargetName;
use crate::target::Host;

/// A connection to a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Port {
    /// Where it is.
    pub target: Arc<TcpTarget>,
}

/// A port, and what may go through a connection to it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TcpTarget {
    /// What verbs call it.
    pub name: TargetName,
    /// Where it is.
    pub host: Host,
    /// Which it is.
    pub port: u16,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a connection may be silent, both ways.
    pub idle: Duration,
    /// Bytes that may go to it in one connection.
    pub upload_max: u64,
    /// How many connections of one share there may be to it at one time.
    pub connections: usize,
}

impl Port {
    /// What a connection takes: anything, so much of it.
    pub(crate) fn input(&self) -> Input {
        Input::Stdin(Stdin { content: Content::Bytes, max: self.target.upload_max })
    }

    /// Where it is, in words.
    pub(crate) fn uri(&self) -> String {
        let host = self.target.host.as_str();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        format!("tcp://{host}:{}", self.target.port)
    }
}
