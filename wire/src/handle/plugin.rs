//! Keys that a program keeps which speaks age's plugin protocol: in a YubiKey, in a TPM.
//!
//! The program is named by the user's own identity file and by nothing that came from others.

use std::fmt;

use age::plugin::IdentityPluginV1;
use age::{Callbacks, DecryptError, NoCallbacks};

use super::{HandleFault, RecipientKey};

/// What an identity file says of a key that a plugin keeps: `AGE-PLUGIN-NAME-1…`.
#[derive(Clone)]
pub struct PluginKey {
    key: age::plugin::Identity,
    recipient: Option<RecipientKey>,
}

/// Why a plugin did not open a handle.
#[derive(Debug, thiserror::Error)]
pub enum PluginFault {
    /// It is in no directory of `PATH`.
    #[error("`{program}` is not installed: no directory of PATH has it")]
    Missing {
        /// Its file name.
        program: String,
    },
    /// It ended, or said what the protocol does not have.
    #[error("`{program}` broke off before it had answered")]
    BrokeOff {
        /// Its file name.
        program: String,
    },
    /// In its own words.
    #[error("`{program}` says: {words}")]
    Says {
        /// Its file name.
        program: String,
        /// As it said them: not to be shown to a terminal as they are.
        words: String,
    },
    /// The handle is not for this key, or is not good.
    #[error(transparent)]
    Handle(#[from] HandleFault),
}

impl PluginKey {
    /// None where the line is damaged.
    pub(super) fn parse(line: &str, recipient: Option<RecipientKey>) -> Option<Self> {
        Some(Self { key: line.parse().ok()?, recipient })
    }

    /// The file name of the program that keeps it.
    #[must_use]
    pub fn program(&self) -> String {
        format!("age-plugin-{}", self.key.plugin())
    }

    /// The public key that the identity file names beside it.
    #[must_use]
    pub fn recipient(&self) -> Option<&RecipientKey> {
        self.recipient.as_ref()
    }

    /// Whether a directory of `PATH` has its program. Nothing is run.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        self.with(NoCallbacks).is_ok()
    }

    /// The key as age takes it. `person` answers what the program asks.
    pub(super) fn with<C: Callbacks>(&self, person: C) -> Result<IdentityPluginV1<C>, PluginFault> {
        IdentityPluginV1::new(self.key.plugin(), std::slice::from_ref(&self.key), person)
            .map_err(|_| self.missing())
    }

    fn missing(&self) -> PluginFault {
        PluginFault::Missing { program: self.program() }
    }

    /// What came of asking it.
    pub(super) fn told(&self, fault: &DecryptError) -> PluginFault {
        let program = self.program();
        match fault {
            DecryptError::Io(_) => PluginFault::BrokeOff { program },
            DecryptError::Plugin(said) => {
                let words: Vec<_> = said.iter().map(ToString::to_string).collect();
                PluginFault::Says { program, words: words.join("; ") }
            }
            DecryptError::PluginResolve(_) => self.missing(),
            DecryptError::NoMatchingKeys
            | DecryptError::ExcessiveWork { .. }
            | DecryptError::DecryptionFailed
            | DecryptError::InvalidHeader
            | DecryptError::InvalidMac
            | DecryptError::KeyDecryptionFailed
            | DecryptError::UnknownFormat
            | _ => super::sealed::open_fault(fault).into(),
        }
    }
}

impl fmt::Debug for PluginKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginKey of {}", self.program())
    }
}
