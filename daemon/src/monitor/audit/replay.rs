//! Reading the record back: a starting monitor rebuilds its calls from it.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::event::Event;
use super::line::{Entry, Record};
use super::recover::read_line;
use super::{AuditFault, LOG};

/// The records of a log, in order.
#[derive(Debug)]
pub struct Replay {
    log: BufReader<File>,
}

/// Reads the log in `state` from the place that [`super::Audit::position`] told; from the
/// beginning where no line begins there.
///
/// # Errors
/// When the log cannot be opened.
pub fn replay(state: &Path, from: u64) -> Result<Replay, AuditFault> {
    open(&state.join(LOG), from).map_err(AuditFault::Read)
}

fn open(path: &Path, from: u64) -> io::Result<Replay> {
    let mut log = File::open(path)?;
    let mut before = [0];
    let begins = from > 0 && log.read_at(&mut before, from - 1)? == 1 && before == [b'\n'];
    log.seek(SeekFrom::Start(if begins { from } else { 0 }))?;
    Ok(Replay { log: BufReader::new(log) })
}

impl Iterator for Replay {
    type Item = Result<Record, AuditFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = read_line(&mut self.log).map_err(AuditFault::Read).transpose()?;
        Some(line.and_then(|line| {
            let entry = Entry::<Event>::read(&line).ok_or(AuditFault::Unreadable)?;
            Ok(entry.into())
        }))
    }
}
