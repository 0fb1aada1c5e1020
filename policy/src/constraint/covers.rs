//! Which constraint lies within which.

use std::collections::BTreeSet;

use super::Constraint;
use crate::value::{MAX_VALUE_BYTES, Value};

impl Constraint {
    /// Whether every value that `narrower` permits is permitted here. May say no when the truth is yes
    /// (two different patterns), never yes when the truth is no.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Any, _) => true,
            (wide, Self::OneOf(values)) => values.iter().all(|value| wide.permits(value)),
            (Self::All(parts), narrow) => parts.iter().all(|part| part.covers(narrow)),
            (Self::Has(item), Self::All(parts)) => {
                parts.iter().any(|part| self.covers(part)) || always_has(item, parts)
            }
            (wide, Self::All(parts)) => parts.iter().any(|part| wide.covers(part)),
            (Self::OneOf(values), Self::Range { min, max }) => lists_range(values, *min, *max),
            (Self::Range { min, max }, Self::Range { min: low, max: high }) => {
                low > high || (min <= low && high <= max)
            }
            (Self::Length { min, max }, narrow) => covers_length(*min, *max, narrow),
            (Self::Prefix(wide), narrow) => {
                lead(narrow).is_some_and(|lead| lead.starts_with(&**wide))
            }
            (Self::Pattern(wide), Self::Pattern(narrow)) => wide == narrow,
            (Self::Subtree(wide), Self::Subtree(narrow)) => wide.holds(narrow.path()),
            (Self::Cidr(wide), Self::Cidr(narrow)) => wide.covers(narrow),
            (Self::Url(wide), Self::Url(narrow)) => wide.covers(narrow),
            (Self::Each(wide), Self::Each(narrow)) | (Self::Has(wide), Self::Has(narrow)) => {
                wide.covers(narrow)
            }
            (
                Self::OneOf(_)
                | Self::Range { .. }
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
}

/// Whether a list that is not empty, and whose every item is within some part, must have one within `item`.
fn always_has(item: &Constraint, parts: &BTreeSet<Constraint>) -> bool {
    let filled = parts.iter().any(|part| matches!(part, Constraint::Length { min: 1.., .. }));
    let each = |part: &Constraint| matches!(part, Constraint::Each(each) if item.covers(each));
    // Without a part that is about lists, a text of that length is within as well, and has nothing in it.
    filled && parts.iter().any(each)
}

fn covers_length(min: u32, max: u32, narrow: &Constraint) -> bool {
    if let Constraint::Length { min: low, max: high } = narrow {
        return low > high || (min <= *low && *high <= max);
    }
    // A text that begins so is at least as long, and at most as long as a value can be.
    let fits = |lead: String| usize::try_from(min).is_ok_and(|min| min <= lead.len());
    usize::try_from(max).is_ok_and(|max| max >= MAX_VALUE_BYTES) && lead(narrow).is_some_and(fits)
}

/// What every text within begins with, character for character; `None` when that is not known.
pub(super) fn lead(narrow: &Constraint) -> Option<String> {
    match narrow {
        Constraint::Prefix(prefix) => Some(prefix.to_string()),
        Constraint::Subtree(root) => Some(root.path().to_owned()),
        Constraint::Url(prefix) => Some(prefix.lead()),
        Constraint::Any
        | Constraint::OneOf(_)
        | Constraint::Range { .. }
        | Constraint::Pattern(_)
        | Constraint::All(_)
        | Constraint::Length { .. }
        | Constraint::Cidr(_)
        | Constraint::Each(_)
        | Constraint::Has(_) => None,
    }
}

fn lists_range(values: &BTreeSet<Value>, min: i64, max: i64) -> bool {
    let length = i128::from(max) - i128::from(min) + 1;
    let listed = i128::try_from(values.len()).unwrap_or(i128::MAX);
    length <= listed && (min..=max).all(|number| values.contains(&Value::Int(number)))
}
