//! What is well-formed, loads, and still deserves a second look before anyone relies on it.

mod catalog;
mod confinement;
mod delegates;
mod grants;
mod programs;
mod redact;
mod services;
mod sql;
mod targets;

use std::fmt;

use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::verb::Verb;

/// One thing to look at.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Finding {
    /// Where.
    pub site: RuleSite,
    /// How much it matters.
    pub level: Level,
    /// What sort of finding it is: a name that stays.
    pub code: &'static str,
    /// What is so.
    pub sentence: String,
    /// What to do.
    pub advice: String,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// It gives more, or less, than it seems to.
    Warning,
    /// It is worth knowing.
    Note,
}

impl fmt::Display for Level {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

impl Finding {
    fn new(
        level: Level,
        code: &'static str,
        site: &RuleSite,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (sentence, advice) = (sentence.into(), advice.into());
        Self { site: site.clone(), level, code, sentence, advice }
    }

    fn warning(
        code: &'static str,
        site: &RuleSite,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Level::Warning, code, site, sentence, advice)
    }

    fn note(
        code: &'static str,
        site: &RuleSite,
        sentence: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Level::Note, code, site, sentence, advice)
    }
}

/// The catalog's verbs, each with the place that declares it.
fn verbs(policy: &Policy) -> impl Iterator<Item = (&Verb, &RuleSite)> {
    let verbs = policy.catalog().verbs();
    verbs.filter_map(|verb| Some((&**verb, policy.site_of(&verb.name)?)))
}

/// Everything worth a second look, in the order of the files.
#[must_use]
pub fn lint(policy: &Policy) -> Vec<Finding> {
    let mut findings = catalog::findings(policy);
    findings.extend(programs::findings(policy));
    findings.extend(confinement::findings(policy));
    findings.extend(redact::findings(policy));
    findings.extend(targets::findings(policy));
    findings.extend(services::findings(policy));
    findings.extend(grants::findings(policy));
    findings.extend(delegates::findings(policy));
    findings.sort();
    findings.dedup();
    findings
}
