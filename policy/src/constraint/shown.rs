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
            Self::All(parts) => joined(out, parts.iter().map(ToString::to_string), " and "),
            Self::Length { min: 0, max } => write!(out, "at most {max} long"),
            Self::Length { min, max: u32::MAX } => write!(out, "at least {min} long"),
            Self::Length { min, max } => write!(out, "{min}..{max} long"),
            Self::Subtree(root) => out.write_str(&shown(&root.to_string())),
            Self::Cidr(network) => network.fmt(out),
            Self::Url(prefix) => out.write_str(&shown(&prefix.to_string())),
            Self::Each(item) => write!(out, "each {item}"),
            Self::Has(item) => write!(out, "with {item} in it"),
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
