//! Where a relay is, and by what it is known.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::protocol::limits::MAX_ADDRESS;

const PIN_PREFIX: &str = "SHA256:";

/// The SHA-256 of a certificate's public key (its SPKI), so that a certificate can be renewed under the same pin.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Pin([u8; 32]);

/// `host:port`, or `host:port#SHA256:<pin>` where the relay's certificate is not vouched for by anyone else.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelayAddress {
    host: String,
    port: u16,
    pin: Option<Pin>,
}

/// Why a text is no relay address.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AddressFault {
    /// Longer than any address.
    #[error("a relay address has at most {MAX_ADDRESS} bytes")]
    TooLong,
    /// No port, or none between 1 and 65535.
    #[error("`{0}` has no port: write `host:port`, as in `relay.example.org:4433`")]
    Port(String),
    /// Not a name and not an IP address.
    #[error("`{0}` is neither a host name nor an IP address (an IPv6 address stands in brackets)")]
    Host(String),
    /// Not a pin.
    #[error("`{0}` is not a certificate pin: write `#SHA256:` and 43 characters of base64url")]
    Pin(String),
}

impl Pin {
    /// The pin of a certificate whose public key is this SPKI, as DER.
    #[must_use]
    pub fn of_spki(spki: &[u8]) -> Self {
        Self(Sha256::digest(spki).into())
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PIN_PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Pin {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        let decoded =
            text.strip_prefix(PIN_PREFIX).and_then(|pin| URL_SAFE_NO_PAD.decode(pin).ok());
        let pin = decoded.and_then(|bytes| bytes.try_into().ok());
        pin.map(Self).ok_or_else(|| AddressFault::Pin(text.to_owned()))
    }
}

impl RelayAddress {
    /// The relay at `host` and `port`, known by `pin` or, without one, by a certificate that this machine trusts.
    ///
    /// # Errors
    /// Where the text of it would not be read again.
    pub fn new(host: &str, port: u16, pin: Option<Pin>) -> Result<Self, AddressFault> {
        let address = Self { host: host.to_owned(), port, pin };
        address.to_string().parse()
    }

    /// A host name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The UDP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What its certificate must be, where the address says so.
    #[must_use]
    pub fn pin(&self) -> Option<&Pin> {
        self.pin.as_ref()
    }
}

impl FromStr for RelayAddress {
    type Err = AddressFault;

    fn from_str(text: &str) -> Result<Self, AddressFault> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressFault::TooLong);
        }
        let (place, pin) = match text.split_once('#') {
            Some((place, pin)) => (place, Some(pin.parse()?)),
            None => (text, None),
        };
        let (host, port) =
            place.rsplit_once(':').ok_or_else(|| AddressFault::Port(place.to_owned()))?;
        Ok(Self { host: read_host(host)?, port: read_port(place, port)?, pin })
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{}:{}", self.host, self.port)?;
        }
        self.pin.map_or(Ok(()), |pin| write!(f, "#{pin}"))
    }
}

impl TryFrom<String> for RelayAddress {
    type Error = AddressFault;

    fn try_from(text: String) -> Result<Self, AddressFault> {
        text.parse()
    }
}

impl From<RelayAddress> for String {
    fn from(address: RelayAddress) -> Self {
        address.to_string()
    }
}

/// Only digits: `u16` would also read `+4433`, and an address has one form.
fn read_port(place: &str, port: &str) -> Result<u16, AddressFault> {
    let number = port.parse().ok().filter(|number| *number != 0);
    let plain = number.filter(|number: &u16| number.to_string() == port);
    plain.ok_or_else(|| AddressFault::Port(place.to_owned()))
}

fn read_host(host: &str) -> Result<String, AddressFault> {
    let fault = || AddressFault::Host(host.to_owned());
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        return address.map(|address| address.to_string()).ok_or_else(fault);
    }
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let lower = host.to_ascii_lowercase();
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    if name.split('.').all(label) { Ok(name.to_owned()) } else { Err(fault()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PIN: &str = "SHA256:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn read(text: &str) -> Result<RelayAddress, AddressFault> {
        text.parse()
    }

    #[test]
    fn an_address_reads_back_as_written() {
        for text in [
            "relay.example.org:4433".to_owned(),
            "127.0.0.1:1".to_owned(),
            "[::1]:65535".to_owned(),
            format!("[2001:db8::1]:443#{PIN}"),
            format!("relay-1.example_host.org:443#{PIN}"),
        ] {
            assert_eq!(read(&text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_parts_are_what_was_written() {
        let address = read(&format!("[::1]:443#{PIN}")).unwrap();
        assert_eq!((address.host(), address.port()), ("::1", 443));
        assert_eq!(address.pin().unwrap().to_string(), PIN);
        assert_eq!(read("RELAY.example.ORG.:443").unwrap().host(), "relay.example.org");
    }

    #[test]
    fn a_port_is_required_and_between_1_and_65535() {
        for text in
            ["relay", "relay:", "relay:0", "relay:65536", "relay:+1", "relay:01", "relay:http"]
        {
            assert!(matches!(read(text), Err(AddressFault::Port(_))), "{text}");
        }
        assert!(read("relay:65535").is_ok());
    }

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for text in
            [":1", "::1:1", "[::1:1", "[1.2.3.4]:1", "a b:1", "-a:1", "a..b:1", "ä:1", "a/b:1"]
        {
            assert!(matches!(read(text), Err(AddressFault::Host(_))), "{text}");
        }
    }

    #[test]
    fn a_pin_is_43_characters_of_base64url() {
        let short = PIN.strip_suffix('8').unwrap();
        for pin in ["", "SHA256:", short, &format!("{PIN}A"), &PIN.replace("SHA256", "SHA1")] {
            assert!(matches!(read(&format!("a:1#{pin}")), Err(AddressFault::Pin(_))), "{pin}");
        }
    }

    #[test]
    fn the_length_limit_is_at_256_bytes() {
        let host = |length: usize| format!("{}:1", ["a"; 200].join(".").get(..length - 2).unwrap());
        assert!(read(&host(255)).is_ok());
        assert!(matches!(
            read(&format!("{}:{}", "a.".repeat(125), "1".repeat(7))),
            Err(AddressFault::TooLong)
        ));
    }

    proptest! {
        #[test]
        fn random_text_never_panics_and_what_is_read_reads_again(text in "\\PC{0,60}") {
            if let Ok(address) = read(&text) {
                prop_assert_eq!(read(&address.to_string()), Ok(address));
            }
        }
    }
}
