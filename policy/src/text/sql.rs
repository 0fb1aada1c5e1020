//! `[sql.NAME]`, and what `sql` says: which database, which statement, and what its placeholders stand for.

use std::time::Duration;

use super::document::{Node, Table};
use super::network::port;
use super::targets::{Targets, wait};
use super::{TextFault, units};
use crate::name::{TargetName, shown};
use crate::sql::{Bound, Database, Postgres, RowFormat, Sql, SqlTarget, Via, is_here};
use crate::target::{FileName, Host};
use crate::template::Template;
use crate::value::Value;
use crate::verb::Effect;

const USUAL_PORT: u16 = 5432;
const USUAL_WAIT: Duration = Duration::from_secs(5);
const USUAL_STATEMENT: Duration = Duration::from_secs(10);
const LONGEST_STATEMENT: Duration = Duration::from_hours(1);
const USUAL_ROWS: u32 = 10_000;
const MOST_ROWS: u32 = 10_000_000;
/// With its values it goes to `openscope-reach` in one packet.
const LONGEST_TEXT: usize = 16 * 1024;
const MOST_VALUES: usize = 64;
/// The longest name of a database or a role.
const LONGEST_NAME: usize = 63;
/// What only a server has.
const OF_SERVERS: [&str; 4] = ["password", "tls", "ca", "connect_timeout"];

/// A database that verbs ask.
pub(super) fn target(name: TargetName, table: Table<'_>) -> Result<SqlTarget, TextFault> {
    table.only(&[
        "postgres",
        "sqlite",
        "password",
        "tls",
        "ca",
        "connect_timeout",
        "statement_timeout",
        "rows_max",
    ])?;
    let database = match (table.get("postgres"), table.get("sqlite")) {
        (Some(node), None) => Database::Postgres(Box::new(postgres(node.table()?, table)?)),
        (None, Some(node)) => Database::Sqlite(sqlite(node, table)?),
        (None, None) | (Some(_), Some(_)) => {
            let message = "a database is `postgres = { … }` or `sqlite = FILE`: one of them";
            return Err(table.place.fault(message));
        }
    };
    Ok(SqlTarget {
        name,
        database,
        statement_timeout: table.get("statement_timeout").map_or(Ok(USUAL_STATEMENT), patience)?,
        rows_max: table.get("rows_max").map_or(Ok(USUAL_ROWS), rows)?,
    })
}

fn sqlite(node: Node<'_>, table: Table<'_>) -> Result<String, TextFault> {
    let stray = OF_SERVERS.into_iter().find_map(|key| Some((key, table.get(key)?)));
    if let Some((key, node)) = stray {
        return Err(node.place.fault(format!("a file has no `{key}`: leave it out")));
    }
    absolute(node, "`sqlite`")
}

fn absolute(node: Node<'_>, what: &str) -> Result<String, TextFault> {
    let path = node.text()?;
    if !path.starts_with('/') || path.contains(char::is_control) {
        return Err(node.place.fault(format!("{what} must be an absolute path")));
    }
    Ok(path.to_string())
}

fn postgres(server: Table<'_>, table: Table<'_>) -> Result<Postgres, TextFault> {
    server.only(&["host", "socket", "port", "database", "user"])?;
    Ok(Postgres {
        via: via(server, table)?,
        port: server.get("port").map_or(Ok(USUAL_PORT), port)?,
        database: name(server.need("database")?, "a database")?,
        user: server.get("user").map(|node| name(node, "a role")).transpose()?,
        password: table.get("password").map(Node::parsed).transpose()?,
        connect_timeout: table.get("connect_timeout").map_or(Ok(USUAL_WAIT), wait)?,
    })
}

/// How the server is reached: over TLS, unless it is on this machine or root says otherwise.
fn via(server: Table<'_>, table: Table<'_>) -> Result<Via, TextFault> {
    let ca: Option<FileName> = table.get("ca").map(Node::parsed).transpose()?;
    let host: Host = match (server.get("host"), server.get("socket")) {
        (Some(node), None) => node.parsed()?,
        (None, Some(socket)) => {
            if let Some(node) = table.get("tls").or_else(|| table.get("ca")) {
                let message = "a socket has no TLS: leave `tls` and `ca` out";
                return Err(node.place.fault(message));
            }
            return absolute(socket, "`socket`").map(Via::Socket);
        }
        (None, None) | (Some(_), Some(_)) => {
            let message = "a server has `host`, or `socket`, the directory of its socket";
            return Err(server.place.fault(message));
        }
    };
    let is_tls = match table.get("tls") {
        None => ca.is_some() || !is_here(&host),
        Some(node) => match node.string()? {
            "verify" => true,
            "off" => false,
            other => return Err(super::verbs::one_word(node, "tls", other, &["verify", "off"])),
        },
    };
    match (is_tls, table.get("ca")) {
        (true, _) => Ok(Via::Tls { host, ca }),
        (false, None) => Ok(Via::Plain(host)),
        (false, Some(node)) => {
            Err(node.place.fault("nobody vouches for a server without TLS: leave `ca` out"))
        }
    }
}

fn name(node: Node<'_>, what: &str) -> Result<String, TextFault> {
    let text = node.string()?;
    if text.is_empty() || text.len() > LONGEST_NAME || text.contains(char::is_control) {
        let message = format!("the name of {what} is one line of 1 to {LONGEST_NAME} bytes");
        return Err(node.place.fault(message));
    }
    Ok(text.to_owned())
}

fn patience(node: Node<'_>) -> Result<Duration, TextFault> {
    let time = units::duration(node)?;
    if time > LONGEST_STATEMENT {
        return Err(node.place.fault("`statement_timeout` is at most 1h"));
    }
    Ok(time)
}

fn rows(node: Node<'_>) -> Result<u32, TextFault> {
    let rows = u32::try_from(node.integer()?).ok().filter(|rows| (1..=MOST_ROWS).contains(rows));
    rows.ok_or_else(|| node.place.fault(format!("`rows_max` is 1 to {MOST_ROWS}")))
}

/// A statement that the catalog writes.
pub(super) fn read(table: Table<'_>, targets: &Targets) -> Result<Sql, TextFault> {
    table.only(&["target", "statement", "values", "format"])?;
    let target = targets.services.sql(table.need("target")?)?;
    let values = table.get("values").map_or(Ok(Vec::new()), Node::array)?;
    if values.len() > MOST_VALUES {
        let place = table.get("values").map_or(table.place, |node| node.place);
        return Err(place.fault(format!("a statement has at most {MOST_VALUES} values")));
    }
    Ok(Sql {
        statement: statement(table.need("statement")?)?,
        values: values.into_iter().map(bound).collect::<Result<_, _>>()?,
        format: table.get("format").map_or(Ok(RowFormat::Ndjson), format)?,
        target,
    })
}

/// It only looks, whatever is said: a statement is put in a transaction that cannot write.
pub(super) fn check_effect(node: Node<'_>, effect: Effect) -> Result<Effect, TextFault> {
    match effect {
        Effect::Read => Ok(effect),
        Effect::Write => {
            let message = "a statement only reads: say `effect = \"read\"`";
            let hint = "what changes a database is for a program, with `exec`";
            Err(node.place.hinted(message, Some(hint.to_owned())))
        }
    }
}

fn statement(node: Node<'_>) -> Result<String, TextFault> {
    let text = node.string()?;
    let strange = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.trim().is_empty() || text.len() > LONGEST_TEXT || text.contains(strange) {
        let message = format!("a statement is text of 1 to {LONGEST_TEXT} bytes");
        return Err(node.place.fault(message));
    }
    Ok(text.to_owned())
}

fn bound(node: Node<'_>) -> Result<Bound, TextFault> {
    let Value::Text(text) = node.scalar()? else { return node.scalar().map(Bound::Literal) };
    let template: Template = node.parsed()?;
    if let Some(literal) = template.literal() {
        let literal = Value::text(literal).map_err(|fault| node.place.fault(fault.to_string()))?;
        return Ok(Bound::Literal(literal));
    }
    let Some(name) = template.whole() else {
        let message = format!("`{}` is neither one parameter nor a text", shown(&text));
        let hint = "write \"{name}\" with nothing around it, and put the rest together in SQL, as `$1 || '%'`";
        return Err(node.place.hinted(message, Some(hint.to_owned())));
    };
    Ok(Bound::Parameter(name.clone()))
}

fn format(node: Node<'_>) -> Result<RowFormat, TextFault> {
    match node.string()? {
        "ndjson" => Ok(RowFormat::Ndjson),
        "table" => Ok(RowFormat::Table),
        other => Err(super::verbs::one_word(node, "format", other, &["ndjson", "table"])),
    }
}
