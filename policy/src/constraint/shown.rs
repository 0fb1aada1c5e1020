//! A constraint as a person reads it.

use std::fmt;

use super::Constraint;
use crate::name::shown;
use crate::value::Value;

impl fmt::Display for Constraint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("anything"),
            Self::OneOf(values) => joined(out, values.iter().map(value), "|"),
            Self::Range { min: i64::MIN, max } => write!(out, "at most {max}"),
            Self::Range { min, max: i64::MAX } => write!(out, "at least {min}"),
            Self::Range { min, max } => write!(out, "{min}..{max}"),
            Self::Prefix(prefix) => write!(out, "{}*", shown(prefix)),
            Self::Pattern(pattern) => write!(out, "/{}/", shown(pattern.source())),
            Self::All(parts) => {
                let lists = |part: &Self| matches!(part, Self::Each(_) | Self::Has(_));
                let unit = if parts.iter().any(lists) { "items" } else { "bytes" };
                let (lengths, others): (Vec<_>, Vec<_>) =
                    parts.iter().partition(|part| matches!(part, Self::Length { .. }));
                let all = others.into_iter().chain(lengths);
                joined(out, all.map(|part| part.counted(unit)), " and ")
            }
            Self::Length { .. } => out.write_str(&self.counted("long")),
            Self::Subtree(root) => out.write_str(&shown(&root.to_string())),
            Self::Cidr(network) => network.fmt(out),
            Self::Url(prefix) => out.write_str(&shown(&prefix.to_string())),
            Self::Each(item) => write!(out, "each {item}"),
            Self::Has(item) => write!(out, "with {item} in it"),
        }
    }
}

impl Constraint {
    /// A length in the unit that is known by now; anything else as it is.
    fn counted(&self, unit: &str) -> String {
        let Self::Length { min, max } = self else { return self.to_string() };
        match (min, max) {
            (1, &u32::MAX) if unit == "items" => "at least one item".to_owned(),
            (min, &u32::MAX) => format!("at least {min} {unit}"),
            (0, max) => format!("at most {max} {unit}"),
            (min, max) => format!("{min}..{max} {unit}"),
        }
    }
}

fn value(value: &Value) -> String {
    if let Value::List(_) = value { format!("[{}]", value.shown()) } else { value.shown() }
}

fn joined(
    out: &mut fmt::Formatter<'_>,
    parts: impl Iterator<Item = String>,
    between: &str,
) -> fmt::Result {
    out.write_str(&parts.collect::<Vec<_>>().join(between))
}
