//! The surface: what a principal holds now, and what may be derived from it.

mod asked;
mod within;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::asked::{Combination, combinations, settle};

use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::{ParameterName, VerbName};
use crate::nearest::nearest;
use crate::passport::{MAX_HOLDER_PATTERNS, MAX_PATTERNS};
use crate::principal::Principal;
use crate::request::{Pointer, Request};
use crate::rule::RuleSite;
use crate::scope::{Capability, Scope};
use crate::value::{Value, ValueFault};
use crate::verb::{Catalog, Verb};

/// How many combinations of listed values one request may name, and how many capabilities a scope may get.
pub const MAX_COMBINATIONS: usize = 256;

/// How many requests one scope may be derived from.
pub const MAX_REQUESTS: usize = 256;

/// Everything that policy lets one principal do now.
#[derive(Clone, Debug)]
pub struct Surface {
    pub(crate) principal: Principal,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) allowed: Vec<Capability>,
    pub(crate) denied: Vec<(RuleSite, Capability)>,
}

/// Why a request cannot be met.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{problem}\n{pointer}")]
pub struct DeriveFault {
    /// What is wrong.
    pub problem: Box<DeriveProblem>,
    /// Where in the request.
    pub pointer: Pointer,
}

/// What is wrong with a request.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DeriveProblem {
    /// No rule allows the verb, or there is no such verb.
    #[error("{principal} does not hold `{verb}`{}", crate::nearest::hint(nearest.as_deref()))]
    NotHeld {
        /// Who asks.
        principal: Principal,
        /// For what.
        verb: VerbName,
        /// A verb that they do hold.
        nearest: Option<String>,
    },
    /// The verb has no such parameter.
    #[error("`{verb}` has no parameter `{parameter}`{}", crate::nearest::hint(nearest.as_deref()))]
    UnknownParameter {
        /// The verb.
        verb: VerbName,
        /// What was pinned.
        parameter: ParameterName,
        /// A parameter that it does have.
        nearest: Option<String>,
    },
    /// Not a value of the parameter's kind.
    #[error("{0}")]
    Value(ValueFault),
    /// `<=` or `>=` on something that is not a number, or a length of what has none.
    #[error("`{parameter}` is of type {kind}, which has no `{by}`: {}", measured(by))]
    NotMeasured {
        /// What was pinned.
        parameter: ParameterName,
        /// What it is.
        kind: Kind,
        /// How it was to be measured.
        by: &'static str,
    },
    /// Alternatives of different sorts for the items of a list.
    #[error(
        "the items of `{parameter}` are limited by values, or by one network, path or pattern, not by several"
    )]
    MixedItems {
        /// What was pinned.
        parameter: ParameterName,
    },
    /// The catalog never accepts it.
    #[error("`{parameter}` accepts {accepted}, not {asked}")]
    NotAccepted {
        /// What was pinned.
        parameter: ParameterName,
        /// What the catalog takes.
        accepted: String,
        /// What was asked for.
        asked: String,
    },
    /// More than the principal holds.
    #[error("{principal} holds `{verb}` with {held}, not with all of {asked}")]
    Outside {
        /// Who asks.
        principal: Principal,
        /// For what.
        verb: VerbName,
        /// What they hold.
        held: String,
        /// What was asked for.
        asked: String,
    },
    /// The passport does not permit the verb at all.
    #[error("the passport does not permit `{verb}`{}", crate::nearest::hint(nearest.as_deref()))]
    NotPermitted {
        /// What was asked for.
        verb: VerbName,
        /// A verb that it does permit.
        nearest: Option<String>,
    },
    /// More than the passport permits.
    #[error("the passport permits `{verb}` with {held}, not with all of {asked}")]
    Beyond {
        /// What was asked for.
        verb: VerbName,
        /// With what it is permitted.
        held: String,
        /// With what it was asked for.
        asked: String,
    },
    /// Two pins of one parameter exclude each other.
    #[error("the pins of `{parameter}` leave nothing: alternatives are written `{parameter}=a|b`")]
    Nothing {
        /// What was pinned.
        parameter: ParameterName,
    },
    /// A rule denies it.
    #[error("{rule} denies {denied}")]
    Denied {
        /// The rule.
        rule: RuleSite,
        /// What it denies.
        denied: Box<Capability>,
    },
    /// More than [`MAX_COMBINATIONS`].
    #[error("the request names more than {MAX_COMBINATIONS} combinations of values")]
    TooMany,
    /// More than [`MAX_PATTERNS`].
    #[error("at most {MAX_PATTERNS} patterns can be asked for at once")]
    TooManyPatterns,
    /// More than [`MAX_HOLDER_PATTERNS`].
    #[error("whoever narrows a passport may add at most {MAX_HOLDER_PATTERNS} patterns")]
    TooManyAdded,
    /// More than [`MAX_REQUESTS`].
    #[error("at most {MAX_REQUESTS} requests can be met at once")]
    TooManyRequests,
}

fn measured(by: &str) -> &'static str {
    match by {
        "#" => "that counts the bytes of a text or the items of a list",
        "[]#" => "that counts the bytes of each text in a list",
        _ => "only an int is compared",
    }
}

impl Surface {
    /// Whose surface it is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What is held, without what rules deny as far as that can be taken out. What a rule denies in
    /// part is still refused at each call.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.allowed.iter().filter_map(|capability| self.without_denied(capability)).collect()
    }

    /// The narrowest scope that meets all requests: of every rule that matches, what it shares with the
    /// request. A parameter that is not mentioned keeps each rule's own constraint.
    ///
    /// # Errors
    /// The first request that is more than is held, and where in it.
    pub fn derive(&self, requests: &[Request]) -> Result<Scope, DeriveFault> {
        if let Some(over) = requests.get(MAX_REQUESTS) {
            return Err(fault(over, 0, DeriveProblem::TooManyRequests));
        }
        let mut compiled: usize = 0;
        let mut derived = Vec::new();
        for request in requests {
            compiled = compiled.saturating_add(request.patterns());
            if compiled > MAX_PATTERNS {
                return Err(fault(request, 0, DeriveProblem::TooManyPatterns));
            }
            derived.extend(self.derive_one(request)?);
            if derived.len() > MAX_COMBINATIONS {
                return Err(fault(request, 0, DeriveProblem::TooMany));
            }
        }
        Ok(Scope::new(derived))
    }

    fn derive_one(&self, request: &Request) -> Result<Vec<Capability>, DeriveFault> {
        let (verb, held) = self.held(request)?;
        let asked = settle(request, verb)?;
        let cells = combinations(request, asked.iter().map(|(name, one)| (*name, one.cells())))?;
        for cell in &cells {
            self.check_held(request, cell, &held)?;
        }
        let wanted =
            combinations(request, asked.iter().map(|(name, one)| (*name, one.limits.clone())))?;
        let within =
            held.iter().flat_map(|wide| wanted.iter().filter_map(|cell| cell.within(wide)));
        let derived: Vec<_> = within.filter_map(|whole| self.without_denied(&whole)).collect();
        for cell in &cells {
            self.check_not_denied(request, cell, &derived)?;
        }
        Ok(derived)
    }

    fn held(&self, request: &Request) -> Result<(&Verb, Vec<&Capability>), DeriveFault> {
        let held: Vec<_> =
            self.allowed.iter().filter(|held| held.verb() == request.verb()).collect();
        match self.catalog.verb(request.verb()) {
            Some(verb) if !held.is_empty() => Ok((verb, held)),
            _ => {
                let names = self.allowed.iter().map(|held| held.verb().as_str());
                let problem = DeriveProblem::NotHeld {
                    principal: self.principal.clone(),
                    verb: request.verb().clone(),
                    nearest: nearest(request.verb().as_str(), names).map(str::to_owned),
                };
                Err(fault(request, 0, problem))
            }
        }
    }

    fn check_held(
        &self,
        request: &Request,
        cell: &Combination<'_>,
        held: &[&Capability],
    ) -> Result<(), DeriveFault> {
        if held.iter().any(|wide| cell.lies_within(wide)) {
            return Ok(());
        }
        let lines: Vec<String> = held.iter().map(|wide| format!("`{wide}`")).collect();
        let problem = DeriveProblem::Outside {
            principal: self.principal.clone(),
            verb: request.verb().clone(),
            held: lines.join(" or "),
            asked: cell.to_string(),
        };
        Err(fault(request, cell.at(request), problem))
    }

    fn check_not_denied(
        &self,
        request: &Request,
        cell: &Combination<'_>,
        derived: &[Capability],
    ) -> Result<(), DeriveFault> {
        if derived.iter().any(|narrow| cell.lies_within(narrow)) {
            return Ok(());
        }
        let of_verb = || self.denied.iter().filter(|(_, denied)| denied.verb() == request.verb());
        let touching = of_verb().find(|(_, denied)| cell.within(denied).is_some());
        let Some((rule, denied)) = touching.or_else(|| of_verb().next()) else {
            return self.check_held(request, cell, &[]);
        };
        let problem =
            DeriveProblem::Denied { rule: rule.clone(), denied: Box::new(denied.clone()) };
        Err(fault(request, cell.at(request), problem))
    }

    /// A capability without what rules deny: all of it, or the listed values of one parameter. What
    /// cannot be taken out stays, and is refused at each call.
    fn without_denied(&self, capability: &Capability) -> Option<Capability> {
        let verb = self.catalog.verb(capability.verb())?;
        let denied = self.denied.iter().filter(|(_, denied)| denied.verb() == capability.verb());
        denied
            .map(|(_, denied)| denied)
            .try_fold(capability.clone(), |left, denied| subtract(verb, left, denied))
    }
}

/// `left` without what `denied` permits, as far as a single capability can say it; `None` when nothing is left.
pub(crate) fn subtract(verb: &Verb, left: Capability, denied: &Capability) -> Option<Capability> {
    let mut partial = Vec::new();
    for (name, limit) in denied.parameters() {
        let possible = possible(verb, name, left.constraint(name))?;
        if limit.intersect(&possible).is_none() {
            return Some(left);
        }
        if !limit.covers(&possible) {
            partial.push((name, limit, possible));
        }
    }
    match partial.as_slice() {
        [] => None,
        [(name, limit, possible)] => Some(match without(possible, limit) {
            Some(kept) => left.with((*name).clone(), kept),
            None => left,
        }),
        _ => Some(left),
    }
}

/// Listed values without those that `limit` permits, and lists without those in which it permits an item;
/// `None` when no constraint can say it.
fn without(possible: &Constraint, limit: &Constraint) -> Option<Constraint> {
    let kept = |values: &BTreeSet<Value>, limit: &Constraint| {
        let kept: BTreeSet<_> = values.iter().filter(|one| !limit.permits(one)).cloned().collect();
        (!kept.is_empty()).then_some(Constraint::OneOf(kept))
    };
    if let Constraint::OneOf(values) = possible {
        return kept(values, limit);
    }
    let Constraint::Has(denied) = limit else { return None };
    let items = possible.item_parts().into_iter().find_map(|part| {
        if let Constraint::OneOf(values) = part { kept(values, denied) } else { None }
    })?;
    possible.intersect(&Constraint::each(items))
}

/// The values that can occur at all, given what the catalog accepts.
fn possible(verb: &Verb, name: &ParameterName, held: &Constraint) -> Option<Constraint> {
    let parameter = verb.parameters.get(name)?;
    let met = held.intersect(&parameter.constraint)?;
    if parameter.kind == Kind::Bool {
        return met.intersect(&Constraint::OneOf([Value::Bool(false), Value::Bool(true)].into()));
    }
    Some(met)
}

fn fault(request: &Request, at: usize, problem: DeriveProblem) -> DeriveFault {
    DeriveFault { problem: Box::new(problem), pointer: request.source.point(at) }
}
