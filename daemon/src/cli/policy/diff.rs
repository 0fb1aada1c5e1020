//! `openscope policy diff`.

use std::path::PathBuf;

use ::policy::Change;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::output::{Format, Output};
use super::super::shown;
use super::{count, read, site_json};
use crate::config::Draft;
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope policy diff /etc/openscope ./openscope
  git worktree add /tmp/before HEAD~1 && openscope policy diff /tmp/before/openscope ./openscope

Exit status, as diff's: 0 nothing changes · 1 something does · 2 one of them cannot be read
";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Diff {
    /// An `openscoped.toml`, or a directory with `verbs.d` and `policy.d`
    old: PathBuf,
    /// Another
    new: PathBuf,
}

impl Diff {
    pub(super) fn run(&self, out: &mut Output) -> Result<Exit, Fault> {
        let (old, new) = (read(&Draft::beside(&self.old))?, read(&Draft::beside(&self.new))?);
        let changes = policy::diff(&old.policy, &new.policy);
        match out.format() {
            Format::Json => out.json(&document(&changes))?,
            Format::Text if changes.is_empty() => out.aside("nothing changes"),
            Format::Text => out.data(&text(&changes))?,
        }
        Ok(if changes.is_empty() { Exit::Done } else { Exit::Failed })
    }
}

/// What changes, under whom it is about.
fn text(changes: &[Change]) -> String {
    let mut lines = Vec::new();
    let mut about = None;
    for change in changes {
        if about != Some(&change.about) {
            lines.push(shown::line(&change.about));
            about = Some(&change.about);
        }
        lines.push(told(change));
    }
    lines.push(count(changes.len(), "change"));
    lines.join("\n")
}

fn told(change: &Change) -> String {
    let Change { sort, what, direction, terms, site, .. } = change;
    let site = site.as_ref().map(|site| format!("  ({site})")).unwrap_or_default();
    let line = format!("  {} {sort} {}{site}", direction.sign(), shown::lines(what));
    if terms.is_empty() { line } else { format!("{line}\n      {}", shown::lines(terms)) }
}

fn document(changes: &[Change]) -> Value {
    let changes = changes.iter().map(|change| {
        json!({
            "about": change.about,
            "change": change.direction.sign().to_string(),
            "sort": change.sort,
            "what": change.what,
            "terms": change.terms,
            "site": change.site.as_ref().map(site_json),
        })
    });
    json!({ "schema": "openscope.policy.diff/1", "changes": changes.collect::<Vec<_>>() })
}
