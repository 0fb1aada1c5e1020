//! P4: who may share what, with whom, how long, how deep, how much, with whose consent.

use std::time::Duration;

use policy::{
    Budget, Decision, Delegation, Live, Proposal, Reason, Recipient, Scope, Timestamp, Used,
};

use crate::world::{NOW, Shared, call, load, proposal, scope, subject, vendor, with};

const MINUTE: Duration = Duration::from_mins(1);
const KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const HOLDS: &str =
    "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[allow]]\nagent = \"you\"\nverbs = [\"*\"]\n";

fn rules(delegates: &[&str]) -> String {
    let each = delegates
        .iter()
        .map(|keys| format!("[[delegate]]\nagent = \"you\"\nverbs = [\"web.status\"]\n{keys}\n"));
    format!("{HOLDS}{}", each.collect::<String>())
}

fn ask(rules: &str, change: impl Fn(&mut Proposal<'_>)) -> Result<Delegation, String> {
    let (scope, to) = (scope(&["web.status"]), vendor("vendor-b"));
    let mut asked = proposal(&scope, &to, MINUTE);
    change(&mut asked);
    with(rules).may_delegate(&subject(), asked).map_err(|fault| fault.to_string())
}

fn keyed(alias: &str, fingerprint: &str) -> Recipient {
    let fingerprint = fingerprint.to_owned();
    Recipient::Contact { alias: alias.parse().unwrap(), fingerprint }
}

#[test]
fn p04_a_recipient_is_known_by_alias_by_key_or_by_both() {
    let to = |keys: &str, recipient: &Recipient| {
        let scope = scope(&["web.status"]);
        let asked = proposal(&scope, recipient, MINUTE);
        with(&rules(&[keys])).may_delegate(&subject(), asked).is_ok()
    };
    let by_key = format!("keys = [\"{KEY}\"]");
    let by_both = format!("to = [\"vendor-*\"]\n{by_key}");
    let by_alias = "to = [\"vendor-*\"]\nkeys = []";
    for (alias, key, named, fits_key, both) in [
        ("vendor-b", KEY, true, true, true),
        ("vendor-b", "SHA256:other", true, false, false),
        ("friend", KEY, false, true, false),
        ("own/vendor-b", KEY, false, true, false),
    ] {
        let recipient = keyed(alias, key);
        assert_eq!(to(by_alias, &recipient), named, "{alias} {key}");
        assert_eq!(to(&by_key, &recipient), fits_key, "{alias} {key}");
        assert_eq!(to(&by_both, &recipient), both, "{alias} {key}");
    }
    assert!(!to(&by_both, &Recipient::Bearer));
    assert!(to("bearer = true", &Recipient::Bearer));
    assert!(!to("bearer = true", &keyed("vendor-b", KEY)), "a bearer rule names no contact");
}

#[test]
fn p04_the_depth_of_handing_on_is_the_rules() {
    let asked = |depth| {
        ask(&rules(&["to = [\"*\"]", "to = [\"*\"]\nredelegate = 2\nmax_ttl = \"5m\""]), |one| {
            one.redelegate = depth;
        })
    };
    assert!(asked(0).is_ok());
    assert!(asked(2).is_ok());
    assert_eq!(
        asked(3).unwrap_err(),
        "policy.d/team.toml:11 lets `web.status` be handed on at most 2 deep, not 3"
    );
}

#[test]
fn p04_so_many_shares_of_a_rule_may_be_live() {
    let (one, other) = (scope(&["web.status"]), scope(&["file.read"]));
    let (vendor, friend) = (vendor("vendor-b"), vendor("friend"));
    let asked = |live: &[(&Scope, &Recipient)]| {
        let recipients: Vec<[&Recipient; 1]> = live.iter().map(|(_, to)| [*to]).collect();
        let live = live.iter().zip(&recipients);
        let live: Vec<_> =
            live.map(|((scope, _), recipients)| Live { scope, recipients }).collect();
        let asked = Proposal { live: &live, ..proposal(&one, &vendor, MINUTE) };
        let rules = rules(&["to = [\"vendor-*\"]\nmax_shares = 2"]);
        with(&rules).may_delegate(&subject(), asked).map_err(|fault| fault.to_string())
    };
    assert!(asked(&[(&one, &vendor)]).is_ok());
    assert!(asked(&[(&one, &vendor), (&one, &friend), (&other, &vendor)]).is_ok());
    assert_eq!(
        asked(&[(&one, &vendor), (&one, &vendor)]).unwrap_err(),
        "policy.d/team.toml:7 lets `web.status` be in 2 live shares, and 2 are: revoke one, or wait"
    );
}

#[test]
fn p04_what_a_rule_demands_comes_with_its_yes_and_the_rule_that_asks_least_counts() {
    let strict = "to = [\"*\"]\nmax_calls = 3\nmax_bytes = \"1MiB\"\napprove_open = true\napprovers = [\"bob\"]";
    let delegation = ask(&rules(&[strict]), |_| {}).unwrap();
    assert_eq!(delegation.budget, Budget { calls: Some(3), bytes: Some(1 << 20) });
    let (rule, approvers) = &delegation.consent[0];
    assert_eq!((rule.line, approvers.to_string().as_str()), (7, "bob"));
    let delegation =
        ask(&rules(&[strict, "to = [\"vendor-*\"]\nmax_ttl = \"1m\""]), |_| {}).unwrap();
    assert_eq!((delegation.consent.len(), delegation.budget), (0, Budget::default()));
    let longer = |one: &mut Proposal<'_>| one.ttl = MINUTE * 2;
    let delegation = ask(&rules(&[strict, "to = [\"vendor-*\"]\nmax_ttl = \"1m\""]), longer);
    assert_eq!(delegation.unwrap().consent.len(), 1, "the other rule is over by then");
}

#[test]
fn p04_a_share_that_has_lived_or_used_more_than_its_rule_grants_is_refused() {
    let shared = |used: Used, age: Duration| {
        let limited = "to = [\"*\"]\nmax_ttl = \"5m\"\nmax_calls = 3\nmax_bytes = \"1KiB\"";
        let mut shared = Shared::of(&rules(&[limited]), &["web.status"]);
        shared.standing.used = used;
        match shared.decide_at(call("web.status", []), NOW.plus(age)) {
            Decision::Permit(_) => None,
            Decision::Refuse(refusal) => Some(refusal.reason),
            Decision::Ask(_) => panic!("asked"),
        }
    };
    let used = |calls, bytes| Used { calls, bytes };
    let last = (MINUTE * 5).saturating_sub(Duration::from_millis(1));
    assert_eq!(shared(used(2, 1023), last), None);
    assert_eq!(shared(used(3, 0), MINUTE), Some(Reason::Spent));
    assert_eq!(shared(used(0, 1024), MINUTE), Some(Reason::Spent));
    assert_eq!(shared(used(0, 0), MINUTE * 5), Some(Reason::NotDelegated));
}

#[test]
fn a_shares_own_budget_is_told_when_it_is_used_up() {
    let mut shared = Shared::of(&rules(&["to = [\"*\"]"]), &["web.status"]);
    shared.standing.budget = Budget { calls: Some(2), bytes: Some(10) };
    for (calls, bytes, admits) in [(1, 9, true), (2, 9, false), (1, 10, false)] {
        shared.standing.used = Used { calls, bytes };
        assert_eq!(shared.admits("web.status", []), admits, "{calls} {bytes}");
    }
    let refusal = shared.refusal("web.status", []);
    assert_eq!(refusal.reason, Reason::Spent);
    let hidden = shared.refusal("file.read", []).public;
    assert_eq!(hidden.to_string(), "not permitted", "a budget says nothing of other verbs");
}

#[test]
fn a_running_call_is_not_ended_because_a_budget_is_used_up() {
    let mut shared = Shared::of(&rules(&["to = [\"*\"]\nmax_calls = 1"]), &["web.status"]);
    shared.standing.used = Used { calls: 1, bytes: 0 };
    let still = policy::still_permitted(
        &shared.policy,
        &shared.standing,
        &shared.passport,
        &call("web.status", []),
        NOW,
    );
    assert_eq!(still, Ok(()));
    let late = Timestamp(NOW.0 + 30 * 60 * 1000);
    let over = policy::still_permitted(
        &shared.policy,
        &shared.standing,
        &shared.passport,
        &call("web.status", []),
        late,
    );
    assert_eq!(over.unwrap_err().reason, Reason::ShareOver);
}

#[test]
fn lo7_what_a_delegate_rule_cannot_mean_is_located() {
    let fault = |keys: &str| load(&rules(&[keys])).unwrap_err()[0].to_string();
    for (keys, said) in [
        ("to = [\"*\"]\nredelegate = 8", "11:14: `redelegate` is from 0 to 7"),
        ("to = [\"*\"]\nredelegate = -1", "11:14: `redelegate` is from 0 to 7"),
        ("to = [\"*\"]\nmax_calls = 0", "11:13: `max_calls` is at least 1"),
        ("to = [\"*\"]\nmax_shares = 0", "11:14: `max_shares` is at least 1"),
        (
            "to = [\"*\"]\nmax_bytes = \"0B\"",
            "11:13: `0B` is not a size: write 512B, 64KiB, 8MiB or 1GiB",
        ),
        (
            "to = []",
            "7:1: the rule reaches nobody\n   = name recipients in `to` or `keys`, or say `bearer = true`",
        ),
        (
            "keys = [\"SHA256:short\"]",
            "10:9: `SHA256:short` is not a key's fingerprint\n   = write it as `openscope contact list` does: SHA256:…",
        ),
        (
            "to = [\"*\"]\napprove = \"eech\"",
            "11:11: `eech` is no approval: known here: never, once, each\n   = did you mean `each`?",
        ),
        (
            "to = [\"*\"]\napprove = { \"ssh.tail_logs\" = \"each\" }",
            "11:13: `ssh.tail_logs` is not among the verbs of this rule",
        ),
        (
            "to = [\"*\"]\napprove_open = true",
            "11:16: nobody approves a share of their own\n   = name others in `approvers`",
        ),
        (
            "to = [\"*\"]\napprovers = [\"bob\"]",
            "11:13: nothing is approved under this rule\n   = say `approve = \"each\"`, or `approve_open = true`",
        ),
        (
            "to = [\"*\"]\napprove = \"each\"\nneeds = 2",
            "12:9: more than one yes takes `approvers` who can say it",
        ),
        (
            "to = [\"*\"]\napprove = \"each\"\nneeds = 2\napprovers = [\"bob\", \"bob\"]",
            "13:13: 2 people cannot say yes: 1 are named",
        ),
        (
            "to = [\"*\"]\napprove = \"each\"\napprovers = [\"@sre\"]",
            "12:14: `sre` is not a role\n   = declare it: [[role]] with `name` and `groups`",
        ),
        (
            "to = [\"*\"]\napprove = \"each\"\nneeds = 9\napprovers = [\"bob\"]",
            "12:9: `needs` is from 1 to 8",
        ),
    ] {
        assert_eq!(fault(keys), format!("policy.d/team.toml:{said}"));
    }
}
