//! Constraints: what a value may be, and which constraint lies within which.

mod covers;
mod meet;
mod shown;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::address::Network;
use crate::path::Root;
use crate::pattern::Anchored;
use crate::value::{Text, Value};
use crate::web::UrlPrefix;

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
    /// All of these at once; what `intersect` makes of constraints that no single one can state.
    All(BTreeSet<Constraint>),
    /// A text of so many bytes, or a list of so many items, both ends included.
    Length {
        /// The least length permitted.
        min: u32,
        /// The greatest length permitted.
        max: u32,
    },
    /// This path, or one beneath it, by components.
    Subtree(Root),
    /// An address of this network.
    Cidr(Network),
    /// A URL of this host, beneath this path.
    Url(UrlPrefix),
    /// A list whose every item is within; the empty list is.
    Each(Box<Constraint>),
    /// A list with an item that is within: what a rule that denies says of a list.
    Has(Box<Constraint>),
}

impl Constraint {
    /// Exactly this value.
    #[must_use]
    pub fn exact(value: Value) -> Self {
        Self::OneOf(BTreeSet::from([value]))
    }

    /// A list whose every item is within `limit`; any list when that is anything.
    #[must_use]
    pub fn each(limit: Self) -> Self {
        if limit == Self::Any { Self::Any } else { Self::Each(Box::new(limit)) }
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
            (Self::Length { min, max }, value) => {
                length(value).is_some_and(|length| (min..=max).contains(&&length))
            }
            (Self::Subtree(root), Value::Text(text)) => root.holds(text),
            (Self::Cidr(network), Value::Text(text)) => network.holds(text),
            (Self::Url(prefix), Value::Text(text)) => prefix.holds(text),
            (Self::Each(item), Value::List(items)) => items.iter().all(|one| item.permits(one)),
            (Self::Has(item), Value::List(items)) => items.iter().any(|one| item.permits(one)),
            (
                Self::Range { .. }
                | Self::Prefix(_)
                | Self::Pattern(_)
                | Self::Subtree(_)
                | Self::Cidr(_)
                | Self::Url(_)
                | Self::Each(_)
                | Self::Has(_),
                _,
            ) => false,
        }
    }

    /// What it is made of, itself when it is no `All`.
    pub(crate) fn parts(&self) -> Vec<&Self> {
        if let Self::All(parts) = self {
            parts.iter().flat_map(Self::parts).collect()
        } else {
            vec![self]
        }
    }

    /// What it says of one value: its parts, and the parts of what it says of a list's items.
    #[must_use]
    pub fn item_parts(&self) -> Vec<&Self> {
        self.parts().into_iter().flat_map(Self::of_item).collect()
    }

    fn of_item(&self) -> Vec<&Self> {
        if let Self::Each(item) | Self::Has(item) = self { item.parts() } else { vec![self] }
    }

    /// Whether the one value that is left is the empty list: nothing that anybody meant.
    pub(crate) fn only_empty(&self) -> bool {
        let Self::OneOf(values) = self else { return false };
        values.iter().all(|value| value.items().is_empty())
    }
}

/// How long a value is, where that means anything.
fn length(value: &Value) -> Option<u32> {
    let length = match value {
        Value::Text(text) => text.len(),
        Value::List(items) => items.len(),
        Value::Int(_) | Value::Bool(_) => return None,
    };
    u32::try_from(length).ok()
}
