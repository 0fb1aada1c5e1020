//! Whom rules are about: users, groups, roles, times of the week.

use policy::{Decision, Groups, Timestamp};

use crate::world::{NOW, Shared, call, load};

/// 2026-09-21 14:13:20 UTC, a Monday.
const MONDAY: Timestamp = NOW;
const SHARED: &str = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[delegate]]\nuser = \"*\"\nverbs = [\"*\"]\nto = [\"*\"]\n";

fn in_groups(groups: &[&str]) -> Groups {
    Groups::Known(groups.iter().map(|group| (*group).to_owned()).collect())
}

/// Whether alice, as `you` and in these groups, may have `web.status` called at this time.
fn allowed(rules: &str, groups: Groups, now: Timestamp) -> bool {
    let mut shared = Shared::of(&format!("{SHARED}{rules}"), &["web.status"]);
    shared.standing.groups = groups;
    matches!(shared.decide_at(call("web.status", []), now), Decision::Permit(_))
}

fn allow(whom: &str) -> String {
    format!("[[allow]]\n{whom}\nverbs = [\"web.status\"]\n")
}

fn deny(whom: &str) -> String {
    format!("[[deny]]\n{whom}\nverbs = [\"web.status\"]\n")
}

fn first_fault(rules: &str) -> String {
    load(rules).unwrap_err()[0].to_string()
}

#[test]
fn a_rule_selects_by_each_of_its_names_and_by_all_of_its_keys() {
    for (whom, yes) in [
        ("user = \"alice\"", true),
        ("user = [\"bob\", \"alice\"]", true),
        ("user = \"bob\"", false),
        ("agent = [\"you\", \"other\"]", true),
        ("agent = \"other\"", false),
        ("agent = \"you\"\nuser = \"bob\"", false),
        ("group = \"sre\"", true),
        ("group = [\"ops\", \"sre\"]", true),
        ("group = \"ops\"", false),
        ("group = \"sre\"\nuser = \"bob\"", false),
        ("user = \"*\"", true),
    ] {
        assert_eq!(allowed(&allow(whom), in_groups(&["sre", "staff"]), NOW), yes, "{whom}");
    }
}

#[test]
fn a_role_is_a_name_for_groups_and_may_hold_verbs_itself() {
    let role = "[[role]]\nname = \"on-call\"\ngroups = [\"sre\", \"ops\"]\n";
    let by_role = format!("{role}{}", allow("role = \"on-call\""));
    assert!(allowed(&by_role, in_groups(&["ops"]), NOW));
    assert!(!allowed(&by_role, in_groups(&["staff"]), NOW));
    let both = format!("{role}{}", allow("role = \"on-call\"\ngroup = \"staff\""));
    assert!(allowed(&both, in_groups(&["ops", "staff"]), NOW));
    assert!(!allowed(&both, in_groups(&["ops"]), NOW));
    let holding = format!("{role}verbs = [\"web.*\"]\n");
    assert!(allowed(&holding, in_groups(&["sre"]), NOW));
    assert!(!allowed(&holding, in_groups(&[]), NOW));
    let denied = format!("{holding}{}", deny("role = [\"on-call\"]"));
    assert!(!allowed(&denied, in_groups(&["sre"]), NOW));
}

#[test]
fn p02_groups_that_are_not_known_give_nothing_and_deny_everything() {
    assert!(!allowed(&allow("group = \"sre\""), Groups::Unknown, NOW));
    let denied = format!("{}{}", allow("user = \"alice\""), deny("group = \"contractors\""));
    assert!(allowed(&denied, in_groups(&["staff"]), NOW));
    assert!(!allowed(&denied, in_groups(&["contractors"]), NOW));
    assert!(!allowed(&denied, Groups::Unknown, NOW));
    assert!(allowed(&allow("user = \"alice\""), Groups::Unknown, NOW), "no group is asked for");
}

#[test]
fn a_rule_is_there_in_its_windows_only() {
    let hour = 60 * 60 * 1000;
    let office = "user = \"alice\"\nwhen = { days = [\"mon-fri\"], from = \"14:00\", to = \"15:00\", timezone = \"UTC\" }";
    for (now, within) in [
        (MONDAY, true),
        (Timestamp(MONDAY.0 - hour), false),
        (Timestamp(MONDAY.0 + hour), false),
        (Timestamp(u64::MAX), false),
    ] {
        let rules = format!("{SHARED}{}", allow(office));
        let mut shared = Shared::of(&rules, &["web.status"]);
        shared.standing.opened = Timestamp(now.0.saturating_sub(1000));
        shared.standing.deadline = Timestamp(u64::MAX);
        let decision = shared.decide_at(call("web.status", []), now.min(crate::world::END));
        assert_eq!(matches!(decision, Decision::Permit(_)), within, "{now:?}");
    }
    let berlin = office.replace("UTC", "Europe/Berlin");
    assert!(!allowed(&allow(&berlin), in_groups(&[]), MONDAY), "it is past four there");
    let two = "user = \"alice\"\nwhen = [{ days = \"sun\", timezone = \"UTC\" }, { days = \"mon\", timezone = \"UTC\" }]";
    assert!(allowed(&allow(two), in_groups(&[]), MONDAY));
    let closed = format!("{}{}", allow("user = \"alice\""), deny(two));
    assert!(!allowed(&closed, in_groups(&[]), MONDAY));
}

#[test]
fn lo7_what_a_selector_cannot_mean_is_located() {
    for (rule, said) in [
        (
            "[[allow]]\nverbs = [\"*\"]\n",
            "policy.d/team.toml:1:1: the rule does not say whom it is about\n   = say `agent`, `user`, `group` or `role`, or `user = \"*\"` for everyone",
        ),
        (
            "[[allow]]\nuser = []\nverbs = [\"*\"]\n",
            "policy.d/team.toml:2:8: the list is empty: the rule would be about nobody",
        ),
        (
            "[[role]]\nname = \"sre\"\ngroups = \"sre\"\n[[allow]]\nrole = \"sra\"\nverbs = [\"*\"]\n",
            "policy.d/team.toml:5:8: `sra` is not a role\n   = did you mean `sre`?",
        ),
        (
            "[[role]]\nname = \"sre\"\ngroups = \"a\"\n[[role]]\nname = \"sre\"\ngroups = \"b\"\n",
            "policy.d/team.toml:5:8: role `sre` is declared twice",
        ),
        (
            "[[allow]]\ngroup = \"@sre\"\nverbs = [\"*\"]\n",
            "policy.d/team.toml:2:9: `@sre` is not a group's name",
        ),
        (
            "[[allow]]\nuser = \"a\"\nwhen = { from = \"08:00\" }\nverbs = [\"*\"]\n",
            "policy.d/team.toml:3:8: `timezone` is missing",
        ),
        (
            "[[allow]]\nuser = \"a\"\nwhen = { timezone = \"Europe/Berlim\" }\nverbs = [\"*\"]\n",
            "policy.d/team.toml:3:21: `Europe/Berlim` is not a timezone\n   = did you mean `Europe/Berlin`?",
        ),
        (
            "[[allow]]\nuser = \"a\"\nwhen = { from = \"8:00\", timezone = \"UTC\" }\nverbs = [\"*\"]\n",
            "policy.d/team.toml:3:17: `8:00` is no time of day: write 08:00, 24:00 for its end",
        ),
        (
            "[[allow]]\nuser = \"a\"\nwhen = { days = [\"friday\"], timezone = \"UTC\" }\nverbs = [\"*\"]\n",
            "policy.d/team.toml:3:18: `friday` is no day: write mon, or mon-fri",
        ),
        (
            "[[allow]]\nuser = \"a\"\nwhen = []\nverbs = [\"*\"]\n",
            "policy.d/team.toml:3:8: the list is empty: the rule would never be there",
        ),
    ] {
        assert_eq!(first_fault(rule), said);
    }
}

#[test]
fn a_list_of_names_has_at_most_256() {
    let rule = |names: usize| {
        let list: Vec<String> = (0..names).map(|n| format!("\"u{n}\"")).collect();
        format!("[[allow]]\nuser = [{}]\nverbs = [\"*\"]\n", list.join(","))
    };
    assert!(load(&rule(255)).is_ok());
    assert!(load(&rule(256)).is_ok());
    assert!(first_fault(&rule(257)).contains("at most 256 names"));
}
