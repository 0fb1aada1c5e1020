//! `openscope policy test`.

use std::path::{Path, PathBuf};

use ::policy::{Expectation, Source, TextFault, Trial};
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::output::{Format, Output};
use super::super::shown;
use super::super::socket::Chosen;
use super::{Meant, beside, count, fingerprint, read, site_json, steps, unread};
use crate::clock::Instants;
use crate::config::{ConfigFault, Draft, draft_text};
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope policy test examples/small-team/policy.test.toml
  openscope policy test --config ./openscope tests/*.test.toml

Exit status: 0 all is as expected · 1 something is not · 2 a file cannot be read
";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Test {
    #[command(flatten)]
    meant: Meant,
    /// Files of expectations
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// An expectation and what came of it.
struct Tried(Expectation, Trial);

impl Test {
    pub(super) fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        let mut tried = Vec::new();
        for file in &self.files {
            tried.extend(self.file(file, chosen)?);
        }
        if tried.is_empty() {
            return Err(Fault::failed("nothing is expected: the files have no `[[expect]]`"));
        }
        match out.format() {
            Format::Json => out.json(&document(&tried))?,
            Format::Text => out.data(&text(&tried))?,
        }
        let met = tried.iter().all(|Tried(_, trial)| trial.is_met());
        Ok(if met { Exit::Done } else { Exit::Failed })
    }

    fn file(&self, file: &Path, chosen: &Chosen) -> Result<Vec<Tried>, Fault> {
        let text = draft_text(file).map_err(|fault| unread(&[fault]))?;
        let source = Source { name: file.display().to_string(), text };
        let expected = policy::expected(&source).map_err(misread)?;
        let draft = match (&self.meant.config, &expected.policy) {
            (None, Some(rules)) => {
                let verbs = expected.verbs.as_ref().map(|verbs| beside(file, verbs));
                Draft::of(beside(file, rules), verbs)
            }
            _ => self.meant.draft(chosen),
        };
        let read = read(&draft)?;
        let all = policy::expectations(&source, &read.policy).map_err(misread)?;
        let now = Instants::now().wall;
        let hold = |one: Expectation| {
            let trial = one.hold(&read.policy, now, |alias| fingerprint(&read, alias));
            Tried(one, trial)
        };
        Ok(all.into_iter().map(hold).collect())
    }
}

fn misread(faults: Vec<TextFault>) -> Fault {
    unread(&faults.into_iter().map(ConfigFault::from).collect::<Vec<_>>())
}

fn text(tried: &[Tried]) -> String {
    let mut lines: Vec<String> = tried.iter().map(told).collect();
    let met = tried.iter().filter(|Tried(_, trial)| trial.is_met()).count();
    let all = count(tried.len(), "expectation");
    lines.push(match tried.len() - met {
        0 => format!("{all}, all met"),
        unmet => format!("{all}, {unmet} not met"),
    });
    lines.join("\n")
}

fn told(Tried(one, trial): &Tried) -> String {
    let title = format!("{} {}", one.site, shown::line(&one.name));
    if trial.is_met() {
        return format!("ok    {title}");
    }
    let mut lines = vec![format!("FAIL  {title}")];
    lines.extend(trial.failures.iter().map(|failure| format!("      {}", shown::line(failure))));
    let why = steps::verdict(&trial.verdict).replace('\n', "\n      ");
    lines.push(format!("      {why}"));
    lines.extend(trial.explanation.as_ref().map(|explained| steps::steps(explained, "        ")));
    lines.join("\n")
}

fn document(tried: &[Tried]) -> Value {
    let met = tried.iter().filter(|Tried(_, trial)| trial.is_met()).count();
    json!({
        "schema": "openscope.policy.test/1",
        "expectations": tried.iter().map(tried_json).collect::<Vec<_>>(),
        "met": met,
        "unmet": tried.len() - met,
    })
}

fn tried_json(Tried(one, trial): &Tried) -> Value {
    json!({
        "site": site_json(&one.site),
        "name": one.name,
        "met": trial.is_met(),
        "expected": trial.expected,
        "failures": trial.failures,
        "verdict": steps::verdict_json(&trial.verdict),
        "steps": trial.explanation.as_ref().map(steps::steps_json),
    })
}
