//! Passports: minted, narrowed, handed on and verified. The Biscuit and nothing else.

mod block;
mod chain;
mod claim;
mod datalog;
mod patterns;

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};

use crate::name::{DaemonName, SeatId, ShareId};
use crate::scope::Scope;
use crate::time::Timestamp;

/// The most bytes that a passport may have.
pub const MAX_PASSPORT_BYTES: usize = 8192;
/// The most blocks that a passport may have, the authority's included.
pub const MAX_BLOCKS: usize = 8;
/// The most relays that a passport may name.
pub const MAX_RELAYS: usize = 3;
/// The most bytes of a relay's address.
pub const MAX_RELAY_BYTES: usize = 256;
/// The most bytes of an owner's user name.
pub const MAX_OWNER_BYTES: usize = 64;
/// The most bytes of the reason that a block may give.
pub const MAX_REASON_BYTES: usize = 256;
/// The most patterns in what the daemon states.
pub const MAX_PATTERNS: usize = 32;
/// The most patterns that all later blocks together may add: each is compiled by whoever verifies.
pub const MAX_HOLDER_PATTERNS: usize = 4;

/// What the daemon states when it mints.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authority {
    /// The daemon's name, as clients remember it.
    pub daemon: DaemonName,
    /// The share.
    pub share: ShareId,
    /// The recipient's place in it.
    pub seat: SeatId,
    /// The OS user that verbs run as.
    pub owner: String,
    /// Where to meet the daemon, as relay addresses.
    pub relays: Vec<String>,
    /// The hard stop.
    pub not_after: Timestamp,
    /// The daemon's public key on this share's channels.
    pub channel_key: [u8; 32],
    /// The public key whose signature redeems the seat.
    pub redeem_key: [u8; 32],
    /// How often the passport may still be handed on.
    pub depth: u8,
    /// What may be called.
    pub scope: Scope,
}

/// What a holder states when they narrow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Narrowing {
    /// No later than the parent's.
    pub not_after: Timestamp,
    /// No greater than the parent's; at least one less where the passport is handed on.
    pub depth: u8,
    /// Within the parent's.
    pub scope: Scope,
    /// Why, for the owner; a stranger's text. May be empty.
    pub reason: String,
}

/// By whom a passport was handed on, and to whoever redeems which key.
///
/// Anybody can sign such a block: that `by` is the key of whoever held the passport is for the daemon to compare.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HandedOn {
    /// The public key that signed the block.
    pub by: [u8; 32],
    /// The public key whose signature says who holds the passport from here.
    pub redeem_key: [u8; 32],
}

/// One block after the authority's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Block {
    narrowing: Narrowing,
    handed_on: Option<HandedOn>,
}

impl Block {
    /// What its maker stated.
    #[must_use]
    pub fn narrowing(&self) -> &Narrowing {
        &self.narrowing
    }

    /// Who signed it and for which redeem key; none where the holder only narrowed.
    #[must_use]
    pub fn handed_on(&self) -> Option<&HandedOn> {
        self.handed_on.as_ref()
    }
}

/// A passport whose signatures, form and chain are good. Whether it is in force is for `authorize`.
#[derive(Clone, Eq, PartialEq)]
pub struct Passport {
    authority: Authority,
    blocks: Vec<Block>,
    digest: [u8; 32],
}

/// Why a passport cannot be minted or narrowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MintFault {
    /// Nothing would be permitted.
    #[error("a passport needs at least one verb")]
    Empty,
    /// A field does not fit.
    #[error("a passport's {0} is too long")]
    Field(&'static str),
    /// Over [`MAX_PASSPORT_BYTES`].
    #[error(
        "the passport would have {0} bytes, more than {MAX_PASSPORT_BYTES}: share fewer verbs or shorter lists"
    )]
    TooLarge(usize),
    /// Over [`MAX_BLOCKS`].
    #[error("the passport has been narrowed {} times, and cannot be again", MAX_BLOCKS - 1)]
    TooManyBlocks,
    /// The narrowing is not within the passport as it stands.
    #[error("the narrowed passport would not be accepted")]
    Refused(#[source] PassportFault),
    /// The token library refused.
    #[error("the passport cannot be built: {0}")]
    Token(String),
}

/// Why bytes are not a good passport. All of it is the peer's doing.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PassportFault {
    /// Over [`MAX_PASSPORT_BYTES`].
    #[error("a passport may have at most {MAX_PASSPORT_BYTES} bytes")]
    TooLarge,
    /// Over [`MAX_BLOCKS`].
    #[error("a passport may have at most {MAX_BLOCKS} blocks")]
    TooManyBlocks,
    /// Not a Biscuit, or one in another spelling.
    #[error("the passport is damaged")]
    Malformed,
    /// Not signed by the key expected, or altered since.
    #[error("the passport is not signed by the daemon's key")]
    Signature,
    /// A key that is not Ed25519.
    #[error("the passport contains a key that is not Ed25519")]
    Algorithm,
    /// Something that no daemon and no client of this version puts into a passport.
    #[error("block {0} of the passport is of an unknown kind")]
    Unknown(usize),
    /// What a block states is not in its one spelling, or its Datalog is not what follows from it.
    #[error("block {0} of the passport does not state what it should")]
    Statement(usize),
    /// A block that permits more, longer, or deeper than its parent.
    #[error("block {0} of the passport claims more than its parent grants")]
    Widened(usize),
    /// A block that hands on what may not be handed on any more, or does not count that down.
    #[error("block {0} hands the passport on more often than it may be")]
    TooDeep(usize),
    /// A block that hands on to a redeem key that the passport names already.
    #[error("block {0} hands the passport on to a redeem key that it has named before")]
    SameRedeemKey(usize),
}

/// Mints a passport. The same authority gives the same bytes: the key for the next block is derived
/// from the daemon's, so nothing here needs randomness.
///
/// # Errors
/// When the authority permits nothing, or a field or the whole is too long.
pub fn mint(root: &SigningKey, authority: &Authority) -> Result<Vec<u8>, MintFault> {
    chain::mint(root, authority)
}

/// Appends a block that narrows, without asking anybody. `root` is the daemon's key, which the
/// passport and the result are verified against.
///
/// # Errors
/// When the result would not be accepted, or would be too large.
pub fn narrow(
    passport: &[u8],
    root: &VerifyingKey,
    narrowing: &Narrowing,
) -> Result<Vec<u8>, MintFault> {
    chain::narrow(passport, root, narrowing)
}

/// Appends a block that narrows and hands on: from there the passport is held by whoever `redeem_key` says. `holder`, the key
/// that holds the passport, signs it. Nobody is asked; that the depth allows it is checked, that `holder` is the right
/// key is for the daemon.
///
/// # Errors
/// When the result would not be accepted, or would be too large.
pub fn hand_on(
    passport: &[u8],
    root: &VerifyingKey,
    holder: &SigningKey,
    narrowing: &Narrowing,
    redeem_key: [u8; 32],
) -> Result<Vec<u8>, MintFault> {
    chain::hand_on(passport, root, holder, narrowing, redeem_key)
}

/// Checks a passport: size, signatures, one spelling, the Datalog against what is stated (it is never
/// run), and that each block lies within its parent. No clock is asked.
///
/// # Errors
/// What is wrong with the bytes; all of it is the peer's doing.
pub fn verify(bytes: &[u8], root: &VerifyingKey) -> Result<Passport, PassportFault> {
    chain::verify(bytes, root)
}

impl Passport {
    /// What the daemon stated.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What holders have stated since, the first first.
    #[must_use]
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// SHA-256 of the passport's bytes.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// When the passport ends: the earliest of its blocks.
    #[must_use]
    pub fn not_after(&self) -> Timestamp {
        let blocks = self.blocks.iter().map(|block| block.narrowing.not_after);
        blocks.fold(self.authority.not_after, Timestamp::min)
    }

    /// How often it may still be handed on.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.blocks.last().map_or(self.authority.depth, |block| block.narrowing.depth)
    }

    /// How it was handed on, from the seat's own holder to whoever holds it now; empty where it never was.
    pub fn hops(&self) -> impl DoubleEndedIterator<Item = &HandedOn> {
        self.blocks.iter().filter_map(Block::handed_on)
    }

    /// The public key whose signature says who holds the passport.
    #[must_use]
    pub fn redeem_key(&self) -> [u8; 32] {
        self.hops().next_back().map_or(self.authority.redeem_key, |hop| hop.redeem_key)
    }

    /// Every redeem key that it names, the authority's first, the one of [`Self::redeem_key`] last.
    pub fn redeem_keys(&self) -> impl Iterator<Item = [u8; 32]> {
        std::iter::once(self.authority.redeem_key).chain(self.hops().map(|hop| hop.redeem_key))
    }

    /// The scope of each block, the authority's first.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        let blocks = self.blocks.iter().map(|block| &block.narrowing.scope);
        std::iter::once(&self.authority.scope).chain(blocks)
    }

    /// The narrowest scope: the last block's, which lies within all others.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.blocks.last().map_or(&self.authority.scope, |block| &block.narrowing.scope)
    }

    /// Whether every block permits the call, by its scope; time is `authorize`'s matter.
    #[must_use]
    pub fn permits(&self, call: &crate::authorize::Call) -> bool {
        self.scopes().all(|scope| scope.permits(&call.verb, &call.arguments))
    }
}

impl fmt::Debug for Passport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Authority { share, seat, .. } = &self.authority;
        write!(out, "Passport({share}/{seat}, {} blocks)", 1 + self.blocks.len())
    }
}
