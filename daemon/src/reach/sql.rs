//! Databases: a statement is put as the catalog writes it, with its values beside it, where nothing can be written.

mod fault;
mod json;
mod order;
mod postgres;
mod rows;
mod sqlite;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use policy::SqlQuery;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;

pub(crate) use order::{Planned, SqlService};

use super::order::{Finish, Probed};
use super::service::Attached;
use fault::Fault;
use order::Place;
use postgres::Asker;
use sqlite::File;

/// As programs end that the database has refused something.
const REFUSED: u8 = 1;
/// There are more rows than it may give.
const CUT: u8 = 3;

/// A database that can be asked.
pub(super) enum Database {
    Server(Rc<Asker>),
    File(File),
}

/// How a statement that was put went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Put {
    /// All its rows were given.
    Whole,
    /// As many as it may give were.
    Cut,
}

impl Database {
    pub(super) fn new(service: SqlService, files: Vec<OwnedFd>) -> io::Result<Self> {
        let SqlService { place, statement_timeout, rows_max } = service;
        match place {
            Place::Server(server) => {
                let asker = Asker::new(server, (statement_timeout, rows_max), files)?;
                Ok(Self::Server(Rc::new(asker)))
            }
            Place::File(path) => Ok(Self::File(File::new(path, statement_timeout, rows_max))),
        }
    }

    /// Puts a statement, and writes its rows. Whoever stops it is told that it has ended once the database does no more of it.
    pub(super) async fn carry_out(
        &self,
        query: SqlQuery,
        attached: Attached,
        stopped: oneshot::Receiver<()>,
    ) -> Finish {
        let Attached { mut stdout, stderr, stdin: _ } = attached;
        let put = match self {
            Self::Server(asker) => asker.put(&query, &mut stdout, stopped).await,
            Self::File(file) => file.put(query, &mut stdout, stopped).await,
        };
        match put {
            Ok(Put::Whole) => Finish::Exited(0),
            Ok(Put::Cut) => say(stderr, &self.cut(), CUT).await,
            Err(Fault::Refused(why)) => say(stderr, &why, REFUSED).await,
            Err(Fault::Lost(why)) => Finish::Lost(why),
            Err(Fault::Cut(why)) => Finish::Cut(why),
            Err(Fault::Stopped) => Finish::Stopped,
        }
    }

    /// Whether it is there, lets its role in, and understands what it is going to be asked.
    pub(super) async fn probe(&self, planned: Vec<Planned>) -> Probed {
        match self {
            Self::Server(asker) => asker.probe(planned).await,
            Self::File(file) => file.probe(planned).await,
        }
    }

    fn cut(&self) -> String {
        let most = match self {
            Self::Server(asker) => asker.rows_max,
            Self::File(file) => file.rows_max,
        };
        format!("there are more than {most} rows: the rest is left out")
    }
}

async fn say(mut stderr: pipe::Sender, why: &str, status: u8) -> Finish {
    let _ = stderr.write_all(format!("{why}\n").as_bytes()).await;
    Finish::Exited(status)
}

/// What is said of statements that cannot be put.
fn unwell(faults: &[(String, String)]) -> Probed {
    if faults.is_empty() {
        return Probed::There;
    }
    let said = faults.iter().map(|(verb, why)| {
        format!("`{verb}` cannot be put: {}", why.lines().next().unwrap_or_default())
    });
    Probed::Unwell(said.collect::<Vec<_>>().join("; "))
}

/// What is wrong with a statement whose placeholders are not the catalog's values.
fn miscounted(has: usize, values: usize) -> String {
    format!("the statement has {has} placeholders, and the catalog has {values} `values` for them")
}
