//! Capabilities and scopes: what may be called, and which scope lies within which.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::name::{ParameterName, VerbName};
use crate::value::Arguments;

/// A verb with a constraint for each parameter. A parameter that is not mentioned may be anything.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    verb: VerbName,
    parameters: BTreeMap<ParameterName, Constraint>,
}

impl Capability {
    /// A verb with these constraints; those that permit anything are left out.
    pub fn new(
        verb: VerbName,
        parameters: impl IntoIterator<Item = (ParameterName, Constraint)>,
    ) -> Self {
        let limited = parameters.into_iter().filter(|(_, limit)| *limit != Constraint::Any);
        Self { verb, parameters: limited.collect() }
    }

    /// The verb.
    #[must_use]
    pub fn verb(&self) -> &VerbName {
        &self.verb
    }

    /// The constraints that are more than `Any`.
    #[must_use]
    pub fn parameters(&self) -> &BTreeMap<ParameterName, Constraint> {
        &self.parameters
    }

    /// What one parameter may be.
    #[must_use]
    pub fn constraint(&self, parameter: &ParameterName) -> &Constraint {
        self.parameters.get(parameter).unwrap_or(&Constraint::Any)
    }

    /// Whether this call is within the capability. A limited parameter that is absent is not.
    #[must_use]
    pub fn permits(&self, verb: &VerbName, arguments: &Arguments) -> bool {
        let holds = |(name, limit): (&ParameterName, &Constraint)| {
            arguments.value(name).is_some_and(|value| limit.permits(value))
        };
        self.verb == *verb && self.parameters.iter().all(holds)
    }

    /// Whether every call that `narrower` permits is permitted here. Sound, as `Constraint::covers` is.
    #[must_use]
    pub fn covers(&self, narrower: &Self) -> bool {
        self.verb == narrower.verb
            && self.parameters.iter().all(|(name, limit)| limit.covers(narrower.constraint(name)))
    }

    /// What both permit; `None` when that is known to be nothing.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Option<Self> {
        if self.verb != other.verb {
            return None;
        }
        let met = other.parameters.iter().map(|(name, limit)| {
            self.constraint(name).intersect(limit).map(|met| (name.clone(), met))
        });
        // Most pairs have nothing in common: nothing is copied before it is known that one has.
        let met = met.collect::<Option<Vec<_>>>()?;
        let mut both = self.clone();
        both.parameters.extend(met);
        Some(both)
    }

    /// The same capability with one parameter's constraint replaced.
    pub(crate) fn with(mut self, parameter: ParameterName, limit: Constraint) -> Self {
        self.parameters.insert(parameter, limit);
        Self::new(self.verb, self.parameters)
    }
}

/// Written as a request would be: `ssh.tail_logs:service=web|db,lines=1..100`.
impl fmt::Display for Capability {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.verb, out)?;
        for (position, (name, limit)) in self.parameters.iter().enumerate() {
            out.write_str(if position == 0 { ":" } else { "," })?;
            crate::request::write_pin(out, name, limit)?;
        }
        Ok(())
    }
}

/// A set of capabilities, sorted, none within another. Empty it permits nothing, and is never minted.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Capability>")]
pub struct Scope(Vec<Capability>);

impl Scope {
    /// A scope of these capabilities.
    pub fn new(capabilities: impl IntoIterator<Item = Capability>) -> Self {
        let sorted: BTreeSet<Capability> = capabilities.into_iter().collect();
        let mut kept: Vec<Capability> = Vec::new();
        // Sorted by verb first: those of another verb have nothing to do with it.
        let mut of_verb: Vec<Capability> = Vec::new();
        for capability in sorted {
            if of_verb.first().is_some_and(|before| before.verb != capability.verb) {
                kept.append(&mut of_verb);
            }
            if !of_verb.iter().any(|wide| wide.covers(&capability)) {
                of_verb.retain(|narrow| !capability.covers(narrow));
                of_verb.push(capability);
            }
        }
        kept.append(&mut of_verb);
        Self(kept)
    }

    /// The capabilities, sorted.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.0
    }

    /// Whether nothing is permitted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The capabilities for one verb.
    pub fn of<'a>(&'a self, verb: &'a VerbName) -> impl Iterator<Item = &'a Capability> {
        self.0.iter().filter(move |capability| capability.verb == *verb)
    }

    /// The verbs mentioned.
    #[must_use]
    pub fn verbs(&self) -> BTreeSet<&VerbName> {
        self.0.iter().map(Capability::verb).collect()
    }

    /// Whether one capability permits the call.
    #[must_use]
    pub fn permits(&self, verb: &VerbName, arguments: &Arguments) -> bool {
        self.0.iter().any(|capability| capability.permits(verb, arguments))
    }

    /// Whether each capability here lies within a single one of `wider`. Sound: yes means subset.
    #[must_use]
    pub fn is_subset_of(&self, wider: &Self) -> bool {
        self.0.iter().all(|narrow| wider.covers(narrow))
    }

    /// Whether a single capability here covers this one. Sound, as `Constraint::covers` is.
    #[must_use]
    pub fn covers(&self, narrower: &Capability) -> bool {
        self.0.iter().any(|wide| wide.covers(narrower))
    }

    /// What both permit.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(self.0.iter().flat_map(|one| other.0.iter().filter_map(|two| one.intersect(two))))
    }
}

impl From<Vec<Capability>> for Scope {
    fn from(capabilities: Vec<Capability>) -> Self {
        Self::new(capabilities.into_iter().map(|c| Capability::new(c.verb, c.parameters)))
    }
}

impl FromIterator<Capability> for Scope {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self::new(capabilities)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}
