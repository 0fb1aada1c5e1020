//! The rulebook: everything that policy has said, and what follows for one principal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::name::{AgentName, VerbName};
use crate::principal::{Principal, Recipient};
use crate::rule::{Delegate, Grant, RuleSite};
use crate::scope::{Capability, Scope};
use crate::value::Arguments;

/// All rules, and which agent names belong to which user.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rulebook {
    pub(crate) agents: BTreeMap<AgentName, String>,
    pub(crate) allows: Vec<Grant>,
    pub(crate) denies: Vec<Grant>,
    pub(crate) delegates: Vec<Delegate>,
}

/// That something may be shared: how long at most, and by which rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The longest that it may be shared.
    pub max_ttl: Duration,
    /// The rule of each verb.
    pub by: BTreeSet<RuleSite>,
}

impl fmt::Display for Delegation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for rule in &self.by {
            write!(out, "{rule}, ")?;
        }
        write!(out, "at most {}", whole(self.max_ttl))
    }
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

/// Why a scope may not be shared so.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DelegateFault {
    /// No rule lets the owner share this at all.
    #[error("no `[[delegate]]` rule lets {owner} share `{capability}`")]
    NoRule {
        /// Whose authority it is.
        owner: Box<Principal>,
        /// What was to be shared.
        capability: Box<Capability>,
    },
    /// Rules let it be shared, but not with them.
    #[error("{rule} lets {owner} share `{verb}`, but not with {recipient}")]
    Recipient {
        /// Whose authority it is.
        owner: Box<Principal>,
        /// What was to be shared.
        verb: VerbName,
        /// With whom.
        recipient: String,
        /// The first rule that would otherwise do.
        rule: RuleSite,
    },
    /// Rules let it be shared, but not that long.
    #[error("{rule} lets `{verb}` be shared for at most {}, not {}", whole(*max), whole(*asked))]
    TooLong {
        /// What was to be shared.
        verb: VerbName,
        /// The rule that allows the most.
        rule: RuleSite,
        /// For how long it was to be.
        asked: Duration,
        /// For how long it may be.
        max: Duration,
    },
    /// Nothing was to be shared.
    #[error("a share needs at least one verb")]
    Empty,
}

fn whole(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds % 60, time.subsec_millis()) {
        (0, 0) if seconds > 0 => format!("{}m", seconds / 60),
        (_, 0) => format!("{seconds}s"),
        (_, _) => format!("{}ms", time.as_millis()),
    }
}

impl Rulebook {
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

    pub(crate) fn allowed<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> impl Iterator<Item = (&'a RuleSite, &'a Capability)> {
        capabilities(&self.allows, principal)
    }

    pub(crate) fn denied<'a>(
        &'a self,
        principal: &'a Principal,
    ) -> impl Iterator<Item = (&'a RuleSite, &'a Capability)> {
        capabilities(&self.denies, principal)
    }

    pub(crate) fn allowed_by(
        &self,
        principal: &Principal,
        verb: &VerbName,
        arguments: &Arguments,
    ) -> Option<&RuleSite> {
        first_match(&self.allows, principal, verb, arguments)
    }

    pub(crate) fn denied_by(
        &self,
        principal: &Principal,
        verb: &VerbName,
        arguments: &Arguments,
    ) -> Option<&RuleSite> {
        first_match(&self.denies, principal, verb, arguments)
    }

    pub(crate) fn delegated_by<'a>(
        &'a self,
        principal: &'a Principal,
        recipient: &Recipient,
        verb: &VerbName,
        arguments: &Arguments,
    ) -> Option<&'a RuleSite> {
        self.delegates_of(principal)
            .find(|rule| rule.reaches(recipient) && rule.scope.permits(verb, arguments))
            .map(|rule| &rule.site)
    }

    /// What some rule lets a principal share with this recipient.
    pub(crate) fn delegable_to(&self, principal: &Principal, recipient: &Recipient) -> Scope {
        let reaching = self.delegates_of(principal).filter(|rule| rule.reaches(recipient));
        reaching.flat_map(|rule| rule.scope.capabilities().to_vec()).collect()
    }

    /// What some rule lets a principal share with somebody.
    pub(crate) fn delegable(&self, principal: &Principal) -> Scope {
        self.delegates_of(principal).flat_map(|rule| rule.scope.capabilities().to_vec()).collect()
    }

    pub(crate) fn may_delegate(
        &self,
        owner: &Principal,
        scope: &Scope,
        recipient: &Recipient,
        ttl: Duration,
    ) -> Result<Delegation, DelegateFault> {
        let rules = scope
            .capabilities()
            .iter()
            .map(|capability| self.longest(owner, capability, recipient, ttl))
            .collect::<Result<Vec<_>, _>>()?;
        let max_ttl = rules.iter().map(|rule| rule.max_ttl).min().ok_or(DelegateFault::Empty)?;
        Ok(Delegation { max_ttl, by: rules.into_iter().map(|rule| rule.site.clone()).collect() })
    }

    fn longest<'a>(
        &'a self,
        owner: &'a Principal,
        capability: &Capability,
        recipient: &Recipient,
        ttl: Duration,
    ) -> Result<&'a Delegate, DelegateFault> {
        let covering: Vec<&Delegate> =
            self.delegates_of(owner).filter(|rule| rule.scope.covers(capability)).collect();
        let first = covering.first().ok_or_else(|| DelegateFault::NoRule {
            owner: Box::new(owner.clone()),
            capability: Box::new(capability.clone()),
        })?;
        let reaching = covering.iter().copied().filter(|rule| rule.reaches(recipient));
        let rule =
            reaching.max_by_key(|rule| rule.max_ttl).ok_or_else(|| DelegateFault::Recipient {
                owner: Box::new(owner.clone()),
                verb: capability.verb().clone(),
                recipient: recipient.to_string(),
                rule: first.site.clone(),
            })?;
        if ttl > rule.max_ttl {
            return Err(DelegateFault::TooLong {
                verb: capability.verb().clone(),
                rule: rule.site.clone(),
                asked: ttl,
                max: rule.max_ttl,
            });
        }
        Ok(rule)
    }

    fn delegates_of<'a>(&'a self, owner: &'a Principal) -> impl Iterator<Item = &'a Delegate> {
        self.delegates.iter().filter(|rule| rule.selector.selects(owner))
    }
}

fn capabilities<'a>(
    grants: &'a [Grant],
    principal: &'a Principal,
) -> impl Iterator<Item = (&'a RuleSite, &'a Capability)> {
    let selected = grants.iter().filter(|rule| rule.selector.selects(principal));
    selected.flat_map(|rule| rule.scope.capabilities().iter().map(|one| (&rule.site, one)))
}

fn first_match<'a>(
    grants: &'a [Grant],
    principal: &Principal,
    verb: &VerbName,
    arguments: &Arguments,
) -> Option<&'a RuleSite> {
    let matches =
        |rule: &&Grant| rule.selector.selects(principal) && rule.scope.permits(verb, arguments);
    grants.iter().find(matches).map(|rule| &rule.site)
}
