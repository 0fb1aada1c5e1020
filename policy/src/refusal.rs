//! Refusals: what the caller is told, and what the audit is told.

use serde::{Deserialize, Serialize};

use crate::constraint::Constraint;
use crate::kind::Kind;
use crate::name::ParameterName;
use crate::rule::RuleSite;

/// A call that may not be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// For the caller.
    pub public: PublicRefusal,
    /// For the audit, never for the caller.
    pub reason: Reason,
}

/// What a caller is told. A verb that does not exist and one that is not theirs give the same answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicRefusal {
    /// Not permitted, and no more is said.
    #[error("not permitted")]
    NotPermitted,
    /// The share or the passport has ended.
    #[error("the share is over")]
    Over,
    /// A verb within the passport, with an argument that is not.
    #[error("`{parameter}` {problem}")]
    Parameter {
        /// The parameter.
        parameter: ParameterName,
        /// What is wrong with its argument.
        problem: ParameterProblem,
    },
    /// What the share may use is used up.
    #[error("the calls or the output that the share may have are used up")]
    Spent,
    /// Somebody whose consent it needs has refused it.
    #[error("consent was refused")]
    Declined,
    /// Nobody whose consent it needs has answered in time.
    #[error("nobody consented in time")]
    Unanswered,
    /// A verb within the passport, each argument within some capability, but not all within one.
    #[error("these arguments are permitted one by one, but not together")]
    Combination,
}

/// What is wrong with one argument.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterProblem {
    /// The verb has no such parameter.
    #[error("is not a parameter of this verb")]
    Undeclared,
    /// It must be given.
    #[error("is required")]
    Missing,
    /// It is of another kind.
    #[error("must be of type {wants}")]
    Kind {
        /// The kind that it must be.
        wants: Kind,
    },
    /// Its value is outside.
    #[error("must be {}", either(accepts))]
    Value {
        /// Any of these would do.
        accepts: Vec<Constraint>,
    },
    /// The program would take it for an option.
    #[error("may not begin with `-`")]
    Option,
    /// It goes through a shell on another host.
    #[error("may not contain control characters")]
    Control,
    /// It becomes a part of a path.
    #[error("may not be empty, `.` or `..`, nor contain `/`, `\\`, `%`, `;` or control characters")]
    Segment,
    /// A server could read it in two ways.
    #[error(
        "must be spelled as URLs are: no empty, `.` or `..` segment, nothing escaped that need not be"
    )]
    Spelling,
    /// The service's profile does not list it.
    #[error("is not among what is reflected of the service")]
    Unlisted,
}

fn either(accepts: &[Constraint]) -> String {
    accepts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

/// Why, for the audit.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The share's deadline has passed.
    #[error("the share is over")]
    ShareOver,
    /// The passport's own end has passed.
    #[error("the passport is over")]
    PassportOver,
    /// The passport states another owner than the lease.
    #[error("the passport is for another owner")]
    OtherOwner,
    /// Policy has given the owner's agent name to another, or taken it away.
    #[error("the agent name is no longer the owner's")]
    AgentTaken,
    /// The catalog has no such verb.
    #[error("the catalog has no such verb")]
    UnknownVerb,
    /// The arguments are not what the catalog declares.
    #[error("the catalog refuses `{parameter}`: it {problem}")]
    Catalog {
        /// The parameter.
        parameter: ParameterName,
        /// What is wrong with its argument.
        problem: ParameterProblem,
    },
    /// A block of the passport does not permit it.
    #[error("outside the passport")]
    OutsidePassport,
    /// The share as it stands does not permit it.
    #[error("outside the share as it stands")]
    OutsideShare,
    /// A rule denies it.
    #[error("denied by {rule}")]
    Denied {
        /// The rule.
        rule: RuleSite,
    },
    /// No rule lets the owner do it.
    #[error("no rule allows it to the owner")]
    NotAllowed,
    /// No rule lets the owner share it with this recipient, as long and as often as this.
    #[error("no rule lets the owner share it with this recipient")]
    NotDelegated,
    /// The share's budget, or that of each rule that lets it be shared, is used up.
    #[error("the calls or the output that the share may have are used up")]
    Spent,
    /// It needs a consent that nobody has given.
    #[error("it needs consent")]
    NotConsented,
}

impl Refusal {
    pub(crate) fn uniform(reason: Reason) -> Self {
        Self { public: PublicRefusal::NotPermitted, reason }
    }

    pub(crate) fn over(reason: Reason) -> Self {
        Self { public: PublicRefusal::Over, reason }
    }

    /// What the catalog says of an argument, where the menu says it too.
    pub(crate) fn parameter(parameter: &ParameterName, problem: ParameterProblem) -> Self {
        let reason = Reason::Catalog { parameter: parameter.clone(), problem: problem.clone() };
        let public = PublicRefusal::Parameter { parameter: parameter.clone(), problem };
        Self { public, reason }
    }
}
