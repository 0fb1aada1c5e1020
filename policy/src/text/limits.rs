//! Constraints as the catalog and the rules write them.

use std::collections::BTreeSet;

use super::TextFault;
use super::document::{Node, Table};
use crate::constraint::Constraint;
use crate::value::{Kind, Value};
use crate::verb::Parameter;

/// The fields that state a constraint.
pub(super) const FIELDS: [&str; 5] = ["one_of", "min", "max", "prefix", "pattern"];

/// A rule's constraint on a parameter: a value, a list of values, or a table. It must leave something
/// of what the catalog accepts: a rule that can never apply is a mistake.
pub(super) fn in_rule(node: Node<'_>, parameter: &Parameter) -> Result<Constraint, TextFault> {
    let limit = if node.is_table() {
        let table = node.table()?;
        table.only(&FIELDS)?;
        let limit = of_table(table, parameter.kind)?;
        if limit == Constraint::Any {
            let hint = "a parameter that is left out may be anything".to_owned();
            return Err(node.place.hinted("the constraint is empty", Some(hint)));
        }
        limit
    } else if node.is_array() {
        listed(node, parameter.kind)?
    } else {
        Constraint::exact(scalar(node, parameter.kind)?)
    };
    check_accepted(node, &limit, parameter)?;
    Ok(limit)
}

fn check_accepted(
    node: Node<'_>,
    limit: &Constraint,
    parameter: &Parameter,
) -> Result<(), TextFault> {
    if let Constraint::OneOf(values) = limit
        && let Some(value) = values.iter().find(|value| !parameter.accepts(value))
    {
        let (given, takes) = (value.shown(), &parameter.constraint);
        return Err(node
            .place
            .fault(format!("`{given}` is never accepted: the catalog takes {takes}")));
    }
    if limit.intersect(&parameter.constraint).is_none() {
        let message =
            format!("{limit} is never accepted: the catalog takes {}", parameter.constraint);
        return Err(node.place.fault(message));
    }
    Ok(())
}

/// The constraint that a table's fields state together; `Any` when there are none.
pub(super) fn of_table(table: Table<'_>, kind: Kind) -> Result<Constraint, TextFault> {
    let parts =
        [one_of(table, kind)?, range(table, kind)?, prefix(table, kind)?, pattern(table, kind)?];
    let met = parts.iter().flatten().try_fold(Constraint::Any, |met, part| met.intersect(part));
    met.ok_or_else(|| {
        table.place.fault("the constraints exclude each other: nothing would be accepted")
    })
}

fn one_of(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    table.get("one_of").map(|node| listed(node, kind)).transpose()
}

fn listed(node: Node<'_>, kind: Kind) -> Result<Constraint, TextFault> {
    let items = node.array()?;
    let values = items
        .into_iter()
        .map(|item| scalar(item, kind))
        .collect::<Result<BTreeSet<_>, TextFault>>()?;
    if values.is_empty() {
        return Err(node.place.fault("the list is empty: nothing would be accepted"));
    }
    Ok(Constraint::OneOf(values))
}

fn range(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let end = |key| table.get(key).map(|node| end(node, kind)).transpose();
    let (min, max) = (end("min")?, end("max")?);
    if min.is_none() && max.is_none() {
        return Ok(None);
    }
    let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
    if min > max {
        return Err(table.place.fault(format!("`min` {min} is greater than `max` {max}")));
    }
    Ok(Some(Constraint::Range { min, max }))
}

fn end(node: Node<'_>, kind: Kind) -> Result<i64, TextFault> {
    need_kind(node, kind, Kind::Int, "`min` and `max` are")?;
    node.integer()
}

fn prefix(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let Some(node) = table.get("prefix") else { return Ok(None) };
    need_kind(node, kind, Kind::Text, "`prefix` is")?;
    node.text().map(Constraint::Prefix).map(Some)
}

fn pattern(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let Some(node) = table.get("pattern") else { return Ok(None) };
    need_kind(node, kind, Kind::Text, "`pattern` is")?;
    node.parsed().map(Constraint::Pattern).map(Some)
}

fn need_kind(node: Node<'_>, kind: Kind, wanted: Kind, what: &str) -> Result<(), TextFault> {
    if kind == wanted {
        return Ok(());
    }
    Err(node.place.fault(format!("{what} for parameters of type {wanted}, and this one is {kind}")))
}

/// A value of the kind that the parameter takes.
pub(super) fn scalar(node: Node<'_>, kind: Kind) -> Result<Value, TextFault> {
    let value = node.scalar()?;
    if value.kind() == kind {
        return Ok(value);
    }
    Err(node.place.fault(format!("the parameter is of type {kind}, and this is {}", value.kind())))
}
