//! What `exec` says of the input that its program takes.

use super::document::{Node, Table};
use super::verbs::one_word;
use super::{TextFault, units};
use crate::input::{Content, Input, Stdin};

/// The keys of `exec` that are read here.
pub(super) const FIELDS: [&str; 3] = ["stdin", "stdin_max", "tty"];

/// Where nothing is said: what a person has written fits.
const USUAL_MAX: u64 = 1 << 20;
/// As much as most lines carry in the life of a share.
const MOST: u64 = 1 << 30;

pub(super) fn read(exec: Table<'_>) -> Result<Input, TextFault> {
    if exec.get("tty").map_or(Ok(false), Node::boolean)? {
        return terminal(exec);
    }
    let max = exec.get("stdin_max").map(|node| Ok((node, size(node)?))).transpose()?;
    match (exec.get("stdin"), max) {
        (Some(node), max) => {
            let max = max.map_or(USUAL_MAX, |(_, max)| max);
            Ok(Input::Stdin(Stdin { content: content(node)?, max }))
        }
        (None, Some((node, _))) => {
            let hint = "say what it takes: `stdin = \"text\"` or `stdin = \"bytes\"`";
            let message = "`stdin_max` bounds nothing: the program takes no standard input";
            Err(node.place.hinted(message, Some(hint.to_owned())))
        }
        (None, None) => Ok(Input::Nothing),
    }
}

/// What is typed at a terminal has no end and no form that could be held to.
fn terminal(exec: Table<'_>) -> Result<Input, TextFault> {
    let Some((key, node)) =
        ["stdin", "stdin_max"].iter().find_map(|key| Some((key, exec.get(key)?)))
    else {
        return Ok(Input::Terminal);
    };
    let message = format!("`{key}` has no place beside `tty`: a terminal is the standard input");
    let hint = format!("leave `{key}` out, or `tty`");
    Err(node.place.hinted(message, Some(hint)))
}

fn content(node: Node<'_>) -> Result<Content, TextFault> {
    match node.string()? {
        "bytes" => Ok(Content::Bytes),
        "text" => Ok(Content::Text),
        other => Err(one_word(node, "standard input", other, &["bytes", "text"])),
    }
}

fn size(node: Node<'_>) -> Result<u64, TextFault> {
    let bytes = units::size(node)?;
    if bytes > MOST {
        return Err(node.place.fault("`stdin_max` is at most 1GiB"));
    }
    Ok(bytes)
}
