//! Policy: the catalog and the rulebook, as root wrote them.

use std::sync::Arc;
use std::time::Duration;

use crate::name::AgentName;
use crate::principal::{Principal, Recipient};
use crate::rule::RuleSite;
use crate::rulebook::{DelegateFault, Delegation, PrincipalFault, Rulebook};
use crate::scope::{Capability, Scope};
use crate::surface::Surface;
use crate::verb::Catalog;

/// What exists, who may do it, and who may share it with whom. Replaced as a whole, never changed.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    catalog: Arc<Catalog>,
    rulebook: Arc<Rulebook>,
}

impl Policy {
    pub(crate) fn new(catalog: Catalog, rulebook: Rulebook) -> Self {
        Self { catalog: Arc::new(catalog), rulebook: Arc::new(rulebook) }
    }

    /// All verbs that exist.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    pub(crate) fn rulebook(&self) -> &Rulebook {
        &self.rulebook
    }

    /// The principal that a user is under an agent name, the user's own name if none is given.
    ///
    /// # Errors
    /// Another's agent and an unknown one get the same answer.
    pub fn principal(
        &self,
        user: &str,
        agent: Option<&AgentName>,
    ) -> Result<Principal, PrincipalFault> {
        self.rulebook.principal(user, agent)
    }

    /// What a principal holds now.
    #[must_use]
    pub fn surface(&self, principal: &Principal) -> Surface {
        let denied =
            |(site, capability): (&RuleSite, &Capability)| (site.clone(), capability.clone());
        Surface {
            principal: principal.clone(),
            catalog: Arc::clone(&self.catalog),
            allowed: self.rulebook.allowed(principal).map(|(_, held)| held.clone()).collect(),
            denied: self.rulebook.denied(principal).map(denied).collect(),
        }
    }

    /// What some `[[delegate]]` rule lets a principal share, with whomever.
    #[must_use]
    pub fn delegable(&self, principal: &Principal) -> Scope {
        self.rulebook.delegable(principal)
    }

    /// Whether the owner may share this scope with this recipient for so long; if so, by which rules.
    ///
    /// # Errors
    /// Why not, and the rule that comes nearest.
    pub fn may_delegate(
        &self,
        owner: &Principal,
        scope: &Scope,
        recipient: &Recipient,
        ttl: Duration,
    ) -> Result<Delegation, DelegateFault> {
        self.rulebook.may_delegate(owner, scope, recipient, ttl)
    }
}
