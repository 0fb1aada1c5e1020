//! Which key belongs to which daemon's name, as ssh's `known_hosts` remembers hosts.
//!
//! One line for each: the name, a blank, `SHA256:…`. A name may have several lines. `#` begins a comment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use policy::DaemonName;
use wire::fingerprint::{Claim, Fingerprint};

use crate::private_file::{Lock, make_directory};

/// The file.
#[derive(Debug)]
pub(crate) struct KnownDaemons {
    path: PathBuf,
}

/// What the file says of a daemon's name and key.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Knowledge {
    /// This key was confirmed under this name.
    Same,
    /// Nothing is known of the name.
    Unknown,
    /// The name had another key.
    Changed {
        /// That key.
        known: Fingerprint,
        /// The line that says so, from 1.
        line: usize,
    },
}

/// Why the file cannot be used. It is never taken for empty.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KnownFault {
    /// A line is not one.
    #[error("`{}` line {line} is not a daemon's name and its SHA256 fingerprint: mend it or remove it", .path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// It cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write `{}`", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl KnownDaemons {
    /// The file in this configuration directory.
    pub(crate) fn within(config: &Path) -> Self {
        Self { path: config.join("known_daemons") }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of a daemon.
    pub(crate) fn knows(
        &self,
        name: &DaemonName,
        key: Fingerprint,
    ) -> Result<Knowledge, KnownFault> {
        let (text, mut knowledge) = (self.read()?, Knowledge::Unknown);
        for known in self.lines(&text) {
            let (line, known_name, known) = known?;
            match (known_name == *name, known == key) {
                (false, _) => {}
                (true, true) => return Ok(Knowledge::Same),
                (true, false) => knowledge = Knowledge::Changed { known, line },
            }
        }
        Ok(knowledge)
    }

    /// Each daemon that was confirmed.
    pub(crate) fn all(&self) -> Result<Vec<(DaemonName, Fingerprint)>, KnownFault> {
        let text = self.read()?;
        self.lines(&text).map(|known| known.map(|(_, name, key)| (name, key))).collect()
    }

    /// Adds a daemon that a person has confirmed.
    pub(crate) fn remember(&self, name: &DaemonName, key: Fingerprint) -> Result<(), KnownFault> {
        let fault = |source| KnownFault::Write { path: self.path.clone(), source };
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        make_directory(directory).map_err(fault)?;
        let lock = Lock::on(directory).map_err(fault)?;
        let mut text = self.read()?;
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.extend([name.as_str(), " ", &key.to_string(), "\n"]);
        lock.replace(&self.path, text.as_bytes()).map_err(fault)
    }

    fn read(&self) -> Result<String, KnownFault> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(source) => Err(KnownFault::Read { path: self.path.clone(), source }),
        }
    }

    /// What each line says that says something, with its number from 1.
    fn lines<'a>(
        &'a self,
        text: &'a str,
    ) -> impl Iterator<Item = Result<(usize, DaemonName, Fingerprint), KnownFault>> + 'a {
        (1..).zip(text.lines()).filter_map(|(at, text)| {
            let known = self.line(at, text).transpose()?;
            Some(known.map(|(name, key)| (at, name, key)))
        })
    }

    fn line(
        &self,
        line: usize,
        text: &str,
    ) -> Result<Option<(DaemonName, Fingerprint)>, KnownFault> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(None);
        }
        let parsed = text.split_once(char::is_whitespace).and_then(|(name, key)| {
            match (name.parse().ok()?, key.trim().parse().ok()?) {
                (name, Claim::Whole(key)) => Some((name, key)),
                (_, Claim::Words(_)) => None,
            }
        });
        parsed.map(Some).ok_or_else(|| KnownFault::Line { path: self.path.clone(), line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn key(of: u8) -> Fingerprint {
        Fingerprint::of(&[of; 32])
    }

    fn name(text: &str) -> DaemonName {
        text.parse().unwrap()
    }

    #[test]
    fn a_daemon_that_was_confirmed_is_known_and_others_are_not() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(&home.path().join("new/openscope"));
        assert_eq!(known.knows(&name("web-1"), key(1)).unwrap(), Knowledge::Unknown);
        known.remember(&name("web-1"), key(1)).unwrap();
        known.remember(&name("db"), key(2)).unwrap();
        assert_eq!(known.knows(&name("web-1"), key(1)).unwrap(), Knowledge::Same);
        assert_eq!(known.knows(&name("db"), key(2)).unwrap(), Knowledge::Same);
        assert_eq!(known.knows(&name("web-2"), key(1)).unwrap(), Knowledge::Unknown);
        let mode = known.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_changed_key_is_told_with_its_line() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        fs::write(known.path(), format!("# mine\nweb-1 {}", key(1))).unwrap();
        let changed = known.knows(&name("web-1"), key(2)).unwrap();
        assert_eq!(changed, Knowledge::Changed { known: key(1), line: 2 });
    }

    #[test]
    fn a_name_may_have_several_keys() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        fs::write(known.path(), format!("web-1 {}", key(1))).unwrap();
        known.remember(&name("web-1"), key(2)).unwrap();
        assert_eq!(known.knows(&name("web-1"), key(1)).unwrap(), Knowledge::Same);
        assert_eq!(known.knows(&name("web-1"), key(2)).unwrap(), Knowledge::Same);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_taken_for_empty() {
        let home = tempfile::tempdir().unwrap();
        let known = KnownDaemons::within(home.path());
        for damaged in ["web-1", "web-1 SHA256:abc", "a b c", "\u{1b} x"] {
            fs::write(known.path(), damaged).unwrap();
            let fault = known.knows(&name("web-1"), key(1)).unwrap_err();
            assert!(matches!(fault, KnownFault::Line { line: 1, .. }), "{damaged}");
        }
        fs::write(known.path(), [0xff]).unwrap();
        assert!(matches!(known.knows(&name("x"), key(1)), Err(KnownFault::Read { .. })));
    }
}
