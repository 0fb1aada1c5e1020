//! Constraints: what a value may be, and which constraint lies within which.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::pattern::Anchored;
use crate::value::{Text, Value};

/// What a value may be.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// Any well-formed value.
    Any,
    /// One of these values; one value is an exact pin.
    OneOf(BTreeSet<Value>),
    /// A whole number from `min` to `max`, both included.
    Range {
        /// The least number permitted.
        min: i64,
        /// The greatest number permitted.
        max: i64,
    },
    /// A text that begins so.
    Prefix(Text),
    /// A text that matches as a whole.
    Pattern(Anchored),
    /// All of these at once; what `intersect` makes of a prefix and patterns.
    All(BTreeSet<Constraint>),
}

impl Constraint {
    /// Exactly this value.
    #[must_use]
    pub fn exact(value: Value) -> Self {
        Self::OneOf(BTreeSet::from([value]))
    }

    /// Whether the value is within the constraint.
    #[must_use]
    pub fn permits(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::OneOf(values), value) => values.contains(value),
            (Self::Range { min, max }, Value::Int(number)) => (min..=max).contains(&number),
            (Self::Prefix(prefix), Value::Text(text)) => text.starts_with(&**prefix),
            (Self::Pattern(pattern), Value::Text(text)) => pattern.matches(text),
            (Self::All(parts), value) => parts.iter().all(|part| part.permits(value)),
            (Self::Range { .. } | Self::Prefix(_) | Self::Pattern(_), _) => false,
        }
    }

    /// Whether every value that `narrower` permits is permitted here. May say no when the truth is yes
    /// (two different patterns), never yes when the truth is no.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Any, _) => true,
            (wide, Self::OneOf(values)) => values.iter().all(|value| wide.permits(value)),
            (Self::All(parts), narrow) => parts.iter().all(|part| part.covers(narrow)),
            (wide, Self::All(parts)) => parts.iter().any(|part| wide.covers(part)),
            (Self::OneOf(values), Self::Range { min, max }) => lists_range(values, *min, *max),
            (Self::Range { min, max }, Self::Range { min: low, max: high }) => {
                low > high || (min <= low && high <= max)
            }
            (Self::Prefix(wide), Self::Prefix(narrow)) => narrow.starts_with(&**wide),
            (Self::Pattern(wide), Self::Pattern(narrow)) => wide == narrow,
            (Self::OneOf(_) | Self::Range { .. } | Self::Prefix(_) | Self::Pattern(_), _) => false,
        }
    }

    /// What both permit, exactly; `None` when that is known to be nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, one) | (one, Self::Any) => Some(one.clone()),
            (Self::OneOf(values), filter) | (filter, Self::OneOf(values)) => {
                let kept: BTreeSet<_> =
                    values.iter().filter(|v| filter.permits(v)).cloned().collect();
                (!kept.is_empty()).then_some(Self::OneOf(kept))
            }
            (Self::Range { min, max }, Self::Range { min: low, max: high }) => {
                let (min, max) = (*min.max(low), *max.min(high));
                (min <= max).then_some(Self::Range { min, max })
            }
            (Self::Range { .. }, _) | (_, Self::Range { .. }) => None,
            (Self::Prefix(_) | Self::Pattern(_) | Self::All(_), _) => all_texts([self, other]),
        }
    }
}

fn lists_range(values: &BTreeSet<Value>, min: i64, max: i64) -> bool {
    let length = i128::from(max) - i128::from(min) + 1;
    let listed = i128::try_from(values.len()).unwrap_or(i128::MAX);
    length <= listed && (min..=max).all(|number| values.contains(&Value::Int(number)))
}

/// Joins constraints on texts, keeping one prefix (the longest) and each pattern once.
fn all_texts(sides: [&Constraint; 2]) -> Option<Constraint> {
    let mut prefix: Option<&Text> = None;
    let mut parts = BTreeSet::new();
    for part in sides.into_iter().flat_map(flattened) {
        match (part, prefix) {
            (Constraint::Prefix(new), Some(old)) if old.starts_with(&**new) => {}
            (Constraint::Prefix(new), Some(old)) if !new.starts_with(&**old) => return None,
            (Constraint::Prefix(new), _) => prefix = Some(new),
            (other, _) => drop(parts.insert(other.clone())),
        }
    }
    parts.extend(prefix.cloned().map(Constraint::Prefix));
    if parts.len() > 1 { Some(Constraint::All(parts)) } else { parts.pop_first() }
}

fn flattened(constraint: &Constraint) -> Vec<&Constraint> {
    if let Constraint::All(parts) = constraint {
        parts.iter().flat_map(flattened).collect()
    } else {
        vec![constraint]
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("anything"),
            Self::OneOf(values) => joined(out, values.iter().map(Value::shown), "|"),
            Self::Range { min: i64::MIN, max } => write!(out, "at most {max}"),
            Self::Range { min, max: i64::MAX } => write!(out, "at least {min}"),
            Self::Range { min, max } => write!(out, "{min}..{max}"),
            Self::Prefix(prefix) => write!(out, "{}*", crate::name::shown(prefix)),
            Self::Pattern(pattern) => write!(out, "/{}/", crate::name::shown(pattern.source())),
            Self::All(parts) => joined(out, parts.iter().map(ToString::to_string), " and "),
        }
    }
}

fn joined(
    out: &mut fmt::Formatter<'_>,
    parts: impl Iterator<Item = String>,
    between: &str,
) -> fmt::Result {
    out.write_str(&parts.collect::<Vec<_>>().join(between))
}
