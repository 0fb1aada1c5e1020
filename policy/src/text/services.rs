//! `targets.d`: the services that verbs ask, over HTTP, at a port, or in SQL.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::document::{Entry, Node, Page, Place, Table};
use super::network::port;
use super::targets::wait;
use super::verbs::named;
use super::{TextFault, sql, units};
use crate::http::{Credential, HttpTarget, Paths, Queries, Sockets, WEBSOCKET, not_path};
use crate::name::{TargetName, shown};
use crate::nearest::nearest;
use crate::port::TcpTarget;
use crate::sql::SqlTarget;
use crate::target::{FileName, Host};
use crate::web;

/// What a request may be where nothing is said: one that changes nothing.
const USUAL_METHODS: [&str; 2] = ["GET", "HEAD"];
/// What services know, and what is not a request but a connection that one begins.
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", WEBSOCKET];
/// Passed on always: what says in which form an answer is wanted, and whether it still is.
const USUAL_ASKED: [&str; 12] = [
    "accept",
    "accept-language",
    "cache-control",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-event-id",
    "range",
    "user-agent",
];
/// Passed back always: what says how an answer is to be read, kept and shown.
const USUAL_ANSWERED: [&str; 22] = [
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-range",
    "content-security-policy",
    "content-type",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "etag",
    "expires",
    "last-modified",
    "location",
    "pragma",
    "referrer-policy",
    "retry-after",
    "vary",
    "x-content-type-options",
    "x-frame-options",
];
/// What belongs to one connection, and never to both sides of this.
const OF_CONNECTIONS: [&str; 13] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const USUAL_BODY: u64 = 1 << 20;
const USUAL_UPLOAD: u64 = 1 << 30;
const USUAL_CONNECTIONS: usize = 16;
const CONNECTIONS: RangeInclusive<usize> = 1..=256;
const USUAL_WAIT: Duration = Duration::from_secs(5);
const USUAL_IDLE: Duration = Duration::from_mins(5);

/// Every service with the file that declares it.
#[derive(Default)]
pub(super) struct Services {
    http: BTreeMap<TargetName, (Arc<HttpTarget>, String)>,
    tcp: BTreeMap<TargetName, (Arc<TcpTarget>, String)>,
    sql: BTreeMap<TargetName, (Arc<SqlTarget>, String)>,
}

/// The services of all files, and what is wrong with any.
pub(super) fn read(pages: &[Page<'_>]) -> (Services, Vec<TextFault>) {
    let (mut services, mut faults) = (Services::default(), Vec::new());
    for page in pages.iter().filter_map(Page::root) {
        each(page, "http", |one| add(&mut services.http, one, service), &mut faults);
        each(page, "tcp", |one| add(&mut services.tcp, one, port_of), &mut faults);
        each(page, "sql", |one| add(&mut services.sql, one, sql::target), &mut faults);
    }
    (services, faults)
}

/// Every entry of one table, and what is wrong with any.
fn each<'t>(
    page: Table<'t>,
    sort: &str,
    mut add: impl FnMut(Entry<'t>) -> Result<(), TextFault>,
    faults: &mut Vec<TextFault>,
) {
    match page.get(sort).map(Node::table).transpose() {
        Err(fault) => faults.push(fault),
        Ok(table) => {
            let entries = table.into_iter().flat_map(Table::entries);
            faults.extend(entries.filter_map(|one| add(one).err()));
        }
    }
}

fn add<T>(
    known: &mut BTreeMap<TargetName, (Arc<T>, String)>,
    entry: Entry<'_>,
    read: impl Fn(TargetName, Table<'_>) -> Result<T, TextFault>,
) -> Result<(), TextFault> {
    let name: TargetName = named(entry)?;
    if let Some((_, before)) = known.get(&name) {
        return Err(entry.place.fault(format!("`{name}` is already declared in {before}")));
    }
    let one = read(name.clone(), entry.node.table()?)?;
    known.insert(name, (Arc::new(one), entry.place.source.name.clone()));
    Ok(())
}

impl Services {
    /// The HTTP service that is meant.
    pub(super) fn http(&self, node: Node<'_>) -> Result<Arc<HttpTarget>, TextFault> {
        found(&self.http, node, "http")
    }

    /// The port that is meant.
    pub(super) fn tcp(&self, node: Node<'_>) -> Result<Arc<TcpTarget>, TextFault> {
        found(&self.tcp, node, "tcp")
    }

    /// The database that is meant.
    pub(super) fn sql(&self, node: Node<'_>) -> Result<Arc<SqlTarget>, TextFault> {
        found(&self.sql, node, "sql")
    }
}

fn found<T>(
    known: &BTreeMap<TargetName, (Arc<T>, String)>,
    node: Node<'_>,
    sort: &str,
) -> Result<Arc<T>, TextFault> {
    let name = node.string()?;
    let one = name.parse().ok().and_then(|name: TargetName| known.get(&name));
    one.map(|(one, _)| Arc::clone(one)).ok_or_else(|| {
        let near = nearest(name, known.keys().map(TargetName::as_str));
        let hint = near.map_or_else(
            || format!("declare it in targets.d, as `[{sort}.NAME]`"),
            |near| format!("did you mean `{near}`?"),
        );
        node.place.hinted(format!("`{}` is not a service", shown(name)), Some(hint))
    })
}

fn port_of(name: TargetName, table: Table<'_>) -> Result<TcpTarget, TextFault> {
    table.only(&["host", "port", "connect_timeout", "idle", "upload_max", "connections"])?;
    let host: Host = table.need("host")?.parsed()?;
    Ok(TcpTarget {
        name,
        host,
        port: port(table.need("port")?)?,
        connect_timeout: table.get("connect_timeout").map_or(Ok(USUAL_WAIT), wait)?,
        idle: table.get("idle").map_or(Ok(USUAL_IDLE), units::duration)?,
        upload_max: table.get("upload_max").map_or(Ok(USUAL_UPLOAD), units::size)?,
        connections: table.get("connections").map_or(Ok(USUAL_CONNECTIONS), connections)?,
    })
}

fn connections(node: Node<'_>) -> Result<usize, TextFault> {
    let number =
        usize::try_from(node.integer()?).ok().filter(|number| CONNECTIONS.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (CONNECTIONS.start(), CONNECTIONS.end());
        node.place.fault(format!("`connections` is a number from {least} to {most}"))
    })
}

fn service(name: TargetName, table: Table<'_>) -> Result<HttpTarget, TextFault> {
    table.only(&[
        "url",
        "methods",
        "paths",
        "query",
        "request_headers",
        "response_headers",
        "host_header",
        "credential",
        "ca",
        "body_max",
        "connect_timeout",
        "idle",
        "upload_max",
    ])?;
    let node = table.need("url")?;
    let url = web::parse(node.string()?).map_err(|fault| node.place.fault(fault.to_string()))?;
    if url.query().is_some() || !url.path().ends_with('/') {
        return Err(node.place.fault("a service's `url` ends in `/`, and has no query"));
    }
    let ca: Option<FileName> = table.get("ca").map(Node::parsed).transpose()?;
    let is_tls = url.scheme() == "https";
    if let Some(node) = table.get("ca").filter(|_| !is_tls) {
        return Err(node.place.fault("nobody vouches for a service at `http://`: leave `ca` out"));
    }
    let methods = methods(table)?;
    let sockets = sockets(table, &methods)?;
    Ok(HttpTarget {
        name,
        is_tls,
        host: url.host_str().unwrap_or_default().to_owned(),
        port: url.port_or_known_default().unwrap_or_default(),
        base: url.path().trim_end_matches('/').to_owned(),
        methods,
        paths: paths(table.need("paths")?)?,
        queries: table.get("query").map_or(Ok(Queries::These(BTreeSet::new())), queries)?,
        request_headers: fields(table, "request_headers", &USUAL_ASKED)?,
        response_headers: fields(table, "response_headers", &USUAL_ANSWERED)?,
        host_header: table.get("host_header").map(host_header).transpose()?,
        credential: table.get("credential").map(credential).transpose()?,
        ca,
        body_max: table.get("body_max").map_or(Ok(USUAL_BODY), units::size)?,
        sockets,
        connect_timeout: table.get("connect_timeout").map_or(Ok(USUAL_WAIT), wait)?,
    })
}

fn methods(table: Table<'_>) -> Result<BTreeSet<String>, TextFault> {
    let Some(node) = table.get("methods") else { return Ok(USUAL_METHODS.map(Into::into).into()) };
    let items = node.array()?;
    if items.is_empty() {
        return Err(node.place.fault("a service of which nothing may be asked is none"));
    }
    items.into_iter().map(method).collect()
}

/// A method that services know.
pub(super) fn method(node: Node<'_>) -> Result<String, TextFault> {
    let given = node.string()?;
    if METHODS.contains(&given) {
        return Ok(given.to_owned());
    }
    Err(super::verbs::one_word(node, "method", given, &METHODS))
}

/// What bounds connections, where there can be any.
fn sockets(table: Table<'_>, methods: &BTreeSet<String>) -> Result<Sockets, TextFault> {
    let given = ["idle", "upload_max"].iter().find_map(|key| Some((key, table.get(key)?)));
    if let Some((key, node)) = given.filter(|_| !methods.contains(WEBSOCKET)) {
        let message = format!("`{key}` bounds nothing: `methods` has no `{WEBSOCKET}`");
        let hint = "`body_max` bounds requests; leave this out".to_owned();
        return Err(node.place.hinted(message, Some(hint)));
    }
    Ok(Sockets {
        idle: table.get("idle").map_or(Ok(USUAL_IDLE), units::duration)?,
        upload_max: table.get("upload_max").map_or(Ok(USUAL_UPLOAD), units::size)?,
    })
}

fn paths(node: Node<'_>) -> Result<Paths, TextFault> {
    let mut paths = Paths { whole: BTreeSet::new(), beginnings: BTreeSet::new() };
    let items = node.array()?;
    if items.is_empty() {
        return Err(node.place.fault("a service of which no path may be asked is none"));
    }
    for item in items {
        let text = item.string()?;
        let (path, all) = match text.strip_suffix('*') {
            Some(beginning) if beginning.ends_with('/') => (beginning, &mut paths.beginnings),
            Some(_) => {
                let hint = "write `/docs/*` for all beneath `/docs/`, and `/docs` besides";
                return Err(item.place.hinted("`*` stands only after `/`", Some(hint.to_owned())));
            }
            None => (text, &mut paths.whole),
        };
        if !crate::http::is_path(path) {
            return Err(item.place.fault(not_path(path)));
        }
        all.insert(path.to_owned());
    }
    Ok(paths)
}

fn queries(node: Node<'_>) -> Result<Queries, TextFault> {
    if !node.is_array() && node.string()? == "any" {
        return Ok(Queries::Any);
    }
    let names = node.array()?.into_iter().map(|item| Ok(item.string()?.to_owned()));
    names.collect::<Result<_, TextFault>>().map(Queries::These)
}

fn fields(table: Table<'_>, key: &str, usual: &[&str]) -> Result<BTreeSet<String>, TextFault> {
    let mut all: BTreeSet<String> = usual.iter().map(|name| (*name).to_owned()).collect();
    for item in table.get(key).map_or(Ok(Vec::new()), Node::array)? {
        all.insert(field(item.string()?, item.place)?);
    }
    Ok(all)
}

/// The name of a header field that may cross.
pub(super) fn field(given: &str, place: Place<'_>) -> Result<String, TextFault> {
    let of_name = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if given.is_empty() || given.len() > 64 || !given.bytes().all(of_name) {
        let message = format!("`{}` is no header field: write it in small letters", shown(given));
        return Err(place.fault(message));
    }
    if OF_CONNECTIONS.contains(&given) {
        return Err(place.fault(format!("`{given}` is of one connection, and never crosses")));
    }
    Ok(given.to_owned())
}

/// One line of visible characters.
pub(super) fn line(node: Node<'_>) -> Result<String, TextFault> {
    let text = node.string()?;
    let is_visible = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.is_empty() || text.len() > 1024 || !is_visible {
        return Err(node.place.fault("a header field's value is one line of visible ASCII"));
    }
    Ok(text.to_owned())
}

fn host_header(node: Node<'_>) -> Result<String, TextFault> {
    let text = line(node)?;
    let of_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
    if !text.bytes().all(of_host) {
        return Err(node.place.fault("`host_header` is a host's name, and a port if it has one"));
    }
    Ok(text)
}

fn credential(node: Node<'_>) -> Result<Credential, TextFault> {
    let table = node.table()?;
    table.only(&["header", "before", "file"])?;
    let header = table.get("header").map(|node| field(node.string()?, node.place)).transpose()?;
    let header = header.unwrap_or_else(|| "authorization".to_owned());
    let usual = if header == "authorization" { "Bearer " } else { "" };
    Ok(Credential {
        header,
        before: table.get("before").map_or(Ok(usual.to_owned()), line)?,
        file: table.need("file")?.parsed()?,
    })
}
