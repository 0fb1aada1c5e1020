//! What `ssh` says: which target, and what runs there.

use std::collections::BTreeMap;

use super::document::{Node, Table};
use super::targets::Targets;
use super::verbs::one_word;
use super::{TextFault, input};
use crate::constraint::Constraint;
use crate::input::Input;
use crate::kind::Kind;
use crate::name::{ParameterName, TargetName};
use crate::ssh::{RemoteEnd, Route, Ssh};
use crate::template::{Piece, Template};
use crate::value::Value;
use crate::verb::Parameter;

pub(super) fn read(
    table: Table<'_>,
    parameters: &BTreeMap<ParameterName, Parameter>,
    targets: &Targets,
) -> Result<Ssh, TextFault> {
    table.only(&["target", "argv", "remote_end", "tty"])?;
    let node = table.need("target")?;
    let target: Template = node.parsed()?;
    Ok(Ssh {
        routes: routes(node, &target, parameters, targets)?,
        target,
        argv: argv(table.need("argv")?)?,
        remote_end: table.get("remote_end").map_or(Ok(RemoteEnd::Hangup), remote_end)?,
        input: terminal(table)?,
    })
}

/// `timeout` hands on to its program what the terminal has told that already: each Ctrl+C comes twice, and the first one
/// ends the program two seconds later, as if its time were over.
fn terminal(table: Table<'_>) -> Result<Input, TextFault> {
    let input = input::read(table)?;
    let end = table.get("remote_end").map(|node| Ok((node, remote_end(node)?))).transpose()?;
    match end.filter(|(_, end)| input == Input::Terminal && *end == RemoteEnd::Timeout) {
        Some((node, _)) => {
            let message = "`timeout` has no place beside `tty`: it takes Ctrl+C for the end";
            let hint = "leave `remote_end` out: what is before a terminal there ends with the call";
            Err(node.place.hinted(message, Some(hint.to_owned())))
        }
        None => Ok(input),
    }
}

/// Every target that the template can mean: what nobody has declared is no target, so all of it must be known now.
fn routes(
    node: Node<'_>,
    target: &Template,
    parameters: &BTreeMap<ParameterName, Parameter>,
    targets: &Targets,
) -> Result<BTreeMap<TargetName, Route>, TextFault> {
    let names = match (target.literal(), target.whole()) {
        (Some(name), _) => vec![name.to_owned()],
        (None, Some(name)) => listed(node, name, parameters)?,
        (None, None) => {
            return Err(node.place.fault("`target` is a target's name, or one parameter alone"));
        }
    };
    let route = |name: &String| {
        targets.route(name).map_err(|(message, hint)| node.place.hinted(message, hint))
    };
    names.iter().map(route).collect()
}

fn listed(
    node: Node<'_>,
    name: &ParameterName,
    parameters: &BTreeMap<ParameterName, Parameter>,
) -> Result<Vec<String>, TextFault> {
    // One that is not declared is told of where all are.
    let Some(parameter) = parameters.get(name) else { return Ok(Vec::new()) };
    let values =
        parameter.constraint.parts().into_iter().find_map(|part| {
            if let Constraint::OneOf(values) = part { Some(values) } else { None }
        });
    if let Some(values) = values.filter(|_| parameter.kind == Kind::Text) {
        return Ok(values.iter().map(Value::to_string).collect());
    }
    let hint = format!("say `{name} = {{ type = \"string\", one_of = [\"web-1\", …] }}`");
    let message = format!("`{{{name}}}` must be a string that lists its targets");
    Err(node.place.hinted(message, Some(hint)))
}

fn argv(node: Node<'_>) -> Result<Vec<Template>, TextFault> {
    let elements = node.array()?;
    let parsed: Vec<Template> =
        elements.iter().map(|element| element.parsed()).collect::<Result<_, _>>()?;
    let named = |program: &str| !program.is_empty() && !program.starts_with('-');
    if !parsed.first().and_then(Template::literal).is_some_and(named) {
        let place = elements.first().map_or(node.place, |first| first.place);
        return Err(place.fault("`argv` begins with a program, without parameters"));
    }
    let controls =
        |piece: &Piece| matches!(piece, Piece::Literal(text) if text.contains(char::is_control));
    match elements.iter().zip(&parsed).find(|(_, one)| one.pieces().iter().any(controls)) {
        Some((element, _)) => {
            Err(element.place.fault("no control characters go to a target's shell"))
        }
        None => Ok(parsed),
    }
}

fn remote_end(node: Node<'_>) -> Result<RemoteEnd, TextFault> {
    match node.string()? {
        "hangup" => Ok(RemoteEnd::Hangup),
        "timeout" => Ok(RemoteEnd::Timeout),
        "none" => Ok(RemoteEnd::None),
        other => Err(one_word(node, "end", other, &["hangup", "timeout", "none"])),
    }
}
