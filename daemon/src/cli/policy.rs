//! `openscope policy`: read what policy means, before anyone relies on it. No daemon is needed.

use std::path::{Path, PathBuf};

use ::policy::{Groups, Policy, RuleSite, Timestamp};
use clap::Subcommand;
use serde_json::{Value, json};

use super::HELP;
use super::fault::Fault;
use super::output::Output;
use super::socket::Chosen;
use crate::config::{ConfigFault, Draft, Read};
use crate::exit::Exit;

mod diff;
mod explain;
mod lint;
mod steps;
mod test;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Hold policy against what is expected of it
    #[command(help_template = HELP, before_help = test::EXAMPLES)]
    Test(test::Test),
    /// Why something would be permitted or refused, rule by rule
    #[command(help_template = HELP, before_help = explain::EXAMPLES)]
    Explain(explain::Explain),
    /// What deserves a second look
    #[command(help_template = HELP, before_help = lint::EXAMPLES)]
    Lint(lint::Lint),
    /// What becomes possible from one policy to another, and what stops
    #[command(help_template = HELP, before_help = diff::EXAMPLES)]
    Diff(diff::Diff),
}

/// Which policy is meant.
#[derive(Clone, Debug, Default, clap::Args)]
struct Meant {
    /// An `openscoped.toml`, or a directory with `verbs.d` and `policy.d` [default: the daemon's]
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl PolicyCommand {
    pub(super) fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        match self {
            Self::Test(test) => test.run(chosen, out),
            Self::Explain(explain) => explain.run(chosen, out),
            Self::Lint(lint) => lint.run(chosen, out),
            Self::Diff(diff) => diff.run(out),
        }
    }
}

impl Meant {
    fn draft(&self, chosen: &Chosen) -> Draft {
        let given = self.config.clone();
        Draft::beside(&given.unwrap_or_else(|| chosen.places().config))
    }
}

fn read(draft: &Draft) -> Result<Read, Fault> {
    draft.read().map_err(|faults| unread(&faults))
}

/// Every fault, as `--check-config` tells them.
fn unread(faults: &[ConfigFault]) -> Fault {
    let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Fault::usage(super::shown::lines(&told.join("\nerror: ")))
}

fn site_json(site: &RuleSite) -> Value {
    json!({ "file": site.source, "line": site.line })
}

fn known_groups(names: &[String]) -> Groups {
    Groups::Known(names.iter().cloned().collect())
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let at: Option<jiff::Timestamp> = text.parse().ok();
    let millis = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    millis.map(Timestamp).ok_or_else(|| {
        "that is not a point in time; write one such as 2026-11-20T10:00:00Z".to_owned()
    })
}

/// The key of a contact that is kept beside the policy.
fn fingerprint(read: &Read, alias: &policy::Alias) -> Option<String> {
    read.contacts.lookup(alias).map(|contact| contact.key.fingerprint())
}

/// `3 notes`, `1 note`, `no notes`.
fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}s"),
        1 => format!("1 {what}"),
        many => format!("{many} {what}s"),
    }
}

fn summary(policy: &Policy, verb: &policy::VerbName) -> String {
    let verb = policy.catalog().verb(verb);
    verb.map(|verb| format!("{} ({})", verb.summary, verb.effect)).unwrap_or_default()
}

/// A path of a file that lies beside another one.
fn beside(file: &Path, relative: &str) -> PathBuf {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    directory.unwrap_or(Path::new(".")).join(relative)
}
