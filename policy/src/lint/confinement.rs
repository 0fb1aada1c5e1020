//! Programs that are contained less than their verbs would let them be.

use super::Finding;
use crate::confinement::SystemCalls;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::verb::{Effect, Run, Verb};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    let verbs = policy.catalog().verbs();
    let sited = verbs.filter_map(|verb| Some((verb, policy.site_of(&verb.name)?)));
    sited.filter_map(|(verb, site)| of_verb(verb, site)).collect()
}

fn of_verb(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let Run::Exec(exec) = &verb.run;
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
