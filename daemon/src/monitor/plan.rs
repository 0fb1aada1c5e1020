//! What a share would be: worked out once, shown, hashed, and then opened or not.

use std::time::Duration;

use policy::{
    AgentName, Approve, Approvers, Budget, Capability, Consent, Groups, Principal, Recipient,
    Request as VerbRequest, Scope, ShareId, Subject, Verb,
};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use wire::control::{Failure, Open, PlanVerb, PlanView, Reply, To};
use wire::handle::RecipientKey;

use super::Monitor;
use super::audit::Hex;
use super::contacts;
use super::extend::{Agreed, Terms};
use super::failure::{busy, refused, usage};
use super::open::random;
use super::resolver::Person;
use crate::clock::Instants;
use crate::config::HARD_STOP;

/// A share that may be opened, as far as policy goes.
pub(super) struct Draft {
    pub(super) id: ShareId,
    pub(super) principal: Principal,
    pub(super) scope: Scope,
    pub(super) ttl: Duration,
    pub(super) addressees: Vec<Addressee>,
    pub(super) budget: Budget,
    pub(super) agreed: Agreed,
    pub(super) plan: PlanView,
    /// SHA-256 of the plan, and of how each of its verbs is done.
    pub(super) digest: [u8; 32],
}

/// A recipient and the key to seal to; none for a bearer.
pub(super) struct Addressee {
    pub(super) recipient: Recipient,
    pub(super) key: Option<RecipientKey>,
}

impl Monitor {
    /// Answers what a share would be. Nothing is recorded and nobody is asked.
    pub(super) fn plan(
        &self,
        person: &Person,
        asked: &Open,
        now: Instants,
    ) -> Result<Reply, Failure> {
        let draft = self.draft(person, Groups::Known(person.groups.clone()), asked, now)?;
        draft.check_expected(asked)?;
        Ok(Reply::Plan(Box::new(draft.plan)))
    }

    /// Works out what was asked for, against policy as it is now.
    pub(super) fn draft(
        &self,
        person: &Person,
        groups: Groups,
        asked: &Open,
        now: Instants,
    ) -> Result<Draft, Failure> {
        let principal = self.principal_of(person, asked.agent.as_ref())?;
        let subject = Subject { principal: principal.clone(), groups, now: now.wall };
        let scope = self.scope(&subject, &asked.verbs)?;
        let ttl = self.ttl(asked.ttl_ms)?;
        let addressees = self.addressees(person.uid, &asked.to)?;
        let id = ShareId::from_random(random()?);
        let to = addressees.iter().map(|addressee| &addressee.recipient).collect();
        let terms = Terms { share: id, scope: &scope, to, ttl, redelegate: asked.redelegate };
        let agreed = self
            .delegation(&subject, &terms)
            .map_err(|fault| refused(&fault.to_string(), "ask whoever writes policy.d"))?;
        let budget = asked.budget.and(agreed.budget);
        let mut plan = PlanView {
            hash: String::new(),
            user: principal.user.clone(),
            agent: principal.agent.clone(),
            recipients: addressees.iter().map(Addressee::said).collect(),
            bearer: asked.to == To::Bearer,
            ttl_ms: u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX),
            redelegate: asked.redelegate,
            budget,
            verbs: self.plan_verbs(&scope, &agreed, asked.approve),
            basis: agreed.basis(),
            consent: agreed.consent.iter().map(|(rule, who)| format!("{who} ({rule})")).collect(),
        };
        let digest = self.plan_digest(&plan, &scope)?;
        plan.hash = Hex(digest).to_string();
        Ok(Draft { id, principal, scope, ttl, addressees, budget, agreed, plan, digest })
    }

    pub(super) fn principal_of(
        &self,
        person: &Person,
        agent: Option<&AgentName>,
    ) -> Result<Principal, Failure> {
        if person.uid == 0 {
            return Err(refused(
                "root owns no share",
                "run this as the user whose rights are to be shared",
            ));
        }
        let principal = self.policy.principal(&person.user, agent);
        principal
            .map_err(|fault| refused(&fault.to_string(), "`openscope capabilities` shows yours"))
    }

    /// What requests mean against what a subject holds.
    pub(super) fn scope(&self, subject: &Subject, verbs: &[String]) -> Result<Scope, Failure> {
        if verbs.is_empty() {
            return Err(usage("no verb is named", "say what to share: `--verb app.action`"));
        }
        let requests = verbs
            .iter()
            .map(|verb| verb.parse::<VerbRequest>())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|fault| usage(&fault.to_string(), "see `openscope share open --help`"))?;
        self.policy
            .surface(subject)
            .derive(&requests)
            .map_err(|fault| refused(&fault.to_string(), "`openscope capabilities` shows yours"))
    }

    fn ttl(&self, asked: Option<u64>) -> Result<Duration, Failure> {
        let ttl = asked.map_or(self.config.limits.default_ttl, Duration::from_millis);
        if ttl.is_zero() {
            return Err(usage("a share of no time is none", "say how long: `--ttl 30m`"));
        }
        if ttl > HARD_STOP {
            return Err(refused(
                &format!("a share lasts at most 30 minutes, not {} s", ttl.as_secs()),
                "say `--ttl 30m` or less; when it is over, open another",
            ));
        }
        Ok(ttl)
    }

    fn addressees(&self, uid: u32, to: &To) -> Result<Vec<Addressee>, Failure> {
        let To::Contacts(aliases) = to else {
            return Ok(vec![Addressee { recipient: Recipient::Bearer, key: None }]);
        };
        if aliases.len() > self.config.limits.seats_per_share {
            return Err(busy("seats_per_share", self.config.limits.seats_per_share));
        }
        if aliases.is_empty() {
            return Err(usage("nobody is named", "say for whom: `--to ALIAS`, or `--bearer`"));
        }
        if let Some(twice) = (1..)
            .zip(aliases)
            .find_map(|(next, alias)| aliases.iter().skip(next).find(|other| *other == alias))
        {
            let message = format!("`{twice}` is named twice");
            return Err(usage(&message, "each recipient has one seat: name them once"));
        }
        let known = |alias: &policy::Alias| {
            let found = contacts::resolve(&self.contacts, &self.own_contacts, uid, alias.as_str());
            let (alias, contact) = found.map_err(|fault| {
                usage(&fault.to_string(), "`openscope contact list` shows whom you know")
            })?;
            let fingerprint = contact.key.fingerprint();
            let recipient = Recipient::Contact { alias, fingerprint };
            Ok(Addressee { recipient, key: Some(contact.key) })
        };
        aliases.iter().map(known).collect()
    }

    pub(super) fn plan_verbs(&self, scope: &Scope, agreed: &Agreed, own: Approve) -> Vec<PlanVerb> {
        let verb = |capability: &Capability| {
            let verb = self.policy.catalog().verb(capability.verb())?;
            let (approve, approvers) = agreed.asks_for(&verb.name);
            Some(PlanVerb {
                verb: capability.to_string(),
                summary: verb.summary.clone(),
                effect: verb.effect,
                input: verb.input(),
                run_as: verb.run.run_as().cloned(),
                parameters: parameters(verb, capability),
                approve: approve.max(own),
                approvers,
            })
        };
        scope.capabilities().iter().filter_map(verb).collect()
    }

    /// The same owner, recipients, scope, terms and commands have the same hash, whenever it is asked for.
    fn plan_digest(&self, plan: &PlanView, scope: &Scope) -> Result<[u8; 32], Failure> {
        // What policy's lines are called may change; what they say of this share is in the rest.
        let bare = PlanView { hash: String::new(), basis: String::new(), ..plan.clone() };
        digest("openscope plan v1", &(bare, scope, self.runs(scope)))
    }

    /// How the verbs of a scope are done.
    pub(super) fn runs(&self, scope: &Scope) -> Vec<String> {
        let catalog = self.policy.catalog();
        let verbs = scope.verbs().into_iter().filter_map(|verb| catalog.verb(verb));
        verbs.map(|verb| format!("{:?}", (&verb.run, &verb.parameters, &verb.redact))).collect()
    }
}

impl Draft {
    /// Whether enough people said yes to exactly this.
    pub(super) fn is_consented_to(&self, given: &[Consent]) -> bool {
        let owner = &self.principal.user;
        let met = |approvers: &Approvers| approvers.have_consented(given, &self.digest, owner);
        self.agreed.consent.iter().all(|(_, approvers)| met(approvers))
    }

    /// Refuses what is not what the owner has looked at.
    pub(super) fn check_expected(&self, asked: &Open) -> Result<(), Failure> {
        match &asked.expect {
            Some(hash) if *hash != self.plan.hash => Err(refused(
                &format!("the plan's hash is {}, not {hash}", self.plan.hash),
                "look at it again: `openscope share open … --plan`",
            )),
            Some(_) | None => Ok(()),
        }
    }
}

impl Addressee {
    fn said(&self) -> String {
        match &self.recipient {
            Recipient::Contact { alias, fingerprint } => format!("{alias} ({fingerprint})"),
            Recipient::Bearer => "whoever redeems it first".to_owned(),
        }
    }
}

/// Each declared parameter, and what it could be.
fn parameters(verb: &Verb, capability: &Capability) -> Vec<(policy::ParameterName, String)> {
    let within = |(name, declared): (&policy::ParameterName, &policy::Parameter)| {
        let met = declared.constraint.intersect(capability.constraint(name));
        let said = met.map_or_else(|| "nothing".to_owned(), |limit| limit.to_string());
        (name.clone(), said)
    };
    verb.parameters.iter().map(within).collect()
}

/// The hash of what somebody is to look at and agree to.
pub(super) fn digest(label: &str, of: &impl Serialize) -> Result<[u8; 32], Failure> {
    let bytes = serde_cbor::to_vec(&(label, of));
    let unhashed = |fault| refused(&format!("the plan has no hash: {fault}"), "share fewer verbs");
    Ok(Sha256::digest(bytes.map_err(unhashed)?).into())
}
