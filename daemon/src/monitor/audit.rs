//! The audit log: hash-chained, signed, and written before what it speaks of happens.
//!
//! `audit.log` has a JSON object per line, each naming the hash of the one before; the last line of
//! every batch is signed with the daemon's identity key. `audit.head` says how far the log went.

mod event;
mod head;
mod line;
mod log;
mod recorded;
mod recover;
mod replay;
mod verify;

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use policy::Timestamp;
use rustix::fs::{FlockOperation, OFlags, flock};

pub use event::{Event, Expiry, Holder, Weight, Who};
pub use line::Record;
pub use recorded::{Hashed, Hex, HexFault, Recorded, Said};
pub use replay::{Replay, replay};
pub use verify::{Break, Summary, verify};

use crate::clock::Instants;
use head::Head;
use line::{Link, MAX_EVENT, Seal};
use log::Log;
use recover::Whole;

/// The log's name in the state directory.
pub const LOG: &str = "audit.log";

/// The head's name in the state directory.
pub const HEAD: &str = "audit.head";

/// How long a record may stay unsynced; several calls share one sync of the disk.
const SYNC_WITHIN: Duration = Duration::from_millis(100);

/// Endings that are kept while the log cannot be written.
const MAX_KEPT: usize = 4096;

/// An unfinished end of the log is cut off up to this length; more than that is no accident.
const MAX_CUT: u64 = 4 * 1024 * 1024;

/// When a record has to be on the disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Durability {
    /// Before `commit` returns.
    Now,
    /// Within 100 ms: see [`Audit::sync_due`].
    Soon,
}

/// Why something is not on record.
#[derive(Debug, thiserror::Error)]
pub enum AuditFault {
    /// Only the room for endings is left.
    #[error("the disk is full: only the room for endings is left in the audit log")]
    Full,
    /// Writing failed; nothing of the batch was kept.
    #[error("the audit log cannot be written")]
    Write(#[source] io::Error),
    /// The disk did not confirm an earlier record; nothing begins until the daemon is started anew.
    #[error("the disk did not confirm the audit log; start the daemon anew")]
    Unconfirmed,
    /// The log cannot be opened.
    #[error("`{}` cannot be opened", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another daemon writes it.
    #[error("`{}` is in use by another daemon", path.display())]
    Busy {
        /// Which file.
        path: PathBuf,
    },
    /// The log does not hold together, and not only at its end.
    #[error(
        "`{}` is damaged after record {seq}\n   = see `openscope audit verify`; move the file away to begin a new one",
        path.display()
    )]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// The last record that holds.
        seq: u64,
    },
    /// The log cannot be read.
    #[error("the audit log cannot be read")]
    Read(#[source] io::Error),
    /// A line that this version does not know.
    #[error("the audit log has a record that this version cannot read")]
    Unreadable,
    /// A record longer than a line may be.
    #[error("a record of {bytes} bytes does not fit a line of the audit log")]
    TooLong {
        /// The length of the event.
        bytes: usize,
    },
}

/// What was found when the log was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Recovery {
    /// Bytes of unfinished lines that were cut off and kept in a file beside the log.
    pub cut_bytes: u64,
    /// Records that the head vouches for and that are gone.
    pub lost_records: u64,
}

/// The log, open for appending. There is one.
#[derive(Debug)]
pub struct Audit {
    log: Log,
    head: File,
    key: SigningKey,
    link: Link,
    pending: Vec<Pending>,
    pending_bytes: usize,
    dropped: u64,
    sync_by: Option<Duration>,
    unconfirmed: bool,
}

#[derive(Debug)]
struct Pending {
    time: Timestamp,
    weight: Weight,
    event: String,
}

impl Audit {
    /// Opens or begins the log in `state`. What a crash left unfinished at its end is cut off, and
    /// that becomes the next record; it is written with the first commit, so that a full disk does
    /// not keep the daemon from answering.
    ///
    /// # Errors
    /// In use, not accessible, or damaged in a way that no crash explains.
    pub fn open(
        state: &Path,
        key: SigningKey,
        now: Instants,
    ) -> Result<(Self, Recovery), AuditFault> {
        let (log, head) = (open_file(&state.join(LOG))?, open_file(&state.join(HEAD))?);
        let verifying = key.verifying_key();
        let told = Head::read(&head).filter(|head| head.seal.is_by(&verifying));
        let whole = recover::whole(&log, told.as_ref(), &verifying).map_err(AuditFault::Read)?;
        let lost_records = told.map_or(0, |head| head.seal.seq.saturating_sub(whole.link.seq));
        let cut_bytes = set_aside(state, &log, &whole)?;
        let log = Log::new(log, whole.end).map_err(AuditFault::Write)?;
        let mut audit = Self {
            log,
            head,
            key,
            link: whole.link,
            pending: Vec::new(),
            pending_bytes: 0,
            dropped: 0,
            sync_by: None,
            unconfirmed: false,
        };
        let recovery = Recovery { cut_bytes, lost_records };
        if recovery != Recovery::default() {
            audit.record(Event::AuditRecovered { cut_bytes, lost_records }, now)?;
        }
        Ok((audit, recovery))
    }

    /// Adds an event to the batch that the next [`Audit::commit`] writes.
    ///
    /// # Errors
    /// No room: what the event speaks of must not happen. An ending is never refused for want of
    /// room.
    pub fn record(&mut self, event: Event, now: Instants) -> Result<(), AuditFault> {
        let weight = event.weight();
        let event = serde_json::to_string(&event.bounded())
            .map_err(|error| AuditFault::Write(error.into()))?;
        if event.len() > MAX_EVENT {
            return Err(AuditFault::TooLong { bytes: event.len() });
        }
        if weight != Weight::End {
            self.ready()?;
        }
        self.pending_bytes += event.len() + line::MAX_LINE - MAX_EVENT;
        self.pending.push(Pending { time: now.wall, weight, event });
        Ok(())
    }

    /// Writes the batch, signed, in one go.
    ///
    /// # Errors
    /// Nothing of the batch is in the log then: what was to begin must not, and endings are kept
    /// for the next commit. After [`AuditFault::Unconfirmed`] it may be in the log.
    pub fn commit(&mut self, durability: Durability, now: Instants) -> Result<(), AuditFault> {
        self.own_up(now)?;
        if !self.pending.is_empty() {
            let (bytes, link, seal) = self.batch();
            if let Err(error) = self.log.append(&bytes) {
                self.keep_endings();
                return Err(AuditFault::Write(error));
            }
            self.link = link;
            self.clear();
            // A head that lags only shows less of what is missing; the log is what counts.
            let _ = Head { seal, end: self.log.end() }.write(&self.head);
            self.sync_by.get_or_insert(now.boot.saturating_add(SYNC_WITHIN));
        }
        match durability {
            Durability::Now => self.sync(),
            Durability::Soon if self.unconfirmed => Err(AuditFault::Unconfirmed),
            Durability::Soon => Ok(()),
        }
    }

    /// The boot time by which [`Audit::sync`] has to be called.
    #[must_use]
    pub fn sync_due(&self) -> Option<Duration> {
        self.sync_by
    }

    /// Waits until all that was committed is on the disk.
    ///
    /// # Errors
    /// The disk's. From then on nothing begins: what is on the disk is not known any more.
    pub fn sync(&mut self) -> Result<(), AuditFault> {
        if self.sync_by.take().is_some() && self.log.sync().is_err() {
            self.unconfirmed = true;
        }
        if self.unconfirmed { Err(AuditFault::Unconfirmed) } else { Ok(()) }
    }

    /// Where the next record will stand: [`replay`] begins there.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.log.end()
    }

    /// Whether something may begin now: the reserve is untouched and the disk has confirmed all.
    ///
    /// # Errors
    /// Why not.
    pub fn ready(&mut self) -> Result<(), AuditFault> {
        if self.unconfirmed {
            return Err(AuditFault::Unconfirmed);
        }
        // Room for the longest line, so that the answer is the same for every event.
        let more = self.pending_bytes + line::MAX_LINE;
        if self.log.has_room(more as u64) { Ok(()) } else { Err(AuditFault::Full) }
    }

    /// Endings that had to be given up are on record as a number.
    fn own_up(&mut self, now: Instants) -> Result<(), AuditFault> {
        if self.dropped == 0 {
            return Ok(());
        }
        let count = std::mem::take(&mut self.dropped);
        self.record(Event::EndingsDropped { count }, now)
    }

    fn batch(&self) -> (Vec<u8>, Link, Seal) {
        let mut bytes = Vec::with_capacity(self.pending_bytes);
        let mut chain = self.link;
        let mut seal = Seal { seq: chain.seq, body: chain.hash, signature: Hex([0; 64]) };
        for (index, pending) in self.pending.iter().enumerate() {
            let mut line = chain.line(pending.time, &pending.event);
            if index + 1 == self.pending.len() {
                seal = Seal::new(chain.seq + 1, &line, &self.key);
                line = seal.sealed(&line);
            }
            chain = chain.after(&line);
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        (bytes, chain, seal)
    }

    fn clear(&mut self) {
        self.pending.clear();
        self.pending_bytes = 0;
    }

    fn keep_endings(&mut self) {
        self.pending.retain(|pending| pending.weight == Weight::End);
        let over = self.pending.len().saturating_sub(MAX_KEPT);
        self.pending.drain(..over);
        self.dropped += over as u64;
        let overhead = line::MAX_LINE - MAX_EVENT;
        self.pending_bytes = self.pending.iter().map(|kept| kept.event.len() + overhead).sum();
    }
}

fn open_file(path: &Path) -> Result<File, AuditFault> {
    let open = |source| AuditFault::Open { path: path.to_owned(), source };
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or_default();
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)
        .map_err(open)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(AuditFault::Busy { path: path.to_owned() }),
        locked => locked.map(|()| file).map_err(|error| open(error.into())),
    }
}

/// Copies what stands after the whole part to a file of its own: it may be a clue. Its length.
fn set_aside(state: &Path, log: &File, whole: &Whole) -> Result<u64, AuditFault> {
    let length = log.metadata().map_err(AuditFault::Read)?.len().saturating_sub(whole.end);
    if length > MAX_CUT {
        return Err(AuditFault::Damaged { path: state.join(LOG), seq: whole.link.seq });
    }
    if length > 0 {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
        log.read_exact_at(&mut bytes, whole.end).map_err(AuditFault::Read)?;
        // A full disk must not keep the daemon from starting.
        let _ = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(state.join(format!("audit.cut-{}", whole.link.seq)))
            .and_then(|mut aside| aside.write_all(&bytes));
    }
    Ok(length)
}

#[cfg(test)]
mod tests;
