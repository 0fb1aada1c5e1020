//! `openscope audit`: read the record, and prove that it is whole. No daemon is needed.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use ed25519_dalek::VerifyingKey;
use serde_json::{Value, json};
use wire::fingerprint::{Claim, Fingerprint};

use super::HELP;
use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Chosen;
use crate::clock::rfc3339;
use crate::exit::Exit;
use crate::monitor::audit::{self, Break, HEAD, LOG, Record, Summary};
use crate::monitor::identity::published_key;

const VERIFY: &str = "\
Examples:
  openscope audit verify
  openscope audit verify --key SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
  openscope audit verify --file /backup/audit.log --key 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60
";

#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    /// The last records
    #[command(help_template = HELP)]
    Tail(Tail),
    /// Whether the log is what the daemon wrote: all of it, in order, unchanged
    #[command(help_template = HELP, before_help = VERIFY)]
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
pub(super) struct Tail {
    /// The daemon's state directory [default: /var/lib/openscope]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How many
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: usize,
}

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// The log, with its head and the daemon's public key beside it [default: /var/lib/openscope/audit.log]
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// Whose log it must be: the daemon's fingerprint (SHA256:… or its words) or its public key in hex
    #[arg(long)]
    key: Option<Wanted>,
}

impl Audit {
    pub(super) fn run(self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        match self {
            Self::Tail(tail) => tail.run(chosen, out),
            Self::Verify(verify) => verify.run(chosen, out),
        }
    }
}

/// Whose signature is wanted.
#[derive(Clone, Debug)]
enum Wanted {
    Key(VerifyingKey),
    Fingerprint(Claim),
}

impl std::str::FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return hex_key(text)
                .map(Self::Key)
                .ok_or_else(|| "that is no Ed25519 public key".to_owned());
        }
        text.parse()
            .map(Self::Fingerprint)
            .map_err(|fault: wire::fingerprint::FingerprintFault| fault.to_string())
    }
}

fn hex_key(text: &str) -> Option<VerifyingKey> {
    let mut bytes = [0; 32];
    for (position, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * position..2 * position + 2)?, 16).ok()?;
    }
    VerifyingKey::from_bytes(&bytes).ok()
}

impl Tail {
    fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        let state = state(self.state.as_deref(), chosen);
        let mut last = VecDeque::new();
        for record in
            audit::replay(&state, 0).map_err(|fault| unreadable(&state.join(LOG), &fault))?
        {
            last.push_back(record.map_err(|fault| unreadable(&state.join(LOG), &fault))?);
            if last.len() > self.lines {
                last.pop_front();
            }
        }
        tell(&last, out)?;
        Ok(Exit::Done)
    }
}

fn tell(records: &VecDeque<Record>, out: &mut Output) -> Result<(), Fault> {
    if out.format() == Format::Json {
        let records: Vec<_> = records.iter().map(record_json).collect();
        return out.json(&json!({ "schema": "openscope.audit.tail/1", "records": records }));
    }
    if records.is_empty() {
        out.aside("the log has no records");
    }
    records.iter().try_for_each(|record| out.data(&record_text(record)))
}

fn record_json(record: &Record) -> Value {
    json!({ "seq": record.seq, "time": rfc3339(record.time), "event": event(record) })
}

fn event(record: &Record) -> Value {
    serde_json::to_value(&record.event).unwrap_or(Value::Null)
}

/// `12 2026-11-21T07:30:00Z share_revoked share=osp_… calls=1`.
fn record_text(record: &Record) -> String {
    let event = event(record);
    let kind = event.get("type").and_then(Value::as_str).unwrap_or("unknown");
    let mut text = format!("{:>6} {} {kind}", record.seq, rfc3339(record.time));
    for (name, value) in event.as_object().into_iter().flatten().filter(|(name, _)| *name != "type")
    {
        let value = value.as_str().map_or_else(|| value.to_string(), key_shortened);
        // Writing to a `String` cannot fail.
        let _ = write!(text, " {name}={}", shown::line(&value));
    }
    text
}

/// A key is told from others by its beginning; the log, and `--json`, have all of it.
fn key_shortened(text: &str) -> String {
    match text.split_at_checked(12) {
        Some((start, _)) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{start}…")
        }
        _ => text.to_owned(),
    }
}

impl Verify {
    fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        let log = match &self.file {
            Some(file) => file.clone(),
            None => state(None, chosen).join(LOG),
        };
        let beside =
            log.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let key = self.key(beside)?;
        let head = Some(beside.join(HEAD)).filter(|head| head.exists());
        match audit::verify(&log, head.as_deref(), &key) {
            Ok(summary) => self.report(&log, &key, &summary, out).map(|()| Exit::Done),
            Err(broken) => Err(broken_log(&log, &broken)),
        }
    }

    /// The key that signatures are held against. One that merely lies beside the log proves nothing against whoever
    /// could write both, and so a fingerprint that is given must be its.
    fn key(&self, beside: &Path) -> Result<VerifyingKey, Fault> {
        if let Some(Wanted::Key(key)) = &self.key {
            return Ok(*key);
        }
        let key = published_key(beside).map_err(|fault| {
            Fault::failed(format!("no public key beside the log: {fault}"))
                .hint("give the key in hex with `--key`")
        })?;
        match &self.key {
            Some(Wanted::Fingerprint(claim)) if !fingerprint(&key).confirms(claim) => {
                Err(Fault::failed(format!(
                    "the key beside the log is another daemon's: {}",
                    fingerprint(&key)
                )))
            }
            _ => Ok(key),
        }
    }

    fn report(
        &self,
        log: &Path,
        key: &VerifyingKey,
        found: &Summary,
        out: &mut Output,
    ) -> Result<(), Fault> {
        if out.format() == Format::Json {
            return out.json(&json!({
                "schema": "openscope.audit.verify/1",
                "file": log.display().to_string(),
                "key": fingerprint(key).to_string(),
                "records": found.records,
                "unsigned": found.unsigned,
                "recoveries": found.recoveries,
                "lost": found.lost,
                "head": found.head,
            }));
        }
        out.data(&text(found))?;
        out.aside(&format!("signed by {}", fingerprint(key)));
        if self.key.is_none() {
            out.aside("that key lies beside the log: compare it with `openscope status`, or give it with `--key`");
        }
        if found.head.is_none() {
            out.aside("no audit.head beside the log: a log cut off after a signature cannot be told from a whole one");
        }
        Ok(())
    }
}

fn text(found: &Summary) -> String {
    let mut text = format!("whole: {} records, in order and unchanged", found.records);
    if found.unsigned > 0 {
        let _ = write!(text, "; {} more at the end are not signed yet", found.unsigned);
    }
    if found.recoveries > 0 {
        let _ = write!(
            text,
            "; {} repairs are on record, {} records were lost",
            found.recoveries, found.lost
        );
    }
    text
}

fn fingerprint(key: &VerifyingKey) -> Fingerprint {
    Fingerprint::of(key.as_bytes())
}

fn state(given: Option<&Path>, chosen: &Chosen) -> PathBuf {
    given.map_or_else(|| chosen.places().state, Path::to_owned)
}

fn broken_log(log: &Path, broken: &Break) -> Fault {
    match broken {
        Break::Read(error) => unreadable(log, error),
        Break::Found { .. } => {
            let message = format!("`{}` is not what the daemon wrote: {broken}", log.display());
            Fault::failed(shown::lines(&message)).hint("keep the file as it is: it is evidence")
        }
    }
}

fn unreadable(log: &Path, fault: &(dyn std::error::Error + 'static)) -> Fault {
    let mut message = format!("`{}`: {fault}", log.display());
    let mut cause = fault.source();
    while let Some(inner) = cause {
        let _ = write!(message, ": {inner}");
        cause = inner.source();
    }
    Fault::failed(shown::lines(&message))
        .hint("the system's log is root's to read; your own daemon's needs `--rootless`")
}

#[cfg(test)]
mod tests {
    use super::super::output::tests::heard;
    use super::*;

    #[test]
    fn a_key_is_wanted_by_fingerprint_words_or_hex() {
        let hex = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert!(matches!(hex.parse(), Ok(Wanted::Key(_))));
        let fingerprint = Fingerprint::of(&[7; 32]);
        assert!(matches!(fingerprint.to_string().parse(), Ok(Wanted::Fingerprint(_))));
        assert!(matches!(fingerprint.words().join(" ").parse(), Ok(Wanted::Fingerprint(_))));
        for bad in ["", "SHA256:", "d75a", "02".repeat(32).as_str()] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_that_is_not_there_is_named() {
        let home = tempfile::tempdir().unwrap();
        let tail = Tail { state: Some(home.path().to_owned()), lines: 1 };
        let fault = tail.run(&Chosen::default(), &mut heard(Format::Text, false).0).unwrap_err();
        assert!(fault.message().contains("audit.log"), "{fault:?}");
    }

    #[test]
    fn a_key_is_shortened_and_nothing_else() {
        assert_eq!(key_shortened(&"a".repeat(64)), "aaaaaaaaaaaa…");
        for whole in ["a".repeat(63), "a".repeat(65), "z".repeat(64), "é".repeat(32)] {
            assert_eq!(key_shortened(&whole), whole);
        }
    }

    #[test]
    fn what_a_log_that_was_repaired_lost_is_told() {
        let found = Summary { records: 7, unsigned: 1, recoveries: 1, lost: 2, head: Some(7) };
        let expected = "whole: 7 records, in order and unchanged; 1 more at the end are not signed yet; \
                        1 repairs are on record, 2 records were lost";
        assert_eq!(text(&found), expected);
    }
}
