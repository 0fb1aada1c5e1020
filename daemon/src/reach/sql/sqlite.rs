//! An `SQLite` file: opened for each statement, to read and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use policy::{SqlQuery, Value};
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Statement};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::fault::{Fault, plain};
use super::json::{Cell, is_number};
use super::order::Planned;
use super::rows::Rows;
use super::{Put, miscounted, unwell};
use crate::reach::order::Probed;

/// How often a statement is asked whether it is still wanted, in steps of `SQLite`'s machine.
const STEPS: i32 = 1000;
/// How long to wait for somebody who writes.
const BUSY: Duration = Duration::from_secs(2);
/// No value is longer, whether it is stored or made.
const LONGEST: i32 = 16 << 20;
const LONGEST_ROW: usize = 16 << 20;
/// Statements at one time. One that does not notice that it is not wanted keeps its place until it has.
const STATEMENTS: usize = 4;
/// What goes to the output at a time.
const PIECE: usize = 32 * 1024;
/// Pieces that wait for somebody who reads slowly.
const WAITING: usize = 4;
/// How long a file that is looked at may take.
const PROBE: Duration = Duration::from_secs(2);
/// How long a statement may take to notice that it is not wanted; the monitor waits a second.
const NOTICE: Duration = Duration::from_millis(700);

/// A file with a database.
pub(in crate::reach) struct File {
    path: String,
    statement_timeout: Duration,
    pub(super) rows_max: u32,
    room: Arc<Semaphore>,
}

/// Whether a statement is to end.
type Unwanted = Arc<AtomicBool>;

impl File {
    pub(super) fn new(path: String, statement_timeout: Duration, rows_max: u32) -> Self {
        Self { path, statement_timeout, rows_max, room: Arc::new(Semaphore::new(STATEMENTS)) }
    }

    /// Puts a statement, and writes its rows.
    pub(super) async fn put(
        &self,
        query: SqlQuery,
        stdout: &mut pipe::Sender,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<Put, Fault> {
        let place = tokio::select! {
            biased;
            _ = &mut stopped => return Err(Fault::Stopped),
            place = Arc::clone(&self.room).acquire_owned() => place.map_err(|_| Fault::Stopped)?,
        };
        let unwanted = Unwanted::default();
        let (to, mut from) = mpsc::channel(WAITING);
        let (path, rows_max, flag) = (self.path.clone(), self.rows_max, Arc::clone(&unwanted));
        let mut work = spawn_blocking(move || {
            let _place = place;
            put(&path, &query, rows_max, (&flag, &to))
        });
        let pass = async {
            while let Some(piece) = from.recv().await {
                let piece: Vec<u8> = piece;
                stdout.write_all(&piece).await.map_err(|_| Fault::Stopped)?;
            }
            (&mut work).await.map_err(|fault| Fault::Lost(fault.to_string()))?
        };
        let put = tokio::select! {
            biased;
            _ = stopped => Err(Fault::Stopped),
            put = pass => put,
            () = sleep(self.statement_timeout) => {
                let most = self.statement_timeout.as_millis();
                Err(Fault::Refused(format!("the statement took longer than its {most} ms")))
            }
        };
        // What it still has to say is not waited for: it would wait for that.
        drop(from);
        settled(&unwanted, work).await;
        put
    }

    /// Whether it is there, and understands what it is going to be asked.
    pub(super) async fn probe(&self, planned: Vec<Planned>) -> Probed {
        let unwanted = Unwanted::default();
        let (path, flag) = (self.path.clone(), Arc::clone(&unwanted));
        let mut work = spawn_blocking(move || {
            let connection = open(&path, &flag)?;
            let looked = planned.into_iter().map(|one| {
                let fault = understood(&connection, &one.statement, one.values).err()?;
                Some((one.verb, fault.why()))
            });
            Ok::<_, Fault>(looked.flatten().collect::<Vec<_>>())
        });
        let probed = match timeout(PROBE, &mut work).await {
            Ok(Ok(Ok(faults))) => unwell(&faults),
            Ok(Ok(Err(fault))) => Probed::Away(fault.why()),
            Ok(Err(fault)) => Probed::Away(fault.to_string()),
            Err(_) => Probed::Unwell(format!("it says nothing for {} s", PROBE.as_secs())),
        };
        settled(&unwanted, work).await;
        probed
    }
}

/// Waits until a statement that nobody wants has noticed.
async fn settled<T>(unwanted: &Unwanted, work: JoinHandle<T>) {
    unwanted.store(true, Ordering::Relaxed);
    if !work.is_finished() {
        let _ = timeout(NOTICE, work).await;
    }
}

/// Opened so that nothing can be written, whatever the statement and the file itself say.
fn open(path: &str, unwanted: &Unwanted) -> Result<Connection, Fault> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let lost = |fault: rusqlite::Error| Fault::Lost(format!("{path}: {}", said(&fault)));
    let mut connection = Connection::open_with_flags(path, flags).map_err(lost)?;
    let flag = Arc::clone(unwanted);
    let ready = |connection: &mut Connection| {
        connection.busy_timeout(BUSY)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, LONGEST)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.pragma_update(None, "query_only", true)?;
        // Whether it is a database is seen when it is read.
        connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
        connection.progress_handler(STEPS, Some(move || flag.load(Ordering::Relaxed)))?;
        connection.authorizer(Some(allowed))
    };
    ready(&mut connection).map_err(lost)?;
    Ok(connection)
}

/// Looking, and nothing else.
fn allowed(asked: AuthContext<'_>) -> Authorization {
    let may = if let AuthAction::Function { function_name } = asked.action {
        !function_name.eq_ignore_ascii_case("load_extension")
    } else if let AuthAction::Pragma { pragma_name, pragma_value: None } = asked.action {
        // Full-text tables ask themselves whether they have changed.
        pragma_name == "data_version"
    } else {
        matches!(asked.action, AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive)
    };
    if may { Authorization::Allow } else { Authorization::Deny }
}

/// The statement, if it is one, gives rows, and has the placeholders `$1` to `$n`.
fn understood<'c>(
    connection: &'c Connection,
    statement: &str,
    values: usize,
) -> Result<Statement<'c>, Fault> {
    let prepared = connection.prepare(statement).map_err(|fault| refused(&fault))?;
    if prepared.column_count() == 0 || !prepared.readonly() {
        let why = "the statement gives no rows, or writes: only one that reads is put";
        return Err(Fault::Refused(why.to_owned()));
    }
    let has = prepared.parameter_count();
    let numbered = |at: usize| prepared.parameter_name(at).and_then(number);
    if let Some(odd) = (1..=has).find(|at| numbered(*at).is_none()) {
        let name = prepared.parameter_name(odd).unwrap_or("?");
        return Err(Fault::Refused(format!("`{}` is no placeholder: write $1, $2 …", plain(name))));
    }
    let most = (1..=has).filter_map(numbered).max().unwrap_or_default();
    if most != values || has != values {
        return Err(Fault::Refused(miscounted(most.max(has), values)));
    }
    Ok(prepared)
}

/// Which value a placeholder stands for.
fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix('$')?;
    let number = digits.parse::<usize>().ok().filter(|number| *number > 0)?;
    (number.to_string() == digits).then_some(number)
}

fn put(
    path: &str,
    query: &SqlQuery,
    rows_max: u32,
    (unwanted, to): (&Unwanted, &mpsc::Sender<Vec<u8>>),
) -> Result<Put, Fault> {
    let connection = open(path, unwanted)?;
    let mut statement = understood(&connection, &query.statement, query.values.len())?;
    bind(&mut statement, &query.values).map_err(|fault| refused(&fault))?;
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let columns = names.len();
    let mut rows = Rows::new(query.format, names);
    let given = give(statement.raw_query(), (columns, rows_max), (&mut rows, to));
    if let Ok(_) | Err(Fault::Refused(_)) = given {
        // What came before a complaint stands.
        rows.end();
        pass(to, &mut rows)?;
    }
    given
}

/// Writes the rows that a statement gives.
fn give(
    mut found: rusqlite::Rows<'_>,
    (columns, rows_max): (usize, u32),
    (rows, to): (&mut Rows, &mpsc::Sender<Vec<u8>>),
) -> Result<Put, Fault> {
    while let Some(row) = found.next().map_err(|fault| refused(&fault))? {
        if rows.count >= u64::from(rows_max) {
            return Ok(Put::Cut);
        }
        let length = |at| row.get_ref(at).map_or(0, length);
        if (0..columns).map(length).fold(0, usize::saturating_add) > LONGEST_ROW {
            return Err(Fault::Refused("a row is longer than 16 MiB".to_owned()));
        }
        let cell = |at| row.get_ref(at).map_or(Cell::Null, cell);
        rows.add((0..columns).map(cell));
        if rows.len() >= PIECE {
            pass(to, rows)?;
        }
    }
    Ok(Put::Whole)
}

fn pass(to: &mpsc::Sender<Vec<u8>>, rows: &mut Rows) -> Result<(), Fault> {
    to.blocking_send(rows.take()).map_err(|_| Fault::Stopped)
}

fn bind(statement: &mut Statement<'_>, values: &[Value]) -> rusqlite::Result<()> {
    for at in 1..=statement.parameter_count() {
        let meant = statement.parameter_name(at).and_then(number);
        match meant.and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(Value::Text(text)) => statement.raw_bind_parameter(at, &**text)?,
            Some(Value::Int(number)) => statement.raw_bind_parameter(at, number)?,
            Some(Value::Bool(answer)) => statement.raw_bind_parameter(at, answer)?,
            Some(list @ Value::List(_)) => {
                let json = serde_json::to_string(list).unwrap_or_default();
                statement.raw_bind_parameter(at, json)?;
            }
            None => {}
        }
    }
    Ok(())
}

fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => 8,
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
    }
}

fn cell(value: ValueRef<'_>) -> Cell<'_> {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(number) => Cell::Json(number.to_string().into()),
        ValueRef::Real(number) => {
            let text = serde_json::Value::from(number);
            let text = if text.is_null() { number.to_string() } else { text.to_string() };
            if is_number(&text) { Cell::Json(text.into()) } else { Cell::Text(text.into()) }
        }
        ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
            Cell::Text(format!("\\x{}", digits.collect::<String>()).into())
        }
    }
}

fn refused(fault: &rusqlite::Error) -> Fault {
    Fault::Refused(said(fault))
}

fn said(fault: &rusqlite::Error) -> String {
    if let rusqlite::Error::MultipleStatement = fault {
        return "only one statement is put at a time".to_owned();
    }
    // Without the statement, which is root's.
    let rusqlite::Error::SqlInputError { msg, .. } = fault else {
        return plain(&fault.to_string());
    };
    plain(msg)
}
