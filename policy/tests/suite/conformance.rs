//! The cases of scope, surface and local boundary that policy alone decides.

use std::time::Duration;

use policy::{
    Decision, DelegateFault, DeriveProblem, PublicRefusal, Reason, Recipient, Scope, Timestamp,
    Value,
};

use crate::world::{
    END, HOLDS_ALL, NOW, Shared, arguments, call, proposal, requests, scope, subject, text, vendor,
    with,
};

const MINUTE: Duration = Duration::from_mins(1);

fn derive(rules: &str, request: &str) -> Result<String, DeriveProblem> {
    let surface = with(rules).surface(&subject());
    surface
        .derive(&requests(&[request]))
        .map(|scope| scope.to_string())
        .map_err(|fault| *fault.problem)
}

fn rules(allow: &str) -> String {
    format!(
        "[[agent]]\nname = \"you\"\nuser = \"alice\"\n{allow}\n[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"vendor-*\"]\n"
    )
}

const PINNED: &str = r#"[[agent]]
name = "you"
user = "alice"
[[allow]]
agent = "you"
verbs = { "ssh.tail_logs" = { service = ["web", "db"], lines = { min = 1, max = 50 } } }
[[delegate]]
agent = "you"
verbs = ["ssh.*"]
to = ["vendor-*"]
max_ttl = "10m"
"#;

#[test]
fn sc1_a_verb_outside_the_scope_is_refused_and_so_is_another_of_the_same_app() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs:service=web"]);
    assert!(shared.admits("ssh.tail_logs", [("service", text("web"))]));
    assert!(!shared.admits("web.status", []));
    assert!(!shared.admits("ssh.restart_service", [("service", text("web"))]));
}

#[test]
fn sc2_an_unconstrained_parameter_takes_any_well_formed_value() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.restart_service"]);
    for value in ["web", "$(reboot)", "a;b", "a\nb", "", "--force", "é", &"x".repeat(4096)] {
        assert!(shared.admits("ssh.restart_service", [("service", text(value))]), "{value:?}");
    }
}

#[test]
fn sc3_an_exact_pin_admits_its_value() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.restart_service:service=web"]);
    assert!(shared.admits("ssh.restart_service", [("service", text("web"))]));
}

#[test]
fn sc4_an_exact_pin_refuses_every_other_value() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.restart_service:service=web"]);
    for value in ["db", "we", "webb", "Web", " web", "web\n", ""] {
        let refusal = shared.refusal("ssh.restart_service", [("service", text(value))]);
        assert_eq!(refusal.reason, Reason::OutsidePassport, "{value:?}");
        assert_eq!(refusal.public.to_string(), "`service` must be web");
    }
}

#[test]
fn sc5_sc6_a_list_admits_its_members_and_no_others() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.restart_service:service=web|db"]);
    assert!(shared.admits("ssh.restart_service", [("service", text("web"))]));
    assert!(shared.admits("ssh.restart_service", [("service", text("db"))]));
    assert!(!shared.admits("ssh.restart_service", [("service", text("web|db"))]));
    assert!(!shared.admits("ssh.restart_service", [("service", text("vault"))]));
}

#[test]
fn sc7_an_absent_parameter_takes_its_default_and_the_default_must_be_within() {
    let wide = Shared::of(HOLDS_ALL, &["ssh.tail_logs:lines<=200"]);
    let Decision::Permit(permit) =
        wide.decide_at(call("ssh.tail_logs", [("service", text("web"))]), NOW)
    else {
        panic!("refused")
    };
    let (admitted, _) = permit.spend();
    let filled =
        arguments([("service", text("web")), ("lines", Value::Int(200)), ("host", text("web-1"))]);
    assert_eq!(admitted.call.arguments, filled);

    let narrow = Shared::of(HOLDS_ALL, &["ssh.tail_logs:lines<=199"]);
    let refusal = narrow.refusal("ssh.tail_logs", [("service", text("web"))]);
    assert_eq!(refusal.reason, Reason::OutsidePassport);
    assert!(narrow.admits("ssh.tail_logs", [("service", text("web")), ("lines", Value::Int(199))]));
}

#[test]
fn sc8_sc9_rules_for_one_verb_are_a_union_and_a_value_in_none_is_refused() {
    let two = rules(
        r#"[[allow]]
agent = "you"
verbs = { "ssh.restart_service" = { service = "web" } }
[[allow]]
agent = "you"
verbs = { "ssh.restart_service" = { service = "db" } }"#,
    );
    let shared = Shared::of(&two, &["ssh.restart_service"]);
    assert!(shared.admits("ssh.restart_service", [("service", text("web"))]));
    assert!(shared.admits("ssh.restart_service", [("service", text("db"))]));
    let refusal = shared.refusal("ssh.restart_service", [("service", text("vault"))]);
    assert_eq!(refusal.reason, Reason::NotAllowed);
    assert_eq!(refusal.public, PublicRefusal::NotPermitted);
}

#[test]
fn sc10_every_refusal_carries_a_reason_for_the_audit() {
    let denied = format!(
        "{HOLDS_ALL}[[deny]]\nuser = \"*\"\nverbs = {{ \"ssh.restart_service\" = {{ service = \"vault\" }} }}\n"
    );
    let shared = Shared::of(&denied, &["ssh.restart_service", "file.read"]);
    let reason = |refusal: policy::Refusal| refusal.reason.to_string();
    assert_eq!(
        reason(shared.refusal("ssh.restart_service", [("service", text("vault"))])),
        "denied by policy.d/team.toml:12"
    );
    assert_eq!(reason(shared.refusal("no.such", [])), "the catalog has no such verb");
    assert_eq!(reason(shared.refusal("web.status", [])), "outside the passport");
    assert_eq!(
        reason(shared.refusal("file.read", [])),
        "the catalog refuses `path`: it is required"
    );
    assert_eq!(
        reason(shared.refusal("file.read", [("path", text("/etc/shadow"))])),
        "the catalog refuses `path`: it must be /var/*"
    );
}

#[test]
fn au1_what_does_not_exist_and_what_is_foreign_get_the_same_answer() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs:service=web"]);
    let answers = [
        shared.refusal("no.such", []),
        shared.refusal("ssh.nothing", [("x", Value::Int(1))]),
        shared.refusal("ssh.restart_service", [("service", text("web"))]),
        shared.refusal("file.read", [("bad", text("x"))]),
    ];
    let bytes: Vec<_> =
        answers.iter().map(|one| serde_cbor::to_vec(&one.public).unwrap()).collect();
    assert!(bytes.iter().all(|one| *one == bytes[0]), "{answers:?}");
}

#[test]
fn undeclared_missing_and_mistyped_arguments_are_refused_by_name() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs", "file.read"]);
    let public = |refusal: policy::Refusal| refusal.public.to_string();
    assert_eq!(
        public(
            shared.refusal("ssh.tail_logs", [("service", text("web")), ("colour", text("red"))])
        ),
        "`colour` is not a parameter of this verb"
    );
    assert_eq!(public(shared.refusal("ssh.tail_logs", [])), "`service` is required");
    assert_eq!(
        public(shared.refusal("ssh.tail_logs", [("service", text("web")), ("lines", text("5"))])),
        "`lines` must be of type int"
    );
    assert_eq!(
        public(
            shared.refusal("ssh.tail_logs", [("service", text("web")), ("lines", Value::Int(501))])
        ),
        "`lines` must be 1..500"
    );
    assert!(shared.admits("ssh.tail_logs", [("service", text("web")), ("lines", Value::Int(500))]));
    assert!(!shared.admits("ssh.tail_logs", [("service", text("web")), ("lines", Value::Int(0))]));
}

fn said_of_host(shared: &Shared, host: &str) -> String {
    let given = [("service", text("web")), ("host", text(host))];
    shared.refusal("ssh.tail_logs", given).public.to_string()
}

#[test]
fn a_value_outside_the_scope_is_refused_alike_whether_it_exists_or_not() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs:host=web-1"]);
    for host in ["web-2", "web-9", "-x", ""] {
        assert_eq!(said_of_host(&shared, host), "`host` must be web-1", "{host}");
    }
    let mut narrowed = Shared::of(HOLDS_ALL, &["ssh.tail_logs"]);
    narrowed.standing.scope = scope(&["ssh.tail_logs:host=web-1"]);
    for host in ["web-2", "web-9"] {
        assert_eq!(said_of_host(&narrowed, host), "`host` must be web-1", "{host}");
    }
}

#[test]
fn a_refusal_names_what_the_menu_shows_and_not_what_the_catalog_lists() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs:host=web-1*"]);
    assert_eq!(said_of_host(&shared, "web-10"), "`host` must be web-1");
    let menu = shared.policy.menu(&shared.standing, &shared.passport, NOW);
    let refusal =
        shared.refusal("ssh.tail_logs", [("service", text("web")), ("host", text("web-10"))]);
    let PublicRefusal::Parameter { parameter, problem } = refusal.public else { panic!() };
    let accepts = menu[0].parameters[&parameter].accepts.clone();
    assert_eq!(problem, policy::ParameterProblem::Value { accepts });
    assert_eq!(
        refusal.reason.to_string(),
        "the catalog refuses `host`: it must be web-1|web-2",
        "the audit is told the whole of it"
    );
}

#[test]
fn a_value_that_policy_took_back_is_refused_like_one_that_does_not_exist() {
    let pinned =
        rules("[[allow]]\nagent = \"you\"\nverbs = { \"ssh.tail_logs\" = { host = \"web-1\" } }");
    let shared = Shared::of(&pinned, &["ssh.tail_logs"]);
    for host in ["web-2", "web-9"] {
        assert_eq!(said_of_host(&shared, host), "not permitted", "{host}");
    }
    assert!(shared.admits("ssh.tail_logs", [("service", text("web")), ("host", text("web-1"))]));
}

#[test]
fn an_agent_name_that_policy_gave_to_another_ends_the_rights_of_live_shares() {
    let mut shared = Shared::of(HOLDS_ALL, &["web.status"]);
    assert!(shared.admits("web.status", []));
    shared.policy = with(&HOLDS_ALL.replace("user = \"alice\"", "user = \"bob\""));
    let refusal = shared.refusal("web.status", []);
    assert_eq!(refusal.public, PublicRefusal::NotPermitted);
    assert_eq!(refusal.reason, Reason::AgentTaken);
    assert!(shared.policy.menu(&shared.standing, &shared.passport, NOW).is_empty());
    let running = call("web.status", []);
    let Shared { policy, standing, passport } = &shared;
    assert!(policy::still_permitted(policy, standing, passport, &running, NOW).is_err());
}

#[test]
fn ru6_a_value_cannot_become_an_option() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs", "ssh.restart_service"]);
    let refusal = shared.refusal("ssh.tail_logs", [("service", text("-oproxy"))]);
    assert_eq!(refusal.public.to_string(), "`service` may not begin with `-`");
    assert!(shared.admits("ssh.restart_service", [("service", text("-o"))]), "it stands after --");
}

/// Knows the agent, and no verb.
fn without_verbs() -> policy::Policy {
    let agent = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n";
    policy::load(&[], &[crate::world::source("policy.d/team.toml", agent)]).unwrap()
}

#[test]
fn p01_the_share_as_it_stands_the_passport_and_policy_must_all_permit() {
    let call = || call("ssh.restart_service", [("service", text("web"))]);
    let whole = || Shared::of(HOLDS_ALL, &["ssh.restart_service"]);
    assert!(matches!(whole().decide_at(call(), NOW), Decision::Permit(_)));

    let mut narrowed = whole();
    narrowed.standing.scope = scope(&["ssh.restart_service:service=db"]);
    let mut over = whole();
    over.standing.deadline = NOW;
    let mut emptied = whole();
    emptied.standing.scope = Scope::default();
    let mut foreign = whole();
    foreign.standing.owner.user = "bob".to_owned();
    let mut stranger = whole();
    stranger.standing.recipient = vendor("someone");
    let mut bearer = whole();
    bearer.standing.recipient = Recipient::Bearer;
    let mut undeclared = whole();
    undeclared.policy = without_verbs();
    let mut taken = whole();
    taken.policy = policy::Policy::default();
    for (shared, reason) in [
        (narrowed, Reason::OutsideShare),
        (over, Reason::ShareOver),
        (emptied, Reason::OutsideShare),
        (foreign, Reason::OtherOwner),
        (stranger, Reason::NotDelegated),
        (bearer, Reason::NotDelegated),
        (undeclared, Reason::UnknownVerb),
        (taken, Reason::AgentTaken),
    ] {
        match shared.decide_at(call(), NOW) {
            Decision::Ask(_) => panic!("asked"),
            Decision::Refuse(refusal) => assert_eq!(refusal.reason, reason),
            Decision::Permit(_) => panic!("permitted, and not refused for {reason}"),
        }
    }
}

#[test]
fn se11_policy_narrowed_in_mid_share_refuses_the_next_call_and_ends_a_running_one() {
    let mut shared = Shared::of(HOLDS_ALL, &["ssh.restart_service"]);
    let running = call("ssh.restart_service", [("service", text("web"))]);
    let still = |shared: &Shared, now| {
        policy::still_permitted(&shared.policy, &shared.standing, &shared.passport, &running, now)
    };
    assert_eq!(still(&shared, NOW), Ok(()));
    assert!(still(&shared, END).is_err());
    shared.policy = with(&rules("[[allow]]\nagent = \"you\"\nverbs = [\"web.*\"]"));
    assert_eq!(still(&shared, NOW).unwrap_err().reason, Reason::NotAllowed);
    assert!(!shared.admits("ssh.restart_service", [("service", text("web"))]));
}

#[test]
fn p05_a_call_at_the_deadline_is_too_late_and_a_millisecond_before_is_not() {
    let shared = Shared::of(HOLDS_ALL, &["web.status"]);
    let at = |now| shared.decide_at(call("web.status", []), Timestamp(now));
    assert!(matches!(at(END.0 - 1), Decision::Permit(_)));
    assert!(matches!(at(END.0), Decision::Refuse(_)));
    assert!(matches!(at(END.0 + 1), Decision::Refuse(_)));
}

#[test]
fn su1_a_verb_outside_the_surface_cannot_be_requested() {
    assert!(matches!(derive(PINNED, "web.status"), Err(DeriveProblem::NotHeld { .. })));
    assert!(matches!(derive(PINNED, "no.such"), Err(DeriveProblem::NotHeld { .. })));
    let Err(DeriveProblem::NotHeld { nearest, .. }) = derive(PINNED, "ssh.tail_log") else {
        panic!()
    };
    assert_eq!(nearest.as_deref(), Some("ssh.tail_logs"));
}

#[test]
fn su2_any_within_any() {
    assert_eq!(derive(HOLDS_ALL, "ssh.restart_service").unwrap(), "ssh.restart_service");
    assert_eq!(derive(HOLDS_ALL, "ssh.restart_service:service=*").unwrap(), "ssh.restart_service");
}

#[test]
fn su3_su4_a_pin_must_be_inside_the_owners_set() {
    assert_eq!(
        derive(PINNED, "ssh.tail_logs:service=web").unwrap(),
        "ssh.tail_logs:lines=1..50,service=web"
    );
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:service=vault"),
        Err(DeriveProblem::Outside { .. })
    ));
}

#[test]
fn su5_su6_a_list_must_be_a_subset_of_the_owners_set() {
    assert_eq!(
        derive(PINNED, "ssh.tail_logs:service=web|db").unwrap(),
        "ssh.tail_logs:lines=1..50,service=db|web"
    );
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:service=web|vault"),
        Err(DeriveProblem::Outside { .. })
    ));
    assert_eq!(
        derive(PINNED, "ssh.tail_logs:service=web,lines<=50").unwrap(),
        "ssh.tail_logs:lines=1..50,service=web"
    );
    assert_eq!(
        derive(PINNED, "ssh.tail_logs:service=web,lines<=9").unwrap(),
        "ssh.tail_logs:lines=1..9,service=web"
    );
    assert_eq!(
        derive(PINNED, "ssh.tail_logs:service=web,lines>=9").unwrap(),
        "ssh.tail_logs:lines=9..50,service=web"
    );
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:lines<=51"),
        Err(DeriveProblem::Outside { .. })
    ));
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:lines=40..60"),
        Err(DeriveProblem::Outside { .. })
    ));
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:lines=501"),
        Err(DeriveProblem::NotAccepted { .. })
    ));
}

#[test]
fn su7_any_cannot_be_requested_where_the_owner_is_pinned() {
    assert!(matches!(
        derive(PINNED, "ssh.tail_logs:service=*"),
        Err(DeriveProblem::Outside { .. })
    ));
    assert_eq!(
        derive(PINNED, "ssh.tail_logs").unwrap(),
        "ssh.tail_logs:lines=1..50,service=db|web"
    );
}

#[test]
fn su8_an_owner_who_holds_any_covers_every_pin() {
    assert_eq!(
        derive(HOLDS_ALL, "file.read:path='/var/log/a,b'").unwrap(),
        "file.read:path='/var/log/a,b'"
    );
    assert_eq!(
        derive(HOLDS_ALL, "file.read:path=/var/log/*").unwrap(),
        "file.read:path=/var/log/*"
    );
    assert!(matches!(
        derive(HOLDS_ALL, "file.read:path=/etc/*"),
        Err(DeriveProblem::NotAccepted { .. })
    ));
}

const SPLIT: &str = r#"[[allow]]
agent = "you"
verbs = { "ssh.tail_logs" = { service = "web", host = "web-1" } }
[[allow]]
agent = "you"
verbs = { "ssh.tail_logs" = { service = "db", host = "web-2" } }"#;

#[test]
fn su9_a_request_may_be_covered_by_one_of_several_rules() {
    let split = rules(SPLIT);
    assert_eq!(
        derive(&split, "ssh.tail_logs:service=web|db").unwrap(),
        "ssh.tail_logs:host=web-1,service=web\nssh.tail_logs:host=web-2,service=db"
    );
    assert!(matches!(
        derive(&split, "ssh.tail_logs:service=web|db,host=web-1"),
        Err(DeriveProblem::Outside { .. })
    ));
}

#[test]
fn su10_a_pin_that_selects_the_second_of_two_rules_derives_correctly() {
    let split = rules(SPLIT);
    assert_eq!(
        derive(&split, "ssh.tail_logs:service=db").unwrap(),
        "ssh.tail_logs:host=web-2,service=db"
    );
    assert!(matches!(
        derive(&split, "ssh.tail_logs:service=db,host=web-1"),
        Err(DeriveProblem::Outside { .. })
    ));
}

#[test]
fn su11_a_deny_rule_subtracts_from_what_can_be_shared() {
    let denied = format!(
        "{PINNED}[[deny]]\nuser = \"*\"\nverbs = {{ \"ssh.tail_logs\" = {{ service = [\"db\", \"vault\"] }} }}\n"
    );
    assert_eq!(derive(&denied, "ssh.tail_logs").unwrap(), "ssh.tail_logs:lines=1..50,service=web");
    assert_eq!(
        derive(&denied, "ssh.tail_logs:service=web").unwrap(),
        "ssh.tail_logs:lines=1..50,service=web"
    );
    for request in ["ssh.tail_logs:service=db", "ssh.tail_logs:service=web|db"] {
        let Err(DeriveProblem::Denied { rule, .. }) = derive(&denied, request) else {
            panic!("{request}")
        };
        assert_eq!(rule.to_string(), "policy.d/team.toml:12");
    }
    let shared = Shared::of(&denied, &["ssh.tail_logs:service=web|db,lines<=10"]);
    let with = |service| {
        shared.admits("ssh.tail_logs", [("service", text(service)), ("lines", Value::Int(5))])
    };
    assert!(with("web"));
    assert!(!with("db"), "the gate refuses even what an older share still names");
}

#[test]
fn a_deny_rule_over_a_whole_app_leaves_nothing() {
    let denied = format!("{HOLDS_ALL}[[deny]]\nuser = \"alice\"\nverbs = [\"ssh.*\"]\n");
    assert!(matches!(derive(&denied, "ssh.restart_service"), Err(DeriveProblem::Denied { .. })));
    assert!(matches!(
        derive(&denied, "ssh.restart_service:service=web"),
        Err(DeriveProblem::Denied { .. })
    ));
    assert_eq!(derive(&denied, "web.status").unwrap(), "web.status");
    assert_eq!(with(&denied).surface(&subject()).scope().to_string(), "file.read\nweb.status");
}

#[test]
fn a_request_is_refused_at_the_character_that_is_wrong() {
    let surface = with(HOLDS_ALL).surface(&subject());
    for (request, at) in [
        ("ssh.tail_logs:servise=web", 14),
        ("ssh.tail_logs:service=web,lines=abc", 32),
        ("ssh.tail_logs:service=web,lines=900", 26),
        ("ssh.tail_logs:service<=5", 14),
        ("ssh.tail_logs:lines<=9,lines>=20", 23),
    ] {
        let fault = surface.derive(&requests(&[request])).unwrap_err();
        assert_eq!(fault.pointer.character(), at, "{fault}");
    }
    let fault = surface.derive(&requests(&["ssh.tail_logs:servise=web"])).unwrap_err().to_string();
    assert_eq!(
        fault,
        "`ssh.tail_logs` has no parameter `servise`: did you mean `service`?\n   ssh.tail_logs:servise=web\n                 ^"
    );
}

#[test]
fn a_request_of_too_many_combinations_is_refused() {
    let list = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join("|");
    let request = |count| format!("ssh.restart_service:service={}", list(count));
    assert!(derive(HOLDS_ALL, &request(255)).is_ok());
    assert!(derive(HOLDS_ALL, &request(256)).is_ok());
    assert_eq!(derive(HOLDS_ALL, &request(257)), Err(DeriveProblem::TooMany));
}

#[test]
fn repeated_pins_of_one_parameter_do_not_multiply() {
    let same = vec!["lines=*|*"; 40].join(",");
    assert_eq!(derive(HOLDS_ALL, &format!("ssh.tail_logs:{same}")).unwrap(), "ssh.tail_logs");
    let overlapping = vec!["lines=1..9|2..10"; 40].join(",");
    assert_eq!(
        derive(HOLDS_ALL, &format!("ssh.tail_logs:{overlapping}")).unwrap(),
        "ssh.tail_logs:lines=1..9\nssh.tail_logs:lines=2..10"
    );
}

#[test]
fn pins_of_one_parameter_that_pair_too_often_are_refused() {
    let ranges = |count: usize| (1..=count).map(|n| format!("{n}..500")).collect::<Vec<_>>();
    let request = |one, two| {
        format!("ssh.tail_logs:lines={},lines={}", ranges(one).join("|"), ranges(two).join("|"))
    };
    assert!(derive(HOLDS_ALL, &request(15, 17)).is_ok());
    assert!(derive(HOLDS_ALL, &request(16, 16)).is_ok());
    assert_eq!(derive(HOLDS_ALL, &request(1, 257)), Err(DeriveProblem::TooMany));
    assert_eq!(derive(HOLDS_ALL, &request(16, 17)), Err(DeriveProblem::TooMany));
}

#[test]
fn at_most_256_requests_are_met_at_once() {
    let surface = with(HOLDS_ALL).surface(&subject());
    let ask = |count| surface.derive(&requests(&vec!["web.status"; count]));
    assert!(ask(255).is_ok());
    assert!(ask(256).is_ok());
    let fault = ask(257).unwrap_err();
    assert_eq!(*fault.problem, DeriveProblem::TooManyRequests);
    assert!(fault.to_string().starts_with("at most 256 requests can be met at once\n"));
}

#[test]
fn lo1_a_user_cannot_name_anothers_agent() {
    let policy = with(HOLDS_ALL);
    let you = "you".parse().unwrap();
    assert_eq!(policy.principal("alice", Some(&you)).unwrap(), crate::world::you());
    assert_eq!(policy.principal("alice", None).unwrap().agent.as_str(), "alice");
    let foreign = policy.principal("bob", Some(&you)).unwrap_err().to_string();
    let unknown = policy.principal("bob", Some(&"yuo".parse().unwrap())).unwrap_err().to_string();
    assert_eq!(foreign.replace("you", "yuo"), unknown);
    assert!(policy.principal("you", None).is_err(), "a declared name is its user's alone");
    assert!(policy.principal("Alice", None).is_err());
    assert!(policy.principal("alice", Some(&"bob".parse().unwrap())).is_err());
}

fn delegate(
    rules: &str,
    request: &str,
    to: &Recipient,
    ttl: Duration,
) -> Result<Duration, DelegateFault> {
    let scope = scope(&[request]);
    let delegation = with(rules).may_delegate(&subject(), proposal(&scope, to, ttl))?;
    assert_eq!(delegation.by.len(), 1, "{delegation}");
    Ok(delegation.max_ttl)
}

#[test]
fn lo3_an_agent_without_a_delegate_rule_cannot_share() {
    let rules = "[[allow]]\nuser = \"*\"\nverbs = [\"*\"]\n[[delegate]]\nagent = \"other\"\nverbs = [\"*\"]\nto = [\"*\"]\n";
    let fault = delegate(rules, "web.status", &vendor("vendor-b"), MINUTE).unwrap_err();
    assert_eq!(fault.to_string(), "no `[[delegate]]` rule lets alice/you share `web.status`");
}

#[test]
fn lo4_recipient_bearer_and_ttl_are_refused_with_the_rule_named() {
    let asked = |to: &Recipient, ttl| {
        delegate(PINNED, "ssh.tail_logs:service=web", to, ttl).map_err(|fault| fault.to_string())
    };
    assert_eq!(asked(&vendor("vendor-b"), MINUTE * 10), Ok(MINUTE * 10));
    assert_eq!(asked(&vendor("vendor-b"), MINUTE), Ok(MINUTE * 10));
    assert_eq!(
        asked(&vendor("friend"), MINUTE).unwrap_err(),
        "policy.d/team.toml:7 lets alice/you share `ssh.tail_logs`, but not with friend"
    );
    assert_eq!(
        asked(&Recipient::Bearer, MINUTE).unwrap_err(),
        "policy.d/team.toml:7 lets alice/you share `ssh.tail_logs`, but not with a bearer"
    );
    assert_eq!(
        asked(&vendor("vendor-b"), MINUTE * 10 + Duration::from_millis(1)).unwrap_err(),
        "policy.d/team.toml:7 lets `ssh.tail_logs` be shared for at most 10m, not 600001ms"
    );
    let bearer = PINNED.replace("max_ttl = \"10m\"", "bearer = true");
    assert_eq!(delegate(&bearer, "ssh.tail_logs", &Recipient::Bearer, MINUTE), Ok(MINUTE * 30));
}

#[test]
fn the_longest_time_is_that_of_the_strictest_verb_under_its_most_generous_rule() {
    let rules = format!(
        "{HOLDS_ALL}[[delegate]]\nagent = \"you\"\nverbs = [\"web.*\"]\nto = [\"partner\"]\nmax_ttl = \"5m\"\n[[delegate]]\nagent = \"you\"\nverbs = [\"*\"]\nto = [\"partner\"]\nmax_ttl = \"2m\"\n"
    );
    assert_eq!(delegate(&rules, "web.status", &vendor("partner"), MINUTE), Ok(MINUTE * 5));
    let both = scope(&["web.status", "ssh.restart_service"]);
    let partner = vendor("partner");
    let asked = |scope| with(&rules).may_delegate(&subject(), proposal(scope, &partner, MINUTE));
    let delegation = asked(&both).unwrap();
    let said = "policy.d/team.toml:12, policy.d/team.toml:17, at most 2m";
    assert_eq!((delegation.max_ttl, delegation.to_string().as_str()), (MINUTE * 2, said));
    assert_eq!(asked(&Scope::default()), Err(DelegateFault::Empty));
}

#[test]
fn lo8_an_owners_alias_does_not_match_a_rule_for_roots_contacts() {
    assert!(delegate(HOLDS_ALL, "web.status", &vendor("vendor-x"), MINUTE).is_ok());
    assert!(delegate(HOLDS_ALL, "web.status", &vendor("own/vendor-x"), MINUTE).is_err());
    let own = HOLDS_ALL.replace("vendor-*", "own/*");
    assert!(delegate(&own, "web.status", &vendor("own/vendor-x"), MINUTE).is_ok());
    assert!(delegate(&own, "web.status", &vendor("vendor-x"), MINUTE).is_err());
}

#[test]
fn the_menu_shows_what_may_be_called_and_nothing_else() {
    let shared = Shared::of(HOLDS_ALL, &["ssh.tail_logs:service=web,lines<=100", "web.status"]);
    let menu = shared.policy.menu(&shared.standing, &shared.passport, NOW);
    let verbs: Vec<_> = menu.iter().map(|entry| entry.verb.as_str()).collect();
    assert_eq!(verbs, ["ssh.tail_logs", "web.status"]);
    let lines = &menu[0].parameters[&"lines".parse().unwrap()];
    assert_eq!(lines.accepts[0].to_string(), "1..100");
    assert_eq!((lines.required, &lines.default), (true, &None), "its default is not accepted");
    let host = &menu[0].parameters[&"host".parse().unwrap()];
    assert_eq!((host.required, &host.default), (false, &Some(text("web-1"))));
    let bytes = serde_cbor::to_vec(&menu).unwrap();
    assert_eq!(serde_cbor::from_slice::<Vec<policy::MenuEntry>>(&bytes).unwrap(), menu);

    let none = Shared::of(&HOLDS_ALL.replace("vendor-*", "other"), &["web.status"]);
    assert!(none.policy.menu(&none.standing, &none.passport, NOW).is_empty());
}
