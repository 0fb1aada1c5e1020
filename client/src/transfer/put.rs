//! A file of ours, handed to the owner.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use policy::Transfer;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::notes::{Note, Notes};
use super::{PIECE, apart, carry, carrying, done, failed, machine, shown};
use crate::arguments::read;
use crate::cli::{Options, PutArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::one_call::bad_argument;
use crate::output::{Output, Piece};
use crate::session::Session;
use crate::source::Source;
use crate::start::{print, say};

/// The parameter that says what the file has to be.
const SHA256: &str = "sha256";
/// As much of standard input is kept until all of it is there.
const KEPT: u64 = 64 << 20;

/// Hands a file over.
pub(crate) async fn put(
    session: &Session,
    what: &PutArguments,
    options: &Options,
) -> Result<Exit, Failure> {
    let view = session.view();
    let entry = carrying(&what.verb, Transfer::Put, &view.standing.menu)?;
    let most = entry.input.stdin().map_or(0, |stdin| stdin.max);
    let whole = apart(what.file.clone(), move |file| Ok(Whole::of(&file, most))).await??;
    let mut given = what.arguments.clone();
    given.push(OsString::from(format!("{SHA256}={}", whole.sha256)));
    let arguments = read(entry, &given).map_err(|fault| bad_argument(&fault))?;
    let mut call = session
        .call(entry.verb.clone(), arguments)
        .map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))?;
    let heard = Arc::new(Mutex::new(Heard::default()));
    let hearing = Arc::clone(&heard);
    let output = Output::with(move |piece| {
        hearing.lock().unwrap_or_else(PoisonError::into_inner).take(&piece);
        Ok(())
    });
    let output = output.map_err(|fault| machine(&fault))?;
    let source = Source::of_file(whole.file).map_err(|fault| machine(&fault.into()))?;
    let (went, _) = carry(&mut call, source, output, options).await?;
    let heard = std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner));
    let Some((Note::Kept { size, sha256, replaced }, _)) = heard.kept.zip(done(&went)) else {
        return Ok(failed(went, &call, session, (&heard.notes.words, options)));
    };
    if (size, &sha256) != (whole.size, &whole.sha256) {
        let told = "the owner's side says that it keeps something else than was sent";
        return Err(Failure::new(Exit::FAILED, "damaged", told).hint("tell the owner"));
    }
    if options.json {
        let document = json!({
            "schema": "openscope.put/1",
            "event": "kept",
            "id": call.id().to_string(),
            "size": size,
            "sha256": sha256,
            "replaced": replaced,
        });
        print(&document.to_string());
    } else if !options.quiet {
        let replaced = if replaced { ", in the place of another" } else { "" };
        say(&format!("kept on the owner's side{replaced}: {size} bytes, SHA-256 {sha256}"));
    }
    Ok(Exit::DONE)
}

/// What the owner's side has said.
#[derive(Default)]
struct Heard {
    notes: Notes,
    kept: Option<Note>,
}

impl Heard {
    fn take(&mut self, piece: &Piece) {
        let (Piece::Stdout(bytes) | Piece::Stderr(bytes)) = piece;
        let mut heard = self.notes.hear(bytes).into_iter();
        self.kept = heard.rfind(|note| matches!(note, Note::Kept { .. })).or(self.kept.take());
    }
}

/// A file, from its beginning, and what all of it is.
struct Whole {
    file: File,
    size: u64,
    sha256: String,
}

impl Whole {
    fn of(path: &Path, most: u64) -> Result<Self, Failure> {
        let is_stdin = path == Path::new("-");
        let fault = |fault: io::Error| {
            let told = format!("{}: {fault}", shown(path));
            Failure::new(Exit::NOT_RUN, "file", told)
        };
        let file = if is_stdin { kept(most.min(KEPT)) } else { opened(path) }.map_err(fault)?;
        let state = file.metadata().map_err(fault)?;
        if !state.is_file() {
            return Err(fault(io::Error::other("it is no file")).hint("say `-` for standard input"));
        }
        // What is too long is not read to its end to find that out.
        let length = state.len();
        if length > most || (is_stdin && length > KEPT) {
            let told = format!("{most} bytes are the most that the verb takes");
            let failure = Failure::new(Exit::USAGE, "too_large", told);
            let kept =
                Failure::new(Exit::USAGE, "too_large", "standard input is too long to be kept")
                    .hint(format!("it is kept up to {KEPT} bytes: write it to a file first"));
            return Err(if is_stdin && most > KEPT { kept } else { failure });
        }
        Self::hashed(file).map_err(fault)
    }

    fn hashed(mut file: File) -> io::Result<Self> {
        let (mut hash, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; PIECE]);
        loop {
            let count = file.read(&mut buffer)?;
            let bytes = buffer.get(..count).unwrap_or_default();
            if bytes.is_empty() {
                break;
            }
            hash.update(bytes);
            size = size.saturating_add(count as u64);
        }
        file.rewind()?;
        Ok(Self { file, size, sha256: format!("{:x}", hash.finalize()) })
    }
}

/// A pipe would make us wait for whoever writes to it.
fn opened(path: &Path) -> io::Result<File> {
    let how = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(openat(CWD, path, how, Mode::empty())?.into())
}

/// All of standard input, and a byte more than may be: in memory, so that nothing of it is left anywhere.
fn kept(most: u64) -> io::Result<File> {
    let name = "openscope-put";
    let memory = rustix::fs::memfd_create(name, rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(memory);
    io::copy(&mut io::stdin().lock().take(most.saturating_add(1)), &mut file)?;
    file.rewind()?;
    Ok(file)
}
