//! A file of the owner's, fetched.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use policy::{Arguments, MenuEntry, Transfer, Value};
use rustix::io::Errno;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::notes::{Note, Notes};
use super::part::Part;
use super::{apart, carry, carrying, done, failed, machine, path_parameter, shown};
use crate::arguments::read;
use crate::call::Call;
use crate::cli::{GetArguments, Options};
use crate::conduct::Went;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::one_call::bad_argument;
use crate::output::{Output, Piece, write_all};
use crate::session::Session;
use crate::source::Source;
use crate::start::{print, say};

/// The parameter by which a file is gone on with.
const OFFSET: &str = "offset";

/// Fetches a file.
pub(crate) async fn get(
    session: &Session,
    what: &GetArguments,
    options: &Options,
) -> Result<Exit, Failure> {
    let view = session.view();
    let entry = carrying(&what.verb, Transfer::Get, &view.standing.menu)?;
    let arguments = read(entry, &what.arguments).map_err(|fault| bad_argument(&fault))?;
    if arguments.iter().any(|(name, _)| name.as_str() == OFFSET) {
        let told = "`offset` is not yours to say: `get` goes on with what there is";
        return Err(Failure::new(Exit::USAGE, "usage", told)
            .hint("`call` takes it, and gives the bytes from there on"));
    }
    let target = target(entry, &arguments, what)?;
    if target.is_none() && io::stdout().is_terminal() {
        let told = "a terminal would act on what is in a file";
        return Err(Failure::new(Exit::USAGE, "usage", told)
            .hint("send standard output to a file or a pipe, or say `--output FILE`"));
    }
    if target.is_none() && options.json {
        let told = "`--output -` is the file's bytes, and `--json` is not";
        return Err(Failure::new(Exit::USAGE, "usage", told).hint("leave out one of them"));
    }
    if let Some(target) = &target
        && target.symlink_metadata().is_ok()
        && !what.force
    {
        let told = format!("{} is there already", shown(target));
        return Err(Failure::new(Exit::NOT_RUN, "exists", told)
            .hint("say `--force` to replace it, or `--output` with another name"));
    }
    let mut sink = match &target {
        Some(target) => Sink::Part(apart(target.clone(), |target| Part::open(&target)).await?),
        None => Sink::Stdout(Sha256::new(), 0),
    };
    if with_offset(entry, &arguments, sink.length()).is_none() {
        sink.begin_again();
    }
    let got = Arc::new(Mutex::new(Got::new(sink)));
    for is_last in [false, true] {
        let offset = lock(&got).begin();
        let asked = with_offset(entry, &arguments, offset).unwrap_or_else(|| arguments.clone());
        let mut call = session
            .call(entry.verb.clone(), asked)
            .map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
        let taking = Arc::clone(&got);
        let output = Output::with(move |piece| lock(&taking).take(piece));
        let output = output.map_err(|fault| machine(&fault))?;
        let (went, _) = carry(&mut call, Source::Nothing, output, options).await?;
        let mut state = lock(&got);
        if matches!(state.fault, Some(Fault::Other)) && !is_last && !is_left(&went) {
            if !options.quiet {
                say("the file has changed since its first part was fetched: from its beginning");
            }
            state.sink.begin_again();
            continue;
        }
        drop(state);
        // Whoever wrote it has ended by now.
        let got = Arc::try_unwrap(got).map_err(|_| machine(&io::Error::other("still written")))?;
        let got = got.into_inner().unwrap_or_else(PoisonError::into_inner);
        let to = target.as_deref().map(|target| (target, what.force));
        return got.finish((went, &call, session), to, options);
    }
    Err(machine(&io::Error::other("the file changes whenever it is asked for")))
}

fn lock(got: &Mutex<Got>) -> std::sync::MutexGuard<'_, Got> {
    got.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether somebody here has had enough.
fn is_left(went: &Went) -> bool {
    matches!(went, Went::Stopped(exit, _) if *exit != Exit::PIPE)
}

/// Where it goes; nowhere for standard output.
fn target(
    entry: &MenuEntry,
    arguments: &Arguments,
    what: &GetArguments,
) -> Result<Option<PathBuf>, Failure> {
    let given = what.output.as_deref();
    if given == Some(Path::new("-")) {
        return Ok(None);
    }
    if let Some(path) = given.filter(|path| !path.is_dir()) {
        return Ok(Some(path.to_owned()));
    }
    let name = path_parameter(entry).and_then(|name| {
        // Never by what the other side says.
        let path = arguments.value(name)?.to_string();
        let name = Path::new(&path).file_name().map(ToOwned::to_owned);
        name.filter(|_| !path.contains(char::is_control))
    });
    let name = name.ok_or_else(|| {
        Failure::new(Exit::USAGE, "usage", "the file has no name here")
            .hint("say where it goes: `--output FILE`")
    })?;
    Ok(Some(given.unwrap_or(Path::new("")).join(name)))
}

/// The arguments that go on from there; nothing where the share has it that none may.
fn with_offset(entry: &MenuEntry, arguments: &Arguments, offset: u64) -> Option<Arguments> {
    if offset == 0 {
        return Some(arguments.clone());
    }
    let (name, declared) = entry.parameters.iter().find(|(name, _)| name.as_str() == OFFSET)?;
    let value = Value::Int(i64::try_from(offset).ok()?);
    let others = arguments.iter().filter(|(known, _)| *known != name);
    let others = others.map(|(name, value)| (name.clone(), value.clone()));
    let may = declared.accepts.iter().any(|limit| limit.permits(&value));
    may.then(|| others.chain([(name.clone(), value)]).collect())
}

/// What has come.
struct Got {
    sink: Sink,
    /// From which byte on this call goes, and what the bytes before it have as their SHA-256.
    before: (u64, String),
    notes: Notes,
    /// The owner's side has found the file.
    has_begun: bool,
    /// What all of it has, as the owner's side says; nothing of one that is masked.
    end: Option<(u64, Option<String>)>,
    fault: Option<Fault>,
}

enum Sink {
    Part(Part),
    Stdout(Sha256, u64),
}

/// Why no more of it is taken.
enum Fault {
    /// What there is, is not this file's.
    Other,
    /// The other side says what was not asked.
    Confused,
    /// It cannot be written.
    Written(io::Error),
}

impl Sink {
    fn length(&self) -> u64 {
        match self {
            Self::Part(part) => part.length(),
            Self::Stdout(_, length) => *length,
        }
    }

    fn digest(&self) -> String {
        match self {
            Self::Part(part) => part.digest(),
            Self::Stdout(hash, _) => format!("{:x}", hash.clone().finalize()),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Part(part) => part.add(bytes),
            Self::Stdout(hash, length) => {
                hash.update(bytes);
                *length = length.saturating_add(bytes.len() as u64);
                Ok(write_all(rustix::stdio::stdout(), bytes)?)
            }
        }
    }

    fn begin_again(&mut self) {
        match self {
            Self::Part(part) => part.begin_again(),
            Self::Stdout(hash, length) => (*hash, *length) = (Sha256::new(), 0),
        }
    }

    /// Keeps what there is of it for another time.
    fn keep(self) -> Option<PathBuf> {
        match self {
            Self::Part(part) => part.keep(),
            Self::Stdout(..) => None,
        }
    }
}

impl Got {
    fn new(sink: Sink) -> Self {
        let (notes, before) = (Notes::default(), (0, String::new()));
        Self { sink, before, notes, has_begun: false, end: None, fault: None }
    }

    /// Another call begins. From which byte on.
    fn begin(&mut self) -> u64 {
        self.before = (self.sink.length(), self.sink.digest());
        (self.notes, self.has_begun, self.end, self.fault) = (Notes::default(), false, None, None);
        self.before.0
    }

    fn take(&mut self, piece: Piece) -> Result<(), Errno> {
        match piece {
            Piece::Stdout(bytes) => self.sink.add(&bytes).map_err(|fault| {
                let errno = Errno::from_io_error(&fault).unwrap_or(Errno::IO);
                self.fault = Some(Fault::Written(fault));
                errno
            }),
            Piece::Stderr(bytes) => {
                self.notes.hear(&bytes).into_iter().try_for_each(|note| self.hear(note))
            }
        }
    }

    fn hear(&mut self, note: Note) -> Result<(), Errno> {
        match note {
            Note::Begin { offset, sha256_before, .. } => {
                let (before, digest) = &self.before;
                let is_same = offset == 0 || sha256_before.as_ref() == Some(digest);
                let is_asked = offset == *before && !self.has_begun;
                self.has_begun = true;
                match (is_asked, is_same) {
                    (true, true) => Ok(()),
                    (true, false) => self.stop(Fault::Other),
                    (false, _) => self.stop(Fault::Confused),
                }
            }
            Note::Shorter { .. } if self.before.0 > 0 && !self.has_begun => self.stop(Fault::Other),
            Note::End { size, sha256 } => {
                self.end = Some((size, sha256));
                Ok(())
            }
            Note::Shorter { .. } | Note::Kept { .. } => self.stop(Fault::Confused),
        }
    }

    fn stop(&mut self, fault: Fault) -> Result<(), Errno> {
        self.fault = Some(fault);
        Err(Errno::STALE)
    }

    fn finish(
        self,
        (went, call, session): (Went, &Call, &Session),
        to: Option<(&Path, bool)>,
        options: &Options,
    ) -> Result<Exit, Failure> {
        let (digest, length) = (self.sink.digest(), self.sink.length());
        match self.fault {
            Some(Fault::Written(fault)) => {
                self.sink.keep();
                return Err(machine(&fault));
            }
            Some(Fault::Other | Fault::Confused) => {
                self.sink.keep();
                let told = "the owner's side tells of another file than was asked for";
                return Err(Failure::new(Exit::FAILED, "damaged", told).hint("tell the owner"));
            }
            None => {}
        }
        let (Some(receipt), Some((size, sha256))) = (done(&went), self.end) else {
            let exit = failed(went, call, session, (&self.notes.words, options));
            if let Some(path) = self.sink.keep() {
                let path = shown(&path);
                say(&format!("what came is in {path}: the same command goes on from there"));
            }
            return Ok(exit);
        };
        let redactions = receipt.outcome.redactions;
        let is_same = sha256.as_ref().map(|sha256| *sha256 == digest && size == length);
        if is_same == Some(false) {
            if let Sink::Part(part) = self.sink {
                part.remove();
            }
            let told = "what arrived is not what the owner's side has read: nothing of it is kept";
            return Err(Failure::new(Exit::FAILED, "damaged", told)
                .hint("fetch it again; if it stays so, tell the owner"));
        }
        if let (Sink::Part(part), Some((target, force))) = (self.sink, to) {
            part.finish(target, force).map_err(|fault| machine(&fault))?;
        }
        let file = to.map(|(target, _)| shown(target));
        if options.json {
            let document = json!({
                "schema": "openscope.get/1",
                "event": "got",
                "id": call.id().to_string(),
                "file": file,
                "size": length,
                "sha256": digest,
                "verified": is_same == Some(true),
                "resumed_from": self.before.0,
                "redactions": redactions,
            });
            print(&document.to_string());
        } else if !options.quiet {
            let file = file.unwrap_or_else(|| "standard output".to_owned());
            say(&format!("{file}: {length} bytes, SHA-256 {digest}"));
        }
        if is_same.is_none() && !options.quiet {
            let secrets = match redactions {
                0 => "no secret was masked in it".to_owned(),
                1 => "1 secret was masked in it".to_owned(),
                many => format!("{many} secrets were masked in it"),
            };
            say(&format!("{secrets}; of what is masked no SHA-256 is told to compare it with"));
        }
        Ok(Exit::DONE)
    }
}
