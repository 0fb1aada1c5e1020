//! A hundred thousand rules: they load, and each call meets the right ones.

use std::fmt::Write as _;

use policy::{Decision, Policy, Source};

use crate::bridge::{authorized, mint, verified};
use crate::model::{Block, Call, Cap, Mode, Share, Val};

const RULES: usize = 100_000;
const NOW: u64 = 1_790_000_000_000;
const MINUTE: u64 = 60_000;

const CATALOG: &str = "[verb.\"web.get\"]
summary = \"s\"
effect = \"read\"
run = { exec = { argv = [\"/bin/true\", \"--\", \"{page}\"] } }
params = { page = { type = \"string\", required = true } }
[verb.\"web.put\"]
summary = \"s\"
effect = \"write\"
run = { exec = { argv = [\"/bin/true\", \"--\", \"{page}\"] } }
params = { page = { type = \"string\", required = true } }
";

fn loaded(rules: String) -> Policy {
    let source = |name: &str, text: String| Source { name: name.to_owned(), text };
    let (verbs, rules) =
        (source("verbs.d/a.toml", CATALOG.to_owned()), source("policy.d/a.toml", rules));
    policy::load(&[verbs], &[rules]).unwrap()
}

/// Whether a call of a verb on a page is permitted to a member of a group whose share covers both verbs.
fn permitted(
    policy: &Policy,
    (user, agent): (&str, &str),
    group: &str,
    call: (&str, &str),
) -> bool {
    let scope: Vec<Cap> =
        ["web.get", "web.put"].map(|verb| Cap { verb: verb.to_owned(), limits: vec![] }).to_vec();
    let share = Share {
        user: user.to_owned(),
        agent: agent.to_owned(),
        groups: Some(vec![group.to_owned()]),
        recipient: None,
        scope: scope.clone(),
        opened: NOW,
        deadline: NOW + MINUTE,
        approve: Mode::Never,
        max_calls: None,
        max_bytes: None,
        used_calls: 0,
        used_bytes: 0,
        consents: vec![],
    };
    let passport = verified(&mint(user, &Block { scope, not_after: NOW + MINUTE }));
    let call = Call {
        verb: call.0.to_owned(),
        args: vec![("page".to_owned(), Val::Text(call.1.to_owned()))],
    };
    matches!(authorized(policy, &share, &passport, &call, NOW), Decision::Permit(_))
}

const SHARED: &str = "[[delegate]]\nuser = \"*\"\nverbs = [\"*\"]\nbearer = true\n";

#[test]
fn a_hundred_thousand_rules_for_all_sorts_of_people_load_and_each_gives_what_it_says() {
    let mut rules = SHARED.to_owned();
    for number in 0..RULES / 4 {
        let _ = write!(
            rules,
            "[[agent]]\nname = \"agent-{number}\"\nuser = \"user-{number}\"\n\
             [[allow]]\nagent = \"agent-{number}\"\nverbs = {{ \"web.get\" = {{ page = [\"a-{number}\"] }} }}\n\
             [[allow]]\nuser = \"user-{number}\"\nverbs = {{ \"web.get\" = {{ page = {{ prefix = \"u-{number}/\" }} }} }}\n\
             [[allow]]\ngroup = \"group-{number}\"\nverbs = {{ \"web.put\" = {{ page = [\"g-{number}\", \"all\"] }} }}\n\
             [[deny]]\nuser = \"user-{number}\"\nverbs = {{ \"web.put\" = {{ page = \"g-{}\" }} }}\n",
            number + 1
        );
    }
    let policy = loaded(rules);
    let last = RULES / 4 - 1;
    for number in [0, 1, 4_711, last] {
        let (user, agent) = (format!("user-{number}"), format!("agent-{number}"));
        let group = format!("group-{number}");
        let yes =
            |verb: &str, page: String| permitted(&policy, (&user, &agent), &group, (verb, &page));
        assert!(yes("web.get", format!("a-{number}")));
        assert!(!yes("web.get", format!("a-{}", number + 1)));
        assert!(yes("web.get", format!("u-{number}/x")));
        assert!(!yes("web.get", format!("u-{}/x", number + 1)));
        assert!(yes("web.put", format!("g-{number}")));
        assert!(yes("web.put", "all".to_owned()));
        let next = format!("group-{}", number + 1);
        let as_next = |page: String| permitted(&policy, (&user, &agent), &next, ("web.put", &page));
        assert!(!as_next(format!("g-{number}")), "another group's");
        assert!(!as_next(format!("g-{}", number + 1)), "denied to this user");
    }
}

#[test]
fn a_hundred_thousand_rules_for_one_user_and_one_verb_give_what_each_says() {
    let mut rules = format!("{SHARED}[[agent]]\nname = \"you\"\nuser = \"alice\"\n");
    for number in 0..RULES {
        let kind = if number % 10 == 9 { "deny" } else { "allow" };
        let page = number - number % 10 + if kind == "deny" { 3 } else { number % 10 };
        let _ = write!(
            rules,
            "[[{kind}]]\nuser = \"alice\"\nverbs = {{ \"web.get\" = {{ page = \"page-{page}\" }} }}\n"
        );
    }
    let policy = loaded(rules);
    let yes = |page: usize| {
        permitted(&policy, ("alice", "you"), "none", ("web.get", &format!("page-{page}")))
    };
    for number in [0, 10, 50_000, RULES - 10] {
        assert!(yes(number) && yes(number + 8));
        assert!(!yes(number + 3), "denied by another rule");
        assert!(!yes(number + 9), "allowed by none");
    }
    assert!(!yes(RULES));
}
