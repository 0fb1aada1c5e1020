//! The chokepoint: rulebook ∩ share ∩ passport → decision.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::consent::{Approve, Consent, Question};
use crate::name::{ParameterName, VerbName};
use crate::passport::Passport;
use crate::policy::Policy;
use crate::principal::{Groups, Principal, Recipient, Subject};
use crate::refusal::{ParameterProblem, PublicRefusal, Reason, Refusal};
use crate::rule::{Budget, Delegate, Grant, RuleSite, Used};
use crate::scope::{Capability, Scope};
use crate::time::Timestamp;
use crate::value::Arguments;
use crate::verb::Verb;

/// One use of a verb, as it was asked for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The verb.
    pub verb: VerbName,
    /// Its arguments.
    pub arguments: Arguments,
}

/// A share as it stands in its lease.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Standing {
    /// Whose authority it is.
    pub owner: Principal,
    /// The groups that they are in now.
    pub groups: Groups,
    /// Who it is for.
    pub recipient: Recipient,
    /// What it covers now.
    pub scope: Scope,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ends now.
    pub deadline: Timestamp,
    /// What the owner demands beyond policy.
    pub approve: Approve,
    /// What the owner, or a rule when it was opened, lets be used.
    pub budget: Budget,
    /// What is used up.
    pub used: Used,
    /// The consents at hand; each says to what.
    pub consents: Vec<Consent>,
}

impl Standing {
    /// The owner as rules see them at this moment.
    #[must_use]
    pub fn subject(&self, now: Timestamp) -> Subject {
        Subject { principal: self.owner.clone(), groups: self.groups.clone(), now }
    }
}

/// The answer to one call.
#[must_use = "an ignored decision is an unenforced one"]
#[derive(Debug)]
pub enum Decision {
    /// It may be done, once.
    Permit(Permit),
    /// It may be done once those who are asked consent; asked again with their consent, it is decided anew.
    Ask(Box<Question>),
    /// It may not.
    Refuse(Refusal),
}

/// Proof that policy, share and passport all allow one call, once. Made only by `authorize`; to act, spend it.
#[must_use = "a permit that is not spent does nothing"]
#[derive(Debug)]
pub struct Permit {
    admitted: Admitted,
    basis: Basis,
    budget: Budget,
}

impl Permit {
    /// What the permit is for, and what it rests on.
    #[must_use]
    pub fn spend(self) -> (Admitted, Basis) {
        (self.admitted, self.basis)
    }

    /// What the permit rests on, for the record that is written before it is spent.
    #[must_use]
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The call as it would run, defaults filled in, for the same record.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.admitted.call
    }

    /// How much the share may use as things are: its own bounds, and those of the rule that lets it be shared.
    #[must_use]
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// The verb as the catalog declares it.
    #[must_use]
    pub fn verb(&self) -> &Verb {
        &self.admitted.verb
    }
}

/// A call that was allowed. Only a spent permit yields one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Admitted {
    /// The call with defaults filled in.
    pub call: Call,
    /// The verb as it was when this was decided.
    pub verb: Arc<Verb>,
}

/// What a permit rests on, for the audit.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The rule that lets the owner do it.
    pub allowed_by: RuleSite,
    /// The rule that lets the owner share it.
    pub delegated_by: RuleSite,
    /// SHA-256 of the passport.
    pub passport: [u8; 32],
}

/// Decides one call. Everything must say yes: the catalog, the rules, the share as it stands, every
/// block of the passport, and the time. `now` is the share clock's.
pub fn authorize(
    policy: &Policy,
    standing: &Standing,
    passport: &Passport,
    call: Call,
    now: Timestamp,
) -> Decision {
    Judgement::new(policy, standing, passport, now).decide(call)
}

/// Whether a call that was admitted would be admitted still, with what was consented to when it was.
/// What the share has used since is not held against it.
///
/// # Errors
/// The refusal that it would meet now: the call must be ended.
pub fn still_permitted(
    policy: &Policy,
    standing: &Standing,
    passport: &Passport,
    call: &Call,
    now: Timestamp,
) -> Result<(), Refusal> {
    let standing = Standing { used: Used::default(), ..standing.clone() };
    match Judgement::new(policy, &standing, passport, now).decide(call.clone()) {
        Decision::Permit(_) => Ok(()),
        Decision::Ask(_) => Err(Refusal::uniform(Reason::NotConsented)),
        Decision::Refuse(refusal) => Err(refusal),
    }
}

struct Judgement<'a> {
    policy: &'a Policy,
    standing: &'a Standing,
    passport: &'a Passport,
    subject: Subject,
    now: Timestamp,
}

impl<'a> Judgement<'a> {
    fn new(
        policy: &'a Policy,
        standing: &'a Standing,
        passport: &'a Passport,
        now: Timestamp,
    ) -> Self {
        Self { policy, standing, passport, subject: standing.subject(now), now }
    }

    fn decide(&self, call: Call) -> Decision {
        self.of(call).unwrap_or_else(Decision::Refuse)
    }

    fn of(&self, call: Call) -> Result<Decision, Refusal> {
        self.check_time()?;
        self.check_owner()?;
        let verb = self.verb(&call.verb)?;
        let call = complete(&verb, call)?;
        check_kinds(&verb, &call.arguments)?;
        self.check_scopes(&verb, &call)?;
        let admitted = Admitted { call, verb };
        let Admitted { call, verb } = &admitted;
        let (allowed, delegating) = self.check_rules(call)?;
        // After all others: asked earlier, it would tell apart values that exist and values that do not, for
        // callers to whom neither was given.
        self.check_catalog(verb, &call.arguments)?;
        let delegated = self.check_budget(&delegating, &call.verb)?;
        if let Some(question) = self.question(&admitted, delegated) {
            return Ok(Decision::Ask(Box::new(question)));
        }
        let basis = Basis {
            allowed_by: allowed.site.clone(),
            delegated_by: delegated.site.clone(),
            passport: self.passport.digest(),
        };
        let budget = self.standing.budget.and(delegated.budget);
        Ok(Decision::Permit(Permit { admitted, basis, budget }))
    }

    /// Of the rules with room for one more call, the one that asks least.
    fn check_budget<'r>(
        &self,
        delegating: &[&'r Delegate],
        verb: &VerbName,
    ) -> Result<&'r Delegate, Refusal> {
        let Standing { budget, used, .. } = self.standing;
        let roomy = delegating.iter().filter(|rule| budget.and(rule.budget).has_room(*used));
        let least = roomy.min_by_key(|rule| rule.demand(verb)).copied();
        least.ok_or(Refusal { public: PublicRefusal::Spent, reason: Reason::Spent })
    }

    /// What has to be asked before this may be done, if anything.
    fn question(&self, admitted: &Admitted, rule: &Delegate) -> Option<Question> {
        let Admitted { call, verb } = admitted;
        let approve = rule.approve(&call.verb).max(self.standing.approve);
        let digest = match approve {
            Approve::Never => return None,
            Approve::Once => self.once(admitted),
            Approve::Each => self.each(admitted),
        };
        let (approvers, owner) = (&rule.approvers, &self.standing.owner.user);
        if approvers.have_consented(&self.standing.consents, &digest, owner) {
            return None;
        }
        Some(Question {
            approve,
            approvers: approvers.clone(),
            digest,
            rule: rule.site.clone(),
            call: call.clone(),
            command: verb.command(&call.arguments),
            summary: verb.summary.clone(),
            effect: verb.effect,
            input: verb.input_for(&call.arguments),
            run_as: verb.run.run_as().cloned(),
        })
    }

    /// Of exactly what will run: another value, command, containment, input or owner is another digest.
    fn each(&self, Admitted { call, verb }: &Admitted) -> [u8; 32] {
        let argv = verb.command(&call.arguments);
        let takes = format!("{:?}", (&verb.parameters, &verb.redact));
        let manner = verb.run.manner(&call.arguments);
        let run = (argv, manner, takes, &self.standing.owner);
        digest("openscope consent to a call v1", &(call, run))
    }

    /// Of all that the share lets this verb do, and of how it is done.
    fn once(&self, Admitted { call, verb }: &Admitted) -> [u8; 32] {
        let scope: Vec<&Capability> = self.standing.scope.of(&call.verb).collect();
        let done = format!("{:?}", (&verb.run, &verb.parameters, &verb.redact));
        let run = (done, &self.standing.owner);
        digest("openscope consent to a verb v1", &(scope, run))
    }

    fn check_time(&self) -> Result<(), Refusal> {
        if self.now >= self.standing.deadline {
            return Err(Refusal::over(Reason::ShareOver));
        }
        if self.now >= self.passport.not_after() {
            return Err(Refusal::over(Reason::PassportOver));
        }
        Ok(())
    }

    fn check_owner(&self) -> Result<(), Refusal> {
        let owner = &self.standing.owner;
        if self.passport.authority().owner != owner.user {
            return Err(Refusal::uniform(Reason::OtherOwner));
        }
        // Rules name the agent alone: without this, what they give its new user would feed old shares.
        let still_theirs = self.policy.principal(&owner.user, Some(&owner.agent));
        still_theirs.map(drop).map_err(|_| Refusal::uniform(Reason::AgentTaken))
    }

    /// The verb, when it exists and every scope mentions it. From the outside, one answer for the rest.
    fn verb(&self, name: &VerbName) -> Result<Arc<Verb>, Refusal> {
        let known = self.policy.catalog().verb(name);
        let verb = known.ok_or_else(|| Refusal::uniform(Reason::UnknownVerb))?;
        if !self.passport.scopes().all(|scope| scope.of(name).next().is_some()) {
            return Err(Refusal::uniform(Reason::OutsidePassport));
        }
        if self.standing.scope.of(name).next().is_none() {
            return Err(Refusal::uniform(Reason::OutsideShare));
        }
        Ok(Arc::clone(verb))
    }

    fn check_scopes(&self, verb: &Verb, call: &Call) -> Result<(), Refusal> {
        for scope in self.passport.scopes() {
            self.check_scope(scope, verb, call, Reason::OutsidePassport)?;
        }
        self.check_scope(&self.standing.scope, verb, call, Reason::OutsideShare)
    }

    fn check_scope(
        &self,
        scope: &Scope,
        verb: &Verb,
        call: &Call,
        reason: Reason,
    ) -> Result<(), Refusal> {
        if scope.permits(&call.verb, &call.arguments) {
            return Ok(());
        }
        let public = match outlying(scope, call) {
            Some(name) => self.told(verb, name),
            None => PublicRefusal::Combination,
        };
        Err(Refusal { public, reason })
    }

    /// What is said of a value that is refused: what the menu shows for its parameter, nothing more.
    fn told(&self, verb: &Verb, name: &ParameterName) -> PublicRefusal {
        let entry = self.policy.menu_entry(self.standing, self.passport, verb, self.now);
        match entry.and_then(|mut entry| entry.parameters.remove(name)) {
            Some(shown) => PublicRefusal::Parameter {
                parameter: name.clone(),
                problem: ParameterProblem::Value { accepts: shown.accepts },
            },
            None => PublicRefusal::NotPermitted,
        }
    }

    fn check_catalog(&self, verb: &Verb, arguments: &Arguments) -> Result<(), Refusal> {
        for (name, value) in arguments.iter() {
            let Some(parameter) = verb.parameters.get(name) else { continue };
            if !parameter.constraint.permits(value) {
                let accepts = vec![parameter.constraint.clone()];
                let problem = ParameterProblem::Value { accepts };
                let reason = Reason::Catalog { parameter: name.clone(), problem };
                return Err(Refusal { public: self.told(verb, name), reason });
            }
        }
        match verb.run.objection(arguments) {
            Some((name, problem)) => Err(Refusal::parameter(name, problem)),
            None => Ok(()),
        }
    }

    /// The rule that allows, and those that let it be shared. Policy's own answer says nothing of policy to the outside.
    fn check_rules<'r>(
        &'r self,
        call: &'r Call,
    ) -> Result<(&'r Grant, Vec<&'r Delegate>), Refusal> {
        let Call { verb, arguments } = call;
        let rules = self.policy.rulebook();
        if let Some(rule) = rules.denied_by(&self.subject, verb, arguments) {
            return Err(Refusal::uniform(Reason::Denied { rule: rule.site.clone() }));
        }
        let allowed = rules.allowed_by(&self.subject, verb, arguments);
        let allowed = allowed.ok_or_else(|| Refusal::uniform(Reason::NotAllowed))?;
        let delegating = rules.delegates.permitting(&self.subject, verb, arguments);
        let serving: Vec<&Delegate> = delegating.filter(|rule| self.serves(rule)).collect();
        if serving.is_empty() {
            return Err(Refusal::uniform(Reason::NotDelegated));
        }
        Ok((allowed, serving))
    }

    /// Whether the rule would let this share be opened, have lived and been handed on so far.
    fn serves(&self, rule: &Delegate) -> bool {
        let Standing { recipient, opened, .. } = self.standing;
        rule.to.include(recipient)
            && self.now < opened.plus(rule.max_ttl)
            && self.passport.hops().count() <= usize::from(rule.redelegate)
    }
}

fn digest(label: &str, of: &impl Serialize) -> [u8; 32] {
    // What cannot be encoded equals nothing that anybody consented to.
    let bytes = serde_cbor::to_vec(&(label, of)).unwrap_or_default();
    Sha256::digest(bytes).into()
}

/// The call with its defaults, when it gives what the verb declares and nothing else.
pub(crate) fn complete(verb: &Verb, call: Call) -> Result<Call, Refusal> {
    let mut arguments = call.arguments.0;
    for name in arguments.keys() {
        if !verb.parameters.contains_key(name) {
            return Err(Refusal::parameter(name, ParameterProblem::Undeclared));
        }
    }
    for (name, parameter) in &verb.parameters {
        if let (false, Some(default)) = (arguments.contains_key(name), &parameter.default) {
            arguments.insert(name.clone(), default.clone());
        }
        if parameter.required && !arguments.contains_key(name) {
            return Err(Refusal::parameter(name, ParameterProblem::Missing));
        }
    }
    Ok(Call { verb: call.verb, arguments: Arguments(arguments) })
}

fn check_kinds(verb: &Verb, arguments: &Arguments) -> Result<(), Refusal> {
    for (name, value) in arguments.iter() {
        let Some(parameter) = verb.parameters.get(name) else { continue };
        if !parameter.kind.takes(value) {
            return Err(Refusal::parameter(name, ParameterProblem::Kind { wants: parameter.kind }));
        }
    }
    Ok(())
}

/// The first parameter whose value none of the scope's capabilities takes.
fn outlying<'a>(scope: &Scope, call: &'a Call) -> Option<&'a ParameterName> {
    let taken = |name, value| {
        scope.of(&call.verb).any(|capability| capability.constraint(name).permits(value))
    };
    call.arguments.iter().find(|(name, value)| !taken(*name, *value)).map(|(name, _)| name)
}
