//! Constraints as the catalog and the rules write them.

use std::collections::BTreeSet;

use super::TextFault;
use super::document::{Node, Table};
use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::value::{MAX_ITEMS, MAX_VALUE_BYTES, Value};
use crate::verb::Parameter;

/// The fields that state a constraint.
pub(super) const FIELDS: [&str; 12] = [
    "one_of",
    "min",
    "max",
    "min_bytes",
    "max_bytes",
    "prefix",
    "pattern",
    "subtree",
    "cidr",
    "url",
    "min_items",
    "max_items",
];

const TEXTS: [Kind; 3] = [Kind::Text, Kind::Path, Kind::Url];

/// How many items of a list a rule's constraint is about.
#[derive(Clone, Copy)]
pub(super) enum Items {
    /// Every one: what is allowed.
    Each,
    /// Any one is enough: what is denied.
    Has,
}

impl Items {
    fn limited(self, kind: Kind, item: Constraint) -> Constraint {
        match (kind.item(), item, self) {
            (None, item, _) => item,
            (Some(_), Constraint::Any, _) => Constraint::Any,
            (Some(_), item, Self::Each) => Constraint::each(item),
            (Some(_), item, Self::Has) => Constraint::Has(Box::new(item)),
        }
    }
}

/// A rule's constraint on a parameter: a value, a list of values, or a table. It must leave something
/// of what the catalog accepts: a rule that can never apply is a mistake.
pub(super) fn in_rule(
    node: Node<'_>,
    parameter: &Parameter,
    items: Items,
) -> Result<Constraint, TextFault> {
    let kind = parameter.kind;
    let limit = if node.is_table() {
        let table = node.table()?;
        table.only(&FIELDS)?;
        let limit = of_table(table, kind, items)?;
        if limit == Constraint::Any {
            let hint = "a parameter that is left out may be anything".to_owned();
            return Err(node.place.hinted("the constraint is empty", Some(hint)));
        }
        limit
    } else if node.is_array() {
        items.limited(kind, listed(node, kind.each())?)
    } else {
        items.limited(kind, Constraint::exact(value(node, kind.each())?))
    };
    check_accepted(node, &limit, parameter)?;
    Ok(limit)
}

fn check_accepted(
    node: Node<'_>,
    limit: &Constraint,
    parameter: &Parameter,
) -> Result<(), TextFault> {
    let values = limit
        .item_parts()
        .into_iter()
        .find_map(|part| if let Constraint::OneOf(values) = part { Some(values) } else { None });
    let stray = values.and_then(|values| values.iter().find(|one| !parameter.accepts_item(one)));
    if let Some(value) = stray {
        let (given, takes) = (value.shown(), &parameter.constraint);
        return Err(node
            .place
            .fault(format!("`{given}` is never accepted: the catalog takes {takes}")));
    }
    if !parameter.may_be(limit) {
        let message =
            format!("{limit} is never accepted: the catalog takes {}", parameter.constraint);
        return Err(node.place.fault(message));
    }
    Ok(())
}

/// What the catalog accepts: a list has at least one item, unless `min_items` says otherwise.
pub(super) fn in_catalog(table: Table<'_>, kind: Kind) -> Result<Constraint, TextFault> {
    let stated = of_table(table, kind, Items::Each)?;
    if kind.item().is_none() || table.get("min_items").is_some() {
        return Ok(stated);
    }
    together(table, [stated, Constraint::Length { min: 1, max: u32::MAX }])
}

/// The constraint that a table's fields state together; `Any` when there are none.
fn of_table(table: Table<'_>, kind: Kind, items: Items) -> Result<Constraint, TextFault> {
    let parts = [
        one_of(table, kind)?,
        range(table, kind)?,
        bytes(table, kind)?,
        parsed(table, kind, "prefix", &[Kind::Text])?.map(Constraint::Prefix),
        parsed(table, kind, "pattern", &TEXTS)?.map(Constraint::Pattern),
        parsed(table, kind, "subtree", &[Kind::Path])?.map(Constraint::Subtree),
        parsed(table, kind, "cidr", &[Kind::Address])?.map(Constraint::Cidr),
        parsed(table, kind, "url", &[Kind::Url])?.map(Constraint::Url),
    ];
    let item = together(table, parts.into_iter().flatten())?;
    let count = count(table, kind)?.unwrap_or(Constraint::Any);
    together(table, [items.limited(kind, item), count])
}

fn together(
    table: Table<'_>,
    parts: impl IntoIterator<Item = Constraint>,
) -> Result<Constraint, TextFault> {
    let met = parts.into_iter().try_fold(Constraint::Any, |met, part| met.intersect(&part));
    met.filter(|met| !met.only_empty()).ok_or_else(|| {
        table.place.fault("the constraints exclude each other: nothing would be accepted")
    })
}

fn one_of(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    table.get("one_of").map(|node| listed(node, kind.each())).transpose()
}

fn listed(node: Node<'_>, kind: Kind) -> Result<Constraint, TextFault> {
    let items = node.array()?;
    let values = items
        .into_iter()
        .map(|item| value(item, kind))
        .collect::<Result<BTreeSet<_>, TextFault>>()?;
    if values.is_empty() {
        return Err(node.place.fault("the list is empty: nothing would be accepted"));
    }
    Ok(Constraint::OneOf(values))
}

fn range(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let end = |key| {
        let Some(node) = table.get(key) else { return Ok(None) };
        need_kind(node, kind, &[Kind::Int], "`min` and `max` are")?;
        node.integer().map(Some)
    };
    let Some((min, max)) = ends(table, ("min", end("min")?), ("max", end("max")?))? else {
        return Ok(None);
    };
    let (min, max) = (min.unwrap_or(i64::MIN), max.unwrap_or(i64::MAX));
    Ok(Some(Constraint::Range { min, max }))
}

fn bytes(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let fits = |node: Node<'_>| need_kind(node, kind, &TEXTS, "`min_bytes` and `max_bytes` are");
    length(
        table,
        ["min_bytes", "max_bytes"],
        (MAX_VALUE_BYTES, "a value has at most", "bytes"),
        fits,
    )
}

fn count(table: Table<'_>, kind: Kind) -> Result<Option<Constraint>, TextFault> {
    let fits = |node: Node<'_>| match kind.item() {
        Some(_) => Ok(()),
        None => Err(node.place.fault(format!(
            "`min_items` and `max_items` are for lists, and this parameter is of type {kind}"
        ))),
    };
    length(table, ["min_items", "max_items"], (MAX_ITEMS, "a list has at most", "items"), fits)
}

fn length(
    table: Table<'_>,
    [low, high]: [&str; 2],
    (most, has, what): (usize, &str, &str),
    fits: impl Fn(Node<'_>) -> Result<(), TextFault>,
) -> Result<Option<Constraint>, TextFault> {
    let end = |key| {
        let Some(node) = table.get(key) else { return Ok(None) };
        fits(node)?;
        let number = u32::try_from(node.integer()?).ok();
        let number = number.filter(|number| usize::try_from(*number).is_ok_and(|it| it <= most));
        let fault = || node.place.fault(format!("{has} {most} {what}: write 0 to {most}"));
        number.map(Some).ok_or_else(fault)
    };
    let ends = ends(table, (low, end(low)?), (high, end(high)?))?;
    Ok(ends.map(|(min, max)| Constraint::Length {
        min: min.unwrap_or(0),
        max: max.unwrap_or(u32::MAX),
    }))
}

/// Two ends that are in order; `None` when neither is given.
#[expect(clippy::type_complexity, reason = "two optional ends, of which one at least is given")]
fn ends<N: Copy + Ord + std::fmt::Display>(
    table: Table<'_>,
    (low, min): (&str, Option<N>),
    (high, max): (&str, Option<N>),
) -> Result<Option<(Option<N>, Option<N>)>, TextFault> {
    match (min, max) {
        (None, None) => Ok(None),
        (Some(min), Some(max)) if min > max => {
            Err(table.place.fault(format!("`{low}` {min} is greater than `{high}` {max}")))
        }
        given => Ok(Some(given)),
    }
}

fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    table: Table<'_>,
    kind: Kind,
    field: &str,
    takes: &[Kind],
) -> Result<Option<T>, TextFault> {
    let Some(node) = table.get(field) else { return Ok(None) };
    need_kind(node, kind, takes, &format!("`{field}` is"))?;
    node.parsed().map(Some)
}

fn need_kind(node: Node<'_>, kind: Kind, takes: &[Kind], what: &str) -> Result<(), TextFault> {
    if takes.contains(&kind.each()) {
        return Ok(());
    }
    let names: Vec<String> = takes.iter().map(ToString::to_string).collect();
    let names = names.join(" or ");
    Err(node.place.fault(format!("{what} for parameters of type {names}, and this one is {kind}")))
}

/// A value of the kind that the parameter takes.
pub(super) fn value(node: Node<'_>, kind: Kind) -> Result<Value, TextFault> {
    let value = if kind.item().is_some() && node.is_array() {
        let items = node.array()?.into_iter().map(Node::scalar);
        Value::list(items.collect::<Result<Vec<_>, TextFault>>()?)
            .map_err(|fault| node.place.fault(fault.to_string()))?
    } else {
        node.scalar()?
    };
    kind.check(&value).map_err(|fault| node.place.fault(fault.to_string()))?;
    Ok(value)
}
