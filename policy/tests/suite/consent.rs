//! Calls that need somebody's yes.

use policy::{Approve, Consent, Decision, Groups, Question, Scope};

use crate::world::{NOW, Shared, call, scope, text};

const ROLES: &str = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[role]]\nname = \"sre\"\ngroups = [\"sre\"]\n[[allow]]\nagent = \"you\"\nverbs = [\"*\"]\n";

fn rules(keys: &str) -> String {
    format!("{ROLES}[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"*\"]\n{keys}\n")
}

fn restart(service: &str) -> policy::Call {
    call("ssh.restart_service", [("service", text(service))])
}

fn asked(shared: &Shared, service: &str) -> Option<Question> {
    match shared.decide_at(restart(service), NOW) {
        Decision::Ask(question) => Some(*question),
        Decision::Permit(_) => None,
        Decision::Refuse(refusal) => panic!("refused: {refusal:?}"),
    }
}

fn yes(user: &str, groups: &[&str], to: [u8; 32]) -> Consent {
    let groups = Groups::Known(groups.iter().map(|group| (*group).to_owned()).collect());
    Consent { user: user.to_owned(), groups, to }
}

fn shared(keys: &str, texts: &[&str]) -> Shared {
    Shared::of(&rules(keys), texts)
}

const EACH: &str = "approve = { \"ssh.*\" = \"once\", \"ssh.restart_service\" = \"each\" }\napprovers = [\"bob\", \"@sre\"]";

#[test]
fn a_call_that_needs_a_yes_is_asked_with_all_that_is_to_be_known() {
    let shared = shared(EACH, &["ssh.restart_service", "web.status"]);
    let question = asked(&shared, "web").unwrap();
    assert_eq!(question.approve, Approve::Each, "the stricter of two words");
    assert_eq!(question.approvers.to_string(), "bob or @sre");
    assert_eq!((question.rule.line, question.summary.as_str()), (10, "Restart a service"));
    assert_eq!(question.call, restart("web"));
    assert!(shared.admits("web.status", []), "no word speaks of it");
}

#[test]
fn a_yes_is_for_exactly_what_will_run() {
    let mut shared = shared(EACH, &["ssh.restart_service"]);
    let digest = asked(&shared, "web").unwrap().digest;
    shared.standing.consents = vec![yes("bob", &[], digest)];
    assert!(asked(&shared, "web").is_none());
    assert!(asked(&shared, "db").is_some(), "another value");
    let before = std::mem::replace(
        &mut shared.policy,
        policy::load(
            &[crate::world::source("v", &crate::world::VERBS.replace("systemctl", "service"))],
            &[crate::world::source("p", &rules(EACH))],
        )
        .unwrap(),
    );
    assert!(asked(&shared, "web").is_some(), "another command");
    shared.policy = before;
    assert!(asked(&shared, "web").is_none());
}

#[test]
fn whose_yes_counts_is_policys_to_say() {
    let mut shared = shared(EACH, &["ssh.restart_service"]);
    let digest = asked(&shared, "web").unwrap().digest;
    for (consent, counts) in [
        (yes("bob", &[], digest), true),
        (yes("carol", &["sre"], digest), true),
        (yes("carol", &["staff"], digest), false),
        (yes("alice", &["sre"], digest), false),
        (Consent { groups: Groups::Unknown, ..yes("carol", &[], digest) }, false),
        (yes("bob", &[], [0; 32]), false),
    ] {
        shared.standing.consents = vec![consent.clone()];
        assert_eq!(asked(&shared, "web").is_none(), counts, "{consent:?}");
    }
}

#[test]
fn four_eyes_are_those_of_two_people() {
    let mut shared = shared(&format!("{EACH}\nneeds = 2"), &["ssh.restart_service"]);
    let question = asked(&shared, "web").unwrap();
    assert_eq!(question.approvers.to_string(), "2 of bob, @sre");
    let digest = question.digest;
    let bob = || yes("bob", &["sre"], digest);
    for (consents, enough) in [
        (vec![bob()], false),
        (vec![bob(), bob()], false),
        (vec![bob(), yes("alice", &["sre"], digest)], false),
        (vec![bob(), yes("carol", &["sre"], digest)], true),
    ] {
        shared.standing.consents.clone_from(&consents);
        assert_eq!(asked(&shared, "web").is_none(), enough, "{consents:?}");
    }
}

#[test]
fn where_policy_names_nobody_the_owner_says_yes_to_the_recipient() {
    let mut shared = shared("approve = \"each\"", &["ssh.restart_service"]);
    let question = asked(&shared, "web").unwrap();
    assert_eq!(question.approvers.to_string(), "the owner");
    shared.standing.consents = vec![yes("bob", &["sre"], question.digest)];
    assert!(asked(&shared, "web").is_some());
    shared.standing.consents = vec![yes("alice", &[], question.digest)];
    assert!(asked(&shared, "web").is_none());
}

#[test]
fn an_owner_may_ask_for_more_than_policy_and_not_for_less() {
    let mut lenient = shared("", &["ssh.restart_service"]);
    assert!(asked(&lenient, "web").is_none());
    lenient.standing.approve = Approve::Each;
    assert_eq!(asked(&lenient, "web").unwrap().approve, Approve::Each);
    let mut strict = shared(EACH, &["ssh.restart_service"]);
    strict.standing.approve = Approve::Once;
    assert_eq!(asked(&strict, "web").unwrap().approve, Approve::Each);
}

#[test]
fn a_yes_once_lasts_until_the_share_covers_more_of_the_verb() {
    let mut shared = shared("approve = \"once\"", &["ssh.restart_service:service=web|db"]);
    let digest = asked(&shared, "web").unwrap().digest;
    shared.standing.consents = vec![yes("alice", &[], digest)];
    assert!(asked(&shared, "web").is_none());
    assert!(asked(&shared, "db").is_none(), "whatever the share lets the verb do");
    let wider: Scope = scope(&["ssh.restart_service:service=web|db|mail"]);
    shared.standing.scope = wider;
    assert!(asked(&shared, "web").is_some());
}

#[test]
fn a_rule_that_asks_less_spares_the_question() {
    let both = format!(
        "{}[[delegate]]\nagent = \"you\"\nverbs = {{ \"ssh.restart_service\" = {{ service = \"web\" }} }}\nto = [\"vendor-b\"]\n",
        rules(EACH)
    );
    let shared = Shared::of(&both, &["ssh.restart_service"]);
    assert!(asked(&shared, "web").is_none());
    assert!(asked(&shared, "db").is_some());
}

#[test]
fn p01_consent_gives_nothing_that_is_not_permitted_without_it() {
    let denied = format!(
        "{}[[deny]]\nuser = \"*\"\nverbs = {{ \"ssh.restart_service\" = {{ service = \"web\" }} }}\n",
        rules(EACH)
    );
    let mut shared = Shared::of(&rules(EACH), &["ssh.restart_service"]);
    let digest = asked(&shared, "web").unwrap().digest;
    shared.standing.consents = vec![yes("bob", &[], digest)];
    shared.policy = crate::world::with(&denied);
    let refusal = shared.refusal("ssh.restart_service", [("service", text("web"))]);
    assert_eq!(refusal.public.to_string(), "not permitted");
    shared.standing.deadline = NOW;
    assert!(matches!(shared.decide_at(restart("db"), NOW), Decision::Refuse(_)));
}
