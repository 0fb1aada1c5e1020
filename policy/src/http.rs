//! Verbs that ask a service something over HTTP: one request that the catalog writes, or any that the service's
//! profile lists.

mod json;
mod look;
mod spelling;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::input::{Content, Input, Stdin};
use crate::name::ParameterName;
use crate::refusal::ParameterProblem;
use crate::template::Template;
use crate::value::{Arguments, Value};

pub(crate) use json::Json;
pub(crate) use spelling::not_path;
use spelling::segment;
pub use spelling::{PATH_PLAIN, encoded, is_path, is_query};
pub use target::{Credential, HttpTarget, Paths, Queries, Sockets};

/// The parameters of a verb that reflects a service.
pub(crate) const METHOD: &str = "method";
pub(crate) const PATH: &str = "path";
pub(crate) const QUERY: &str = "query";

/// What stands for a method where a WebSocket is asked for: a GET alone never becomes one.
pub const WEBSOCKET: &str = "WEBSOCKET";

/// A request to a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Http {
    /// The service.
    pub target: Arc<HttpTarget>,
    /// What is asked of it.
    pub asks: Asks,
}

/// What is asked of a service.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Asks {
    /// What the catalog says, with arguments in it. Its output is the body of the answer.
    This(Box<Fixed>),
    /// What the caller's own request says, as far as the profile and the share permit. Its output is the answer.
    Any,
}

/// A request that the catalog writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fixed {
    pub(crate) method: String,
    /// Each argument in it becomes a part of one segment.
    pub(crate) path: Template,
    pub(crate) query: BTreeMap<String, Template>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Body,
}

/// The body of a request that the catalog writes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Body {
    Empty,
    Json(Json),
    Form(BTreeMap<String, Template>),
}

/// A request as it is made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpRequest {
    /// In capitals; [`WEBSOCKET`] for one of those.
    pub method: String,
    /// With the profile's own beginning, and the query.
    pub path: String,
    /// What the catalog says of it, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// What goes with it.
    #[serde(with = "serde_bytes")]
    pub body: Vec<u8>,
    /// Whether its header fields and its body are the caller's, and the answer's fields are wanted.
    pub is_reflected: bool,
}

/// What a verb opens on the recipient's machine.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reflects {
    /// An HTTP service.
    Http,
    /// A port.
    Tcp,
}

impl Http {
    /// The request for these arguments.
    #[must_use]
    pub fn request(&self, arguments: &Arguments) -> HttpRequest {
        match &self.asks {
            Asks::This(fixed) => fixed.request(&self.target, arguments),
            Asks::Any => {
                let of = |name| said(arguments, name);
                HttpRequest {
                    method: of(METHOD),
                    path: self.target.at(&of(PATH), &of(QUERY)),
                    headers: BTreeMap::new(),
                    body: Vec::new(),
                    is_reflected: true,
                }
            }
        }
    }

    /// What it takes with it from whoever calls it.
    pub(crate) fn input(&self, arguments: Option<&Arguments>) -> Input {
        let of = |arguments| self.target.takes(&said(arguments, METHOD));
        let takes = match &self.asks {
            Asks::This(_) => None,
            Asks::Any => arguments.map_or_else(|| self.target.takes_at_most(), of),
        };
        takes.map_or(Input::Nothing, |max| Input::Stdin(Stdin { content: Content::Bytes, max }))
    }

    /// Whether it can be asked for a WebSocket.
    pub(crate) fn opens_sockets(&self) -> bool {
        matches!(self.asks, Asks::Any) && self.target.has_sockets()
    }

    pub(crate) fn parameters(&self) -> Vec<&ParameterName> {
        match &self.asks {
            Asks::This(fixed) => fixed.templates().flat_map(Template::parameters).collect(),
            Asks::Any => Vec::new(),
        }
    }

    /// The argument that would reach what the profile does not list.
    pub(crate) fn objection<'a>(
        &'a self,
        arguments: &'a Arguments,
    ) -> Option<(&'a ParameterName, ParameterProblem)> {
        match &self.asks {
            Asks::This(fixed) => fixed.objection(&self.target, arguments),
            Asks::Any => {
                let wrong = |name: &str| match (name, said(arguments, name).as_str()) {
                    (PATH, path) if !is_path(path) => Some(ParameterProblem::Spelling),
                    (PATH, path) if !self.target.paths.hold(path) => {
                        Some(ParameterProblem::Unlisted)
                    }
                    (QUERY, query) if !is_query(query) => Some(ParameterProblem::Spelling),
                    (QUERY, query) if !self.target.queries.hold(query) => {
                        Some(ParameterProblem::Unlisted)
                    }
                    _ => None,
                };
                arguments.iter().find_map(|(name, _)| Some((name, wrong(name.as_str())?)))
            }
        }
    }

    /// The request in words, for whoever is asked about it.
    pub(crate) fn words(&self, arguments: &Arguments) -> Vec<String> {
        let HttpRequest { method, path, body, .. } = self.request(arguments);
        let mut words = vec![method, format!("{}{path}", self.target.origin())];
        words.extend((!body.is_empty()).then(|| String::from_utf8_lossy(&body).into_owned()));
        words
    }
}

impl Fixed {
    fn templates(&self) -> impl Iterator<Item = &Template> {
        let body: Vec<&Template> = match &self.body {
            Body::Empty => Vec::new(),
            Body::Json(json) => json.templates(),
            Body::Form(fields) => fields.values().collect(),
        };
        std::iter::once(&self.path).chain(self.query.values()).chain(body)
    }

    fn request(&self, target: &HttpTarget, arguments: &Arguments) -> HttpRequest {
        let mut headers = self.headers.clone();
        let (content_type, body) = match &self.body {
            Body::Empty => (None, Vec::new()),
            Body::Json(json) => {
                (Some("application/json"), json.filled(arguments).to_string().into_bytes())
            }
            Body::Form(fields) => {
                (Some("application/x-www-form-urlencoded"), pairs(fields, arguments).into_bytes())
            }
        };
        if let Some(kind) = content_type {
            headers.entry("content-type".to_owned()).or_insert_with(|| kind.to_owned());
        }
        HttpRequest {
            method: self.method.clone(),
            path: target.at(&self.path_for(arguments), &pairs(&self.query, arguments)),
            headers,
            body,
            is_reflected: false,
        }
    }

    fn path_for(&self, arguments: &Arguments) -> String {
        self.path.rendered_with(arguments, segment)
    }

    /// An argument in the path is the text of one segment: not the end of it, nor the way up.
    fn objection<'a>(
        &'a self,
        target: &HttpTarget,
        arguments: &Arguments,
    ) -> Option<(&'a ParameterName, ParameterProblem)> {
        let of = |name: &ParameterName| arguments.value(name).map(Value::to_string);
        let leads_out = |name: &&ParameterName| of(name).is_some_and(|text| leads_out(&text));
        let in_path = self.path.parameters();
        if let Some(name) = in_path.iter().copied().find(leads_out) {
            return Some((name, ParameterProblem::Segment));
        }
        let path = self.path_for(arguments);
        let problem = match (is_path(&path), target.paths.hold(&path)) {
            (false, _) => ParameterProblem::Segment,
            (true, false) => ParameterProblem::Unlisted,
            (true, true) => return None,
        };
        // A path without an argument in it was looked at when it was read.
        Some((in_path.into_iter().next()?, problem))
    }
}

fn leads_out(text: &str) -> bool {
    matches!(text, "" | "." | "..")
        || text.contains(|c: char| c.is_control() || "/\\%;".contains(c))
}

fn said(arguments: &Arguments, name: &str) -> String {
    let name = name.parse::<ParameterName>().ok();
    name.and_then(|name| arguments.value(&name)).map(Value::to_string).unwrap_or_default()
}

fn pairs(fields: &BTreeMap<String, Template>, arguments: &Arguments) -> String {
    let pair = |(name, value): (&String, &Template)| {
        format!("{}={}", encoded(name), encoded(&value.render(arguments)))
    };
    fields.iter().map(pair).collect::<Vec<_>>().join("&")
}
