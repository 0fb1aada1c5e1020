//! TOML to checked types, with line, column and the nearest known name.

mod confinement;
mod delegates;
mod document;
mod environment;
mod expectations;
mod files;
mod input;
mod limits;
mod network;
mod redact;
mod requests;
mod rules;
mod scopes;
mod selectors;
mod services;
mod sql;
mod ssh;
mod targets;
mod units;
mod verbs;

use std::fmt;

pub use expectations::{expectations, expected};

use crate::policy::Policy;

/// A file as it was read; its name is what faults and rules are called by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// `policy.d/team.toml`.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// One thing wrong with a file. `Display` is for people: place, fault, and what may have been meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TextFault {
    /// The file.
    pub source: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The character of the line, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What may have been meant, or what to do.
    pub hint: Option<String>,
}

impl fmt::Display for TextFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, line, column, message, .. } = self;
        write!(out, "{source}:{line}:{column}: {message}")?;
        self.hint.iter().try_for_each(|hint| write!(out, "\n   = {hint}"))
    }
}

impl std::error::Error for TextFault {}

/// Reads the catalog, its targets among it, and the rules. Nothing is skipped: a single fault means no policy.
///
/// # Errors
/// As many faults as can be told apart; those of the rules only once the catalog is good.
pub fn load(verbs: &[Source], rules: &[Source]) -> Result<Policy, Vec<TextFault>> {
    let catalog = verbs::read(verbs)?;
    let rulebook = rules::read(rules, &catalog)?;
    let sites = catalog.verbs.values().map(|one| (one.verb.name.clone(), one.site.clone()));
    let sites = sites.collect();
    let verbs = catalog.verbs.into_values().map(|one| one.verb).collect();
    Ok(Policy::new(verbs, sites, catalog.redacts, rulebook))
}
