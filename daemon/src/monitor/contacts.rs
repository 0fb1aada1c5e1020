//! Recipients that can be named: root's in the configuration, and each owner's own in the state
//! directory, whose aliases begin with `own/`.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use policy::Alias;
use serde::{Deserialize, Serialize};
use wire::handle::{RecipientFault, RecipientKey};

use super::identity::replace;
use crate::config::ConfigFault;
use crate::strict::{Judge, StrictFault};

/// The longest note.
const MAX_NOTE: usize = 256;

/// The largest file of contacts.
const MAX_FILE: u64 = 1024 * 1024;

const OWN: &str = "own/";

/// A recipient: their key, and what its keeper wrote about them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contact {
    /// The age or ssh key that handles are sealed to.
    pub key: RecipientKey,
    /// For people.
    pub note: String,
}

/// Contacts of one keeper by their alias, without `own/`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Contacts(BTreeMap<Alias, Contact>);

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    contact: BTreeMap<Alias, WrittenContact>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WrittenContact {
    #[serde(with = "key_text")]
    key: RecipientKey,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

impl Contacts {
    /// Reads `[contact.ALIAS]` tables.
    ///
    /// # Errors
    /// The first fault, with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, ConfigFault> {
        let written: Written = crate::config::parse(file, text)?;
        let mut contacts = BTreeMap::new();
        for (alias, WrittenContact { key, note }) in written.contact {
            let refuse = |what: &str| Err(ConfigFault::written(file, what, None));
            if is_own(&alias) {
                return refuse(&format!("`{alias}`: aliases in a file have no `{OWN}`"));
            }
            if note.len() > MAX_NOTE {
                return refuse(&format!("the note of `{alias}` is longer than {MAX_NOTE} bytes"));
            }
            contacts.insert(alias, Contact { key, note });
        }
        Ok(Self(contacts))
    }

    /// The contact of this alias.
    #[must_use]
    pub fn lookup(&self, alias: &Alias) -> Option<&Contact> {
        self.0.get(alias)
    }

    /// All of them, by alias.
    pub fn iter(&self) -> impl Iterator<Item = (&Alias, &Contact)> {
        self.0.iter()
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn text(&self) -> Result<String, ContactFault> {
        let written = |(alias, contact): (&Alias, &Contact)| {
            let Contact { key, note } = contact.clone();
            (alias.clone(), WrittenContact { key, note })
        };
        let written = Written { contact: self.0.iter().map(written).collect() };
        toml::to_string(&written).map_err(|error| ContactFault::Write(io::Error::other(error)))
    }
}

/// Whether another key may take the place of the one that an alias has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// No: it is asked about.
    Refuse,
    /// Yes: a person said so.
    Confirmed,
}

/// What became of a contact that was to be added.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Added {
    /// It is there now.
    New,
    /// It was there with this key; the note may be another.
    Same,
    /// It took the place of another key.
    Replaced {
        /// That key's fingerprint.
        fingerprint: String,
    },
}

/// Why a contact was not added, removed or found.
#[derive(Debug, thiserror::Error)]
pub enum ContactFault {
    /// Not an alias.
    #[error("`{alias}` is not an alias: letters a to z, digits, `.`, `_` and `-`")]
    Alias {
        /// As it was given.
        alias: String,
    },
    /// Not a key.
    #[error(transparent)]
    Key(#[from] RecipientFault),
    /// The note is too long.
    #[error("the note is longer than {MAX_NOTE} bytes")]
    Note,
    /// Another key, and nobody said that it may change.
    #[error(
        "`{alias}` has another key, `{known}`, not `{given}`\n   = if the recipient confirms the new one by another way, say `--replace`"
    )]
    Changed {
        /// The alias.
        alias: Alias,
        /// The fingerprint of the key that it has.
        known: String,
        /// The fingerprint of the key that was given.
        given: String,
    },
    /// No room.
    #[error("you have {cap} contacts, and that is the limit (`limits.contacts_per_owner`)")]
    Full {
        /// The limit.
        cap: usize,
    },
    /// No such contact.
    #[error("there is no contact `{alias}`{}", nearest.as_ref().map(|near| format!("\n   = did you mean `{near}`?")).unwrap_or_default())]
    Unknown {
        /// As it was given.
        alias: String,
        /// One that is spelled like it.
        nearest: Option<String>,
    },
    /// The owner's file is not as the daemon wrote it.
    #[error("{0}")]
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    /// The machine's refusal.
    #[error("contacts cannot be written")]
    Write(#[source] io::Error),
}

impl From<StrictFault> for ContactFault {
    fn from(fault: StrictFault) -> Self {
        Self::Damaged(Box::new(fault))
    }
}

/// Owners' own contacts, a file for each owner.
#[derive(Debug)]
pub struct OwnContacts {
    directory: PathBuf,
    judge: Judge,
    cap: usize,
}

impl OwnContacts {
    /// The contacts kept in `state`, at most `cap` for an owner.
    #[must_use]
    pub fn new(state: &Path, cap: usize) -> Self {
        Self { directory: state.join("own"), judge: crate::config::judge(), cap }
    }

    /// An owner's contacts.
    ///
    /// # Errors
    /// A file that is not as the daemon wrote it.
    pub fn list(&self, uid: u32) -> Result<Contacts, ContactFault> {
        let path = self.file(uid);
        match self.judge.text(&path, MAX_FILE) {
            Err(fault) if fault.is_missing() => Ok(Contacts::default()),
            Err(fault) => Err(fault.into()),
            Ok(text) => Contacts::parse(&path.display().to_string(), &text)
                .map_err(|fault| ContactFault::Damaged(Box::new(fault))),
        }
    }

    /// Adds a contact to an owner's. `alias` may be given with or without `own/`.
    ///
    /// # Errors
    /// Not an alias, not a key, no room, or another key than the alias has.
    pub fn add(
        &self,
        uid: u32,
        alias: &str,
        key: &str,
        note: &str,
        change: Change,
    ) -> Result<Added, ContactFault> {
        let alias = bare(alias)?;
        let key: RecipientKey = key.parse()?;
        if note.len() > MAX_NOTE {
            return Err(ContactFault::Note);
        }
        let mut contacts = self.list(uid)?;
        let added = added(&contacts, &alias, &key, change)?;
        if added == Added::New && contacts.len() >= self.cap {
            return Err(ContactFault::Full { cap: self.cap });
        }
        contacts.0.insert(alias, Contact { key, note: note.to_owned() });
        self.write(uid, &contacts)?;
        Ok(added)
    }

    /// Forgets a contact of an owner's.
    ///
    /// # Errors
    /// There is none of this alias.
    pub fn remove(&self, uid: u32, alias: &str) -> Result<Alias, ContactFault> {
        let mut contacts = self.list(uid)?;
        let bare = bare(alias)?;
        if contacts.0.remove(&bare).is_none() {
            return Err(unknown(alias, contacts.0.keys().map(ToString::to_string)));
        }
        self.write(uid, &contacts)?;
        own(&bare)
    }

    fn write(&self, uid: u32, contacts: &Contacts) -> Result<(), ContactFault> {
        let path = self.file(uid);
        let directory = path.parent().unwrap_or(&self.directory);
        let text = contacts.text()?;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.and_then(|()| replace(&path, text.as_bytes())).map_err(ContactFault::Write)
    }

    fn file(&self, uid: u32) -> PathBuf {
        self.directory.join(uid.to_string()).join("contacts.toml")
    }
}

fn added(
    contacts: &Contacts,
    alias: &Alias,
    key: &RecipientKey,
    change: Change,
) -> Result<Added, ContactFault> {
    let Some(known) = contacts.lookup(alias) else { return Ok(Added::New) };
    if known.key == *key {
        return Ok(Added::Same);
    }
    let fingerprint = known.key.fingerprint();
    match change {
        Change::Confirmed => Ok(Added::Replaced { fingerprint }),
        Change::Refuse => Err(ContactFault::Changed {
            alias: alias.clone(),
            known: fingerprint,
            given: key.fingerprint(),
        }),
    }
}

/// The contact that an owner means, and the alias that policy knows it by. A plain name is root's;
/// where root has none of that name it is the owner's own, and policy sees `own/…`.
///
/// # Errors
/// Neither has it.
pub fn resolve(
    contacts: &Contacts,
    own_contacts: &OwnContacts,
    uid: u32,
    given: &str,
) -> Result<(Alias, Contact), ContactFault> {
    let bare = bare(given)?;
    if !given.starts_with(OWN)
        && let Some(contact) = contacts.lookup(&bare)
    {
        return Ok((bare, contact.clone()));
    }
    let owned = own_contacts.list(uid)?;
    if let Some(contact) = owned.lookup(&bare) {
        return Ok((own(&bare)?, contact.clone()));
    }
    let theirs = owned.0.keys().map(|alias| format!("{OWN}{alias}"));
    Err(unknown(given, contacts.0.keys().map(ToString::to_string).chain(theirs)))
}

fn unknown(given: &str, known: impl Iterator<Item = String>) -> ContactFault {
    let given = given.strip_prefix(OWN).unwrap_or(given);
    let distance =
        |name: &String| strsim::damerau_levenshtein(given, name.strip_prefix(OWN).unwrap_or(name));
    let nearest = known.min_by_key(distance).filter(|name| distance(name) <= 2);
    ContactFault::Unknown { alias: given.to_owned(), nearest }
}

fn is_own(alias: &Alias) -> bool {
    alias.as_str().starts_with(OWN)
}

fn bare(alias: &str) -> Result<Alias, ContactFault> {
    let text = alias.strip_prefix(OWN).unwrap_or(alias);
    let bare = text.parse().ok().filter(|alias| !is_own(alias));
    bare.ok_or_else(|| ContactFault::Alias { alias: alias.to_owned() })
}

fn own(bare: &Alias) -> Result<Alias, ContactFault> {
    let text = format!("{OWN}{bare}");
    text.parse().map_err(|_| ContactFault::Alias { alias: text })
}

mod key_text {
    use serde::{Deserialize, Deserializer, Serializer, de};
    use wire::handle::RecipientKey;

    pub(super) fn serialize<S: Serializer>(key: &RecipientKey, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(key)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<RecipientKey, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
