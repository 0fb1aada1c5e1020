//! What the command line is shown: shares, plans, requests, recipients, the daemon itself.

use policy::{
    AccountName, AgentName, Alias, Approve, Budget, Effect, Input, Offer, ParameterName, RequestId,
    Scope, SeatId, ShareId, Timestamp,
};
use serde::{Deserialize, Serialize};

/// A share as its owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareView {
    /// The share.
    pub id: ShareId,
    /// The OS user.
    pub user: String,
    /// The agent.
    pub agent: AgentName,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it ends as it stands.
    pub deadline: Timestamp,
    /// Past which it cannot be extended.
    pub hard_stop: Timestamp,
    /// The daemon's clock at this answer.
    pub now: Timestamp,
    /// What is shared.
    pub scope: Scope,
    /// With whom.
    pub seats: Vec<SeatView>,
    /// Calls made so far.
    pub calls: u64,
    /// Calls refused so far.
    pub refused: u64,
    /// How much of it may be used.
    pub budget: Budget,
    /// Bytes of output so far, with what running calls may still write.
    pub bytes: u64,
    /// What the owner demands beyond policy.
    pub approve: Approve,
    /// How often a recipient may hand it on.
    pub redelegate: u8,
    /// How often a second key asked for a seat that was bound already: a handle may have leaked.
    pub second_redeemers: u64,
    /// Calls that run now.
    pub running: Vec<RunningView>,
}

/// A seat as the owner sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeatView {
    /// The seat.
    pub id: SeatId,
    /// The recipient's alias; none for a bearer.
    pub alias: Option<Alias>,
    /// `SHA256:…` of the holder key, once the seat is redeemed.
    pub holder: Option<String>,
    /// Whether a channel of the holder's is live now.
    pub connected: bool,
    /// Whether the owner has ended it.
    #[serde(default)]
    pub ended: bool,
    /// To whom it was handed on, in the order in which they came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handed_on: Vec<SubHolderView>,
}

/// A key to which a seat was handed on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubHolderView {
    /// `SHA256:…` of the key.
    pub holder: String,
    /// The same of the key that handed it on.
    pub by: String,
    /// Whether a channel of theirs is live now.
    pub connected: bool,
}

/// A call that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunningView {
    /// The call's id, in hex.
    pub id: String,
    /// `verb parameter=value …`.
    pub call: String,
    /// When it was started.
    pub started: Timestamp,
}

/// What a share would be, or is to be consented to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanView {
    /// SHA-256 of all of it that policy and catalog say, in hexadecimal: the same plan, the same hash.
    pub hash: String,
    /// The OS user.
    pub user: String,
    /// The agent.
    pub agent: AgentName,
    /// Each recipient, with the fingerprint of their key.
    pub recipients: Vec<String>,
    /// Whether it is for a bearer: whoever redeems it first.
    #[serde(default)]
    pub bearer: bool,
    /// How long it would live, in milliseconds.
    pub ttl_ms: u64,
    /// How often a recipient could hand it on.
    pub redelegate: u8,
    /// How much of it could be used.
    pub budget: Budget,
    /// What could be called.
    pub verbs: Vec<PlanVerb>,
    /// The rules that let it be.
    pub basis: String,
    /// Whose consent opening takes; empty: nobody's.
    pub consent: Vec<String>,
}

/// One capability of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanVerb {
    /// As `--verb` takes it.
    pub verb: String,
    /// The catalog's sentence.
    pub summary: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// What the recipient could give it while it runs.
    pub input: Input,
    /// As whom it would run, where that is not the owner.
    pub run_as: Option<AccountName>,
    /// Each parameter and what it could be.
    pub parameters: Vec<(ParameterName, String)>,
    /// Whether calls would wait for consent.
    pub approve: Approve,
    /// Whose.
    pub approvers: String,
}

/// A request for consent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestView {
    /// The request.
    pub id: RequestId,
    /// What it is for.
    pub what: Asked,
    /// The share's owner.
    pub user: String,
    /// Their agent.
    pub agent: AgentName,
    /// Who is to have it, or asks.
    pub recipient: String,
    /// The rule that asks.
    pub rule: String,
    /// Whose consent it takes, in words.
    pub approvers: String,
    /// How many consents.
    pub needs: u8,
    /// Who has consented so far.
    pub given: Vec<String>,
    /// SHA-256 of exactly what is consented to, in hexadecimal.
    pub hash: String,
    /// When it came.
    pub asked: Timestamp,
    /// When it is refused for want of an answer.
    pub until: Timestamp,
    /// The daemon's clock at this answer.
    pub now: Timestamp,
    /// Whether the caller's consent would count.
    pub yours: bool,
}

/// What consent is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Asked {
    /// One call, or with it all later ones of its verb.
    Call {
        /// The share.
        share: ShareId,
        /// The verb, then each `parameter=value`, whole.
        call: Vec<String>,
        /// The catalog's sentence.
        summary: String,
        /// Whether it changes anything.
        effect: Effect,
        /// What the recipient would give it while it runs.
        #[serde(default)]
        input: Input,
        /// Once or each.
        approve: Approve,
        /// What would run: the program and its arguments.
        #[serde(default)]
        command: Vec<String>,
        /// The account that it would run as, if not as its owner.
        #[serde(default)]
        run_as: Option<AccountName>,
    },
    /// A share.
    Open(Box<PlanView>),
    /// More of a share that is open.
    Access(Box<AccessView>),
}

/// What a recipient asks for, and what the share would gain by it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessView {
    /// The share.
    pub share: ShareId,
    /// Why, as whoever asks says; harmless, and cut to 256 characters.
    pub reason: String,
    /// Each capability that the share would have and has not.
    pub gains: Vec<PlanVerb>,
    /// Everybody who would have it: whoever has a seat in the share.
    pub recipients: Vec<String>,
    /// How often in a row they may hand it on.
    pub redelegate: u8,
    /// How much of the share could be used then, where a rule of what is added bounds it more than now.
    pub budget: Option<Budget>,
}

/// How a revocation went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedShare {
    /// The share.
    pub id: ShareId,
    /// Whether the recipient knows.
    pub told: Told,
    /// Calls that were ended by it.
    pub ended_calls: u32,
    /// Processes that could not be proven dead, named; the revocation failed if there is one.
    pub alive: Vec<String>,
    /// What goes on on other hosts, where nothing of here can end it.
    pub beyond: Vec<String>,
}

/// Whether a recipient was told that the share is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Every live channel has acknowledged.
    Acknowledged,
    /// It was sent; 300 ms passed without an acknowledgement.
    TimedOut,
    /// No channel was live.
    NoChannel,
}

/// A recipient that can be named with `--to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactView {
    /// The alias as `--to` takes it.
    pub alias: Alias,
    /// `SHA256:…` of the key.
    pub fingerprint: String,
    /// The public key.
    pub key: String,
}

/// What an agent could share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilitiesView {
    /// The agent.
    pub agent: AgentName,
    /// Its surface, a line per capability as `--verb` takes it, with the verb's summary.
    pub verbs: Vec<CapabilityView>,
}

/// One capability of a surface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityView {
    /// As `--verb` takes it.
    pub verb: String,
    /// The catalog's sentence.
    pub summary: String,
    /// Whether it changes anything.
    pub effect: Effect,
    /// Whether some delegate rule lets it be shared.
    pub delegable: bool,
    /// How, a delegate rule at a time.
    pub offers: Vec<OfferView>,
}

/// How a capability may be shared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferView {
    /// What the rule says.
    pub offer: Offer,
    /// The contacts that the owner can name and that it reaches.
    pub contacts: Vec<Alias>,
}

/// How the daemon does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusView {
    /// The daemon's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `SHA256:…` of its identity key.
    pub fingerprint: String,
    /// The same as words.
    pub words: Vec<String>,
    /// Whether it runs as root for many users, or as one user.
    pub mode: String,
    /// Its relays and whether each is up.
    pub relays: Vec<RelayView>,
    /// What does not hold here that the promises say; a sentence each.
    pub warnings: Vec<String>,
    /// Live shares.
    pub shares: u32,
    /// Calls that run now.
    pub calls: u32,
}

/// A relay as the daemon sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayView {
    /// Its address.
    pub address: String,
    /// Whether the leg is up.
    pub up: bool,
    /// Why not.
    pub why: Option<String>,
}
