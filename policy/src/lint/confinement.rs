//! Verbs that may ask more of the kernel, or tell more, than they need.

use super::{Finding, verbs};
use crate::confinement::SystemCalls;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::verb::{Effect, Run, Verb};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    verbs(policy)
        .flat_map(|(verb, site)| {
            [elsewhose(verb, site), unfiltered(verb, site), unmasked(verb, site)]
        })
        .flatten()
        .collect()
}

/// What its owner may is then no bound on what it does.
fn elsewhose(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let account = verb.run.run_as()?;
    let sentence = format!("`{}` may what `{account}` may, and not its owner", verb.name);
    let advice = "give that account no more than its verbs take, and let nobody else use it";
    Some(Finding::note("run-as", site, sentence, advice))
}

fn unfiltered(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let Run::Exec(exec) = &verb.run else { return None };
    if (verb.effect, exec.confinement.system_calls) != (Effect::Read, SystemCalls::All) {
        return None;
    }
    let sentence = format!(
        "`{}` only looks, and may still ask anything of the kernel: `system_calls = \"all\"`",
        verb.name
    );
    let advice = "leave `system_calls` out, unless the program needs what is kept from it then";
    Some(Finding::note("all-system-calls", site, sentence, advice))
}

fn unmasked(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let sentence = format!("secrets in what `{}` prints are not masked", verb.name);
    let advice = "leave `redact = []` to verbs whose output is not text, or is known to the byte";
    verb.redact.is_empty().then(|| Finding::note("unmasked", site, sentence, advice))
}
