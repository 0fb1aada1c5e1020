//! What the record says: one event for each thing that an officer may ask about.

use policy::{
    AccountName, AgentName, Alias, Arguments, Recipient, RequestId, Scope, SeatId, ShareId,
    Timestamp, VerbName,
};
use serde::{Deserialize, Serialize};
use wire::call::Ending;

use super::recorded::{Hex, Recorded, Said, rfc3339_text};
use crate::clock::BootId;

/// An OS user and the agent that they act as.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Who {
    /// As the kernel told it.
    pub uid: u32,
    /// The user's name.
    pub user: String,
    /// A label of the user's own; none where the user acts for themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
}

/// A seat, and whoever holds it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The share.
    pub share: ShareId,
    /// The seat within it.
    pub seat: SeatId,
    /// The holder's public key.
    pub holder: Hex<32>,
    /// The keys for which they act: the seat's own holder first, whoever handed on to them last. None where the seat is theirs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acting_for: Vec<Hex<32>>,
}

impl Holder {
    /// One who acts for nobody else.
    #[must_use]
    pub fn new(share: ShareId, seat: SeatId, holder: [u8; 32]) -> Self {
        Self { share, seat, holder: Hex(holder), acting_for: Vec::new() }
    }
}

/// Why a share ended by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// Its deadline came.
    Deadline,
    /// Thirty minutes were over.
    HardStop,
    /// The machine was started anew.
    Rebooted,
    /// Policy no longer lets its owner share it.
    PolicyGone,
    /// More of its calls were refused than a share may have.
    Refusals,
    /// It could not be kept in the lease store.
    Unkept,
}

/// How much the log has to hold ready for an event.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// Something begins: without the record it does not.
    Start,
    /// Something was refused or seen: it may not use the room kept for endings.
    Note,
    /// Something ends, or the daemon speaks of itself: it uses the reserve and never waits.
    End,
}

/// One thing that happened. Names and fields are a format: they are added to, never changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The daemon is up.
    DaemonStarted {
        /// The program's version.
        version: String,
        /// Which boot this is.
        boot: BootId,
        /// `system` or `rootless`.
        mode: String,
        /// The identity key, by which this log is signed.
        key: Hex<32>,
        /// Shares that were live before and are again.
        resumed: u32,
        /// Calls that were running when an earlier life ended by itself; each has an ending of its own.
        #[serde(default)]
        interrupted: u32,
        /// Processes of an earlier life's calls that do not die.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        undead: Vec<i32>,
    },
    /// The daemon ends as it was told to.
    DaemonStopped {
        /// By what.
        why: Said,
    },
    /// The broker was started again after it had ended by itself.
    BrokerRestarted {
        /// How it ended.
        why: Said,
    },
    /// A new policy counts from here.
    PolicyReloaded {
        /// Who asked; none for a signal.
        by: Option<Who>,
        /// SHA-256 of the files that were read.
        digest: Hex<32>,
        /// Verbs in the catalog.
        verbs: usize,
    },
    /// A new policy was not taken; the old one counts.
    PolicyRejected {
        /// Who asked; none for a signal.
        by: Option<Who>,
        /// How many faults.
        faults: usize,
        /// The first of them.
        first: Said,
    },
    /// A share was opened.
    ShareOpened {
        /// Its owner.
        by: Who,
        /// The share.
        share: ShareId,
        /// Who gets a seat, in the order of the seats.
        recipients: Vec<Recipient>,
        /// What is shared.
        scope: Recorded<Scope>,
        /// When it ends as it stands.
        #[serde(with = "rfc3339_text")]
        deadline: Timestamp,
        /// Past which it cannot be extended.
        #[serde(with = "rfc3339_text")]
        hard_stop: Timestamp,
        /// The rules that let it be.
        basis: Said,
    },
    /// Services are asked how they do, before a share of them opens, whether or not it does.
    ServicesAsked {
        /// Whose share it is to be, as whom they are asked.
        by: Who,
        /// The share.
        share: ShareId,
        /// Each by its name, with the request.
        asked: Vec<Said>,
    },
    /// A share was not opened.
    OpenRefused {
        /// Who asked.
        by: Who,
        /// Why not.
        reason: Said,
    },
    /// A share's deadline or scope was changed.
    ShareExtended {
        /// Who asked.
        by: Who,
        /// The share.
        share: ShareId,
        /// When it ends now.
        #[serde(with = "rfc3339_text")]
        deadline: Timestamp,
        /// What is shared now, where that changed.
        scope: Option<Recorded<Scope>>,
        /// The rules that let it be.
        basis: Said,
    },
    /// A share was ended by a person.
    ShareRevoked {
        /// Who ended it.
        by: Who,
        /// The share.
        share: ShareId,
        /// What they said.
        reason: Said,
        /// Calls that were running.
        calls: u32,
        /// Processes that could not be proven dead.
        alive: Vec<Said>,
    },
    /// A share ended by itself.
    ShareExpired {
        /// The share.
        share: ShareId,
        /// Why.
        why: Expiry,
        /// Calls that were running.
        calls: u32,
    },
    /// A seat was ended by a person; the share goes on.
    SeatKicked {
        /// Who ended it.
        by: Who,
        /// The share.
        share: ShareId,
        /// The seat within it.
        seat: SeatId,
        /// For whom it was made.
        recipient: Recipient,
        /// Why, as they say.
        reason: Said,
        /// Calls that were running.
        calls: u32,
    },
    /// A seat is held from here by this key.
    SeatRedeemed {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// For whom the seat was made.
        recipient: Recipient,
    },
    /// Part of a seat is held from here by this key as well, to which a holder handed it on.
    SeatHandedOn {
        /// The seat, the new holder, and for whom they act.
        #[serde(flatten)]
        at: Holder,
        /// For whom the seat was made.
        recipient: Recipient,
        /// The redeem key that the passport named for them.
        redeem: Hex<32>,
        /// When what they hold ends.
        #[serde(with = "rfc3339_text")]
        until: Timestamp,
        /// What they hold.
        scope: Recorded<Scope>,
        /// What the one who handed it on said.
        reason: Said,
    },
    /// A seat was not given.
    RedeemRefused {
        /// The seat and who wanted it.
        #[serde(flatten)]
        at: Holder,
        /// Why not.
        reason: Said,
    },
    /// A call, or the opening of a share, waits for somebody's consent.
    ConsentRequested {
        /// The request.
        request: RequestId,
        /// The share whose call it is; none where a share is to be opened.
        share: Option<ShareId>,
        /// Whose authority it is about.
        owner: Who,
        /// What is to be done.
        what: Said,
        /// SHA-256 of exactly what is consented to.
        digest: Hex<32>,
        /// Whose consent it takes, and by which rules.
        approvers: Said,
        /// When it is refused for want of an answer.
        #[serde(with = "rfc3339_text")]
        until: Timestamp,
    },
    /// A recipient asks for more of a share; it waits for the owner's yes.
    AccessRequested {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// The request.
        request: RequestId,
        /// Whose authority it is about.
        owner: Who,
        /// SHA-256 of what the holder signed.
        statement: Hex<32>,
        /// What is asked for, as it was said.
        wanted: Recorded<Vec<Said>>,
        /// What the share would have that it has not.
        gains: Recorded<Scope>,
        /// Why, as whoever asks says.
        reason: Said,
        /// SHA-256 of exactly what the owner is to consent to.
        digest: Hex<32>,
        /// When it is refused for want of an answer.
        #[serde(with = "rfc3339_text")]
        until: Timestamp,
    },
    /// A recipient asked for more of a share, and it was not given.
    AccessRefused {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// SHA-256 of what the holder signed.
        statement: Hex<32>,
        /// What was asked for, as it was said.
        wanted: Recorded<Vec<Said>>,
        /// Why it was asked for, as whoever asked says.
        reason: Said,
        /// Why not: more than the recipient was told.
        why: Said,
    },
    /// Somebody consented to a request.
    ConsentGiven {
        /// Who.
        by: Who,
        /// The request.
        request: RequestId,
        /// The share whose call it is.
        share: Option<ShareId>,
        /// SHA-256 of exactly what they consented to.
        digest: Hex<32>,
    },
    /// Somebody refused a request.
    ConsentRefused {
        /// Who.
        by: Who,
        /// The request.
        request: RequestId,
        /// The share whose call it is.
        share: Option<ShareId>,
        /// SHA-256 of what they refused.
        digest: Hex<32>,
        /// What they said.
        reason: Said,
    },
    /// A request ended without an answer.
    RequestEnded {
        /// The request.
        request: RequestId,
        /// The share whose call it was.
        share: Option<ShareId>,
        /// Why.
        why: Said,
    },
    /// A verb is about to be started.
    CallStarted {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// As whom the verb runs, unless `run_as` says another account.
        owner: Who,
        /// The account as which it runs instead, where the catalog says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_as: Option<AccountName>,
        /// For whom the seat was made.
        recipient: Recipient,
        /// The call's id.
        call: Hex<16>,
        /// SHA-256 of what the holder signed.
        statement: Hex<32>,
        /// SHA-256 of the passport.
        passport: Hex<32>,
        /// The verb.
        verb: VerbName,
        /// With defaults filled in, as the verb sees them.
        arguments: Recorded<Arguments>,
        /// The rules that let it be.
        basis: Said,
        /// How many bytes of output it may write.
        #[serde(default)]
        output_max: u64,
        /// What of it may go on elsewhere, should this daemon go down meanwhile.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beyond: Option<Said>,
    },
    /// A signed call was refused.
    CallRefused {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// The call's id.
        call: Hex<16>,
        /// SHA-256 of what the holder signed.
        statement: Hex<32>,
        /// The verb that was asked for.
        verb: VerbName,
        /// As they were given.
        arguments: Recorded<Arguments>,
        /// Why not: more than the recipient was told.
        reason: Said,
    },
    /// A call is over, and all its processes are gone.
    CallEnded {
        /// The seat and its holder.
        #[serde(flatten)]
        at: Holder,
        /// The call's id.
        call: Hex<16>,
        /// SHA-256 of what the holder signed.
        statement: Hex<32>,
        /// How it ended.
        ending: Ending,
        /// Bytes of standard output.
        stdout: u64,
        /// Bytes of standard error.
        stderr: u64,
        /// Bytes that it may have written beside these: the most it could, where nobody was left to count.
        #[serde(default)]
        uncounted: u64,
        /// Secrets that were masked in both.
        #[serde(default)]
        redactions: u64,
        /// Bytes of standard input that it was given.
        #[serde(default)]
        stdin: u64,
        /// SHA-256 of them, where the verb takes any and they were counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stdin_sha256: Option<Hex<32>>,
        /// What of it may go on where nothing of here can end it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beyond: Option<Said>,
        /// When it was started.
        #[serde(with = "rfc3339_text")]
        started: Timestamp,
        /// When the last of its processes was gone.
        #[serde(with = "rfc3339_text")]
        ended: Timestamp,
    },
    /// A note was left between the owner of a share and whoever holds a seat of it.
    NoteLeft {
        /// The share.
        share: ShareId,
        /// The seat within it.
        seat: SeatId,
        /// The owner, or whoever wrote in their name; none where it is the recipient's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Who>,
        /// The recipient's call, where it is theirs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Hex<16>>,
        /// Its place among the notes of the seat.
        #[serde(with = "rfc3339_text")]
        at: Timestamp,
        /// How long it is.
        bytes: u64,
        /// SHA-256 of what it says.
        sha256: Hex<32>,
    },
    /// An owner remembers a recipient's key.
    ContactAdded {
        /// Who.
        by: Who,
        /// Under this alias.
        alias: Alias,
        /// The key's fingerprint.
        fingerprint: String,
        /// The fingerprint of the key that it took the place of.
        replaced: Option<String>,
    },
    /// An owner forgot a recipient.
    ContactRemoved {
        /// Who.
        by: Who,
        /// The alias.
        alias: Alias,
    },
    /// Root or an admin saw or ended what is another's.
    AdminUsed {
        /// Who.
        by: Who,
        /// What they did.
        what: Said,
        /// To which share.
        share: Option<ShareId>,
    },
    /// The log was found damaged when it was opened, and goes on after what is whole.
    AuditRecovered {
        /// Bytes that were cut off: lines that had not been signed when the daemon went down.
        cut_bytes: u64,
        /// Records that had been written and are gone.
        lost_records: u64,
    },
    /// Endings that could not be written while the log could not be.
    EndingsDropped {
        /// How many.
        count: u64,
    },
    /// Messages that nobody had signed, counted instead of recorded one by one.
    UnsignedFailures {
        /// The share that they named.
        share: Option<ShareId>,
        /// What was wrong with them.
        what: Said,
        /// How many since the last such record.
        count: u64,
    },
}

/// Processes that an ending names.
const MAX_NAMED: usize = 8;

impl Event {
    /// The same with every text and list that another fills cut to a length that fits a line.
    #[must_use]
    pub(super) fn bounded(mut self) -> Self {
        if let Self::ShareRevoked { alive, .. } = &mut self {
            alive.truncate(MAX_NAMED);
        }
        if let Self::CallEnded {
            ending: Ending::NotStarted(why) | Ending::TargetLost(why), ..
        } = &mut self
        {
            *why = Said::new(why).into();
        }
        self
    }

    /// How much the log has to hold ready for it.
    #[must_use]
    pub fn weight(&self) -> Weight {
        match self {
            Self::ShareOpened { .. }
            | Self::ServicesAsked { .. }
            | Self::ShareExtended { .. }
            | Self::SeatRedeemed { .. }
            | Self::SeatHandedOn { .. }
            | Self::CallStarted { .. }
            | Self::NoteLeft { .. }
            | Self::ConsentGiven { .. }
            | Self::ContactAdded { .. } => Weight::Start,
            Self::OpenRefused { .. }
            | Self::RedeemRefused { .. }
            | Self::CallRefused { .. }
            | Self::ConsentRequested { .. }
            | Self::AccessRequested { .. }
            | Self::AccessRefused { .. }
            | Self::PolicyRejected { .. }
            | Self::AdminUsed { .. }
            | Self::UnsignedFailures { .. } => Weight::Note,
            Self::DaemonStarted { .. }
            | Self::DaemonStopped { .. }
            | Self::BrokerRestarted { .. }
            | Self::PolicyReloaded { .. }
            | Self::ShareRevoked { .. }
            | Self::ShareExpired { .. }
            | Self::SeatKicked { .. }
            | Self::CallEnded { .. }
            | Self::ConsentRefused { .. }
            | Self::RequestEnded { .. }
            | Self::ContactRemoved { .. }
            | Self::AuditRecovered { .. }
            | Self::EndingsDropped { .. } => Weight::End,
        }
    }

    /// The share that it is about, where it is about one.
    #[must_use]
    pub fn share(&self) -> Option<ShareId> {
        match self {
            Self::ShareOpened { share, .. }
            | Self::ServicesAsked { share, .. }
            | Self::ShareExtended { share, .. }
            | Self::ShareRevoked { share, .. }
            | Self::ShareExpired { share, .. }
            | Self::NoteLeft { share, .. }
            | Self::SeatKicked { share, .. } => Some(*share),
            Self::SeatRedeemed { at, .. }
            | Self::SeatHandedOn { at, .. }
            | Self::RedeemRefused { at, .. }
            | Self::CallStarted { at, .. }
            | Self::CallRefused { at, .. }
            | Self::CallEnded { at, .. }
            | Self::AccessRequested { at, .. }
            | Self::AccessRefused { at, .. } => Some(at.share),
            Self::AdminUsed { share, .. }
            | Self::UnsignedFailures { share, .. }
            | Self::ConsentRequested { share, .. }
            | Self::ConsentGiven { share, .. }
            | Self::ConsentRefused { share, .. }
            | Self::RequestEnded { share, .. } => *share,
            Self::DaemonStarted { .. }
            | Self::DaemonStopped { .. }
            | Self::BrokerRestarted { .. }
            | Self::PolicyReloaded { .. }
            | Self::PolicyRejected { .. }
            | Self::OpenRefused { .. }
            | Self::ContactAdded { .. }
            | Self::ContactRemoved { .. }
            | Self::AuditRecovered { .. }
            | Self::EndingsDropped { .. } => None,
        }
    }
}
