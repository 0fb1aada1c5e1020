//! What may be done: verbs, constraints, rules, scopes, passports, and [`authorize`], the one function
//! that turns a call into a permit.
//!
//! Pure: nothing here reads a clock, a file, the environment or randomness, and nothing is logged.
//! What is not said is refused.

mod address;
mod audience;
mod authorize;
mod compare;
mod confinement;
mod consent;
mod constraint;
mod delegation;
mod diff;
mod expectation;
mod explain;
mod file;
mod glob;
mod http;
mod index;
mod input;
mod kind;
mod lint;
mod menu;
mod name;
mod nearest;
mod note;
mod offer;
pub mod passport;
mod path;
mod pattern;
mod policy;
mod port;
mod principal;
mod redact;
mod refusal;
mod rehearsal;
mod request;
mod rule;
mod rulebook;
mod scope;
mod selector;
mod shell;
mod sql;
mod ssh;
mod surface;
mod target;
mod template;
mod text;
mod time;
mod value;
mod verb;
mod web;
mod window;

pub use address::Network;
pub use authorize::{
    Admitted, Basis, Call, Decision, Permit, Standing, authorize, still_permitted,
};
pub use confinement::{
    Confinement, Network as NetworkAccess, ProcessLimits, Reach, SystemCalls, TotalLimits,
};
pub use consent::{Approve, Approvers, Consent, Question};
pub use constraint::Constraint;
pub use delegation::{DelegateFault, Delegation, Live, Proposal};
pub use diff::{Change, Direction, diff};
pub use expectation::{Expectation, Expected, Trial};
pub use explain::{Check, Explanation, Step, StepKind};
pub use file::{File, FileAct, FileAsk, FileAt, Transfer, Which};
pub use http::{
    Asks, Credential, Fixed, Http, HttpRequest, HttpTarget, PATH_PLAIN, Paths, Queries, Reflects,
    Sockets, WEBSOCKET, encoded, is_path, is_query,
};
pub use input::{Content, Input, Stdin};
pub use kind::Kind;
pub use lint::{Finding, Level, lint};
pub use menu::{MenuEntry, MenuParameter};
pub use name::{
    AccountName, AgentName, Alias, DaemonName, Mark, NameFault, ParameterName, RedactName,
    RequestId, SeatId, ShareId, TargetName, VerbName,
};
pub use note::{MAX_NOTE, NOTE_TEXT};
pub use offer::{Offer, Offered};
pub use passport::{Authority, Narrowing, Passport, PassportFault};
pub use path::Root;
pub use pattern::{Anchored, MAX_PATTERN_BYTES, PatternFault};
pub use policy::Policy;
pub use port::{Port, TcpTarget};
pub use principal::{Groups, Principal, Recipient, Subject};
pub use redact::{MAX_SECRET_PATTERN_BYTES, Redact, RedactSet, SecretPattern, SecretPatternFault};
pub use refusal::{ParameterProblem, PublicRefusal, Reason, Refusal};
pub use rehearsal::{Answer, Rehearsal, Verdict};
pub use request::{MAX_PINS, MAX_REQUEST_BYTES, Pointer, Request, RequestFault, RequestProblem};
pub use rule::{Budget, RuleSite, Used};
pub use rulebook::PrincipalFault;
pub use scope::{Capability, Scope};
pub use sql::{Database, Postgres, RowFormat, Sql, SqlQuery, SqlTarget, Via};
pub use ssh::{RemoteEnd, Route, Ssh};
pub use surface::{DeriveFault, DeriveProblem, MAX_COMBINATIONS, MAX_REQUESTS, Surface};
pub use target::{FileName, Host, HostKey, Identity, Login, SshTarget, TargetFault};
pub use template::{Piece, Template, TemplateFault};
pub use text::{Source, TextFault, expectations, expected, load};
pub use time::Timestamp;
pub use value::{Arguments, Instead, List, MAX_ITEMS, MAX_VALUE_BYTES, Text, Value, ValueFault};
pub use verb::{Beneath, Catalog, Effect, Element, Exec, Parameter, Run, Verb};
pub use web::UrlPrefix;
