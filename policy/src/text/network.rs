//! What `exec` says of the network.

use std::collections::BTreeSet;

use super::TextFault;
use super::document::{Node, Table};
use crate::confinement::Network;

/// The keys of `exec` that are read here.
pub(super) const FIELDS: [&str; 3] = ["network", "connect", "listen"];

/// The most ports of one list.
const MOST_PORTS: usize = 64;

pub(super) fn read(exec: Table<'_>) -> Result<Network, TextFault> {
    let ports = |key: &str| exec.get(key).map(ports).transpose();
    let (connect, listen) = (ports("connect")?, ports("listen")?);
    let Some(node) = exec.get("network") else { return Ok(Network::Owners { connect, listen }) };
    match (node.boolean()?, connect, listen) {
        (true, connect, listen) => Ok(Network::Owners { connect, listen }),
        (false, None, None) => Ok(Network::None),
        (false, _, _) => Err(node
            .place
            .fault("without a network there are no ports: leave out `connect` and `listen`")),
    }
}

fn ports(node: Node<'_>) -> Result<BTreeSet<u16>, TextFault> {
    let items = node.array()?;
    if items.len() > MOST_PORTS {
        return Err(node.place.fault(format!("at most {MOST_PORTS} ports can be named here")));
    }
    items.into_iter().map(port).collect()
}

/// A port of TCP; zero would be any.
pub(super) fn port(node: Node<'_>) -> Result<u16, TextFault> {
    let port = u16::try_from(node.integer()?).ok().filter(|port| *port > 0);
    port.ok_or_else(|| node.place.fault("a port is 1 to 65535"))
}
