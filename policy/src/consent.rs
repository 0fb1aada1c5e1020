//! Consent: whose yes a call or a share needs before it is done.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::principal::Groups;
use crate::rule::RuleSite;

/// Whether calls wait for somebody's yes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approve {
    /// They do not.
    #[default]
    Never,
    /// The first call of a verb does; the yes is for every later one, as long as the share covers no more of it.
    Once,
    /// Each does.
    Each,
}

impl fmt::Display for Approve {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Never => "never",
            Self::Once => "once",
            Self::Each => "each",
        })
    }
}

/// Whose yes counts, and how many it takes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approvers {
    /// These users.
    pub users: BTreeSet<String>,
    /// Whoever is in one of these OS groups.
    pub groups: BTreeSet<String>,
    /// As policy writes it: `bob`, `@sre`. Empty: the share's owner, and nobody else.
    pub named: Vec<String>,
    /// How many of them, each another person.
    pub needs: u8,
}

impl Default for Approvers {
    fn default() -> Self {
        let (users, groups, named) = Default::default();
        Self { users, groups, named, needs: 1 }
    }
}

impl Approvers {
    /// Whether this person's yes counts for a share of that owner. Nobody approves what is their own:
    /// the owner's counts only where policy names nobody.
    #[must_use]
    pub fn include(&self, user: &str, groups: &Groups, owner: &str) -> bool {
        if self.named.is_empty() {
            return user == owner;
        }
        let grouped = || groups.meet(&self.groups).unwrap_or(false);
        user != owner && (self.users.contains(user) || grouped())
    }

    fn are_met_by<'a>(&self, given: impl Iterator<Item = &'a Consent>, owner: &str) -> bool {
        let said_yes: BTreeSet<&str> = given
            .filter(|consent| self.include(&consent.user, &consent.groups, owner))
            .map(|consent| consent.user.as_str())
            .collect();
        said_yes.len() >= usize::from(self.needs)
    }

    /// Whether enough of them have consented to exactly this.
    #[must_use]
    pub fn have_consented(&self, given: &[Consent], to: &[u8; 32], owner: &str) -> bool {
        self.are_met_by(given.iter().filter(|consent| consent.to == *to), owner)
    }
}

impl fmt::Display for Approvers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.named.as_slice(), self.needs) {
            ([], _) => out.write_str("the owner"),
            (named, 1) => out.write_str(&named.join(" or ")),
            (named, needs) => write!(out, "{needs} of {}", named.join(", ")),
        }
    }
}

/// One person's yes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consent {
    /// Who said it, as the system knows them.
    pub user: String,
    /// Their groups now.
    pub groups: Groups,
    /// The digest of what they said it to.
    pub to: [u8; 32],
}

/// A call that everything permits but for somebody's yes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Question {
    /// Once or each.
    pub approve: Approve,
    /// Whose yes it takes.
    pub approvers: Approvers,
    /// Of what the yes is for: what a [`Consent`] must carry.
    pub digest: [u8; 32],
    /// The rule that asks, or lets the owner ask.
    pub rule: RuleSite,
    /// What would run, defaults filled in.
    pub call: crate::authorize::Call,
    /// The program and its arguments, as they would be.
    pub command: Vec<crate::verb::Element>,
    /// The catalog's sentence for it.
    pub summary: String,
    /// What the catalog says of it.
    pub effect: crate::verb::Effect,
    /// What the recipient would give it while it runs.
    pub input: crate::input::Input,
    /// The account that it would run as, if not as its owner.
    pub run_as: Option<crate::name::AccountName>,
}
