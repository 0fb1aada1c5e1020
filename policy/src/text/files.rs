//! What `file` says: which file, and what is done with it.

use std::collections::BTreeMap;

use super::document::{Node, Table};
use super::verbs::{RUN_AS, run_as};
use super::{TextFault, units};
use crate::file::{File, FileAct, Which};
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::path::Root;
use crate::template::Template;
use crate::verb::{Effect, Parameter};

const ACTS: [&str; 4] = ["get", "put", "list", "tail"];
/// As much as a person has made, where nothing is said.
const USUAL_MAX: u64 = 16 << 20;
/// As much as most lines carry in the life of a share.
const MOST: u64 = 1 << 40;

pub(super) fn read(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    (effect, is_masked): (Option<Effect>, bool),
) -> Result<File, TextFault> {
    table.only(&["get", "put", "list", "tail", "overwrite", "max", RUN_AS])?;
    let mut said = ACTS.iter().filter_map(|act| Some((*act, table.get(act)?)));
    let (Some((act, node)), None) = (said.next(), said.next()) else {
        let message = "`file` does one thing: `get`, `put`, `list` or `tail`";
        return Err(table.place.fault(message));
    };
    let act = match act {
        "get" => FileAct::Get { is_masked },
        "list" => FileAct::List,
        "tail" => FileAct::Tail,
        _ => put(table, effect)?,
    };
    if let (FileAct::Get { .. } | FileAct::List | FileAct::Tail, Some(key)) =
        (act, ["overwrite", "max"].into_iter().find(|key| table.get(key).is_some()))
    {
        let message = format!("`{key}` is for `put`: what is read is bounded by `output.max`");
        return Err(table.need(key)?.place.fault(message));
    }
    let which = which(node, parameters)?;
    if let Some(stray) = act.parameters().keys().find(|name| parameters.contains_key(name)) {
        let message = format!(
            "`{stray}` is a parameter of every verb that does `{}`: do not declare it",
            act.name()
        );
        return Err(table.place.fault(message));
    }
    Ok(File { which, act, run_as: run_as(table)? })
}

fn put(table: Table<'_>, effect: Option<Effect>) -> Result<FileAct, TextFault> {
    if effect == Some(Effect::Read) {
        let hint = "say `effect = \"write\"`".to_owned();
        return Err(table.place.hinted("a verb that makes files does not only read", Some(hint)));
    }
    let max = table.get("max").map_or(Ok(USUAL_MAX), |node| match units::size(node)? {
        max if max > MOST => Err(node.place.fault("`max` is at most 1024GiB")),
        max => Ok(max),
    })?;
    let overwrite = table.get("overwrite").map_or(Ok(false), Node::boolean)?;
    Ok(FileAct::Put { overwrite, max })
}

fn which(
    node: Node<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
) -> Result<Which, TextFault> {
    let template: Template = node.parsed()?;
    if let Some(path) = template.literal() {
        let is_one = path != "/" && path.parse::<Root>().is_ok_and(|root| root.path() == path);
        let fault = || {
            node.place.fault(
                "a file is an absolute path without `.` and `..`, or one parameter, `\"{path}\"`",
            )
        };
        return is_one.then(|| Which::This(path.to_owned())).ok_or_else(fault);
    }
    let Some(name) = template.whole() else {
        let hint = "declare the whole path as a parameter with a `subtree`".to_owned();
        return Err(node
            .place
            .hinted("a file is one parameter, `\"{path}\"`, and not a part of one", Some(hint)));
    };
    match parameters.get(name) {
        // Told of where all that is used is compared with what is declared.
        None => Ok(Which::Named(name.clone())),
        Some(parameter) if parameter.kind == Kind::Path => Ok(Which::Named(name.clone())),
        Some(parameter) => {
            let message = format!("`{{{name}}}` is a {}: a file is a path", parameter.kind);
            Err(node.place.fault(message))
        }
    }
}
