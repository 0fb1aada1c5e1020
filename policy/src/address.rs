//! IP addresses and networks, in their one spelling.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::name::shown;
use crate::value::{Instead, ValueFault};

/// An address in canonical spelling. A v4 address written as v6 is refused: it would be a second
/// spelling, and step around a rule on the v4 network.
pub(crate) fn parse(text: &str) -> Result<IpAddr, ValueFault> {
    let fault = |instead: Option<String>| ValueFault::NotAddress(shown(text), Instead(instead));
    let address: IpAddr = text.parse().map_err(|_| fault(None))?;
    let canonical = address.to_canonical().to_string();
    if canonical == text { Ok(address) } else { Err(fault(Some(canonical))) }
}

/// A network of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

impl Network {
    /// Whether the text is an address, in its one spelling, of this network.
    #[must_use]
    pub fn holds(&self, address: &str) -> bool {
        parse(address).is_ok_and(|address| self.0.contains(&address))
    }

    /// Whether every address of `narrower` is of this network.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.0.contains(&narrower.0)
    }
}

impl FromStr for Network {
    type Err = ValueFault;

    fn from_str(text: &str) -> Result<Self, ValueFault> {
        let fault = |instead: Option<String>| ValueFault::NotNetwork(shown(text), Instead(instead));
        let network: IpNet = text.parse().map_err(|_| fault(None))?;
        parse(&network.addr().to_string()).map_err(|_| fault(None))?;
        let canonical = network.trunc().to_string();
        if canonical == text { Ok(Self(network)) } else { Err(fault(Some(canonical))) }
    }
}

impl TryFrom<String> for Network {
    type Error = ValueFault;

    fn try_from(text: String) -> Result<Self, ValueFault> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        for good in ["10.0.0.1", "0.0.0.0", "::", "::1", "2001:db8::1", "fe80::1"] {
            assert_eq!(parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "10.1",
            "010.0.0.1",
            "10.0.0.1 ",
            "::FFFF",
            "0::1",
            "2001:db8:0::1",
            "[::1]",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "::ffff:a00:1",
            "10.0.0.0/8",
            "localhost",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_fault_names_the_spelling_that_is_taken() {
        let fault = parse("::ffff:10.0.0.1").unwrap_err().to_string();
        assert!(fault.ends_with("write `10.0.0.1`"), "{fault}");
        let fault = "10.1.2.3/8".parse::<Network>().unwrap_err().to_string();
        assert!(fault.ends_with("write `10.0.0.0/8`"), "{fault}");
    }

    #[test]
    fn a_network_holds_its_own_addresses_in_either_family() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        assert!(ten.holds("10.0.0.0") && ten.holds("10.255.255.255"));
        for outside in ["11.0.0.0", "9.255.255.255", "::ffff:10.0.0.1", "::a00:1", "10.1", ""] {
            assert!(!ten.holds(outside), "{outside}");
        }
        let six: Network = "2001:db8::/32".parse().unwrap();
        assert!(six.holds("2001:db8::1") && !six.holds("2001:db9::1"));
        let all: Network = "::/0".parse().unwrap();
        assert!(all.holds("::1") && !all.holds("10.0.0.1") && !all.holds("::ffff:10.0.0.1"));
    }

    #[test]
    fn a_network_has_no_host_bits_and_one_spelling() {
        for good in ["0.0.0.0/0", "10.0.0.1/32", "10.0.0.0/8", "::/0", "2001:db8::/32"] {
            assert_eq!(good.parse::<Network>().unwrap().to_string(), good);
        }
        for bad in [
            "10.0.0.1/8",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "::ffff:0:0/96",
            "::FFFF:0/96",
            "/8",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
