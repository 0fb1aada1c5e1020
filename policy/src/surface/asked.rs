//! What a request asks for, once each parameter's kind is known.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{DeriveFault, DeriveProblem, MAX_COMBINATIONS, fault};
use crate::constraint::Constraint;
use crate::name::{ParameterName, VerbName};
use crate::nearest::nearest;
use crate::request::{Pin, Request};
use crate::scope::Capability;
use crate::value::Value;
use crate::verb::{Parameter, Verb};

/// What is asked of one parameter: the union of these.
pub(super) struct Wanted {
    pub(super) limits: BTreeSet<Constraint>,
}

impl Wanted {
    /// What must be held for the request to be met: each listed value, each range, and of a bound on
    /// one side that bound.
    pub(super) fn cells(&self) -> BTreeSet<Constraint> {
        self.limits.iter().flat_map(cells_of).collect()
    }
}

pub(super) fn cells_of(limit: &Constraint) -> Vec<Constraint> {
    if let Constraint::OneOf(values) = limit {
        return values.iter().cloned().map(Constraint::exact).collect();
    }
    // Lists may mix what is listed, so all of it must be held at once.
    let (item, is_list) =
        if let Constraint::Each(item) = limit { (&**item, true) } else { (limit, false) };
    let end = bound(item).map(|end| Constraint::exact(Value::Int(end)));
    vec![match end {
        Some(end) if is_list => Constraint::each(end),
        Some(end) => end,
        None => limit.clone(),
    }]
}

/// The one end of a range that is given.
fn bound(limit: &Constraint) -> Option<i64> {
    if let Constraint::Range { min: i64::MIN, max: end }
    | Constraint::Range { min: end, max: i64::MAX } = limit
    {
        Some(*end)
    } else {
        None
    }
}

/// Whether a limit only bounds what is held otherwise: a length asks for nothing of its own.
pub(super) fn is_measure(limit: &Constraint) -> bool {
    limit.item_parts().iter().all(|part| matches!(part, Constraint::Length { .. }))
}

/// One choice for each parameter that a request mentions.
#[derive(Clone)]
pub(super) struct Combination<'a> {
    verb: &'a VerbName,
    limits: BTreeMap<&'a ParameterName, Constraint>,
}

impl Combination<'_> {
    pub(super) fn lies_within(&self, wide: &Capability) -> bool {
        let lies = |(name, limit): (&&ParameterName, &Constraint)| {
            let held = wide.constraint(name);
            held.covers(limit) || (is_measure(limit) && held.intersect(limit).is_some())
        };
        self.limits.iter().all(lies)
    }

    pub(super) fn within(&self, wide: &Capability) -> Option<Capability> {
        let limits = self.limits.iter().map(|(name, limit)| ((*name).clone(), limit.clone()));
        wide.intersect(&Capability::new(self.verb.clone(), limits))
    }

    pub(super) fn at(&self, request: &Request) -> usize {
        let first = request.pins.iter().find(|pin| self.limits.contains_key(&pin.parameter));
        first.map_or(0, |pin| pin.at)
    }
}

impl fmt::Display for Combination<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pins = self.limits.iter().map(|(name, limit)| format!("{name}={limit}"));
        write!(out, "`{}`", pins.collect::<Vec<_>>().join(","))
    }
}

pub(super) fn combinations<'a>(
    request: &'a Request,
    choices: impl Iterator<Item = (&'a ParameterName, BTreeSet<Constraint>)>,
) -> Result<Vec<Combination<'a>>, DeriveFault> {
    let mut all = vec![Combination { verb: request.verb(), limits: BTreeMap::new() }];
    for (name, limits) in choices {
        if all.len().saturating_mul(limits.len()) > MAX_COMBINATIONS {
            return Err(fault(request, 0, DeriveProblem::TooMany));
        }
        let widened = all.iter().flat_map(|one| {
            limits.iter().map(|limit| {
                let mut next = one.clone();
                next.limits.insert(name, limit.clone());
                next
            })
        });
        all = widened.collect();
    }
    Ok(all)
}

pub(super) fn settle<'a>(
    request: &'a Request,
    verb: &Verb,
) -> Result<BTreeMap<&'a ParameterName, Wanted>, DeriveFault> {
    let mut wanted = BTreeMap::new();
    for pin in &request.pins {
        let limits = settle_pin(request, verb, pin)?;
        let met = match wanted.remove(&pin.parameter) {
            None => limits,
            Some(Wanted { limits: before }) => both(&before, &limits)
                .ok_or_else(|| fault(request, pin.at, DeriveProblem::TooMany))?,
        };
        if met.is_empty() {
            let problem = DeriveProblem::Nothing { parameter: pin.parameter.clone() };
            return Err(fault(request, pin.at, problem));
        }
        wanted.insert(&pin.parameter, Wanted { limits: met });
    }
    Ok(wanted)
}

/// What two pins of one parameter leave; `None` when they pair more than [`MAX_COMBINATIONS`]. Asked
/// before the pairs are made, and none is kept twice: each further pin would multiply them again.
fn both(one: &BTreeSet<Constraint>, two: &BTreeSet<Constraint>) -> Option<BTreeSet<Constraint>> {
    let pairs = one.len().saturating_mul(two.len());
    let met = || one.iter().flat_map(|a| two.iter().filter_map(|b| a.intersect(b))).collect();
    (pairs <= MAX_COMBINATIONS).then(met)
}

fn settle_pin(
    request: &Request,
    verb: &Verb,
    pin: &Pin,
) -> Result<BTreeSet<Constraint>, DeriveFault> {
    let parameter = verb.parameters.get(&pin.parameter).ok_or_else(|| {
        let names = verb.parameters.keys().map(ParameterName::as_str);
        let problem = DeriveProblem::UnknownParameter {
            verb: verb.name.clone(),
            parameter: pin.parameter.clone(),
            nearest: nearest(pin.parameter.as_str(), names).map(str::to_owned),
        };
        fault(request, pin.at, problem)
    })?;
    if !pin.limit.fits(parameter.kind) {
        let problem = DeriveProblem::NotMeasured {
            parameter: pin.parameter.clone(),
            kind: parameter.kind,
            by: pin.limit.operator(),
        };
        return Err(fault(request, pin.at, problem));
    }
    let limits = pin
        .limit
        .settle(parameter.kind)
        .map_err(|(value, at)| fault(request, at, DeriveProblem::Value(value)))?;
    let mut limits = grouped(limits);
    if parameter.kind.item().is_some() && pin.limit.is_about_items() {
        if limits.len() > 1 {
            let problem = DeriveProblem::MixedItems { parameter: pin.parameter.clone() };
            return Err(fault(request, pin.at, problem));
        }
        limits = limits.into_iter().map(Constraint::each).collect();
    }
    for cell in limits.iter().flat_map(cells_of) {
        if !accepted(parameter, &cell) {
            let problem = DeriveProblem::NotAccepted {
                parameter: pin.parameter.clone(),
                accepted: parameter.constraint.to_string(),
                asked: cell.to_string(),
            };
            return Err(fault(request, pin.at, problem));
        }
    }
    Ok(limits)
}

/// Listed values become one list, so that the scope stays as short as the request.
pub(super) fn grouped(limits: Vec<Constraint>) -> BTreeSet<Constraint> {
    let mut listed = BTreeSet::new();
    let mut grouped = BTreeSet::new();
    for limit in limits {
        if let Constraint::OneOf(values) = limit {
            listed.extend(values);
        } else {
            grouped.insert(limit);
        }
    }
    grouped.extend((!listed.is_empty()).then_some(Constraint::OneOf(listed)));
    grouped
}

/// Whether the catalog could accept the cell. A range must lie within at both ends: more than exists
/// is a mistake to name now, not at the first call.
fn accepted(parameter: &Parameter, cell: &Constraint) -> bool {
    let item = if let Constraint::Each(item) = cell { item } else { cell };
    match item {
        Constraint::OneOf(values) => values.iter().all(|value| parameter.accepts_item(value)),
        Constraint::Range { min, max } => {
            min <= max && [min, max].iter().all(|end| parameter.accepts_item(&Value::Int(**end)))
        }
        Constraint::Any
        | Constraint::Prefix(_)
        | Constraint::Pattern(_)
        | Constraint::All(_)
        | Constraint::Length { .. }
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_)
        | Constraint::Each(_)
        | Constraint::Has(_) => parameter.may_be(cell),
    }
}
