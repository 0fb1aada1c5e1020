//! A constraint as a request writes it.

use std::fmt;

use crate::constraint::Constraint;
use crate::name::{ParameterName, visible};
use crate::value::Value;

/// Writes a constraint as the pins that ask for it. What no request can ask for (a whole list; what a
/// rule denies of a list) is shown, and control characters are escaped: a terminal comes first.
pub(crate) fn write_pin(
    out: &mut fmt::Formatter<'_>,
    name: &ParameterName,
    limit: &Constraint,
) -> fmt::Result {
    let pins: Vec<String> = limit.parts().into_iter().flat_map(|part| pins(name, part)).collect();
    out.write_str(&pins.join(","))
}

fn pins(name: &ParameterName, part: &Constraint) -> Vec<String> {
    if let Constraint::Each(item) | Constraint::Has(item) = part {
        return item
            .parts()
            .into_iter()
            .map(|part| pin(&format!("{name}[]"), name, part))
            .collect();
    }
    vec![pin(name.as_str(), name, part)]
}

/// One pin; `measured` is what stands before `#`.
fn pin(measured: &str, name: &ParameterName, limit: &Constraint) -> String {
    match limit {
        Constraint::Range { min: i64::MIN, max } => format!("{name}<={max}"),
        Constraint::Range { min, max: i64::MAX } => format!("{name}>={min}"),
        Constraint::Length { min: 0, max } if *max < u32::MAX => format!("{measured}#<={max}"),
        Constraint::Length { min, max: u32::MAX } => format!("{measured}#>={min}"),
        Constraint::Length { min, max } => format!("{measured}#={min}..{max}"),
        Constraint::Any
        | Constraint::OneOf(_)
        | Constraint::Range { .. }
        | Constraint::Prefix(_)
        | Constraint::Pattern(_)
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_)
        | Constraint::All(_)
        | Constraint::Each(_)
        | Constraint::Has(_) => format!("{name}={}", limited(limit)),
    }
}

fn limited(limit: &Constraint) -> String {
    match limit {
        Constraint::OneOf(values) => values.iter().map(word).collect::<Vec<_>>().join("|"),
        Constraint::Any => "*".to_owned(),
        Constraint::Prefix(prefix) if is_plain(prefix) => format!("{}*", &**prefix),
        Constraint::Prefix(prefix) => format!("{}*", quoted(prefix)),
        Constraint::Pattern(pattern) => format!("~{}", quoted(pattern.source())),
        Constraint::Subtree(root) => beneath(&root.to_string()),
        Constraint::Url(prefix) => beneath(&prefix.to_string()),
        Constraint::Range { min, max } => format!("{min}..{max}"),
        Constraint::Cidr(network) => network.to_string(),
        Constraint::All(_)
        | Constraint::Length { .. }
        | Constraint::Each(_)
        | Constraint::Has(_) => limit.to_string(),
    }
}

/// What ends in a slash; where quotes are needed, the slash stands behind them.
fn beneath(text: &str) -> String {
    match text.strip_suffix('/') {
        Some(before) if !is_plain(&text.replacen("://*.", "://", 1)) => {
            format!("{}/", quoted(before))
        }
        _ => text.to_owned(),
    }
}

fn word(value: &Value) -> String {
    let text = value.to_string();
    match value {
        Value::List(_) => format!("[{}]", value.shown()),
        Value::Text(_) if text.ends_with('/') || !is_plain(&text) => quoted(&text),
        Value::Text(_) | Value::Int(_) | Value::Bool(_) => text,
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@+".contains(&b))
}

fn quoted(text: &str) -> String {
    format!("'{}'", visible(text.replace('\'', "''").chars()))
}
