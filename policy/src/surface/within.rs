//! What a scope leaves of a request, without a catalog: whoever narrows a passport knows only what it permits.

use std::collections::{BTreeMap, BTreeSet};

use super::asked::{cells_of, grouped, is_measure};
use super::{DeriveFault, DeriveProblem, MAX_COMBINATIONS, MAX_REQUESTS, fault};
use crate::constraint::Constraint;
use crate::name::ParameterName;
use crate::nearest::nearest;
use crate::passport::MAX_HOLDER_PATTERNS;
use crate::request::{Alternative, Request};
use crate::scope::{Capability, Scope};

type Asked<'a> = BTreeMap<&'a ParameterName, Vec<Alternative>>;

impl Scope {
    /// The narrowest scope within this one that meets all requests. No catalog is asked: a pin's kind follows from what
    /// is held; where that is anything, it is every kind that the pin's text can be.
    ///
    /// # Errors
    /// The first request that is more than is held, and where in it.
    pub fn derive(&self, requests: &[Request]) -> Result<Self, DeriveFault> {
        if let Some(over) = requests.get(MAX_REQUESTS) {
            return Err(fault(over, 0, DeriveProblem::TooManyRequests));
        }
        let mut patterns: usize = 0;
        let mut derived = Vec::new();
        for request in requests {
            patterns = patterns.saturating_add(request.patterns());
            if patterns > MAX_HOLDER_PATTERNS {
                return Err(fault(request, 0, DeriveProblem::TooManyAdded));
            }
            derived.extend(derive_one(self, request)?);
            if derived.len() > MAX_COMBINATIONS {
                return Err(fault(request, 0, DeriveProblem::TooMany));
            }
        }
        Ok(Self::new(derived))
    }
}

fn derive_one(scope: &Scope, request: &Request) -> Result<Vec<Capability>, DeriveFault> {
    let held: Vec<_> = scope.of(request.verb()).collect();
    if held.is_empty() {
        let names = scope.verbs().into_iter().map(|verb| verb.as_str().to_owned());
        let names: Vec<String> = names.collect();
        let near = nearest(request.verb().as_str(), names.iter().map(String::as_str));
        let nearest = near.map(str::to_owned);
        let problem = DeriveProblem::NotPermitted { verb: request.verb().clone(), nearest };
        return Err(fault(request, 0, problem));
    }
    let asked = read(request)?;
    check_held(request, &asked, &held)?;
    let within = held.iter().map(|wide| left_of(request, wide, &asked));
    Ok(within.collect::<Result<Vec<_>, _>>()?.concat())
}

fn read(request: &Request) -> Result<Asked<'_>, DeriveFault> {
    let mut asked = Asked::new();
    for pin in &request.pins {
        let words = pin.limit.readings();
        let words = words.map_err(|(value, at)| fault(request, at, DeriveProblem::Value(value)))?;
        let met = match asked.remove(&pin.parameter) {
            None => words,
            Some(before) => both(&before, &words)
                .ok_or_else(|| fault(request, pin.at, DeriveProblem::TooMany))?,
        };
        if met.is_empty() {
            let problem = DeriveProblem::Nothing { parameter: pin.parameter.clone() };
            return Err(fault(request, pin.at, problem));
        }
        asked.insert(&pin.parameter, met);
    }
    Ok(asked)
}

/// What two pins of one parameter leave; `None` when there are too many.
fn both(one: &[Alternative], two: &[Alternative]) -> Option<Vec<Alternative>> {
    if one.len().saturating_mul(two.len()) > MAX_COMBINATIONS {
        return None;
    }
    let met = |a: &BTreeSet<Constraint>, b: &BTreeSet<Constraint>| {
        let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
        pairs.filter_map(|(x, y)| x.intersect(y)).collect::<BTreeSet<_>>()
    };
    let pairs = one.iter().flat_map(|a| two.iter().map(move |b| (a, b)));
    let words = pairs.map(|(a, b)| {
        let (values, mut lists) = (met(&a.values, &b.values), met(&a.lists, &b.lists));
        // What excludes each other as values leaves the empty list, which nobody means.
        if values.is_empty() && !a.values.is_empty() && !b.values.is_empty() {
            lists.clear();
        }
        Alternative { at: b.at, values, lists }
    });
    Some(words.filter(|word| !word.values.is_empty() || !word.lists.is_empty()).collect())
}

/// Each combination of alternatives must be held by a single capability.
fn check_held(
    request: &Request,
    asked: &Asked<'_>,
    held: &[&Capability],
) -> Result<(), DeriveFault> {
    for combination in combinations(request, asked)? {
        let fits = |wide: &&&Capability| {
            combination.iter().all(|(name, word)| !covered(wide, name, word).is_empty())
        };
        if !held.iter().any(|wide| fits(&wide)) {
            let beyond = combination
                .iter()
                .find(|(name, word)| held.iter().all(|wide| covered(wide, name, word).is_empty()));
            let at = beyond.or(combination.first()).map_or(0, |(_, word)| word.at);
            return Err(fault(request, at, outside(request, &combination, held)));
        }
    }
    Ok(())
}

fn outside(
    request: &Request,
    combination: &[(&ParameterName, &Alternative)],
    held: &[&Capability],
) -> DeriveProblem {
    let held: Vec<String> = held.iter().map(|wide| format!("`{wide}`")).collect();
    let pins = combination.iter().filter_map(|(name, word)| {
        word.values.first().or(word.lists.first()).map(|reading| format!("{name}={reading}"))
    });
    let asked = format!("`{}`", pins.collect::<Vec<_>>().join(","));
    DeriveProblem::Beyond { verb: request.verb().clone(), held: held.join(" or "), asked }
}

fn combinations<'a>(
    request: &Request,
    asked: &'a Asked<'a>,
) -> Result<Vec<Vec<(&'a ParameterName, &'a Alternative)>>, DeriveFault> {
    let mut all = vec![Vec::new()];
    for (name, words) in asked {
        if all.len().saturating_mul(words.len()) > MAX_COMBINATIONS {
            return Err(fault(request, 0, DeriveProblem::TooMany));
        }
        let longer = |one: &Vec<_>| {
            let one = one.clone();
            words.iter().map(move |word| [one.as_slice(), &[(*name, word)]].concat())
        };
        all = all.iter().flat_map(longer).collect();
    }
    Ok(all)
}

/// The readings that one capability holds; of a bound on one side, that bound. What may be anything is taken for one
/// value, not for a list.
fn covered(wide: &Capability, name: &ParameterName, word: &Alternative) -> BTreeSet<Constraint> {
    let held = wide.constraint(name);
    let holds = |cell: &Constraint| {
        held.covers(cell) || (is_measure(cell) && held.intersect(cell).is_some())
    };
    let all = |reading: &&Constraint| cells_of(reading).iter().all(holds);
    let lists =
        if *held == Constraint::Any && !word.values.is_empty() { None } else { Some(&word.lists) };
    word.values.iter().chain(lists.into_iter().flatten()).filter(all).cloned().collect()
}

/// What one capability leaves of the request; listed values stay one list.
fn left_of(
    request: &Request,
    wide: &Capability,
    asked: &Asked<'_>,
) -> Result<Vec<Capability>, DeriveFault> {
    let mut left = vec![wide.clone()];
    for (name, words) in asked {
        let limits = short(words.iter().flat_map(|word| covered(wide, name, word)));
        if left.len().saturating_mul(limits.len()) > MAX_COMBINATIONS {
            return Err(fault(request, 0, DeriveProblem::TooMany));
        }
        let narrowed = left.iter().flat_map(|one| {
            limits.iter().filter_map(|limit| {
                let met = one.constraint(name).intersect(limit)?;
                Some(one.clone().with((*name).clone(), met))
            })
        });
        left = narrowed.collect();
    }
    Ok(left)
}

/// Listed values as one list, and the items of lists as well: so the scope stays as short as the request. Values of one sort
/// each: no list of Datalog's has two.
fn short(limits: impl Iterator<Item = Constraint>) -> BTreeSet<Constraint> {
    let (mut whole, mut items) = (Vec::new(), Vec::new());
    for limit in limits {
        if let Constraint::Each(item) = limit {
            items.push(*item);
        } else {
            whole.push(limit);
        }
    }
    let items = by_sort(grouped(items)).into_iter().map(Constraint::each);
    by_sort(grouped(whole)).into_iter().chain(items).collect()
}

fn by_sort(limits: BTreeSet<Constraint>) -> BTreeSet<Constraint> {
    let mut apart = BTreeSet::new();
    for limit in limits {
        if let Constraint::OneOf(values) = limit {
            let mut sorts = BTreeMap::<_, BTreeSet<_>>::new();
            for value in values {
                sorts.entry(value.sort()).or_default().insert(value);
            }
            apart.extend(sorts.into_values().map(Constraint::OneOf));
        } else {
            apart.insert(limit);
        }
    }
    apart
}
