//! Redaction: by which rules the secrets in a verb's output are masked.

mod pattern;

use std::sync::Arc;

pub use pattern::{MAX_SECRET_PATTERN_BYTES, SecretPattern, SecretPatternFault};

use crate::name::{Mark, RedactName};
use crate::target::FileName;

/// Rules by which secrets are found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Redact {
    /// The built-in ones: the common forms.
    Default,
    /// Words that look drawn, wherever they stand.
    Entropy,
    /// A set that the catalog declares.
    Own(Arc<RedactSet>),
}

/// What else is a secret here: forms, and values that only root knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RedactSet {
    /// What verbs call it.
    pub name: RedactName,
    /// What its marks say.
    pub label: Mark,
    /// Forms.
    pub patterns: Vec<SecretPattern>,
    /// Files with a value on each line; names are relative to the configuration.
    pub literals: Vec<FileName>,
}

impl Redact {
    /// What verbs call the built-in rules.
    pub const DEFAULT: &str = "default";
    /// What verbs call the rule that looks for drawn words.
    pub const ENTROPY: &str = "entropy";

    /// What verbs call them.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Default => Self::DEFAULT,
            Self::Entropy => Self::ENTROPY,
            Self::Own(set) => set.name.as_str(),
        }
    }
}
