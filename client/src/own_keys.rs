//! The keys that open handles here, and how each is protected.

use std::fmt;
use std::path::{Path, PathBuf};

use wire::handle::{Identity, IdentityFault, KeyFile, PluginKey};

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
    /// Keys.
    Usable {
        /// The public parts of those whose secret is in the file.
        public: Vec<String>,
        /// Those that a program keeps.
        kept: Vec<Kept>,
    },
    /// A key that opens with its passphrase only, and says nothing before.
    Locked,
    /// Nothing that opens a handle.
    Unusable(String),
}

/// A key that an age plugin keeps.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kept {
    pub(crate) program: String,
    pub(crate) is_installed: bool,
    /// As the file names it.
    pub(crate) public: Option<String>,
}

impl Kept {
    fn of(key: &PluginKey) -> Self {
        let public = key.recipient().map(ToString::to_string);
        Self { program: key.program(), is_installed: key.is_installed(), public }
    }
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
            Ok(text) => state(&text, named_by),
            Err(failure) => State::Unusable(failure.what().to_owned()),
        };
        let protection = Protection::of_secret(path).ok();
        Self { path: path.to_owned(), named_by, state, protection }
    }
}

fn state(text: &str, named_by: NamedBy) -> State {
    let read = match named_by {
        NamedBy::Usual | NamedBy::Identity => KeyFile::parse(text, || None),
        // It came from somebody else, who is not to say what is run here.
        NamedBy::SecretFile => {
            Identity::parse(text, || None).map(|keys| KeyFile { keys, ..KeyFile::default() })
        }
    };
    match read {
        Ok(KeyFile { keys, plugins }) => State::Usable {
            public: keys.iter().map(|key| key.recipient().to_string()).collect(),
            kept: plugins.iter().map(Kept::of).collect(),
        },
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
        let public = vec![key.recipient().to_string()];
        let state = |text: &str| state(text, NamedBy::Usual);
        assert_eq!(state(&text), State::Usable { public, kept: Vec::new() });
        assert!(matches!(state("hello"), State::Unusable(why) if why.contains("line 1")));
        let public = key.recipient().to_string();
        assert!(matches!(state(&public), State::Unusable(why) if why.contains("public key")));
    }

    #[test]
    fn a_key_that_a_plugin_keeps_is_named_with_its_program_which_is_not_run_for_that() {
        let public = Identity::generate().recipient().to_string();
        let text = format!("#    Recipient: {public}\nAGE-PLUGIN-OPENSCOPENONE-1DVMSER\n");
        let program = "age-plugin-openscopenone".to_owned();
        let kept = vec![Kept { program, is_installed: false, public: Some(public) }];
        assert_eq!(state(&text, NamedBy::Identity), State::Usable { public: Vec::new(), kept });
        let second = state(&text, NamedBy::SecretFile);
        assert!(matches!(second, State::Unusable(why) if why.contains("age plugin keeps")));
    }
}
