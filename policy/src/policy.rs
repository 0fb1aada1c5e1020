//! Policy: the catalog and the rulebook, as root wrote them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::delegation::{DelegateFault, Delegation, Proposal};
use crate::http::HttpTarget;
use crate::name::{AgentName, VerbName};
use crate::principal::{Principal, Subject};
use crate::redact::RedactSet;
use crate::rule::{Grant, RuleSite};
use crate::rulebook::{PrincipalFault, Rulebook};
use crate::scope::{Capability, Scope};
use crate::sql::SqlTarget;
use crate::ssh::{Route, Ssh};
use crate::surface::Surface;
use crate::target::SshTarget;
use crate::verb::{Catalog, Run, Verb};

/// What exists, who may do it, and who may share it with whom. Replaced as a whole, never changed.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    catalog: Arc<Catalog>,
    rulebook: Arc<Rulebook>,
    /// Where each verb is declared.
    sites: Arc<BTreeMap<VerbName, RuleSite>>,
    /// Redaction rules, each set with the place that declares it.
    redacts: Arc<Vec<(Arc<RedactSet>, RuleSite)>>,
}

impl Policy {
    pub(crate) fn new(
        catalog: Catalog,
        sites: BTreeMap<VerbName, RuleSite>,
        redacts: Vec<(Arc<RedactSet>, RuleSite)>,
        rulebook: Rulebook,
    ) -> Self {
        let (catalog, rulebook) = (Arc::new(catalog), Arc::new(rulebook));
        Self { catalog, rulebook, sites: Arc::new(sites), redacts: Arc::new(redacts) }
    }

    /// All verbs that exist.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Every set of redaction rules that the catalog declares, by name, and where.
    pub fn redact_sets(&self) -> impl Iterator<Item = (&Arc<RedactSet>, &RuleSite)> {
        self.redacts.iter().map(|(set, site)| (set, site))
    }

    /// Every host that some verb reaches by ssh, or goes through; the same one may come more than once.
    pub fn ssh_targets(&self) -> impl Iterator<Item = &Arc<SshTarget>> {
        let ways = self.ssh_routes();
        ways.flat_map(|route| route.jumps.iter().chain([&route.target]))
    }

    /// Every HTTP service that some verb asks; the same one may come more than once.
    pub fn http_targets(&self) -> impl Iterator<Item = &HttpTarget> {
        self.catalog.verbs().filter_map(|verb| service(verb))
    }

    /// Every database that some verb asks; the same one may come more than once.
    pub fn sql_targets(&self) -> impl Iterator<Item = &SqlTarget> {
        self.catalog.verbs().filter_map(|verb| match &verb.run {
            Run::Sql(sql) => Some(&*sql.target),
            Run::Exec(_) | Run::Ssh(_) | Run::Http(_) | Run::Tcp(_) | Run::File(_) | Run::Note => {
                None
            }
        })
    }

    /// Every way that some verb takes to a host; the same one may come more than once.
    pub fn ssh_routes(&self) -> impl Iterator<Item = &Route> {
        self.catalog.verbs().flat_map(|verb| routes(verb))
    }

    /// Where a verb is declared.
    pub(crate) fn site_of(&self, verb: &VerbName) -> Option<&RuleSite> {
        self.sites.get(verb)
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

    /// What a subject holds now.
    #[must_use]
    pub fn surface(&self, subject: &Subject) -> Surface {
        let held = self.rulebook.allows.of(subject).flat_map(capabilities);
        Surface {
            principal: subject.principal.clone(),
            catalog: Arc::clone(&self.catalog),
            allowed: held.map(|(_, capability)| capability).collect(),
            denied: self.rulebook.denies.of(subject).flat_map(capabilities).collect(),
        }
    }

    /// What some `[[delegate]]` rule lets a subject share, with whomever.
    #[must_use]
    pub fn delegable(&self, subject: &Subject) -> Scope {
        self.rulebook.delegable(subject)
    }

    /// Whether the owner may share this so; if so, by which rules, and what they demand.
    ///
    /// # Errors
    /// Why not, and the rule that comes nearest.
    pub fn may_delegate(
        &self,
        owner: &Subject,
        proposal: Proposal<'_>,
    ) -> Result<Delegation, DelegateFault> {
        self.rulebook.may_delegate(owner, proposal)
    }

    /// Whether what it says can change while nobody changes it: by the clock, or by who is in which group.
    #[must_use]
    pub fn varies(&self) -> bool {
        self.rulebook.varies
    }
}

fn service(verb: &Verb) -> Option<&HttpTarget> {
    match &verb.run {
        Run::Http(http) => Some(&http.target),
        Run::Exec(_) | Run::Ssh(_) | Run::Tcp(_) | Run::File(_) | Run::Sql(_) | Run::Note => None,
    }
}

fn routes(verb: &Verb) -> impl Iterator<Item = &Route> {
    let ssh = match &verb.run {
        Run::Ssh(ssh) => Some(ssh),
        Run::Exec(_) | Run::Http(_) | Run::Tcp(_) | Run::File(_) | Run::Sql(_) | Run::Note => None,
    };
    ssh.into_iter().flat_map(Ssh::routes)
}

fn capabilities(rule: &Grant) -> impl Iterator<Item = (RuleSite, Capability)> {
    rule.scope.capabilities().iter().map(|one| (rule.site.clone(), one.clone()))
}
