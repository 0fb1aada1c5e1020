//! Redaction rules that mask less, or more, than they seem to.

use super::{Finding, verbs};
use crate::policy::Policy;
use crate::redact::{Redact, RedactSet, SecretPattern};
use crate::rule::RuleSite;

/// Below this many bytes a match is a word like any other.
const SHORT: usize = 8;

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    policy.redact_sets().flat_map(|(set, site)| of_set(policy, set, site)).collect()
}

fn of_set(policy: &Policy, set: &RedactSet, site: &RuleSite) -> Vec<Finding> {
    let of_patterns = set.patterns.iter().flat_map(|pattern| of_pattern(set, pattern, site));
    of_patterns.chain(unused(policy, set, site)).collect()
}

fn unused(policy: &Policy, set: &RedactSet, site: &RuleSite) -> Option<Finding> {
    let names = |redact: &Redact| matches!(redact, Redact::Own(own) if own.name == set.name);
    let is_used = verbs(policy).any(|(verb, _)| verb.redact.iter().any(names));
    let sentence = format!("no verb's output is looked through by the rules of `{}`", set.name);
    let advice = format!("name them: `output = {{ redact = [\"default\", \"{}\"] }}`", set.name);
    (!is_used).then(|| Finding::warning("unused-redact", site, sentence, advice))
}

fn of_pattern(set: &RedactSet, pattern: &SecretPattern, site: &RuleSite) -> Vec<Finding> {
    let named = format!("`{}` of `{}`", pattern.source(), set.name);
    let short = (pattern.least() < SHORT).then(|| {
        let sentence = format!("{named} masks texts of {} bytes, secrets or not", pattern.least());
        Finding::warning("short-secret", site, sentence, "write what stands before them as well")
    });
    let slow = (!pattern.has_beginning()).then(|| {
        let sentence = format!("{named} begins with no text of its own: it is tried at every byte");
        Finding::note("no-beginning", site, sentence, "write what it begins with, if it is known")
    });
    short.into_iter().chain(slow).collect()
}
