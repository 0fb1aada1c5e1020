//! The rulebook: everything that policy has said, and what follows for one principal.

use std::collections::BTreeMap;

use crate::index::Rules;
use crate::name::{AgentName, VerbName};
use crate::principal::{Principal, Subject};
use crate::rule::{Delegate, Grant, RuleSite};
use crate::scope::Scope;
use crate::selector::{Doubt, Selector};
use crate::value::Arguments;

/// All rules, and which agent names belong to which user.
#[derive(Clone, Debug)]
pub(crate) struct Rulebook {
    pub(crate) agents: BTreeMap<AgentName, String>,
    /// Where agents and roles are declared.
    pub(crate) origins: Origins,
    pub(crate) allows: Rules<Grant>,
    pub(crate) denies: Rules<Grant>,
    pub(crate) delegates: Rules<Delegate>,
    /// Whether what it says of somebody can change while nobody changes it: groups, times of day.
    pub(crate) varies: bool,
}

impl Default for Rulebook {
    fn default() -> Self {
        Self::new(BTreeMap::new(), vec![], vec![], vec![])
    }
}

/// Where things are declared that rules speak of, for whoever reads policy; no decision asks it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) agents: BTreeMap<AgentName, RuleSite>,
    /// Roles that no rule names and that grant nothing by themselves.
    pub(crate) unused_roles: BTreeMap<AgentName, RuleSite>,
}

/// Why a user may not act under a name.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PrincipalFault {
    /// Nobody declared the agent for this user; the same answer when it is another's.
    #[error("`{agent}` is not an agent of `{user}`: an `[[agent]]` entry in policy.d makes it one")]
    NotTheirs {
        /// The name asked for.
        agent: AgentName,
        /// The user who asked.
        user: String,
    },
    /// The user's own name cannot be their default agent.
    #[error(
        "`{user}` has no default agent: name one with --agent, declared by an `[[agent]]` entry in policy.d"
    )]
    NoDefault {
        /// The user who asked.
        user: String,
    },
}

impl Rulebook {
    pub(crate) fn new(
        agents: BTreeMap<AgentName, String>,
        allows: Vec<Grant>,
        denies: Vec<Grant>,
        delegates: Vec<Delegate>,
    ) -> Self {
        let grants = allows.iter().chain(&denies).map(|rule| &rule.selector);
        let varies =
            grants.chain(delegates.iter().map(|rule| &rule.selector)).any(Selector::varies);
        Self {
            agents,
            origins: Origins::default(),
            allows: Rules::new(allows, Doubt::Excludes),
            denies: Rules::new(denies, Doubt::Includes),
            delegates: Rules::new(delegates, Doubt::Excludes),
            varies,
        }
    }

    pub(crate) fn principal(
        &self,
        user: &str,
        agent: Option<&AgentName>,
    ) -> Result<Principal, PrincipalFault> {
        let shown = || crate::name::shown(user);
        let asked = agent.cloned().or_else(|| user.parse().ok());
        let agent = asked.ok_or_else(|| PrincipalFault::NoDefault { user: shown() })?;
        // A declared name belongs to its user alone, even where another user happens to be called so.
        let theirs = match self.agents.get(&agent) {
            Some(owner) => owner == user,
            None => agent.as_str() == user,
        };
        if theirs {
            return Ok(Principal { user: user.to_owned(), agent });
        }
        Err(PrincipalFault::NotTheirs { agent, user: shown() })
    }

    /// The first rule that allows the call.
    pub(crate) fn allowed_by<'a>(
        &'a self,
        subject: &'a Subject,
        verb: &'a VerbName,
        arguments: &'a Arguments,
    ) -> Option<&'a Grant> {
        self.allows.permitting(subject, verb, arguments).next()
    }

    /// The first rule that denies the call.
    pub(crate) fn denied_by<'a>(
        &'a self,
        subject: &'a Subject,
        verb: &'a VerbName,
        arguments: &'a Arguments,
    ) -> Option<&'a Grant> {
        self.denies.permitting(subject, verb, arguments).next()
    }

    /// What some rule lets a principal share with somebody.
    pub(crate) fn delegable(&self, subject: &Subject) -> Scope {
        self.delegates.of(subject).flat_map(|rule| rule.scope.capabilities().to_vec()).collect()
    }
}
