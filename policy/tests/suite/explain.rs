//! What explains a decision says what was decided.

use std::time::Duration;

use policy::{Answer, Check, Recipient, Rehearsal, Step, StepKind};
use proptest::prelude::*;

use crate::random::{books, situations};
use crate::world::{call, requests, subject, text, vendor, with};

const RULES: &str = r#"
[[agent]]
name = "you"
user = "alice"
[[allow]]
agent = "you"
verbs = { "ssh.restart_service" = { service = ["web", "db"] } }
[[deny]]
group = "interns"
verbs = ["ssh.*"]
[[delegate]]
agent = "you"
verbs = { "ssh.restart_service" = { service = ["web"] } }
to = ["vendor-*"]
max_ttl = "5m"
approve = "each"
approvers = ["bob", "carol"]
needs = 2
"#;

fn rehearsal(policy: &policy::Policy) -> Rehearsal<'_> {
    Rehearsal {
        policy,
        owner: subject(),
        recipient: Some(vendor("vendor-b")),
        share: vec![],
        ttl: None,
        redelegate: 0,
        after: Duration::ZERO,
        yes: vec![],
    }
}

fn failing(steps: &[Step], kind: StepKind) -> Vec<&str> {
    let checks = steps.iter().filter(|step| step.kind == kind).flat_map(|step| &step.checks);
    checks.filter(|check| !check.holds).map(|Check { sentence, .. }| sentence.as_str()).collect()
}

#[test]
fn every_rule_that_speaks_of_the_verb_says_whether_it_applies() {
    let policy = with(RULES);
    let explained =
        rehearsal(&policy).explain(&call("ssh.restart_service", [("service", text("db"))]));
    let lines: Vec<_> =
        explained.steps.iter().map(|step| (step.kind, step.site.line, step.applies())).collect();
    assert_eq!(
        lines,
        [
            (StepKind::Verb, 11, true),
            (StepKind::Deny, 8, false),
            (StepKind::Allow, 5, true),
            (StepKind::Delegate, 11, false),
        ]
    );
    assert_eq!(failing(&explained.steps, StepKind::Deny), ["not in group interns"]);
    assert_eq!(failing(&explained.steps, StepKind::Delegate), ["`service=db` is not web"]);
    assert_eq!(explained.verdict.answer, Answer::Refused);
    assert!(
        explained.verdict.why.contains("no `[[delegate]]` rule lets alice/you share"),
        "{}",
        explained.verdict.why
    );
}

#[test]
fn a_yes_that_is_missing_is_asked_for_and_one_that_is_given_counts() {
    let policy = with(RULES);
    let web = call("ssh.restart_service", [("service", text("web"))]);
    let mut rehearsal = rehearsal(&policy);
    let asked = rehearsal.call(&web);
    assert_eq!((asked.answer, asked.by[0].line), (Answer::Asks, 11));
    assert_eq!(asked.why, "each call asks 2 of bob, carol, by policy.d/team.toml:11");
    let yes = |user: &str| (user.to_owned(), policy::Groups::none());
    rehearsal.yes = vec![yes("bob"), yes("alice")];
    assert_eq!(rehearsal.call(&web).answer, Answer::Asks, "nobody approves their own");
    rehearsal.yes = vec![yes("bob"), yes("carol")];
    let given = rehearsal.call(&web);
    assert_eq!(given.answer, Answer::Permitted, "{}", given.why);
    assert_eq!(given.by.iter().map(|site| site.line).collect::<Vec<_>>(), [5, 11]);
}

#[test]
fn a_share_that_is_asked_for_must_open_and_its_calls_lie_within() {
    let policy = with(RULES);
    let web = call("ssh.restart_service", [("service", text("web"))]);
    let with = |change: &dyn Fn(&mut Rehearsal<'_>)| {
        let mut rehearsal = rehearsal(&policy);
        rehearsal.share = requests(&["ssh.restart_service:service=web"]);
        change(&mut rehearsal);
        rehearsal.call(&web)
    };
    assert_eq!(with(&|_| {}).answer, Answer::Asks);
    let wide = with(&|one| one.share = requests(&["ssh.restart_service"]));
    assert_eq!(wide.answer, Answer::Refused, "db may not be shared");
    let long = with(&|one| one.ttl = Some(Duration::from_mins(6)));
    assert!(long.why.contains("at most 5m, not 6m"), "{}", long.why);
    let late = with(&|one| one.after = Duration::from_mins(5));
    assert_eq!(late.answer, Answer::Refused, "{}", late.why);
    let bearer = with(&|one| one.recipient = Some(Recipient::Bearer));
    assert!(bearer.why.ends_with("but not with a bearer"), "{}", bearer.why);
    let nobody = with(&|one| one.recipient = None);
    assert_eq!(nobody.answer, Answer::Held);
}

#[test]
fn what_the_catalog_never_takes_is_not_held() {
    let policy = with(
        "[[allow]]\nuser = \"alice\"\nverbs = [\"*\"]\n[[agent]]\nname = \"you\"\nuser = \"alice\"\n",
    );
    let lines = |lines| {
        let mut rehearsal = rehearsal(&policy);
        rehearsal.recipient = None;
        let given = [("service", text("web")), ("lines", policy::Value::Int(lines))];
        rehearsal.call(&call("ssh.tail_logs", given)).answer
    };
    assert_eq!((lines(500), lines(501)), (Answer::Held, Answer::Refused));
}

#[test]
fn a_verb_that_does_not_exist_is_refused_without_a_step() {
    let policy = with(RULES);
    let explained = rehearsal(&policy).explain(&call("no.verb", []));
    assert!(explained.steps.is_empty());
    assert_eq!(explained.verdict.why, "the catalog has no such verb");
}

#[test]
fn a_rule_that_could_not_have_opened_the_share_may_serve_a_call_in_it() {
    let shallow = "[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"vendor-*\"]\n";
    let deep =
        "[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"vendor-*\"]\nredelegate = 1\n";
    let holds = RULES.split("[[delegate]]").next().unwrap();
    let policy = with(&format!("{holds}{shallow}{deep}"));
    let rehearsal = Rehearsal { redelegate: 1, ..rehearsal(&policy) };
    let explained = rehearsal.explain(&call("ssh.restart_service", [("service", text("web"))]));
    assert_eq!(explained.verdict.answer, Answer::Permitted, "{explained:#?}");
    let named = |step: &&policy::Step| explained.verdict.by.contains(&step.site);
    assert!(explained.steps.iter().filter(named).all(policy::Step::serves), "{explained:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_500) })]

    /// The steps are told from the rules, the verdict by `authorize`.
    #[test]
    fn the_steps_of_an_explanation_say_what_authorize_decides(book in books(), situation in situations()) {
        let policy = with(&book);
        let Some(rehearsal) = situation.under(&policy) else { return Ok(()) };
        let explained = rehearsal.explain(&situation.call);
        let done = explained.verdict.answer != Answer::Refused;
        prop_assert_eq!(done, explained.follows(), "{}\n{:#?}", book, explained);
        let serves = |site: &policy::RuleSite| explained.steps.iter().any(|step| step.site == *site && step.serves());
        let named = explained.verdict.answer != Answer::Permitted || explained.verdict.by.iter().all(serves);
        prop_assert!(named, "{}\n{:#?}", book, explained);
    }
}
