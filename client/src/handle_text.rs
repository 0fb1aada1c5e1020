//! Where the handle comes from, and which key opens it.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use wire::handle::{
    Handle, HandleFault, Identity, IdentityFault, KeyFile, MAX_HANDLE, PluginFault, RecipientKey,
    Sealed,
};
use zeroize::Zeroizing;

use crate::cli::Options;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::plugin::{Asking, Asks};
use crate::tty::Person;

/// A handle in a mail, with quoting and line breaks; and any key file.
const MOST: u64 = 4 * MAX_HANDLE as u64;

/// The handle as it was given: by option, environment, or the person.
pub(crate) fn given(
    options: &Options,
    environment: &Environment,
    person: Option<&mut dyn Person>,
) -> Result<Zeroizing<String>, Failure> {
    let source = options.passport.as_deref().or(environment.passport.as_deref());
    match (source, person) {
        (Some(source), _) => from(source, options),
        (None, Some(person)) => person.ask_hidden("Paste the handle (it is not shown): ").map_err(|fault| {
            Failure::of(Exit::USAGE, "usage", &fault).hint("give the handle with `--passport @FILE`")
        }),
        (None, None) => Err(Failure::new(Exit::USAGE, "usage", "no handle given").hint(
            "give it with `--passport HANDLE`, `--passport @FILE`, `--passport -` (standard input) or OPENSCOPE_PASSPORT",
        )),
    }
}

fn from(source: &OsStr, options: &Options) -> Result<Zeroizing<String>, Failure> {
    let reads_secret = options.secret_file.as_deref() == Some(Path::new("-"));
    match source.as_bytes() {
        b"-" if reads_secret => Err(Failure::new(
            Exit::USAGE,
            "usage",
            "standard input cannot give both the handle and the second value",
        )),
        b"-" => standard_input(),
        [b'@', path @ ..] => file(Path::new(OsStr::from_bytes(path))),
        text => str::from_utf8(text).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| {
            Failure::new(Exit::USAGE, "handle", "the handle that was given is not valid UTF-8")
        }),
    }
}

/// Whether the handle or its second value is read from standard input.
pub(crate) fn takes_stdin(options: &Options, environment: &Environment) -> bool {
    let handle = options.passport.as_deref().or(environment.passport.as_deref());
    handle == Some(OsStr::new("-")) || options.secret_file.as_deref() == Some(Path::new("-"))
}

pub(crate) fn standard_input() -> Result<Zeroizing<String>, Failure> {
    bounded(io::stdin().lock(), "standard input")
}

pub(crate) fn file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let shown = path.display().to_string();
    let opened = fs::File::open(path).map_err(|fault| unreadable(&shown, &fault))?;
    bounded(opened, &shown)
}

fn bounded(from: impl Read, name: &str) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    from.take(MOST + 1).read_to_string(&mut text).map_err(|fault| unreadable(name, &fault))?;
    if text.len() as u64 > MOST {
        return Err(Failure::new(
            Exit::USAGE,
            "usage",
            format!("`{name}` is larger than anything that is read this way"),
        ));
    }
    Ok(text)
}

fn unreadable(name: &str, fault: &io::Error) -> Failure {
    Failure::new(Exit::USAGE, "usage", format!("cannot read `{name}`: {fault}"))
}

/// A handle, and the key that it was sealed to, if that is known: a key that a plugin keeps need not say it.
pub(crate) type Opened = (Handle, Option<RecipientKey>);

/// Opens a handle with the keys that were named, or else with those in their usual places.
pub(crate) fn open(
    text: &str,
    options: &Options,
    environment: &Environment,
    person: Option<&mut dyn Person>,
) -> Result<Opened, Failure> {
    let sealed = Sealed::parse(text).map_err(|fault| refused(&fault))?;
    if let Some(path) = &options.secret_file {
        let text = if path == Path::new("-") {
            bounded(io::stdin().lock(), "standard input")?
        } else {
            file(path)?
        };
        let identities =
            Identity::parse(&text, || None).map_err(|fault| not_a_key(path, &fault))?;
        return open_with(&sealed, &identities);
    }
    if options.identity.is_empty() {
        open_with_usual(&sealed, environment, person)
    } else {
        open_with_named(&sealed, &options.identity, person)
    }
}

fn open_with(sealed: &Sealed, identities: &[Identity]) -> Result<Opened, Failure> {
    let opened = sealed.open_by(identities).map_err(|fault| refused(&fault));
    opened.map(|(handle, key)| (handle, Some(key)))
}

fn open_with_named(
    sealed: &Sealed,
    paths: &[PathBuf],
    mut person: Option<&mut dyn Person>,
) -> Result<Opened, Failure> {
    let mut all = KeyFile::default();
    for path in paths {
        let text = file(path)?;
        let parsed = KeyFile::parse(&text, || passphrase(path, reborrow(&mut person)));
        let parsed = parsed.map_err(|fault| not_a_key(path, &fault))?;
        all.keys.extend(parsed.keys);
        all.plugins.extend(parsed.plugins);
    }
    let mut failed = Vec::new();
    let opened = open_with_file(sealed, &all, asks(person.is_some()), &mut failed)?;
    let none = || failed.into_iter().next().unwrap_or_else(|| refused(&HandleFault::NotForYou));
    opened.ok_or_else(none)
}

fn asks(is_there: bool) -> Asks {
    if is_there { Asks::Terminal } else { Asks::Nobody }
}

/// With the secrets in the file first: a plugin may take a PIN and a touch. What plugins could not do is left in `failed`.
fn open_with_file(
    sealed: &Sealed,
    file: &KeyFile,
    asks: Asks,
    failed: &mut Vec<Failure>,
) -> Result<Option<Opened>, Failure> {
    match sealed.open_by(&file.keys) {
        Ok((handle, key)) => return Ok(Some((handle, Some(key)))),
        Err(HandleFault::NotForYou | HandleFault::NoIdentity) => {}
        Err(fault) => return Err(refused(&fault)),
    }
    for key in &file.plugins {
        let asking = Asking::of(key, asks);
        match sealed.open_by_plugin(key, asking.clone()) {
            Ok(handle) => return Ok(Some((handle, key.recipient().cloned()))),
            Err(PluginFault::Handle(HandleFault::NotForYou)) if !asking.is_unanswered() => {}
            Err(fault) => failed.push(asking.failure(&fault)),
        }
    }
    Ok(None)
}

/// The key files that are there of those that this program looks for, in its order.
pub(crate) fn usual_keys(environment: &Environment) -> impl Iterator<Item = PathBuf> + use<> {
    let own = environment.config.as_ref().map(|config| config.join("identity.txt"));
    let ssh = environment.home.as_ref().map(|home| home.join(".ssh/id_ed25519"));
    [own, ssh].into_iter().flatten().filter(|path| path.exists())
}

/// Each key alone and in order: an encrypted ssh key costs its passphrase only when nothing else opens the handle.
fn open_with_usual(
    sealed: &Sealed,
    environment: &Environment,
    mut person: Option<&mut dyn Person>,
) -> Result<Opened, Failure> {
    let (mut tried, mut failed) = (Vec::new(), Vec::new());
    for path in usual_keys(environment) {
        let text = file(&path)?;
        match KeyFile::parse(&text, || passphrase(&path, reborrow(&mut person))) {
            Ok(file) => match open_with_file(sealed, &file, asks(person.is_some()), &mut failed)? {
                None => tried.push(format!("`{}` does not open it", path.display())),
                Some(opened) => return Ok(opened),
            },
            Err(fault) => tried.push(format!("`{}`: {}", path.display(), chain(&fault))),
        }
    }
    if let Some(failure) = failed.into_iter().next() {
        return Err(failure);
    }
    match person {
        Some(person) => open_with_second_value(sealed, person, &tried),
        None => Err(none_opens(&tried)),
    }
}

fn open_with_second_value(
    sealed: &Sealed,
    person: &mut dyn Person,
    tried: &[String],
) -> Result<Opened, Failure> {
    let question = "No key of yours opens this handle. If it came with a second value, paste that (it is not shown): ";
    let value = person.ask_hidden(question).map_err(|_| none_opens(tried))?;
    if value.is_empty() {
        return Err(none_opens(tried));
    }
    let identities = Identity::parse(&value, || None)
        .map_err(|fault| Failure::of(Exit::NOT_RUN, "identity", &fault))?;
    open_with(sealed, &identities)
}

fn none_opens(tried: &[String]) -> Failure {
    let fault = if tried.is_empty() { HandleFault::NoIdentity } else { HandleFault::NotForYou };
    let hint = "name your key with `--identity FILE`, or give a bearer handle's second value with `--secret-file FILE`";
    refused(&fault).hint([tried, &[hint.to_owned()]].concat().join("; "))
}

fn passphrase(path: &Path, person: Option<&mut dyn Person>) -> Option<Zeroizing<String>> {
    let question = format!("Passphrase of `{}`: ", path.display());
    person?.ask_hidden(&question).ok().filter(|text| !text.is_empty())
}

/// The person for one question, of those that follow.
fn reborrow<'a>(person: &'a mut Option<&mut dyn Person>) -> Option<&'a mut dyn Person> {
    match person {
        Some(person) => Some(&mut **person),
        None => None,
    }
}

fn not_a_key(path: &Path, fault: &IdentityFault) -> Failure {
    Failure::new(Exit::NOT_RUN, "identity", format!("`{}`: {}", path.display(), chain(fault)))
}

/// A handle that cannot be made, as it is told.
pub(crate) fn not_sealed(fault: &HandleFault) -> Failure {
    Failure::of(Exit::NOT_RUN, "handle", fault)
}

/// A handle that cannot be used, as it is told.
pub(crate) fn refused(fault: &HandleFault) -> Failure {
    match fault {
        HandleFault::Expired { .. } => Failure::of(Exit::GONE, "expired", fault),
        HandleFault::NotForYou | HandleFault::NoIdentity => {
            Failure::of(Exit::NOT_RUN, "not_for_you", fault)
        }
        HandleFault::OtherVersion { .. } => Failure::of(Exit::NOT_RUN, "other_version", fault),
        HandleFault::Empty
        | HandleFault::NotHandle
        | HandleFault::SecretKey
        | HandleFault::ShareId
        | HandleFault::TooLong { .. }
        | HandleFault::Character { .. }
        | HandleFault::CutShort
        | HandleFault::Damaged
        | HandleFault::Passphrase
        | HandleFault::Contents(_)
        | HandleFault::DaemonKey
        | HandleFault::Passport(_)
        | HandleFault::Mixed
        | HandleFault::Seal(_) => Failure::of(Exit::NOT_RUN, "handle", fault),
    }
}
