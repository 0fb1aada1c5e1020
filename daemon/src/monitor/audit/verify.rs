//! Whether a log is what the daemon wrote, all of it, in order; and if not, where it stops being so.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use serde_json::Value;

use super::head::Head;
use super::line::{Entry, Link};
use super::recover::read_line;

/// What a log that holds together contains.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Records that the daemon's signature vouches for.
    pub records: u64,
    /// Lines at the end that no signature vouches for yet: a daemon at work, or one that was killed.
    pub unsigned: u64,
    /// Times that the daemon found the log damaged and went on; each is a record of its own.
    pub recoveries: u64,
    /// Records that such recoveries found missing.
    pub lost: u64,
    /// The number that the head named, where it was looked at.
    pub head: Option<u64>,
}

/// Where and how a log does not hold together.
#[derive(Debug, thiserror::Error)]
pub enum Break {
    /// It could not be read.
    #[error("the log cannot be read")]
    Read(#[source] io::Error),
    /// It is not what was written.
    #[error("line {line}: {what}")]
    Found {
        /// The line, counted from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
}

/// Reads a whole log. `head` is the head beside it; without it a log that was cut off after a
/// signature looks complete.
///
/// # Errors
/// The first place where lines were deleted, edited, put in another order, or cut off.
pub fn verify(log: &Path, head: Option<&Path>, key: &VerifyingKey) -> Result<Summary, Break> {
    // The head first: a daemon that is at work meanwhile only adds to the log.
    let head = head.map(|path| read_head(path, key)).transpose()?;
    let log = File::open(log).map_err(Break::Read)?;
    let mut check = Check { key, head, link: Link::START, sealed: 0, summary: Summary::default() };
    let mut log = BufReader::new(log);
    while let Some(line) = read_line(&mut log).map_err(Break::Read)? {
        check.line(&line)?;
    }
    check.end(&mut log)
}

fn read_head(path: &Path, key: &VerifyingKey) -> Result<Head, Break> {
    let file = File::open(path).map_err(Break::Read)?;
    Head::read(&file).filter(|head| head.seal.is_by(key)).ok_or_else(|| Break::Found {
        line: 0,
        what: format!("`{}` is not signed by this daemon", path.display()),
    })
}

struct Check<'k> {
    key: &'k VerifyingKey,
    head: Option<Head>,
    link: Link,
    sealed: u64,
    summary: Summary,
}

impl Check<'_> {
    fn line(&mut self, line: &str) -> Result<(), Break> {
        let Some(entry) = Entry::<Value>::read(line) else {
            return self.found(self.link.seq + 1, "is not a record");
        };
        self.follows(&entry)?;
        self.link = self.link.after(line);
        self.recovery(&entry.event);
        if let Some(seal) = entry.seal(line) {
            if !seal.is_by(self.key) {
                return self.found(
                    entry.seq,
                    &format!(
                        "its signature is not the daemon's: one of lines {} to {} was edited",
                        self.sealed + 1,
                        entry.seq
                    ),
                );
            }
            if self.head.is_some_and(|head| head.seal.seq == seal.seq && head.seal != seal) {
                return self.found(entry.seq, "is not the record that the head vouches for");
            }
            self.sealed = entry.seq;
        }
        Ok(())
    }

    fn follows(&self, entry: &Entry<Value>) -> Result<(), Break> {
        let wanted = self.link.seq + 1;
        if entry.seq > wanted {
            let (first, last) = (wanted, entry.seq - 1);
            return self.found(wanted, &format!("records {first} to {last} were deleted or moved"));
        }
        if entry.seq < wanted {
            return self.found(wanted, &format!("record {} stands here again", entry.seq));
        }
        if entry.prev != self.link.hash {
            let what = format!("is not the record that line {wanted} was written after: edited");
            return self.found(self.link.seq.max(1), &what);
        }
        Ok(())
    }

    fn recovery(&mut self, event: &Value) {
        if event.get("type").and_then(Value::as_str) == Some("audit_recovered") {
            self.summary.recoveries += 1;
            self.summary.lost += event.get("lost_records").and_then(Value::as_u64).unwrap_or(0);
        }
    }

    fn end(mut self, rest: &mut BufReader<File>) -> Result<Summary, Break> {
        let told = self.head.map(|head| head.seal.seq);
        if let Some(told) = told.filter(|told| *told > self.sealed) {
            let what = format!("the log ends here, the head vouches for {told} records: cut off");
            return self.found(self.link.seq + 1, &what);
        }
        // A line that is not one of ours ended the reading: more after it was not written by us.
        if !io::BufRead::fill_buf(rest).map_err(Break::Read)?.is_empty() {
            return self.found(self.link.seq + 1, "is not a record");
        }
        self.summary.records = self.sealed;
        self.summary.unsigned = self.link.seq - self.sealed;
        self.summary.head = told;
        Ok(self.summary)
    }

    #[expect(clippy::unused_self, reason = "reads as the check's answer")]
    fn found<T>(&self, line: u64, what: &str) -> Result<T, Break> {
        Err(Break::Found { line, what: what.to_owned() })
    }
}
