//! HTTP services, as root describes them.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::constraint::Constraint;
use crate::name::TargetName;
use crate::pattern::Anchored;
use crate::target::FileName;
use crate::value::{Text, Value};

use super::WEBSOCKET;
use super::spelling::{encoded, field_names};

/// An HTTP service, and what may be asked of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpTarget {
    /// What verbs call it.
    pub name: TargetName,
    /// Whether it is asked over TLS.
    pub is_tls: bool,
    /// Its name or address, as URLs write it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What its paths begin with, without a `/` at the end.
    pub base: String,
    /// What may be asked, in capitals.
    pub methods: BTreeSet<String>,
    /// Of what.
    pub paths: Paths,
    /// With which fields in the query.
    pub queries: Queries,
    /// The header fields of a caller that are passed on, by lower-case name.
    pub request_headers: BTreeSet<String>,
    /// The header fields of an answer that are passed back, by lower-case name.
    pub response_headers: BTreeSet<String>,
    /// What it is told of its own name, where that is not `host`.
    pub host_header: Option<String>,
    /// What shows that the question is the owner's.
    pub credential: Option<Credential>,
    /// The authorities that may vouch for it; the system's where there is none.
    pub ca: Option<FileName>,
    /// Bytes of body that a caller may send with a request.
    pub body_max: u64,
    /// What bounds its WebSockets.
    pub sockets: Sockets,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
}

/// What may go through a WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sockets {
    /// How long one may be silent, both ways.
    pub idle: Duration,
    /// Bytes that may go to the service in one.
    pub upload_max: u64,
}

/// A header field that the daemon adds and the owner cannot read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Credential {
    /// Its lower-case name.
    pub header: String,
    /// What stands before the secret.
    pub before: String,
    /// The file that holds it: beside the configuration, or at an absolute path.
    pub file: FileName,
}

/// Paths, each whole or as a beginning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Paths {
    pub(crate) whole: BTreeSet<String>,
    /// Each ends in `/`.
    pub(crate) beginnings: BTreeSet<String>,
}

/// The fields that a query may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Queries {
    /// Any.
    Any,
    /// These.
    These(BTreeSet<String>),
}

impl HttpTarget {
    /// Scheme, host and port, as a URL begins with them.
    #[must_use]
    pub fn origin(&self) -> String {
        let scheme = if self.is_tls { "https" } else { "http" };
        format!("{scheme}://{}", self.authority())
    }

    /// Host and port; not a port that goes without saying.
    #[must_use]
    pub fn authority(&self) -> String {
        let usual = if self.is_tls { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { format!("{}:{}", self.host, self.port) }
    }

    pub(crate) fn at(&self, path: &str, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{path}{mark}{query}", self.base)
    }

    /// What a caller may send with a request of this method, if anything.
    pub(crate) fn takes(&self, method: &str) -> Option<u64> {
        match method {
            "GET" | "HEAD" => None,
            WEBSOCKET => Some(self.sockets.upload_max),
            _ => Some(self.body_max),
        }
    }

    /// The most of it, whatever the method.
    pub(crate) fn takes_at_most(&self) -> Option<u64> {
        self.methods.iter().filter_map(|method| self.takes(method)).max()
    }

    /// Whether a WebSocket may be opened to it.
    #[must_use]
    pub fn has_sockets(&self) -> bool {
        self.methods.contains(WEBSOCKET)
    }
}

impl Paths {
    /// Whether it is one of them.
    #[must_use]
    pub fn hold(&self, path: &str) -> bool {
        self.whole.contains(path)
            || self.beginnings.iter().any(|beginning| path.starts_with(beginning))
    }

    /// The same as a constraint, so that the menu shows it and a share can narrow it; none where it is too long for one.
    pub(crate) fn constraint(&self) -> Option<Constraint> {
        let text = |text: &String| Text::new(text.clone()).ok();
        match (self.whole.len(), self.beginnings.first()) {
            (_, None) => {
                let values = self.whole.iter().map(|path| text(path).map(Value::Text));
                values.collect::<Option<_>>().map(Constraint::OneOf)
            }
            (0, Some(only)) if self.beginnings.len() == 1 => text(only).map(Constraint::Prefix),
            (_, Some(_)) => {
                let whole = self.whole.iter().map(|path| escape(path));
                let begun = self.beginnings.iter().map(|path| format!("{}.*", escape(path)));
                let all = whole.chain(begun).collect::<Vec<_>>().join("|");
                all.parse::<Anchored>().ok().map(Constraint::Pattern)
            }
        }
    }
}

/// The path itself, as a pattern: it has none but these marks.
fn escape(path: &str) -> String {
    let mark = |c: char| if ".+*?()|[]{}^$\\".contains(c) { format!("\\{c}") } else { c.into() };
    path.chars().map(mark).collect()
}

impl Queries {
    /// The same as a constraint, as far as one can say it.
    pub(crate) fn constraint(&self) -> Constraint {
        let Self::These(names) = self else { return Constraint::Any };
        if names.is_empty() {
            return Text::new("")
                .map_or(Constraint::Any, |none| Constraint::exact(Value::Text(none)));
        }
        // A name that has to be escaped can be in more than one way.
        if names.iter().any(|name| encoded(name) != *name) {
            return Constraint::Any;
        }
        let names = names.iter().map(|name| escape(name)).collect::<Vec<_>>().join("|");
        let field = format!("(?:{names})(?:=[^&;]*)?");
        let whole = format!("(?:{field}(?:&{field})*)?");
        whole.parse::<Anchored>().map_or(Constraint::Any, Constraint::Pattern)
    }

    /// Whether a query has only such fields.
    #[must_use]
    pub fn hold(&self, query: &str) -> bool {
        match self {
            Self::Any => true,
            Self::These(names) => field_names(query)
                .is_some_and(|fields| fields.iter().all(|field| names.contains(field))),
        }
    }
}
