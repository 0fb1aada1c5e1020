//! Verbs that may ask more of the kernel, or tell more, than they need.

use super::{Finding, verbs};
use crate::confinement::SystemCalls;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::verb::{Effect, Run, Verb};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    verbs(policy)
        .flat_map(|(verb, site)| [unfiltered(verb, site), unmasked(verb, site)])
        .flatten()
        .collect()
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
