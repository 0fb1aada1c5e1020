//! Offers: how something that a subject holds may be shared, a rule at a time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::explain::checks::{demand, reached};
use crate::name::ParameterName;
use crate::policy::Policy;
use crate::principal::{Recipient, Subject};
use crate::request::Request;
use crate::rule::{Bearer, Budget, Delegate, RuleSite};
use crate::scope::{Capability, Scope};
use crate::surface::Surface;

/// What one `[[delegate]]` rule lets be done with some of a capability.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// The rule.
    pub rule: RuleSite,
    /// What of it the rule lets be shared.
    pub what: Vec<Offered>,
    /// Whom the rule reaches, in words.
    pub to: String,
    /// Whether whoever has the handle and its second value will do.
    pub bearer: bool,
    /// The longest that it may be shared.
    pub max_ttl: Duration,
    /// How often it may be handed on.
    pub redelegate: u8,
    /// Whose yes it takes to open it and to call it, in words.
    pub demand: String,
    /// How much of it may be used.
    pub budget: Budget,
    /// How many shares under the rule may be live.
    pub max_shares: Option<u32>,
}

/// Something that may be shared.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// As capability text.
    pub capability: String,
    /// A request for as much of it as a request can say, if one can: as `--verb` takes it.
    pub request: Option<String>,
}

/// The most rules that one capability's offers are told from.
const MAX_RULES: usize = 64;

impl Policy {
    /// How a capability of the subject's surface may be shared now, and with which of these contacts, a rule
    /// at a time. Where very many rules say, none is told.
    #[must_use]
    pub fn offers<'c>(
        &self,
        subject: &Subject,
        surface: &Surface,
        capability: &Capability,
        contacts: &'c [Recipient],
    ) -> Vec<(Offer, Vec<&'c Recipient>)> {
        let (verb, one) = (capability.verb(), std::slice::from_ref(capability));
        let about = self.rulebook().delegates.meeting(subject, verb, one, MAX_RULES);
        let offer = |rule: &Delegate| {
            let offer = offer(rule, capability, surface)?;
            Some((offer, contacts.iter().filter(|contact| rule.to.include(contact)).collect()))
        };
        about.into_iter().flatten().filter_map(offer).collect()
    }
}

fn offer(rule: &Delegate, capability: &Capability, surface: &Surface) -> Option<Offer> {
    let verb = capability.verb();
    let shared = rule.scope.of(verb).filter_map(|one| one.intersect(capability));
    let what: Vec<Offered> = shared
        .map(|one| Offered { request: request(&one, rule, surface), capability: one.to_string() })
        .collect();
    (!what.is_empty()).then(|| Offer {
        rule: rule.site.clone(),
        what,
        to: reached(&rule.to),
        bearer: rule.to.bearer == Bearer::Allowed,
        max_ttl: rule.max_ttl,
        redelegate: rule.redelegate,
        demand: demand(rule, verb),
        budget: rule.budget,
        max_shares: rule.max_shares,
    })
}

/// The request that would be met, within what the rule lets be shared. What has no spelling in a request,
/// as a pattern, is left to the rules that allow; where those allow more, somebody has to choose a value.
fn request(shared: &Capability, rule: &Delegate, surface: &Surface) -> Option<String> {
    let met = |one: &Capability| -> Option<Scope> {
        let request: Request = one.to_string().parse().ok()?;
        surface.derive(&[request]).ok()
    };
    let alone = |name: &ParameterName, limit: &Constraint| {
        Capability::new(shared.verb().clone(), [(name.clone(), limit.clone())])
    };
    let said =
        shared.parameters().iter().filter(|(name, limit)| met(&alone(name, limit)).is_some());
    let said = said.map(|(name, limit)| (name.clone(), limit.clone()));
    let spelled = Capability::new(shared.verb().clone(), said);
    let scope = met(&spelled)?;
    scope.is_subset_of(&rule.scope).then(|| spelled.to_string())
}
