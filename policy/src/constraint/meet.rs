//! What two constraints both permit.

use std::collections::BTreeSet;

use super::Constraint;
use super::covers::lead;
use crate::value::Value;

/// What becomes of two constraints of which neither is a list of values, `Any` or `All`.
enum Met {
    /// No value is within both.
    Nothing,
    /// One constraint states it.
    One(Constraint),
    /// Both must be kept.
    Both,
}

impl Constraint {
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
            (one, two) => all(one.parts().into_iter().chain(two.parts())),
        }
    }
}

/// Joins parts, as few as say it: each is met with those before, and what two become one is met again.
fn all<'a>(parts: impl Iterator<Item = &'a Constraint>) -> Option<Constraint> {
    let mut kept: BTreeSet<Constraint> = BTreeSet::new();
    for part in parts {
        let mut new = part.clone();
        while let Some((old, one)) = first_merge(&kept, &new)? {
            kept.remove(&old);
            new = one;
        }
        kept.insert(new);
    }
    if kept.len() > 1 { Some(Constraint::All(kept)) } else { kept.pop_first() }
}

/// The first kept part that becomes one with the new, and what it becomes; `None` when the new part and
/// some kept one exclude each other.
#[expect(clippy::option_option, reason = "nothing left, and nothing to merge, are two answers")]
fn first_merge(
    kept: &BTreeSet<Constraint>,
    new: &Constraint,
) -> Option<Option<(Constraint, Constraint)>> {
    let mut merge = None;
    for old in kept {
        match meet(old, new) {
            Met::Nothing => return None,
            Met::One(one) if merge.is_none() => merge = Some((old.clone(), one)),
            Met::One(_) | Met::Both => {}
        }
    }
    Some(merge)
}

fn meet(one: &Constraint, two: &Constraint) -> Met {
    use Constraint::{Cidr, Each, Has, Length, OneOf, Pattern, Prefix, Range, Subtree, Url};
    match (one, two) {
        (wide, narrow) if wide.covers(narrow) => Met::One(narrow.clone()),
        (narrow, wide) if wide.covers(narrow) => Met::One(narrow.clone()),
        (OneOf(_), _) | (_, OneOf(_)) => one.intersect(two).map_or(Met::Nothing, Met::One),
        (Range { min, max }, Range { min: low, max: high }) => {
            let (min, max) = (*min.max(low), *max.min(high));
            if min <= max { Met::One(Range { min, max }) } else { Met::Nothing }
        }
        (Length { min, max }, Length { min: low, max: high }) => {
            let (min, max) = (*min.max(low), *max.min(high));
            if min <= max { Met::One(Length { min, max }) } else { Met::Nothing }
        }
        (Url(one), Url(two)) => one.meet(two).map_or(Met::Nothing, |met| Met::One(Url(met))),
        (Each(one), Each(two)) => Met::One(match one.intersect(two) {
            Some(both) => Each(Box::new(both)),
            // Only a list without items has every item within nothing.
            None => OneOf(Value::list([]).into_iter().collect()),
        }),
        (Each(each), Has(item)) | (Has(item), Each(each)) if each.intersect(item).is_none() => {
            Met::Nothing
        }
        (Has(_), Length { max: 0, .. }) | (Length { max: 0, .. }, Has(_)) => Met::Nothing,
        (Length { max, .. }, text) | (text, Length { max, .. }) if longer(text, *max) => {
            Met::Nothing
        }
        (Each(_) | Has(_), Each(_) | Has(_) | Length { .. })
        | (Length { .. }, Each(_) | Has(_))
        | (Pattern(_) | Length { .. }, Prefix(_) | Pattern(_) | Subtree(_) | Cidr(_) | Url(_))
        | (Prefix(_) | Subtree(_) | Cidr(_) | Url(_), Pattern(_) | Length { .. })
        | (Pattern(_), Length { .. }) => Met::Both,
        (Prefix(prefix), text) | (text, Prefix(prefix)) => meet_prefix(prefix, text),
        // Two trees, or two networks, of which neither is within the other; and what differs in sort:
        // no number is a text, no text a list, no path an address or a URL.
        _ => Met::Nothing,
    }
}

/// Whether every text within is longer than that.
fn longer(text: &Constraint, max: u32) -> bool {
    let least = lead(text).and_then(|lead| u32::try_from(lead.len()).ok());
    least.is_some_and(|least| least > max)
}

/// A prefix with what does not cover it and is not covered by it.
fn meet_prefix(prefix: &str, text: &Constraint) -> Met {
    let both = match text {
        Constraint::Subtree(root) => prefix.starts_with(&root.to_string()),
        Constraint::Cidr(_) => true,
        Constraint::Url(url) => prefix.starts_with(&url.lead()),
        Constraint::Any
        | Constraint::OneOf(_)
        | Constraint::Range { .. }
        | Constraint::Prefix(_)
        | Constraint::Pattern(_)
        | Constraint::All(_)
        | Constraint::Length { .. }
        | Constraint::Each(_)
        | Constraint::Has(_) => false,
    };
    if both { Met::Both } else { Met::Nothing }
}
