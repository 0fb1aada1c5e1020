//! A recipient's place in a share: a handle that was opened and verified, before anything is sent.

use policy::{Authority, Passport, Timestamp};
use wire::channel::HolderKey;
use wire::fingerprint::Fingerprint;
use wire::handle::{Handle, HandleFault, Identity, Sealed};

/// What a handle gives: a passport that is whole and has not expired, and the seat's secrets.
///
/// Whose it is only the fingerprint shows.
#[derive(Clone, Debug)]
pub struct Seat {
    handle: Handle,
    passport: Passport,
}

impl Seat {
    /// Opens and verifies a handle.
    ///
    /// # Errors
    /// The first fault that the handle has.
    pub fn open(text: &str, identities: &[Identity], now: Timestamp) -> Result<Self, HandleFault> {
        Self::verified(Sealed::parse(text)?.open(identities)?, now)
    }

    /// Verifies a handle that is open already.
    ///
    /// # Errors
    /// The first fault that the handle has.
    pub fn verified(handle: Handle, now: Timestamp) -> Result<Self, HandleFault> {
        let passport = handle.check(now)?;
        Ok(Self { handle, passport })
    }

    /// What the daemon signed.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        self.passport.authority()
    }

    /// The passport of the handle.
    #[must_use]
    pub fn passport(&self) -> &Passport {
        &self.passport
    }

    /// The handle itself, open.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What to compare with the owner.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.handle.fingerprint()
    }

    /// A new key for whoever takes this seat, from the system's randomness.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new_holder_key() -> Result<HolderKey, getrandom::Error> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        Ok(HolderKey::from_seed(seed))
    }
}
