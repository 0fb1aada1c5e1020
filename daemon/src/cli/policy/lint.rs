//! `openscope policy lint`.

use ::policy::{Finding, Level};
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::output::{Format, Output};
use super::super::shown;
use super::super::socket::Chosen;
use super::{Meant, count, read, site_json};
use crate::exit::Exit;

pub(super) const EXAMPLES: &str = "\
Examples:
  openscope policy lint
  openscope policy lint --strict --config ./openscope
";

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Lint {
    #[command(flatten)]
    meant: Meant,
    /// End with 1 when there is a warning
    #[arg(long)]
    strict: bool,
}

impl Lint {
    pub(super) fn run(&self, chosen: &Chosen, out: &mut Output) -> Result<Exit, Fault> {
        let findings = policy::lint(&read(&self.meant.draft(chosen))?.policy);
        match out.format() {
            Format::Json => out.json(&document(&findings))?,
            Format::Text => out.data(&text(&findings))?,
        }
        let failed = self.strict && warnings(&findings) > 0;
        Ok(if failed { Exit::Failed } else { Exit::Done })
    }
}

fn warnings(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.level == Level::Warning).count()
}

fn text(findings: &[Finding]) -> String {
    let warnings = warnings(findings);
    let notes = findings.len() - warnings;
    let mut lines: Vec<String> = findings.iter().map(told).collect();
    lines.push(format!("{}, {}", count(warnings, "warning"), count(notes, "note")));
    lines.join("\n")
}

fn told(finding: &Finding) -> String {
    let Finding { site, level, code, sentence, advice } = finding;
    let (sentence, advice) = (shown::lines(sentence), shown::lines(advice));
    format!("{site}: {level}: {sentence} [{code}]\n   = {advice}")
}

fn document(findings: &[Finding]) -> Value {
    let findings = findings.iter().map(|finding| {
        json!({
            "site": site_json(&finding.site),
            "level": finding.level.to_string(),
            "code": finding.code,
            "sentence": finding.sentence,
            "advice": finding.advice,
        })
    });
    json!({ "schema": "openscope.policy.lint/1", "findings": findings.collect::<Vec<_>>() })
}
