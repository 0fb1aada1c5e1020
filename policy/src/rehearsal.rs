//! Rehearsals: what would be decided, were a share open. Nothing is shared and nothing can be done by it.

use std::fmt;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use serde::{Serialize, Serializer};

use crate::authorize::{Call, Decision, Standing, authorize, complete};
use crate::consent::{Approve, Approvers, Consent, Question};
use crate::constraint::Constraint;
use crate::delegation::{DelegateFault, Delegation, Proposal};
use crate::explain::checks::of_catalog;
use crate::name::{DaemonName, SeatId, ShareId};
use crate::passport::{self, Authority, MintFault, Passport};
use crate::policy::Policy;
use crate::principal::{Groups, Recipient, Subject};
use crate::refusal::Reason;
use crate::request::Request;
use crate::rule::{Budget, RuleSite, Used};
use crate::scope::{Capability, Scope};

/// As long as a share can live, and longer than any rule grants.
const LONGEST: Duration = Duration::from_mins(30);

/// A share that somebody might open, and when something is called in it.
#[derive(Clone, Debug)]
pub struct Rehearsal<'a> {
    /// The policy in question.
    pub policy: &'a Policy,
    /// Whose authority it would be; their `now` is when the share is opened.
    pub owner: Subject,
    /// With whom; without one, only what the owner holds is asked.
    pub recipient: Option<Recipient>,
    /// What is shared; without requests exactly what is called.
    pub share: Vec<Request>,
    /// For how long; as long as the rules grant when it is not said.
    pub ttl: Option<Duration>,
    /// How often it may be handed on.
    pub redelegate: u8,
    /// How long after the opening something is called.
    pub after: Duration,
    /// Who says yes when they are asked, and their groups.
    pub yes: Vec<(String, Groups)>,
}

/// What would be decided, by which rules, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// What.
    pub answer: Answer,
    /// The rules that decide.
    pub by: Vec<RuleSite>,
    /// Whose yes is wanted, each of them.
    pub approvers: Vec<Approvers>,
    /// In a sentence.
    pub why: String,
}

/// What would be decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// It would be done.
    Permitted,
    /// It would wait for somebody's yes.
    Asks,
    /// It would not be done.
    Refused,
    /// The owner may do it; with whom it may be shared was not asked.
    Held,
}

impl Answer {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Permitted => "permitted",
            Self::Asks => "asks",
            Self::Refused => "refused",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.word())
    }
}

impl Verdict {
    pub(crate) fn refused(by: impl IntoIterator<Item = RuleSite>, why: impl fmt::Display) -> Self {
        let (by, why) = (by.into_iter().collect(), why.to_string());
        Self { answer: Answer::Refused, by, approvers: vec![], why }
    }

    /// Why the share itself could not be opened.
    fn unopened(fault: &DelegateFault) -> Self {
        let by = match fault {
            DelegateFault::Recipient { rule, .. }
            | DelegateFault::TooLong { rule, .. }
            | DelegateFault::TooDeep { rule, .. }
            | DelegateFault::TooMany { rule, .. } => Some(rule.clone()),
            DelegateFault::NoRule { .. } | DelegateFault::Empty => None,
        };
        Self::refused(by, fault)
    }

    fn reasoned(reason: &Reason) -> Self {
        let by = if let Reason::Denied { rule } = reason { Some(rule.clone()) } else { None };
        Self::refused(by, reason)
    }
}

impl Rehearsal<'_> {
    /// Whether the share could be opened.
    #[must_use]
    pub fn open(&self) -> Verdict {
        self.requested().and_then(|scope| self.opened(&scope)).map_or_else(
            |no| no,
            |delegation| Verdict {
                answer: Answer::Permitted,
                why: format!("it may be shared: {delegation}"),
                by: delegation.by.into_iter().collect(),
                approvers: vec![],
            },
        )
    }

    /// What would become of one call in it.
    #[must_use]
    pub fn call(&self, call: &Call) -> Verdict {
        let verdict = match &self.recipient {
            None => self.held(call),
            Some(recipient) if self.share.is_empty() => self.exactly(recipient, call),
            Some(recipient) => self.within(recipient, call),
        };
        verdict.unwrap_or_else(|no| no)
    }

    /// In a share of just this call: the rules have the first word, so that they are what is named.
    fn exactly(&self, recipient: &Recipient, call: &Call) -> Result<Verdict, Verdict> {
        let scope = self.just(call)?;
        let decided = self.decided(recipient, &scope, call, None)?;
        if let Decision::Refuse(refusal) = &decided {
            return match (&refusal.reason, self.opened(&scope)) {
                (Reason::NotDelegated, Err(no)) => Err(no),
                (reason, _) => Err(Verdict::reasoned(reason)),
            };
        }
        let delegation = self.opened(&scope)?;
        let decided = self.decided(recipient, &scope, call, Some(&delegation))?;
        Ok(verdict(recipient, decided))
    }

    fn within(&self, recipient: &Recipient, call: &Call) -> Result<Verdict, Verdict> {
        let scope = self.requested()?;
        let delegation = self.opened(&scope)?;
        let decided = self.decided(recipient, &scope, call, Some(&delegation))?;
        Ok(verdict(recipient, decided))
    }

    /// Whether the owner may do it at all.
    fn held(&self, call: &Call) -> Result<Verdict, Verdict> {
        let call = self.completed(call)?;
        let (verb, arguments) = (&call.verb, &call.arguments);
        let rules = self.policy.rulebook();
        if let Some(rule) = rules.denied_by(&self.owner, verb, arguments) {
            return Err(Verdict::reasoned(&Reason::Denied { rule: rule.site.clone() }));
        }
        let rule = rules.allowed_by(&self.owner, verb, arguments);
        let site = rule.ok_or_else(|| Verdict::reasoned(&Reason::NotAllowed))?.site.clone();
        let declared = self.policy.catalog().verb(verb);
        let checks = declared.map(|verb| of_catalog(verb, &call)).unwrap_or_default();
        if let Some(unmet) = checks.into_iter().find(|check| !check.holds) {
            return Err(Verdict::refused(self.policy.site_of(verb).cloned(), unmet.sentence));
        }
        let why = format!("{} holds it by {site}", self.owner.principal);
        Ok(Verdict { answer: Answer::Held, by: vec![site], approvers: vec![], why })
    }

    fn requested(&self) -> Result<Scope, Verdict> {
        let derived = self.policy.surface(&self.owner).derive(&self.share);
        derived.map_err(|fault| Verdict::refused([], fault))
    }

    /// The narrowest scope that has the call in it.
    fn just(&self, call: &Call) -> Result<Scope, Verdict> {
        let call = self.completed(call)?;
        let given = call.arguments.iter();
        let pins = given.map(|(name, value)| (name.clone(), Constraint::exact(value.clone())));
        Ok(Scope::new([Capability::new(call.verb.clone(), pins)]))
    }

    fn completed(&self, call: &Call) -> Result<Call, Verdict> {
        let verb = self.policy.catalog().verb(&call.verb);
        let verb = verb.ok_or_else(|| Verdict::reasoned(&Reason::UnknownVerb))?;
        complete(verb, call.clone()).map_err(|refusal| Verdict::reasoned(&refusal.reason))
    }

    /// What the rules say to its opening, with everybody's yes that it takes.
    fn opened(&self, scope: &Scope) -> Result<Delegation, Verdict> {
        let recipient = self.recipient.as_ref();
        let recipient = recipient.ok_or_else(|| Verdict::refused([], "no recipient is named"))?;
        // Until it is called: a rule that is long enough for that is long enough.
        let needed = self.after.saturating_add(Duration::from_millis(1));
        let ttl = self.ttl.unwrap_or(needed);
        let proposal = Proposal { scope, recipient, ttl, redelegate: self.redelegate, live: &[] };
        let delegation = self.policy.may_delegate(&self.owner, proposal);
        let delegation = delegation.map_err(|fault| Verdict::unopened(&fault))?;
        // What is consented to is known only to the daemon that asks.
        let (to, user) = ([0; 32], &self.owner.principal.user);
        let given = self.consents(to);
        let unmet = |(_, who): &&(RuleSite, Approvers)| !who.have_consented(&given, &to, user);
        let (by, approvers): (Vec<_>, Vec<_>) =
            delegation.consent.iter().filter(unmet).cloned().unzip();
        if by.is_empty() {
            return Ok(delegation);
        }
        let names: Vec<String> = approvers.iter().map(ToString::to_string).collect();
        let why = format!("opening it asks {}", names.join(", and "));
        Err(Verdict { answer: Answer::Asks, by, approvers, why })
    }

    fn consents(&self, to: [u8; 32]) -> Vec<Consent> {
        let consent = |(user, groups): &(String, Groups)| Consent {
            user: user.clone(),
            groups: groups.clone(),
            to,
        };
        self.yes.iter().map(consent).collect()
    }

    /// The chokepoint's word, and where it asks, its word on those who say yes.
    fn decided(
        &self,
        recipient: &Recipient,
        scope: &Scope,
        call: &Call,
        delegation: Option<&Delegation>,
    ) -> Result<Decision, Verdict> {
        let passport = self.passport(scope).map_err(|fault| Verdict::refused([], fault))?;
        let granted = delegation.map_or(LONGEST, |delegation| delegation.max_ttl);
        let standing = Standing {
            owner: self.owner.principal.clone(),
            groups: self.owner.groups.clone(),
            recipient: recipient.clone(),
            scope: scope.clone(),
            opened: self.owner.now,
            deadline: self.owner.now.plus(self.ttl.unwrap_or(granted)),
            approve: Approve::Never,
            budget: delegation.map_or(Budget::default(), |delegation| delegation.budget),
            used: Used::default(),
            consents: vec![],
        };
        let decided = self.ask(&standing, &passport, call);
        let Decision::Ask(question) = &decided else { return Ok(decided) };
        let consents = self.consents(question.digest);
        Ok(self.ask(&Standing { consents, ..standing }, &passport, call))
    }

    #[expect(clippy::disallowed_methods, reason = "a rehearsal: the permit ends here, unspent")]
    fn ask(&self, standing: &Standing, passport: &Passport, call: &Call) -> Decision {
        let now = self.owner.now.plus(self.after);
        authorize(self.policy, standing, passport, call.clone(), now)
    }

    /// Under a key that everybody knows: no daemon takes it.
    fn passport(&self, scope: &Scope) -> Result<Passport, MintFault> {
        let root = SigningKey::from_bytes(&[0; 32]);
        let daemon: Result<DaemonName, _> = "rehearsal".parse();
        let daemon = daemon.map_err(|_| MintFault::Field("daemon"))?;
        let authority = Authority {
            daemon,
            share: ShareId::from_random([0; 8]),
            seat: SeatId(0),
            owner: self.owner.principal.user.clone(),
            relays: vec![],
            not_after: self.owner.now.plus(LONGEST * 2),
            channel_key: [0; 32],
            redeem_key: [0; 32],
            depth: 0,
            scope: scope.clone(),
        };
        let bytes = passport::mint(&root, &authority)?;
        passport::verify(&bytes, &root.verifying_key()).map_err(MintFault::Refused)
    }
}

fn asks(question: Question) -> Verdict {
    let Question { approve, approvers, rule, .. } = question;
    let when = match approve {
        Approve::Each => "each call asks",
        Approve::Once => "the first call asks",
        // Nothing is asked then.
        Approve::Never => "no call asks",
    };
    let why = format!("{when} {approvers}, by {rule}");
    Verdict { answer: Answer::Asks, by: vec![rule], approvers: vec![approvers], why }
}

/// What came of a decision. A permit is not spent: a rehearsal does nothing.
fn verdict(recipient: &Recipient, decided: Decision) -> Verdict {
    match decided {
        Decision::Permit(permit) => {
            let basis = permit.basis();
            let (allowed, shared) = (&basis.allowed_by, &basis.delegated_by);
            let why = format!("allowed by {allowed}, shared with {recipient} by {shared}");
            let by = vec![allowed.clone(), shared.clone()];
            Verdict { answer: Answer::Permitted, by, approvers: vec![], why }
        }
        Decision::Ask(question) => asks(*question),
        Decision::Refuse(refusal) => Verdict::reasoned(&refusal.reason),
    }
}
