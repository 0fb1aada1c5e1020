//! Policy as it lies in a directory, for reading before anyone relies on it: who may write the files
//! is not asked, because nothing is done by what they say.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use policy::{Policy, Source};

use super::ConfigFault;
use crate::monitor::contacts::Contacts;

/// The largest file, as for the daemon.
const MAX_FILE: u64 = 1024 * 1024;
/// The most files of a directory, as for the daemon.
const MAX_NAMES: usize = 256;

/// Where a policy's files are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Draft {
    /// What files are named relative to.
    pub base: PathBuf,
    /// The catalog.
    pub verbs: PathBuf,
    /// The rules.
    pub rules: PathBuf,
}

/// A policy that was read, and the contacts beside it.
#[derive(Debug)]
pub struct Read {
    /// The policy.
    pub policy: Policy,
    /// `contacts.toml`, if there is one.
    pub contacts: Contacts,
}

impl Draft {
    /// What lies beside an `openscoped.toml`, or in a directory as it would.
    #[must_use]
    pub fn beside(place: &Path) -> Self {
        let beside = if place.is_dir() { Some(place) } else { place.parent() };
        let base = beside.filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self { base: base.to_owned(), verbs: base.join("verbs.d"), rules: base.join("policy.d") }
    }

    /// These directories; verbs lie beside the rules where nothing else is said.
    #[must_use]
    pub fn of(rules: PathBuf, verbs: Option<PathBuf>) -> Self {
        let base = rules.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
        Self { verbs: verbs.unwrap_or_else(|| base.join("verbs.d")), base, rules }
    }

    /// Reads it, whoever may write to it.
    ///
    /// # Errors
    /// Every fault that can be told apart.
    pub fn read(&self) -> Result<Read, Vec<ConfigFault>> {
        let mut faults = Vec::new();
        let mut sources = |directory| match self.sources(directory) {
            Ok(sources) => sources,
            Err(fault) => {
                faults.push(fault);
                Vec::new()
            }
        };
        let targets = self.verbs.with_file_name("targets.d");
        let targets = if targets.exists() { sources(&targets) } else { Vec::new() };
        let verbs = targets.into_iter().chain(sources(&self.verbs)).collect::<Vec<_>>();
        let rules = sources(&self.rules);
        if !faults.is_empty() {
            return Err(faults);
        }
        let policy = policy::load(&verbs, &rules);
        let policy =
            policy.map_err(|all| all.into_iter().map(ConfigFault::from).collect::<Vec<_>>())?;
        Ok(Read { policy, contacts: self.contacts().map_err(|fault| vec![fault])? })
    }

    fn contacts(&self) -> Result<Contacts, ConfigFault> {
        let path = self.base.join("contacts.toml");
        if !path.exists() {
            return Ok(Contacts::default());
        }
        Contacts::parse(&self.shown(&path), &text(&path)?)
    }

    /// The files that the daemon would read, in its order.
    fn sources(&self, directory: &Path) -> Result<Vec<Source>, ConfigFault> {
        let unread = |error: std::io::Error| fault(directory, &format!("cannot be read: {error}"));
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(unread)? {
            let path = entry.map_err(unread)?.path();
            let hidden =
                path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        if paths.len() > MAX_NAMES {
            return Err(fault(directory, &format!("has more than {MAX_NAMES} files")));
        }
        paths.iter().map(|path| Ok(Source { name: self.shown(path), text: text(path)? })).collect()
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.base).unwrap_or(path).display().to_string()
    }
}

/// A file of text, of no more than a configuration file's size.
///
/// # Errors
/// A file that cannot be read, is too large, or no text.
pub(crate) fn text(path: &Path) -> Result<String, ConfigFault> {
    let unread = |error: std::io::Error| fault(path, &format!("cannot be read: {error}"));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unread)?;
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unread)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE) {
        return Err(fault(path, &format!("is larger than {MAX_FILE} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| fault(path, "is not UTF-8"))
}

fn fault(path: &Path, what: &str) -> ConfigFault {
    ConfigFault::written(&format!("`{}`", path.display()), what, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn what_lies_beside_a_configuration_is_read_whoever_may_write_it() {
        let home = tempfile::tempdir().unwrap();
        put(&home.path().join("verbs.d/.hidden.toml"), "nonsense");
        put(&home.path().join("verbs.d/notes.md"), "nonsense");
        put(&home.path().join("policy.d/a.toml"), "[[agent]]\nname = \"you\"\nuser = \"alice\"\n");
        for place in [home.path().to_owned(), home.path().join("openscoped.toml")] {
            let read = Draft::beside(&place).read().unwrap();
            assert_eq!((read.policy.catalog().verbs().count(), read.contacts.len()), (0, 0));
        }
        put(&home.path().join("policy.d/b.toml"), "[[agnt]]\n");
        let faults = Draft::beside(home.path()).read().unwrap_err();
        assert!(faults[0].to_string().starts_with("policy.d/b.toml:1:"), "{}", faults[0]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let faults = Draft::beside(Path::new("/nonexistent/x.toml")).read().unwrap_err();
        assert_eq!(faults.len(), 2);
        assert!(
            faults[0].to_string().starts_with("`/nonexistent/verbs.d`: cannot be read"),
            "{}",
            faults[0]
        );
    }

    #[test]
    fn a_file_has_at_most_a_mebibyte() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("x");
        let cap = usize::try_from(MAX_FILE).unwrap();
        for (length, good) in [(cap - 1, true), (cap, true), (cap + 1, false)] {
            fs::write(&path, "x".repeat(length)).unwrap();
            assert_eq!(text(&path).is_ok(), good, "{length}");
        }
    }
}
