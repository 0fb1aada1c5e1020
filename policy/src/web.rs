//! URLs in their one spelling, and the part of the web that begins so.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::name::shown;
use crate::value::{Text, ValueFault};

const WILDCARD: &str = "*.";

/// An absolute http or https URL whose serialisation is the text itself. What servers read alike is
/// written alike: otherwise a rule that denies one spelling would let the other through.
pub(crate) fn parse(text: &str) -> Result<Url, ValueFault> {
    let fault = |what| ValueFault::NotUrl(shown(text), what);
    let url = Url::parse(text).map_err(|_| fault("it does not parse".to_owned()))?;
    match wrong(&url) {
        Some(what) => Err(fault(what.to_owned())),
        None if url.as_str() != text => Err(fault(format!("write `{}`", shown(url.as_str())))),
        None => Ok(url),
    }
}

fn wrong(url: &Url) -> Option<&'static str> {
    if !matches!(url.scheme(), "http" | "https") {
        return Some("only http and https are taken");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some("it names a user");
    }
    if url.fragment().is_some() {
        return Some("it has a fragment");
    }
    wrong_host(url.host().as_ref()).or_else(|| wrong_path(url.path()))
}

fn wrong_host(host: Option<&Host<&str>>) -> Option<&'static str> {
    match host {
        Some(Host::Domain(name)) if name.split('.').any(str::is_empty) => {
            Some("its host has an empty label, or ends in a dot")
        }
        Some(Host::Domain(name)) if !name.bytes().all(is_of_name) => {
            Some("its host has a character that no name has")
        }
        Some(Host::Ipv6(address)) if address.to_ipv4_mapped().is_some() => {
            Some("its host is a v4 address written as v6")
        }
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) => None,
        None => Some("it has no host"),
    }
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

fn wrong_path(path: &str) -> Option<&'static str> {
    if path.contains("//") {
        return Some("its path has an empty segment");
    }
    for (_, after) in path.match_indices('%').map(|(at, _)| path.split_at(at)) {
        let hex =
            after.get(1..3).filter(|hex| hex.bytes().all(|b| b"0123456789ABCDEF".contains(&b)));
        let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) else {
            return Some("a `%` in its path is not followed by two digits 0-9, A-F");
        };
        if byte.is_ascii_alphanumeric() || b"-._~/\\".contains(&byte) {
            return Some("its path has a `%` escape for a letter, a digit or one of `-._~/\\`");
        }
    }
    None
}

/// Every URL of one scheme, one host (or, after `*.`, every host beneath it) and one port, whose path
/// begins with these whole segments. `Display` is how it is written: `https://*.example.com/api/`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UrlPrefix {
    https: bool,
    beneath: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

impl UrlPrefix {
    /// Whether the text is a URL, in its one spelling, that begins so.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        parse(text).is_ok_and(|url| {
            (url.scheme() == "https") == self.https
                && url.port() == self.port
                && url.path().starts_with(&self.path)
                && url.host().is_some_and(|host| self.holds_host(&host))
        })
    }

    fn holds_host(&self, host: &Host<&str>) -> bool {
        match host {
            Host::Domain(name) if self.beneath => is_beneath(name, &self.host),
            Host::Ipv4(_) | Host::Ipv6(_) if self.beneath => false,
            Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_) => host.to_string() == self.host,
        }
    }

    /// Whether every URL of `narrower` begins as this does.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.covers_host(narrower)
            && (self.https, self.port) == (narrower.https, narrower.port)
            && narrower.path.starts_with(&self.path)
    }

    fn covers_host(&self, narrower: &Self) -> bool {
        let deeper = self.beneath && is_beneath(&narrower.host, &self.host);
        deeper || (self.host == narrower.host && self.beneath == narrower.beneath)
    }

    /// What both hold; `None` when that is nothing.
    pub(crate) fn meet(&self, other: &Self) -> Option<Self> {
        let orders = [(self, other), (other, self)];
        let (_, host) = orders.into_iter().find(|(wide, narrow)| wide.covers_host(narrow))?;
        let (_, path) =
            orders.into_iter().find(|(wide, narrow)| narrow.path.starts_with(&wide.path))?;
        let same = (self.https, self.port) == (other.https, other.port);
        same.then(|| Self { path: path.path.clone(), ..host.clone() })
    }

    /// What all its URLs begin with, character for character.
    pub(crate) fn lead(&self) -> String {
        let whole = self.to_string();
        let scheme = whole.split_once(WILDCARD).map(|(scheme, _)| scheme.to_owned());
        scheme.filter(|_| self.beneath).unwrap_or(whole)
    }

    /// What stands, when any host beneath is meant, right after the part of the host that is free.
    pub(crate) fn tail(&self) -> Option<String> {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        self.beneath.then(|| format!(".{}{port}{}", self.host, self.path))
    }
}

/// Proper subdomains, by whole labels. An address in digits has none, whatever it ends in.
fn is_beneath(name: &str, parent: &str) -> bool {
    let before = name.strip_suffix(parent).and_then(|before| before.strip_suffix('.'));
    before.is_some_and(|label| !label.is_empty())
}

impl FromStr for UrlPrefix {
    type Err = ValueFault;

    fn from_str(text: &str) -> Result<Self, ValueFault> {
        Text::new(text)?;
        let fault = |what: &str| ValueFault::NotUrl(shown(text), what.to_owned());
        let (scheme, after) = text.split_once("://").ok_or_else(|| fault("it does not parse"))?;
        let beneath = after.starts_with(WILDCARD);
        let plain = after.strip_prefix(WILDCARD).unwrap_or(after);
        let url = parse(&format!("{scheme}://{plain}"))?;
        if !url.path().ends_with('/') || url.query().is_some() {
            return Err(fault("what other URLs begin with ends in `/`"));
        }
        let host = url.host().ok_or_else(|| fault("it has no host"))?;
        if beneath && !matches!(host, Host::Domain(_)) {
            return Err(fault("only a name has hosts beneath it"));
        }
        Ok(Self {
            https: url.scheme() == "https",
            beneath,
            host: host.to_string(),
            port: url.port(),
            path: url.path().to_owned(),
        })
    }
}

impl TryFrom<String> for UrlPrefix {
    type Error = ValueFault;

    fn try_from(text: String) -> Result<Self, ValueFault> {
        text.parse()
    }
}

impl From<UrlPrefix> for String {
    fn from(prefix: UrlPrefix) -> Self {
        prefix.to_string()
    }
}

impl fmt::Display for UrlPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        let wildcard = if self.beneath { WILDCARD } else { "" };
        write!(out, "{scheme}://{wildcard}{}", self.host)?;
        self.port.iter().try_for_each(|port| write!(out, ":{port}"))?;
        out.write_str(&self.path)
    }
}

#[cfg(test)]
mod tests;
