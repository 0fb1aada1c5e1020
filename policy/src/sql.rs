//! Verbs that ask a database: one statement that the catalog writes, in which arguments are bound and never read as SQL.

mod target;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::ParameterName;
use crate::value::{Arguments, Value};

pub(crate) use target::is_here;
pub use target::{Database, Postgres, SqlTarget, Via};

/// A statement that is put to a database.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Sql {
    /// The database.
    pub target: Arc<SqlTarget>,
    /// What is asked of it. Nothing is ever put into this text.
    pub statement: String,
    pub(crate) values: Vec<Bound>,
    pub(crate) format: RowFormat,
}

/// What one placeholder stands for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Bound {
    /// The argument for this parameter, whole.
    Parameter(ParameterName),
    /// What the catalog says.
    Literal(Value),
}

/// How rows are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// A JSON object on each line.
    Ndjson,
    /// Columns, one below the other.
    Table,
}

/// A statement as it is put.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlQuery {
    /// As the catalog has it.
    pub statement: String,
    /// What `$1`, `$2` and so on stand for.
    pub values: Vec<Value>,
    /// How its rows are written.
    pub format: RowFormat,
}

impl Sql {
    /// The statement with these arguments beside it.
    #[must_use]
    pub fn query(&self, arguments: &Arguments) -> SqlQuery {
        let value = |bound: &Bound| match bound {
            Bound::Literal(value) => Some(value.clone()),
            Bound::Parameter(name) => arguments.value(name).cloned(),
        };
        SqlQuery {
            statement: self.statement.clone(),
            values: self.values.iter().filter_map(value).collect(),
            format: self.format,
        }
    }

    /// How many placeholders the statement must have.
    #[must_use]
    pub fn placeholders(&self) -> usize {
        self.values.len()
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &ParameterName> {
        self.values.iter().filter_map(|bound| match bound {
            Bound::Parameter(name) => Some(name),
            Bound::Literal(_) => None,
        })
    }

    /// What is asked, in words, for whoever is asked about it.
    pub(crate) fn words(&self, arguments: &Arguments) -> Vec<String> {
        let SqlQuery { statement, values, .. } = self.query(arguments);
        let numbered =
            values.iter().zip(1..).map(|(value, at): (_, usize)| format!("${at}={value}"));
        [self.target.uri(), statement].into_iter().chain(numbered).collect()
    }
}
