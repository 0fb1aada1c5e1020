//! Explanations and verdicts, as people and programs read them.

use ::policy::{Explanation, Step, StepKind, Verdict};
use serde_json::{Value, json};

use super::super::shown;
use super::site_json;

/// The steps, a rule at a time, each with what it depends on.
pub(super) fn steps(explained: &Explanation, indent: &str) -> String {
    let width = explained.steps.iter().map(|step| step.site.to_string().chars().count()).max();
    let width = width.unwrap_or_default();
    let lines = explained.steps.iter().flat_map(|step| {
        let checks = step.checks.iter().map(|check| {
            let sign = if check.holds { "yes" } else { "no" };
            format!("{indent}  {sign:<3}  {}", shown::line(&check.sentence))
        });
        std::iter::once(format!("{indent}{}", head(step, width))).chain(checks).collect::<Vec<_>>()
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn head(step: &Step, width: usize) -> String {
    let (kind, site) = (step.kind.word(), step.site.to_string());
    let applies = match (step.kind, step.applies()) {
        (StepKind::Verb, true) => "takes it",
        (StepKind::Verb, false) => "does not take it",
        (_, true) => "applies",
        (_, false) => "does not apply",
    };
    format!("{kind:<8}  {site:<width$}  {}: {applies}", shown::line(&step.about))
}

/// `refused: denied by policy.d/team.toml:4`.
pub(super) fn verdict(verdict: &Verdict) -> String {
    format!("{}: {}", verdict.answer, shown::lines(&verdict.why))
}

pub(super) fn verdict_json(verdict: &Verdict) -> Value {
    let approvers =
        verdict.approvers.iter().map(|who| json!({ "approvers": who.named, "needs": who.needs }));
    json!({
        "result": verdict.answer.word(),
        "why": verdict.why,
        "by": verdict.by.iter().map(site_json).collect::<Vec<_>>(),
        "asks": approvers.collect::<Vec<_>>(),
    })
}

pub(super) fn steps_json(explained: &Explanation) -> Value {
    explained.steps.iter().map(step_json).collect()
}

fn step_json(step: &Step) -> Value {
    let checks =
        step.checks.iter().map(|check| json!({ "holds": check.holds, "sentence": check.sentence }));
    json!({
        "kind": step.kind.word(),
        "site": site_json(&step.site),
        "about": step.about,
        "applies": step.applies(),
        "checks": checks.collect::<Vec<_>>(),
    })
}
