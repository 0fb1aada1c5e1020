//! The ways to the relays: over UDP, which they speak, and over TCP, which says whether a host is there.

use std::io;
use std::time::Duration;

use relay::leg::{DialFault, RelayAddress};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::finding::{Finding, Level};
use crate::relays::{Leg, Relays, Tried};
use crate::seat::Seat;

/// How long somebody who listens may take to let us in.
const KNOCK: Duration = Duration::from_secs(2);

pub(super) struct Reached {
    pub(super) findings: Vec<Finding>,
    /// The first that leads to the daemon.
    pub(super) leg: Option<Leg>,
}

/// What came of knocking at a port.
#[derive(Debug)]
enum Knock {
    Open,
    Refused,
    Silent,
    /// Not to be knocked at from here.
    Fault(io::Error),
}

/// Dials each relay as every command does, and knocks at its TCP port meanwhile.
pub(super) async fn look(seat: &Seat) -> Reached {
    let relays = match Relays::of(seat) {
        Ok(relays) => relays,
        Err(fault) => {
            let failure = Failure::of(Exit::GONE, "unreachable", &fault);
            let findings = vec![Finding::of(&failure, "ask the owner for another handle")];
            return Reached { findings, leg: None };
        }
    };
    let (tried, knocks) = tokio::join!(relays.try_each(), knock_at(relays.addresses()));
    let leads = tried.iter().any(|one| one.dialled.is_ok());
    let told = |(tried, knock): (&Tried, &Knock)| [udp(tried, leads), tcp(tried, knock)];
    let mut findings: Vec<_> = tried.iter().zip(&knocks).flat_map(told).collect();
    if tried.is_empty() {
        let what = "the passport names no relay";
        findings.push(Finding::new(Level::Fails, what, "ask the owner for another handle"));
    }
    Reached { findings, leg: tried.into_iter().find_map(|one| one.dialled.ok()) }
}

/// One that fails is a warning as long as another leads to the daemon.
fn udp(tried: &Tried, leads: bool) -> Finding {
    let (host, port) = (tried.address.host(), tried.address.port());
    let what = format!("relay {host}:{port} over UDP");
    match &tried.dialled {
        Ok(_) => {
            let took = tried.took.as_millis();
            Finding::ok(format!("{what}: it leads to the daemon, after {took} ms"))
        }
        Err(fault) => {
            let level = if leads { Level::Warning } else { Level::Fails };
            Finding::new(level, format!("{what}: {}", chain(fault)), remedy(fault))
        }
    }
}

fn remedy(fault: &DialFault) -> &'static str {
    match fault {
        DialFault::Resolve { .. } => "see whether this machine's DNS knows the name",
        DialFault::Unreachable { .. } => {
            "see whether this network lets UDP through to the relay, and ask the owner whether it runs"
        }
        DialFault::Narrow { .. } => {
            "a tunnel on the way carries less than the internet does: try another network, or have its MTU raised"
        }
        DialFault::Socket(_) => "see what forbids this program to open a socket here",
        DialFault::Certificate { .. } | DialFault::Pin { .. } => {
            "somebody may stand between: tell the owner, who sees whether the relay was set up anew"
        }
        DialFault::NotRelay { .. } => {
            "tell the owner what answers there; this program may be older or newer than the relay"
        }
        DialFault::NotHere => {
            "UDP goes through, and the relay answers: ask the owner whether the share is still open, and whether the daemon runs"
        }
        DialFault::Full | DialFault::Draining | DialFault::Lost(_) => {
            "try again; if it stays so, tell the owner"
        }
        DialFault::TokenInvalid | DialFault::TokenUnbound | DialFault::TokenExpired => {
            "tell the owner: the relay takes us for a daemon"
        }
    }
}

/// It proves nothing about UDP: information, whatever it is.
fn tcp(tried: &Tried, knock: &Knock) -> Finding {
    let (host, port) = (tried.address.host(), tried.address.port());
    let what = format!("tcp {host}:{port}: {}", words(knock));
    let remedy = match (tried.dialled.is_ok(), knock) {
        (true, _) => "nothing: relays speak UDP alone",
        (false, Knock::Open | Knock::Refused) => {
            "the network leads to that host: it is UDP that does not go through, or the relay that does not run"
        }
        (false, Knock::Silent | Knock::Fault(_)) => {
            "it says little, as relays speak UDP alone: the host may be away, or a firewall drops what it does not know"
        }
    };
    Finding::new(Level::Note, what, remedy)
}

fn words(knock: &Knock) -> String {
    match knock {
        Knock::Open => "connected, by something that is no relay's UDP port".to_owned(),
        Knock::Refused => "refused, so that the host is there".to_owned(),
        Knock::Silent => format!("no answer in {} s", KNOCK.as_secs()),
        Knock::Fault(fault) => fault.to_string(),
    }
}

async fn knock_at(addresses: &[RelayAddress]) -> Vec<Knock> {
    let mut knocks = JoinSet::new();
    for (place, address) in addresses.iter().cloned().enumerate() {
        knocks.spawn(async move { (place, knock(address.host(), address.port()).await) });
    }
    let mut knocks = knocks.join_all().await;
    knocks.sort_by_key(|(place, _)| *place);
    knocks.into_iter().map(|(_, knock)| knock).collect()
}

/// They are told nothing.
async fn knock(host: &str, port: u16) -> Knock {
    match timeout(KNOCK, TcpStream::connect((host, port))).await {
        Err(_) => Knock::Silent,
        Ok(Ok(_)) => Knock::Open,
        Ok(Err(fault)) if fault.kind() == io::ErrorKind::ConnectionRefused => Knock::Refused,
        Ok(Err(fault)) => Knock::Fault(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(address: &str) -> Tried {
        let address: RelayAddress = address.parse().unwrap();
        let dialled = Err(DialFault::Unreachable { address: address.clone() });
        Tried { address, took: Duration::ZERO, dialled }
    }

    #[tokio::test]
    async fn a_port_is_found_open_or_closed_and_neither_is_a_failure() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = knock("127.0.0.1", port).await;
        assert!(matches!(open, Knock::Open), "{open:?}");
        drop(listener);
        let closed = knock("127.0.0.1", port).await;
        assert!(matches!(closed, Knock::Refused), "{closed:?}");
        for one in [open, closed, Knock::Silent] {
            assert_eq!(tcp(&unreachable("127.0.0.1:9"), &one).level, Level::Note);
        }
    }

    #[test]
    fn a_relay_that_is_away_fails_unless_another_leads_to_the_daemon() {
        let away = unreachable("127.0.0.1:9");
        assert_eq!(udp(&away, false).level, Level::Fails);
        assert_eq!(udp(&away, true).level, Level::Warning);
        assert!(udp(&away, false).to_string().contains("lets UDP through"));
    }
}
