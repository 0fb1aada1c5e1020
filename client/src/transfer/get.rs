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
use super::{carry, carrying, done, failed, machine, path_parameter};
use crate::arguments::read;
use crate::call::Call;
use crate::cli::{GetArguments, Options};
use crate::conduct::Went;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Piece, write_all};
use crate::session::Session;
use crate::source::Source;
use crate::start::{bad_argument, print, say};

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
        let told = format!("{} is there already", target.display());
        return Err(Failure::new(Exit::NOT_RUN, "exists", told)
            .hint("say `--force` to replace it, or `--output` with another name"));
    }
    let mut sink = match &target {
        Some(target) => Sink::Part(Part::open(target).map_err(|fault| machine(&fault))?),
        None => Sink::Stdout(Sha256::new()),
    };
    if with_offset(entry, &arguments, sink.length()).is_none() {
        sink.begin_again().map_err(|fault| machine(&fault))?;
    }
    let got = Arc::new(Mutex::new(Got::new(sink)));
    loop {
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
        let is_other = matches!(state.fault, Some(Fault::Other));
        // It has become shorter than what there is of it, or is another file by now.
        let is_gone = offset > 0 && exited(&went) && !state.has_begun;
        if is_other || is_gone {
            if !options.quiet {
                say("the file has changed since its first part was fetched: from its beginning");
            }
            state.sink.begin_again().map_err(|fault| machine(&fault))?;
            continue;
        }
        drop(state);
        // Whoever wrote it has ended by now.
        let got = Arc::try_unwrap(got).map_err(|_| machine(&io::Error::other("still written")))?;
        let got = got.into_inner().unwrap_or_else(PoisonError::into_inner);
        let to = target.as_deref().map(|target| (target, what.force));
        return got.finish((went, &call, session), to, options);
    }
}

fn lock(got: &Mutex<Got>) -> std::sync::MutexGuard<'_, Got> {
    got.lock().unwrap_or_else(PoisonError::into_inner)
}

fn exited(went: &Went) -> bool {
    matches!(went, Went::Ended(receipt) if matches!(receipt.outcome.ending, wire::call::Ending::Exited(1)))
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
        let value = arguments.value(name).or(entry.parameters.get(name)?.default.as_ref())?;
        Path::new(&value.to_string()).file_name().map(ToOwned::to_owned)
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
    /// What all of it has, as the owner's side says.
    end: Option<(u64, String)>,
    fault: Option<Fault>,
}

enum Sink {
    Part(Part),
    Stdout(Sha256),
}

/// Why no more of it is taken.
enum Fault {
    /// What there is, is not this file's.
    Other,
    /// It cannot be written.
    Written(io::Error),
}

impl Sink {
    fn length(&self) -> u64 {
        match self {
            Self::Part(part) => part.length(),
            Self::Stdout(_) => 0,
        }
    }

    fn digest(&self) -> String {
        match self {
            Self::Part(part) => part.digest(),
            Self::Stdout(hash) => format!("{:x}", hash.clone().finalize()),
        }
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Part(part) => part.add(bytes),
            Self::Stdout(hash) => {
                hash.update(bytes);
                Ok(write_all(rustix::stdio::stdout(), bytes)?)
            }
        }
    }

    fn begin_again(&mut self) -> io::Result<()> {
        match self {
            Self::Part(part) => part.begin_again(),
            Self::Stdout(hash) => {
                *hash = Sha256::new();
                Ok(())
            }
        }
    }

    /// Keeps what there is of it for another time.
    fn keep(self) -> Option<PathBuf> {
        match self {
            Self::Part(part) => part.keep(),
            Self::Stdout(_) => None,
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
                self.has_begun = true;
                let (before, digest) = &self.before;
                if offset == *before && (offset == 0 || sha256_before.as_ref() == Some(digest)) {
                    return Ok(());
                }
                self.fault = Some(Fault::Other);
                Err(Errno::STALE)
            }
            Note::End { size, sha256 } => {
                self.end = Some((size, sha256));
                Ok(())
            }
            Note::Kept { .. } => Ok(()),
        }
    }

    fn finish(
        self,
        (went, call, session): (Went, &Call, &Session),
        to: Option<(&Path, bool)>,
        options: &Options,
    ) -> Result<Exit, Failure> {
        let digest = self.sink.digest();
        if let Some(Fault::Written(fault)) = self.fault {
            self.sink.keep();
            return Err(machine(&fault));
        }
        let (Some(receipt), Some((size, sha256))) = (done(&went), self.end) else {
            let exit = failed(went, call, session, (&self.notes.words, options));
            if let Some(path) = self.sink.keep() {
                let path = path.display();
                say(&format!("what came is in {path}: the same command goes on from there"));
            }
            return Ok(exit);
        };
        let redactions = receipt.outcome.redactions;
        let is_same = digest == sha256;
        if !is_same && redactions == 0 {
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
        let file = to.map(|(target, _)| target.display().to_string());
        if options.json {
            let document = json!({
                "schema": "openscope.get/1",
                "event": "got",
                "id": call.id().to_string(),
                "file": file,
                "size": size,
                "sha256": digest,
                "verified": is_same,
                "resumed_from": self.before.0,
                "redactions": redactions,
            });
            print(&document.to_string());
        } else if !options.quiet {
            let file = file.unwrap_or_else(|| "standard output".to_owned());
            say(&format!("{file}: {size} bytes, SHA-256 {digest}"));
        }
        if !is_same {
            let secrets = if redactions == 1 {
                "1 secret was"
            } else {
                &format!("{redactions} secrets were")
            };
            say(&format!(
                "{secrets} masked on the owner's side: this copy is not the original byte for byte"
            ));
        }
        Ok(Exit::DONE)
    }
}
