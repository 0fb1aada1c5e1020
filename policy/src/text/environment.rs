//! The variables that `exec` adds to the clean environment.

use std::collections::BTreeMap;

use super::TextFault;
use super::document::{Entry, Table};
use crate::name::shown;
use crate::template::Template;

/// Variables that a parameter may fill, for none of them makes a program run or read something else. A script of
/// root's own takes what begins with `OPENSCOPE_`.
const FILLED: [&str; 7] = ["COLUMNS", "LANG", "LANGUAGE", "LINES", "NO_COLOR", "TERM", "TZ"];
const FILLED_PREFIXES: [&str; 2] = ["LC_", "OPENSCOPE_"];

pub(super) fn read(exec: Table<'_>) -> Result<BTreeMap<String, Template>, TextFault> {
    let Some(env) = exec.get("env") else { return Ok(BTreeMap::new()) };
    env.table()?.entries().map(variable).collect()
}

fn variable(entry: Entry<'_>) -> Result<(String, Template), TextFault> {
    let first = entry.key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !first || !entry.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(entry.place.fault(format!("`{}` is not a variable's name", shown(entry.key))));
    }
    let value: Template = entry.node.parsed()?;
    if value.literal().is_none() && !may_be_filled(entry.key) {
        let message = format!(
            "`{}` takes a fixed text: a parameter could make the program run something else",
            entry.key
        );
        let hint = format!(
            "parameters may fill {}, and what begins with {}",
            FILLED.join(", "),
            FILLED_PREFIXES.join(" or ")
        );
        return Err(entry.place.hinted(message, Some(hint)));
    }
    Ok((entry.key.to_owned(), value))
}

fn may_be_filled(name: &str) -> bool {
    FILLED.contains(&name) || FILLED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
