//! Files that verbs fetch, take in, list and follow: beneath a directory that the catalog names, past no symbolic link.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::input::{Content, Input, Stdin};
use crate::kind::Kind;
use crate::name::{AccountName, ParameterName};
use crate::pattern::Anchored;
use crate::value::{Arguments, Value};
use crate::verb::Parameter;

/// What verbs of files take besides what the catalog declares.
const OFFSET: &str = "offset";
const LINES: &str = "lines";
const FOLLOW: &str = "follow";
const SHA256: &str = "sha256";

/// As many lines of a file's end as somebody looks through.
const LINES_MAX: i64 = 10_000;
const LINES_USUAL: i64 = 10;

/// A file, or a directory, and what is done with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct File {
    /// Which.
    pub which: Which,
    /// What is done.
    pub act: FileAct,
    /// As whom, where that is not the owner.
    pub run_as: Option<AccountName>,
}

/// Which file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    /// Always this one, an absolute path.
    This(String),
    /// The one that this parameter names.
    Named(ParameterName),
}

/// What is done with a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileAct {
    /// It is read, whole or from some byte on.
    Get {
        /// Whether secrets in it are masked. Then it is read whole, and nothing is told by which they could be guessed:
        /// what masks them has to see what stands before.
        is_masked: bool,
    },
    /// It is made.
    Put {
        /// Whether one that is there is replaced.
        overwrite: bool,
        /// How long it may be.
        max: u64,
    },
    /// What is in the directory is told.
    List,
    /// Its last lines are read, and those that are added.
    Tail,
}

/// How a recipient's program carries a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transfer {
    /// From the owner's machine.
    Get,
    /// To it.
    Put,
}

/// Where a file is: the root by its name, the rest beneath it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileAt {
    /// Links in it are root's own business.
    pub root: String,
    /// Without a leading `/`; empty for the root itself.
    pub rest: String,
}

/// What is asked of a file in one call.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FileAsk {
    /// Its bytes.
    Get {
        /// From which on.
        offset: u64,
        /// Whether secrets in it are masked on the way.
        is_masked: bool,
    },
    /// To be made.
    Put {
        /// What its bytes must have as their SHA-256, in hexadecimal digits.
        sha256: String,
        /// How many they may be.
        max: u64,
        /// Whether one that is there is replaced.
        overwrite: bool,
    },
    /// What is in it.
    List,
    /// Its end.
    Tail {
        /// How many lines.
        lines: u64,
        /// Whether those count that are added later.
        follow: bool,
    },
}

impl FileAct {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Get { .. } => "get",
            Self::Put { .. } => "put",
            Self::List => "list",
            Self::Tail => "tail",
        }
    }

    /// The parameters that a verb has by it.
    pub(crate) fn parameters(self) -> BTreeMap<ParameterName, Parameter> {
        let from = |min, max| Constraint::Range { min, max };
        let declared = match self {
            Self::Get { is_masked: true } | Self::List => Vec::new(),
            Self::Get { is_masked: false } => {
                let offset = (Kind::Int, from(0, i64::MAX), Some(Value::Int(0)));
                vec![(OFFSET, offset, "from which byte on, to go on with what was cut")]
            }
            Self::Put { .. } => {
                let digits =
                    Anchored::new("[0-9a-f]{64}").map_or(Constraint::Any, Constraint::Pattern);
                vec![(SHA256, (Kind::Text, digits, None), "the SHA-256 of what is given")]
            }
            Self::Tail => {
                let lines = (Kind::Int, from(0, LINES_MAX), Some(Value::Int(LINES_USUAL)));
                let follow = (Kind::Bool, Constraint::Any, Some(Value::Bool(false)));
                vec![
                    (LINES, lines, "how many lines of its end"),
                    (FOLLOW, follow, "go on with what is added"),
                ]
            }
        };
        let parameter = |(kind, constraint, default): (Kind, Constraint, Option<Value>),
                         summary: &str| {
            let summary = summary.to_owned();
            Parameter { kind, constraint, required: default.is_none(), default, summary }
        };
        let named = declared.into_iter();
        named
            .filter_map(|(name, one, summary)| Some((name.parse().ok()?, parameter(one, summary))))
            .collect()
    }
}

impl File {
    /// The parameter that names it, if one does.
    pub(crate) fn parameter(&self) -> Option<&ParameterName> {
        match &self.which {
            Which::This(_) => None,
            Which::Named(name) => Some(name),
        }
    }

    /// What it takes besides its arguments.
    pub(crate) fn input(&self) -> Input {
        match self.act {
            FileAct::Put { max, .. } => Input::Stdin(Stdin { content: Content::Bytes, max }),
            FileAct::Get { .. } | FileAct::List | FileAct::Tail => Input::Nothing,
        }
    }

    /// How a recipient's program carries it, if it is carried.
    pub(crate) fn transfers(&self) -> Option<Transfer> {
        match self.act {
            FileAct::Get { .. } => Some(Transfer::Get),
            FileAct::Put { .. } => Some(Transfer::Put),
            FileAct::List | FileAct::Tail => None,
        }
    }

    /// What is asked of it with these arguments.
    #[must_use]
    pub fn ask(&self, arguments: &Arguments) -> FileAsk {
        let value = |name: &str| arguments.value(&name.parse().ok()?);
        let number = |name| match value(name) {
            Some(Value::Int(number)) => u64::try_from(*number).unwrap_or_default(),
            _ => 0,
        };
        match self.act {
            FileAct::Get { is_masked } => {
                let offset = if is_masked { 0 } else { number(OFFSET) };
                FileAsk::Get { offset, is_masked }
            }
            FileAct::Put { overwrite, max } => {
                let sha256 = value(SHA256).map(Value::to_string).unwrap_or_default();
                FileAsk::Put { sha256, max, overwrite }
            }
            FileAct::List => FileAsk::List,
            FileAct::Tail => FileAsk::Tail {
                lines: number(LINES),
                follow: value(FOLLOW) == Some(&Value::Bool(true)),
            },
        }
    }

    /// Where it is, with these arguments, as its parameter says.
    #[must_use]
    pub fn at(
        &self,
        parameters: &BTreeMap<ParameterName, Parameter>,
        arguments: &Arguments,
    ) -> Option<FileAt> {
        match &self.which {
            Which::This(path) => {
                let (root, rest) = path.rsplit_once('/')?;
                let root = if root.is_empty() { "/" } else { root };
                Some(FileAt { root: root.to_owned(), rest: rest.to_owned() })
            }
            Which::Named(name) => {
                let beneath = parameters.get(name)?.beneath(name, arguments.value(name)?);
                Some(FileAt { root: beneath.root, rest: beneath.rest })
            }
        }
    }
}

impl fmt::Display for FileAt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rest.as_str() {
            "" => out.write_str(&self.root),
            rest => write!(out, "{}/{rest}", self.root.trim_end_matches('/')),
        }
    }
}

impl FileAsk {
    /// What is asked besides the file, in words.
    pub(crate) fn words(&self) -> Vec<String> {
        match self {
            Self::Get { offset: 0, .. } | Self::List => Vec::new(),
            Self::Get { offset, .. } => vec![format!("{OFFSET}={offset}")],
            Self::Put { sha256, .. } => vec![format!("{SHA256}={sha256}")],
            Self::Tail { lines, follow } => {
                vec![format!("{LINES}={lines}"), format!("{FOLLOW}={follow}")]
            }
        }
    }
}
