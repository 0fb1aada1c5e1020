//! A statement on a connection: looked at before it is put, and put where nothing can be written.

use fallible_iterator::FallibleIterator as _;
use policy::{SqlQuery, Value};
use postgres_protocol::IsNull;
use postgres_protocol::message::backend::{DataRowBody, Message, RowDescriptionBody};
use postgres_protocol::message::frontend::{self, BindError};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;

use super::connection::Connection;
use super::login::{unheard, unsaid};
use crate::reach::sql::fault::Fault;
use crate::reach::sql::json::{Cell, is_number, on_one_line};
use crate::reach::sql::rows::Rows;
use crate::reach::sql::{Put, miscounted};

/// What goes to the output at a time.
const PIECE: usize = 32 * 1024;

/// The types that are something in JSON, by the numbers that all servers have for them.
const BOOL: u32 = 16;
const NUMBERS: [u32; 7] = [20, 21, 23, 26, 700, 701, 1700];
const DOCUMENTS: [u32; 2] = [114, 3802];

/// A column: its name, and the number of its type.
type Column = (String, u32);

impl Connection {
    /// Begins a transaction in which nothing can be written.
    pub(super) async fn begin(&mut self) -> Result<(), Fault> {
        frontend::query("BEGIN READ ONLY", &mut self.words).map_err(unsaid)?;
        self.say(1).await?;
        self.ready().await
    }

    /// Ends it, and forgets all that is left of it in the session.
    pub(super) async fn clean(&mut self) -> Result<(), Fault> {
        self.ready().await?;
        frontend::query("ROLLBACK", &mut self.words).map_err(unsaid)?;
        frontend::query("DISCARD ALL", &mut self.words).map_err(unsaid)?;
        self.say(2).await?;
        self.ready().await
    }

    /// Whether the server understands a statement, and would give rows for so many values.
    pub(super) async fn look(&mut self, statement: &str, values: usize) -> Result<(), Fault> {
        let looked = self.prepared(statement, values).await;
        // After a complaint the server passes over the rest; it is ready all the same.
        let ready = self.ready().await;
        looked.map(drop).and(ready)
    }

    /// Puts a statement, and writes its rows.
    pub(super) async fn put(
        &mut self,
        query: &SqlQuery,
        rows_max: u32,
        stdout: &mut pipe::Sender,
    ) -> Result<Put, Fault> {
        let columns = self.prepared(&query.statement, query.values.len()).await?;
        self.ready().await?;
        self.bound(&query.values, rows_max).await?;
        let mut rows = Rows::new(query.format, columns.iter().map(|(name, _)| name.clone()));
        let given = self.given(&columns, rows_max, (&mut rows, stdout)).await;
        if let Ok(_) | Err(Fault::Refused(_)) = given {
            // What came before a complaint stands.
            rows.end();
            pass(&mut rows, stdout).await?;
        }
        given
    }

    /// Writes the rows that a statement gives.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the protocol has messages that do not belong here"
    )]
    async fn given(
        &mut self,
        columns: &[Column],
        rows_max: u32,
        (rows, stdout): (&mut Rows, &mut pipe::Sender),
    ) -> Result<Put, Fault> {
        loop {
            if rows.len() >= PIECE || rows.len() > 0 && !self.has_heard() {
                pass(rows, stdout).await?;
            }
            match self.hear().await? {
                Message::BindComplete => {}
                Message::DataRow(row) if rows.count < u64::from(rows_max) => {
                    add(rows, columns, &row)?;
                }
                Message::DataRow(_) => rows.count += 1,
                Message::CommandComplete(_) | Message::PortalSuspended => {
                    let is_cut = rows.count > u64::from(rows_max);
                    return Ok(if is_cut { Put::Cut } else { Put::Whole });
                }
                _ => return Err(Fault::Lost("the server gives something else than rows".into())),
            }
        }
    }

    /// The columns of a statement that gives rows.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the protocol has messages that do not belong here"
    )]
    async fn prepared(&mut self, statement: &str, values: usize) -> Result<Vec<Column>, Fault> {
        frontend::parse("", statement, [], &mut self.words).map_err(unsaid)?;
        frontend::describe(b'S', "", &mut self.words).map_err(unsaid)?;
        frontend::sync(&mut self.words);
        self.say(1).await?;
        let mut has = 0;
        loop {
            match self.hear().await? {
                Message::ParseComplete => {}
                Message::ParameterDescription(described) => {
                    has = described.parameters().count().map_err(|fault| unheard(&fault))?;
                }
                // So `copy`, `set`, `do`, `select into` and all that only changes something come to nothing.
                Message::NoData => {
                    let why = "the statement gives no rows: only one that reads is put";
                    return Err(Fault::Refused(why.to_owned()));
                }
                Message::RowDescription(_) if has != values => {
                    return Err(Fault::Refused(miscounted(has, values)));
                }
                Message::RowDescription(described) => return columns(&described),
                _ => return Err(Fault::Lost("the server describes something else".to_owned())),
            }
        }
    }

    /// Has it carried out, with values as text: what type each is the server knows.
    async fn bound(&mut self, values: &[Value], rows_max: u32) -> Result<(), Fault> {
        let written = |value: &Value, out: &mut bytes::BytesMut| {
            out.extend_from_slice(text(value).as_bytes());
            Ok(IsNull::No)
        };
        frontend::bind("", "", [0], values, written, [0], &mut self.words).map_err(unbound)?;
        // One more than it may give, to see whether there is one.
        let most = i32::try_from(rows_max.saturating_add(1)).unwrap_or(i32::MAX);
        frontend::execute("", most, &mut self.words).map_err(unsaid)?;
        frontend::sync(&mut self.words);
        self.say(1).await
    }
}

async fn pass(rows: &mut Rows, stdout: &mut pipe::Sender) -> Result<(), Fault> {
    stdout.write_all(&rows.take()).await.map_err(|_| Fault::Stopped)
}

fn columns(described: &RowDescriptionBody) -> Result<Vec<Column>, Fault> {
    let fields = described.fields().map(|field| Ok((field.name().to_owned(), field.type_oid())));
    fields.collect().map_err(|fault| unheard(&fault))
}

fn add(rows: &mut Rows, columns: &[Column], row: &DataRowBody) -> Result<(), Fault> {
    let ranges: Vec<_> = row.ranges().collect().map_err(|fault| unheard(&fault))?;
    if ranges.len() != columns.len() {
        return Err(Fault::Lost("the server gives rows of another length".to_owned()));
    }
    let cells = ranges.into_iter().zip(columns).map(|(range, (_, kind))| {
        let bytes = range.and_then(|range| row.buffer().get(range));
        bytes.map_or(Cell::Null, |bytes| cell(*kind, bytes))
    });
    rows.add(cells);
    Ok(())
}

fn cell(kind: u32, bytes: &[u8]) -> Cell<'_> {
    let text = String::from_utf8_lossy(bytes);
    match kind {
        BOOL => Cell::Json(if text == "t" { "true" } else { "false" }.into()),
        _ if NUMBERS.contains(&kind) && is_number(&text) => Cell::Json(text),
        _ if DOCUMENTS.contains(&kind) => Cell::Json(on_one_line(&text).into()),
        _ => Cell::Text(text),
    }
}

/// A value as servers read it. A list is an array.
fn text(value: &Value) -> String {
    let Value::List(items) = value else { return value.to_string() };
    let escaped = |c: char| if matches!(c, '"' | '\\') { format!("\\{c}") } else { c.into() };
    let quoted = items
        .iter()
        .map(|item| format!("\"{}\"", item.to_string().chars().map(escaped).collect::<String>()));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn unbound(fault: BindError) -> Fault {
    match fault {
        BindError::Conversion(fault) => Fault::Lost(fault.to_string()),
        BindError::Serialization(fault) => unsaid(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_one_array_whatever_is_in_it() {
        let list = |items: &[&str]| {
            Value::list(items.iter().map(|item| Value::text(*item).unwrap())).unwrap()
        };
        assert_eq!(text(&list(&["a", "b,c"])), r#"{"a","b,c"}"#);
        assert_eq!(text(&list(&["\"},{\"", "\\", "NULL", ""])), r#"{"\"},{\"","\\","NULL",""}"#);
        assert_eq!(text(&list(&[])), "{}");
        assert_eq!(text(&Value::list([Value::Int(1), Value::Int(-2)]).unwrap()), r#"{"1","-2"}"#);
        assert_eq!(text(&Value::Bool(true)), "true");
    }

    #[test]
    fn what_json_has_no_number_for_is_a_text() {
        assert_eq!(cell(701, b"1e-07"), Cell::Json("1e-07".into()));
        assert_eq!(cell(1700, b"1E400"), Cell::Json("1E400".into()));
        for odd in ["NaN", "Infinity", "-Infinity"] {
            assert_eq!(cell(701, odd.as_bytes()), Cell::Text(odd.into()));
        }
        assert_eq!(cell(16, b"t"), Cell::Json("true".into()));
        assert_eq!(cell(25, b"1"), Cell::Text("1".into()));
        assert_eq!(
            cell(114, b"{\n \"a b\\\"\n\": 1.0 }"),
            Cell::Json("{\"a b\\\"\n\":1.0}".into())
        );
    }
}
