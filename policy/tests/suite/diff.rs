//! What becomes possible between two policies, and what stops.

use policy::{Answer, Change, Direction, Policy, diff};
use proptest::prelude::*;

use crate::random::{Situation, books, near_books, situations};
use crate::world::{VERBS, source, with};

const BASE: &str = r#"
[[agent]]
name = "you"
user = "alice"
[[allow]]
agent = "you"
verbs = { "ssh.tail_logs" = { service = ["web"] } }
[[deny]]
user = "*"
verbs = { "ssh.tail_logs" = { service = ["vault"] } }
[[delegate]]
agent = "you"
verbs = ["ssh.tail_logs"]
to = ["vendor-a"]
max_ttl = "5m"
approve = "each"
approvers = ["bob", "carol"]
"#;

fn line(change: &Change) -> String {
    let Change { direction, about, sort, what, terms, .. } = change;
    let terms = if terms.is_empty() { String::new() } else { format!(": {terms}") };
    format!("{} {about} {sort} {what}{terms}", direction.sign())
}

fn changes(from: &str, to: &str) -> Vec<String> {
    diff(&with(from), &with(to)).iter().map(line).collect()
}

#[test]
fn a_policy_does_not_differ_from_itself_nor_from_its_rules_in_other_words() {
    assert_eq!(changes(BASE, BASE), Vec::<String>::new());
    let reworded =
        BASE.replace("agent = \"you\"\nverbs", "agent = [\"you\"]\nuser = \"alice\"\nverbs");
    assert_ne!(BASE, reworded);
    assert_eq!(changes(BASE, &reworded), Vec::<String>::new());
}

#[test]
fn what_is_allowed_and_no_longer_denied_becomes_possible_and_back() {
    let more = BASE.replace("service = [\"web\"]", "service = [\"web\", \"vault\"]");
    let plus = "+ alice/you may do ssh.tail_logs:host=web-1|web-2,service=vault|web";
    assert!(
        changes(BASE, &more)
            .iter()
            .any(|line| line.starts_with("+ alice/you may do") && line.contains("vault")),
        "{plus} {:?}",
        changes(BASE, &more)
    );
    assert!(changes(&more, BASE).iter().any(|line| line.starts_with("- alice/you may do")));
    let undenied = BASE.replace("[\"vault\"]", "[\"other\"]");
    let lines = changes(BASE, &undenied);
    assert!(
        lines.iter().any(
            |line| line.starts_with("+ everyone is no longer denied") && line.contains("vault")
        ),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("- everyone is denied now") && line.contains("other")),
        "{lines:?}"
    );
}

#[test]
fn looser_terms_of_sharing_are_told_from_what_to_what() {
    for (from, to) in [
        ("max_ttl = \"5m\"", "max_ttl = \"30m\""),
        ("to = [\"vendor-a\"]", "to = [\"vendor-*\"]"),
        ("to = [\"vendor-a\"]", "to = [\"vendor-a\"]\nbearer = true"),
        ("approve = \"each\"", "approve = \"once\""),
        ("approve = \"each\"\napprovers = [\"bob\", \"carol\"]", ""),
        ("[\"bob\", \"carol\"]", "[\"bob\", \"carol\", \"mallory\"]"),
        ("max_ttl = \"5m\"", "max_ttl = \"5m\"\nredelegate = 1"),
    ] {
        let wider = BASE.replace(from, to);
        assert_ne!(wider, BASE, "{from}");
        for lines in [changes(BASE, &wider), changes(&wider, BASE)] {
            let [line] = lines.as_slice() else { panic!("{to}: {lines:?}") };
            let one_way = line.starts_with("+ ") || line.starts_with("- ");
            assert!(line.contains("alice/you may share ssh.tail_logs"), "{line}");
            assert!(line.starts_with("~ ") || one_way, "{line}");
        }
    }
}

#[test]
fn a_verb_that_runs_something_else_is_told_and_so_is_an_agent_of_another_user() {
    let other = VERBS.replace("/usr/bin/true", "/usr/bin/false");
    let load =
        |verbs: &str| policy::load(&[source("v.toml", verbs)], &[source("p.toml", BASE)]).unwrap();
    let lines: Vec<String> = diff(&load(VERBS), &load(&other)).iter().map(line).collect();
    assert_eq!(lines, ["~ the catalog verb web.status: runs another command"]);
    let bobs = BASE.replace("user = \"alice\"", "user = \"bob\"");
    let lines = changes(BASE, &bobs);
    assert!(lines.contains(&"~ agents agent you: alice → bob".to_owned()), "{lines:?}");
}

fn done(policy: &Policy, situation: &Situation) -> bool {
    let answer = situation.under(policy).map(|rehearsal| rehearsal.call(&situation.call).answer);
    answer.is_some_and(|answer| answer != Answer::Refused)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn a_widening_is_never_hidden(old in books(), new in books(), situations in proptest::collection::vec(situations(), 12)) {
        let (before, after) = (with(&old), with(&new));
        let changes = diff(&before, &after);
        let told = |sign| changes.iter().any(|one| one.direction == sign || one.direction == Direction::Differs);
        for situation in &situations {
            let (was, is) = (done(&before, situation), done(&after, situation));
            prop_assert!(was || !is || told(Direction::Opens), "{old}\n---\n{new}\n{situation:?}\n{changes:#?}");
            prop_assert!(is || !was || told(Direction::Closes), "{old}\n---\n{new}\n{situation:?}\n{changes:#?}");
        }
        prop_assert!(diff(&after, &after).is_empty());
    }
}

/// How far a situation gets.
fn far(policy: &Policy, situation: &Situation) -> u8 {
    match situation.under(policy).map(|rehearsal| rehearsal.call(&situation.call).answer) {
        Some(Answer::Permitted | Answer::Held) => 2,
        Some(Answer::Asks) => 1,
        Some(Answer::Refused) | None => 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    /// Here nothing else could tell it by accident, and a yes that is asked for no more counts too.
    #[test]
    fn one_part_of_a_rule_that_gives_more_is_told((old, new) in near_books(), situations in proptest::collection::vec(situations(), 12)) {
        let (before, after) = (with(&old), with(&new));
        let changes = diff(&before, &after);
        let told = changes.iter().any(|one| one.direction != Direction::Closes);
        for situation in &situations {
            let widened = far(&after, situation) > far(&before, situation);
            prop_assert!(!widened || told, "{old}\n---\n{new}\n{situation:?}\n{changes:#?}");
        }
    }
}
