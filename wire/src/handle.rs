//! The handle: the one string that an owner gives away. It opens with the recipient's key and nothing else.
//!
//! `osp1_`, then base64url of an age file; inside, canonical CBOR. The plaintext is padded until the text is a multiple
//! of 64 characters, so that its length does not tell how much is shared, and a handle that was cut short shows.

mod contents;
mod identity;
mod key_file;
mod plugin;
mod recipient;
mod sealed;
mod secret;
mod text;
mod yubikey;

pub use identity::{Identity, IdentityFault};
pub use key_file::KeyFile;
pub use plugin::{PluginFault, PluginKey};
pub use recipient::{RecipientFault, RecipientKey};
pub use sealed::Sealed;
pub use secret::{BearerSecret, Secret};
pub use yubikey::YubikeyRecipient;

/// Whoever answers what a plugin asks.
pub use age::Callbacks;
/// What they answer to a question for a secret.
pub use age::secrecy::SecretString;

use std::fmt;

use ed25519_dalek::{SigningKey, VerifyingKey};
use policy::passport::HandedOn;
use policy::{Passport, PassportFault, Timestamp};

use crate::call::{Proof, Redemption};
use crate::cbor::CborFault;
use crate::fingerprint::Fingerprint;

/// The most characters that a handle may have.
pub const MAX_HANDLE: usize = 16 * 1024;

/// What a handle holds, once open.
#[derive(Clone)]
pub struct Handle {
    /// Seed of the key that proves to the relay a right to meet the daemon.
    pub rendezvous: Secret,
    /// Seed of the key that takes the seat, once; none in a narrowed handle, which works for whoever holds the seat already.
    pub redeem: Option<Secret>,
    /// The daemon's identity key.
    pub daemon_key: [u8; 32],
    /// The passport, signed by that key.
    pub passport: Vec<u8>,
    /// For each time that the passport was handed on: that whoever did so held it; nothing where they could not show it.
    pub ancestors: Vec<Option<Proof>>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle of {}", self.fingerprint())
    }
}

/// Why a handle cannot be used. Each is found before anything is sent to anybody.
#[derive(Debug, thiserror::Error)]
pub enum HandleFault {
    /// Nothing was given.
    #[error("no handle given; paste the text that begins with `osp1_`")]
    Empty,
    /// Text of another kind.
    #[error("this is not a handle: a handle begins with `osp1_`")]
    NotHandle,
    /// Somebody pasted their secret key.
    #[error(
        "this is a secret key, not a handle: keep it, and give the text that begins with `osp1_`"
    )]
    SecretKey,
    /// Somebody pasted a share's id.
    #[error(
        "this is the id of a share, not a handle: ask the owner for the text that begins with `osp1_`"
    )]
    ShareId,
    /// Made for another version of this program.
    #[error("this handle is of version {version}, and this program reads version 1: update it")]
    OtherVersion {
        /// The digits after `osp`, or the version inside.
        version: String,
    },
    /// Over [`MAX_HANDLE`].
    #[error("too long for a handle: {length} characters, and {MAX_HANDLE} are allowed")]
    TooLong {
        /// Characters given.
        length: usize,
    },
    /// A character that no handle has.
    #[error(
        "character {place}, `{character}`, cannot be in a handle: it was changed on the way, copy the handle again"
    )]
    Character {
        /// Which character, from 1, blanks not counted.
        place: usize,
        /// The character.
        character: String,
    },
    /// Not a multiple of 64 characters, or it ends before its contents begin.
    #[error(
        "the handle is cut short, or something was added to it: copy all of it, and nothing else"
    )]
    CutShort,
    /// It does not open although it has the form of a handle.
    #[error(
        "a character of the handle was changed on the way: copy it again, or ask the owner for it again"
    )]
    Damaged,
    /// Sealed with a passphrase, which could cost whoever tries it any amount of work.
    #[error(
        "this handle is sealed with a passphrase, which OpenScope never does: do not trust where it came from"
    )]
    Passphrase,
    /// No key to open it with.
    #[error("no key given to open the handle with; name yours with `--identity`")]
    NoIdentity,
    /// None of the keys opens it.
    #[error(
        "none of your keys opens this handle: it was made for another recipient's key, or a character was changed on the way"
    )]
    NotForYou,
    /// It opens, and what is inside is not a handle's.
    #[error(
        "the handle opens, but what it holds is not what a handle holds: ask the owner for another"
    )]
    Contents(#[source] Option<CborFault>),
    /// The daemon's key in it is no key.
    #[error("the handle names no valid daemon key: ask the owner for another")]
    DaemonKey,
    /// The passport is not good.
    #[error("the handle's passport is not good: ask the owner for another handle")]
    Passport(#[source] PassportFault),
    /// The secrets of one handle with the passport of another.
    #[error("the handle's parts do not belong together: ask the owner for another")]
    Mixed,
    /// Its time is over.
    #[error("the handle has expired: ask the owner to share again")]
    Expired {
        /// When it ended.
        not_after: Timestamp,
    },
    /// It could not be sealed.
    #[error("the handle cannot be sealed")]
    Seal(#[source] std::io::Error),
}

impl Handle {
    /// Closes it for one recipient.
    ///
    /// # Errors
    /// When it would be longer than [`MAX_HANDLE`], or this machine gives no random numbers.
    pub fn seal(&self, to: &RecipientKey) -> Result<String, HandleFault> {
        sealed::seal(self, to)
    }

    /// Closes it for whoever holds the second value, which must travel by another way.
    ///
    /// # Errors
    /// As [`Self::seal`].
    pub fn seal_bearer(&self) -> Result<(String, BearerSecret), HandleFault> {
        let identity = age::x25519::Identity::generate();
        let text = self.seal(&RecipientKey::X25519(identity.to_public()))?;
        Ok((text, BearerSecret::of(&identity)))
    }

    /// What to compare with the owner.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.daemon_key)
    }

    /// Verifies that the parts are whole and belong together. Only the fingerprint shows whose they are.
    ///
    /// # Errors
    /// The passport is not signed by the daemon's key, or names another redeem key or other holders.
    pub fn verify(&self) -> Result<Passport, HandleFault> {
        let root =
            VerifyingKey::from_bytes(&self.daemon_key).map_err(|_| HandleFault::DaemonKey)?;
        let passport =
            policy::passport::verify(&self.passport, &root).map_err(HandleFault::Passport)?;
        if self.redeems(&passport) && self.proves_ancestors(&passport) {
            Ok(passport)
        } else {
            Err(HandleFault::Mixed)
        }
    }

    /// Only who narrows for themselves may leave the secret out.
    fn redeems(&self, passport: &Passport) -> bool {
        match &self.redeem {
            Some(secret) => {
                let redeem = SigningKey::from_bytes(secret.expose()).verifying_key();
                passport.redeem_key() == redeem.to_bytes()
            }
            None => passport.blocks().last().is_some_and(|block| block.handed_on().is_none()),
        }
    }

    fn proves_ancestors(&self, passport: &Passport) -> bool {
        let hops: Vec<_> = passport.hops().zip(passport.redeem_keys()).collect();
        let proven = |(proof, (hop, redeem_key)): (&Option<Proof>, &(&HandedOn, [u8; 32]))| {
            let redemption = Redemption::of(self.daemon_key, passport, hop.by);
            proof.as_ref().is_none_or(|proof| redemption.is_proven_by(proof, redeem_key))
        };
        self.ancestors.len() == hops.len() && self.ancestors.iter().zip(&hops).all(proven)
    }

    /// [`Self::verify`], and that it has not expired by `now`.
    ///
    /// # Errors
    /// As [`Self::verify`], or [`HandleFault::Expired`].
    pub fn check(&self, now: Timestamp) -> Result<Passport, HandleFault> {
        let passport = self.verify()?;
        let not_after = passport.not_after();
        if now >= not_after {
            return Err(HandleFault::Expired { not_after });
        }
        Ok(passport)
    }
}

#[cfg(test)]
mod tests;
