//! Opening a log that an earlier life may have left unfinished.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use ed25519_dalek::VerifyingKey;
use serde::de::IgnoredAny;

use super::head::Head;
use super::line::{Entry, Link, MAX_LINE, Seal};

/// Where the whole part of a log ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Whole {
    pub(super) link: Link,
    pub(super) end: u64,
}

/// Finds the last signed record that follows without a gap from the first. With a head that fits
/// the log only what comes after it is read.
pub(super) fn whole(log: &File, head: Option<&Head>, key: &VerifyingKey) -> io::Result<Whole> {
    let start = Whole { link: Link::START, end: 0 };
    let from = head.and_then(|head| at_head(log, head)).unwrap_or(start);
    let mut log = log;
    log.seek(SeekFrom::Start(from.end))?;
    follow(BufReader::new(log), from, key)
}

/// The place that the head names, if the log has there the very record that the head vouches for.
fn at_head(log: &File, head: &Head) -> Option<Whole> {
    let from = head.end.saturating_sub(MAX_LINE as u64 + 2);
    let mut bytes = vec![0; usize::try_from(head.end.checked_sub(from)?).ok()?];
    log.read_exact_at(&mut bytes, from).ok()?;
    let text = bytes.strip_suffix(b"\n")?;
    let line = text.rsplit(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let entry = Entry::<IgnoredAny>::read(line)?;
    let before = Link { seq: entry.seq.checked_sub(1)?, hash: entry.prev };
    let same = entry.seal(line)? == head.seal;
    same.then(|| Whole { link: before.after(line), end: head.end })
}

fn follow(mut log: impl BufRead, from: Whole, key: &VerifyingKey) -> io::Result<Whole> {
    let (mut chain, mut end, mut whole) = (from.link, from.end, from);
    while let Some(line) = read_line(&mut log)? {
        let Some((next, seal)) = next(&chain, &line) else { break };
        (chain, end) = (next, end + line.len() as u64 + 1);
        if let Some(seal) = seal {
            if !seal.is_by(key) {
                break;
            }
            whole = Whole { link: chain, end };
        }
    }
    Ok(whole)
}

fn next(chain: &Link, line: &str) -> Option<(Link, Option<Seal>)> {
    let entry = Entry::<IgnoredAny>::read(line)?;
    let fits = entry.seq == chain.seq + 1 && entry.prev == chain.hash;
    fits.then(|| (chain.after(line), entry.seal(line)))
}

/// The next line without its line feed. None at the end, and for what is no line of ours: one
/// without a line feed, too long, or not text.
pub(super) fn read_line(log: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    log.take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    Ok(String::from_utf8(line).ok())
}
