//! What `http` and `forward` say: which service, and what is asked of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::TextFault;
use super::document::{Entry, Node, Table};
use super::services::{field, line, method};
use super::targets::Targets;
use crate::constraint::Constraint;
use crate::http::{
    Asks, Body, Fixed, Http, HttpTarget, Json, METHOD, PATH, QUERY, WEBSOCKET, is_path, not_path,
};
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::port::Port;
use crate::redact::Redact;
use crate::template::Template;
use crate::value::{Text, Value};
use crate::verb::{Parameter, Run};

/// How deep a body's document may go.
const DEEPEST: usize = 16;

/// A request that the catalog writes.
pub(super) fn fixed(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    targets: &Targets,
) -> Result<Http, TextFault> {
    table.only(&["target", "method", "path", "query", "headers", "json", "form"])?;
    let target = targets.services.http(table.need("target")?)?;
    let asked = table.get("method").map_or(Ok("GET".to_owned()), method)?;
    if let Some(node) = table.get("method").filter(|_| asked == WEBSOCKET) {
        let message = format!("`{WEBSOCKET}` is a connection, and this is one request");
        let hint = "reflect the service: `run = { forward = { http = … } }`".to_owned();
        return Err(node.place.hinted(message, Some(hint)));
    }
    if !target.methods.contains(&asked) {
        let place = table.get("method").map_or(table.place, |node| node.place);
        let known = target.methods.iter().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("`{asked}` may not be asked of `{}`: {known} may", target.name);
        return Err(place.fault(message));
    }
    let single = Single { table, parameters };
    let fixed = Fixed {
        path: single.path(table.need("path")?, &target)?,
        query: single.fields("query")?,
        headers: headers(table)?,
        body: single.body(&asked)?,
        method: asked,
    };
    Ok(Http { target, asks: Asks::This(Box::new(fixed)) })
}

/// A service as it is.
pub(super) fn reflected(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    targets: &Targets,
) -> Result<Run, TextFault> {
    table.only(&["http", "tcp"])?;
    if !parameters.is_empty() {
        let message = "a verb that reflects a service declares no parameters: those of an HTTP service are `method`, `path` and `query`";
        return Err(table.place.fault(message));
    }
    match (table.get("http"), table.get("tcp")) {
        (Some(node), None) => {
            let target = targets.services.http(node)?;
            Ok(Run::Http(Box::new(Http { target, asks: Asks::Any })))
        }
        (None, Some(node)) => Ok(Run::Tcp(Port { target: targets.services.tcp(node)? })),
        (None, None) | (Some(_), Some(_)) => {
            Err(table.place.fault("`forward` is `{ http = SERVICE }` or `{ tcp = SERVICE }`"))
        }
    }
}

/// Frames say how long they are: a mark of another length in one would break it, and all after it.
pub(super) fn check_unmasked(
    verb: Table<'_>,
    run: &Run,
    redact: &[Redact],
) -> Result<(), TextFault> {
    let (message, hint) = match run {
        _ if redact.is_empty() => return Ok(()),
        Run::Http(http) if http.opens_sockets() => (
            format!(
                "`{}` grants `{WEBSOCKET}`, and masking the secrets in what comes through one would break it",
                http.target.name
            ),
            "say `output = { redact = [] }`, or name a service without `WEBSOCKET`",
        ),
        Run::Tcp(port) => (
            format!(
                "what comes from `{}` is of a protocol that nobody here reads, and masking the secrets in it would break it",
                port.target.name
            ),
            "say `output = { redact = [] }`",
        ),
        Run::Exec(_) | Run::Ssh(_) | Run::Http(_) | Run::File(_) | Run::Sql(_) | Run::Note => {
            return Ok(());
        }
    };
    Err(verb.need("run")?.place.hinted(message, Some(hint.to_owned())))
}

/// What a verb that reflects a service takes: what its profile lists.
pub(super) fn parameters(run: &Run) -> BTreeMap<ParameterName, Parameter> {
    let Run::Http(http) = run else { return BTreeMap::new() };
    let target = &http.target;
    let text = |text: &str| Text::new(text).ok().map(Value::Text);
    let methods: BTreeSet<Value> = target.methods.iter().filter_map(|one| text(one)).collect();
    let paths = target.paths.constraint().unwrap_or(Constraint::Any);
    let one = |constraint, default: Option<&str>, summary: &str| Parameter {
        kind: Kind::Text,
        constraint,
        required: default.is_none(),
        default: default.and_then(text),
        summary: summary.to_owned(),
    };
    let declared = [
        (METHOD, one(Constraint::OneOf(methods), Some("GET"), "what to do")),
        (PATH, one(paths, None, "with what, as in a URL")),
        (QUERY, one(target.queries.constraint(), Some(""), "what follows `?` in the URL")),
    ];
    declared.into_iter().filter_map(|(name, one)| Some((name.parse().ok()?, one))).collect()
}

/// Where each parameter is one text.
struct Single<'t, 'p> {
    table: Table<'t>,
    parameters: &'p BTreeMap<ParameterName, Parameter>,
}

impl Single<'_, '_> {
    fn path(&self, node: Node<'_>, target: &Arc<HttpTarget>) -> Result<Template, TextFault> {
        let path = self.template(node)?;
        let Some(text) = path.literal() else { return Ok(path) };
        if !is_path(text) {
            return Err(node.place.fault(not_path(text)));
        }
        if !target.paths.hold(text) {
            let message = format!("`{text}` is not among the `paths` of `{}`", target.name);
            return Err(node.place.fault(message));
        }
        Ok(path)
    }

    fn fields(&self, key: &str) -> Result<BTreeMap<String, Template>, TextFault> {
        let Some(node) = self.table.get(key) else { return Ok(BTreeMap::new()) };
        let entries = node.table()?.entries();
        entries.map(|entry| Ok((entry.key.to_owned(), self.template(entry.node)?))).collect()
    }

    fn body(&self, method: &str) -> Result<Body, TextFault> {
        let said = [self.table.get("json"), self.table.get("form")];
        if let (Some(node), "GET" | "HEAD") = (said.into_iter().flatten().next(), method) {
            return Err(node.place.fault(format!("a `{method}` has no body")));
        }
        match said {
            [Some(node), None] => json(node, DEEPEST).map(Body::Json),
            [None, Some(_)] => self.fields("form").map(Body::Form),
            [None, None] => Ok(Body::Empty),
            [Some(_), Some(form)] => {
                Err(form.place.fault("a request has one body: `json` or `form`"))
            }
        }
    }

    /// A list is more than one text.
    fn template(&self, node: Node<'_>) -> Result<Template, TextFault> {
        let template: Template = node.parsed()?;
        let list = template
            .parameters()
            .into_iter()
            .find(|name| self.parameters.get(*name).is_some_and(|one| one.kind.item().is_some()));
        match list {
            Some(name) => {
                let message = format!("`{{{name}}}` is a list: only `json` can hold one");
                Err(node.place.fault(message))
            }
            None => Ok(template),
        }
    }
}

fn headers(table: Table<'_>) -> Result<BTreeMap<String, String>, TextFault> {
    let Some(node) = table.get("headers") else { return Ok(BTreeMap::new()) };
    let one = |entry: Entry<'_>| Ok((field(entry.key, entry.place)?, line(entry.node)?));
    node.table()?.entries().map(one).collect()
}

fn json(node: Node<'_>, deepest: usize) -> Result<Json, TextFault> {
    let Some(deeper) = deepest.checked_sub(1) else {
        return Err(node.place.fault(format!("a document goes at most {DEEPEST} deep")));
    };
    if node.is_array() {
        let items = node.array()?.into_iter().map(|item| json(item, deeper));
        return items.collect::<Result<_, _>>().map(Json::Array);
    }
    if node.is_table() {
        let entries = node.table()?.entries();
        let fields = entries.map(|entry| Ok((entry.key.to_owned(), json(entry.node, deeper)?)));
        return fields.collect::<Result<_, TextFault>>().map(Json::Object);
    }
    match node.scalar()? {
        Value::Int(number) => Ok(Json::Number(number)),
        Value::Bool(answer) => Ok(Json::Bool(answer)),
        Value::Text(_) | Value::List(_) => node.parsed().map(Json::Text),
    }
}
