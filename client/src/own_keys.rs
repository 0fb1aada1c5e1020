//! The keys that open handles here, and how each is protected.

use std::fmt;
use std::path::{Path, PathBuf};

use wire::handle::{Identity, IdentityFault};

use crate::cli::Options;
use crate::environment::Environment;
use crate::failure::chain;
use crate::handle_text::{file, usual_keys};
use crate::protection::Protection;

/// A file that a key is taken from.
#[derive(Debug)]
pub(crate) struct OwnKey {
    pub(crate) path: PathBuf,
    pub(crate) named_by: NamedBy,
    pub(crate) state: State,
    /// None where it cannot be looked at.
    pub(crate) protection: Option<Protection>,
}

/// Why this file is looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NamedBy {
    /// It is where this program looks.
    Usual,
    /// `--identity` names it.
    Identity,
    /// `--secret-file` names it.
    SecretFile,
}

/// What is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Keys, and their public parts.
    Usable(Vec<String>),
    /// A key that opens with its passphrase only, and says nothing before.
    Locked,
    /// Nothing that opens a handle.
    Unusable(String),
}

impl NamedBy {
    /// The word for programs.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Usual => "usual",
            Self::Identity => "identity",
            Self::SecretFile => "secret_file",
        }
    }
}

impl fmt::Display for NamedBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Usual => "in its usual place",
            Self::Identity => "named with `--identity`",
            Self::SecretFile => "a bearer handle's second value",
        })
    }
}

impl OwnKey {
    fn at(path: &Path, named_by: NamedBy) -> Self {
        let state = match file(path) {
            Ok(text) => state(&text),
            Err(failure) => State::Unusable(failure.what().to_owned()),
        };
        let protection = Protection::of_secret(path).ok();
        Self { path: path.to_owned(), named_by, state, protection }
    }
}

fn state(text: &str) -> State {
    match Identity::parse(text, || None) {
        Ok(keys) => State::Usable(keys.iter().map(|key| key.recipient().to_string()).collect()),
        Err(IdentityFault::NoPassphrase) => State::Locked,
        Err(fault) => State::Unusable(chain(&fault)),
    }
}

/// The files that a handle would be opened with, in this order.
pub(crate) fn own_keys(options: &Options, environment: &Environment) -> Vec<OwnKey> {
    match (&options.secret_file, options.identity.as_slice()) {
        (Some(path), _) if path == Path::new("-") => Vec::new(),
        (Some(path), _) => vec![OwnKey::at(path, NamedBy::SecretFile)],
        (None, []) => {
            usual_keys(environment).map(|path| OwnKey::at(&path, NamedBy::Usual)).collect()
        }
        (None, named) => named.iter().map(|path| OwnKey::at(path, NamedBy::Identity)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_its_public_part_and_one_with_a_passphrase_that_it_has_one() {
        let key = Identity::generate();
        let text = key.to_file().unwrap();
        assert_eq!(state(&text), State::Usable(vec![key.recipient().to_string()]));
        assert!(matches!(state("hello"), State::Unusable(why) if why.contains("line 1")));
        let public = key.recipient().to_string();
        assert!(matches!(state(&public), State::Unusable(why) if why.contains("public key")));
    }
}
