//! Verbs whose program runs on another host, where less can be seen to.

use super::{Finding, verbs};
use crate::constraint::Constraint;
use crate::input::Input;
use crate::policy::Policy;
use crate::rule::RuleSite;
use crate::ssh::{RemoteEnd, Ssh};
use crate::verb::{Run, Verb};

pub(super) fn findings(policy: &Policy) -> Vec<Finding> {
    verbs(policy).flat_map(|(verb, site)| of_verb(verb, site)).collect()
}

fn of_verb(verb: &Verb, site: &RuleSite) -> Vec<Finding> {
    let Run::Ssh(ssh) = &verb.run else { return Vec::new() };
    [goes_on(verb, ssh, site), by_name(verb, site)].into_iter().flatten().collect()
}

fn goes_on(verb: &Verb, ssh: &Ssh, site: &RuleSite) -> Option<Finding> {
    let (goes_on, advice) = match ssh.input {
        Input::Terminal => (
            "goes on when the call ends, unless it heeds that its terminal is gone",
            "say `remote_end = \"hangup\"`",
        ),
        Input::Nothing | Input::Stdin(_) => (
            "goes on when the call ends",
            "say `remote_end = \"hangup\"`, or `\"timeout\"` where the target has no `sh`",
        ),
    };
    let sentence = format!("what `{}` starts on its target {goes_on}", verb.name);
    let none = ssh.remote_end == RemoteEnd::None;
    none.then(|| Finding::warning("goes-on", site, sentence, advice))
}

fn by_name(verb: &Verb, site: &RuleSite) -> Option<Finding> {
    let beneath = |part: &&Constraint| matches!(part, Constraint::Subtree(_));
    let (name, _) = verb
        .parameters
        .iter()
        .find(|(_, parameter)| parameter.constraint.item_parts().iter().any(beneath))?;
    let sentence = format!(
        "`{}` hands the path `{name}` to its target, where a link may lead out of its `subtree`",
        verb.name
    );
    let advice =
        "name a directory in which only root of the target writes, or list the paths in `one_of`";
    Some(Finding::note("by-name", site, sentence, advice))
}
