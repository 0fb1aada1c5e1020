//! Deriving from a scope alone, as whoever narrows a passport does.

use policy::{Capability, Constraint, DeriveProblem, Scope, Value};
use proptest::prelude::*;

use crate::world::{arguments, requests, scope, text};

fn held() -> Scope {
    scope(&["ssh.tail_logs:service=web|db,lines<=100", "ssh.restart_service", "file.read"])
}

fn narrowed(to: &[&str]) -> Result<String, DeriveProblem> {
    held().derive(&requests(to)).map(|scope| scope.to_string()).map_err(|fault| *fault.problem)
}

#[test]
fn what_is_asked_of_a_scope_is_what_is_left_of_it() {
    let lines = |to: &str| narrowed(&[to]).unwrap();
    assert_eq!(lines("ssh.tail_logs:service=web"), "ssh.tail_logs:lines<=100,service=web");
    assert_eq!(
        lines("ssh.tail_logs:lines<=10,service=web|db"),
        "ssh.tail_logs:lines<=10,service=db|web"
    );
    assert_eq!(lines("ssh.restart_service"), "ssh.restart_service");
    for one in
        ["ssh.tail_logs:service=web", "file.read:path=/var/log/*", "ssh.restart_service:service=x"]
    {
        assert!(held().derive(&requests(&[one])).unwrap().is_subset_of(&held()), "{one}");
    }
}

#[test]
fn a_value_of_unknown_kind_is_pinned_as_each_kind_that_it_can_be() {
    assert_eq!(
        narrowed(&["ssh.restart_service:service=8080|web"]).unwrap(),
        "ssh.restart_service:service=8080|web\nssh.restart_service:service=8080"
    );
    let scope = held().derive(&requests(&["ssh.restart_service:service=true"])).unwrap();
    let verb = "ssh.restart_service".parse().unwrap();
    for value in [text("true"), policy::Value::Bool(true)] {
        assert!(scope.permits(&verb, &arguments([("service", value)])));
    }
    assert!(!scope.permits(&verb, &arguments([("service", text("false"))])));
    assert_eq!(
        narrowed(&["ssh.restart_service:service=1..5"]).unwrap(),
        "ssh.restart_service:service=1..5"
    );
}

fn limited(limits: &[(&str, Constraint)]) -> Scope {
    let limits = limits.iter().map(|(name, limit)| (name.parse().unwrap(), limit.clone()));
    Scope::new([Capability::new("web.get".parse().unwrap(), limits)])
}

#[test]
fn paths_networks_urls_lengths_and_lists_are_narrowed_by_what_is_held() {
    let tags = Constraint::OneOf([text("a"), text("b"), text("c")].into());
    let held = limited(&[
        ("file", Constraint::Subtree("/var".parse().unwrap())),
        ("from", Constraint::Cidr("10.0.0.0/8".parse().unwrap())),
        ("name", Constraint::Length { min: 0, max: 20 }),
        ("tags", Constraint::each(tags)),
        ("to", Constraint::Url("https://*.example.com/".parse().unwrap())),
    ]);
    let derive = |pins: &str| held.derive(&requests(&[&format!("web.get:{pins}")]));
    for pins in [
        "file=/var/log/",
        "file=/var/log/syslog",
        "from=10.1.0.0/16",
        "from=10.1.2.3",
        "name#<=10",
        "tags=a|b",
        "tags#<=2",
        "to=https://a.example.com/b/",
    ] {
        let derived = derive(pins).unwrap_or_else(|fault| panic!("{pins}: {fault}"));
        assert!(derived.is_subset_of(&held) && derived != held, "{pins}: {derived}");
        assert_eq!(derived.capabilities().len(), 1, "{pins}: {derived}");
    }
    for pins in [
        "file=/etc/",
        "file=/var/../etc/x",
        "from=11.0.0.1",
        "tags=a|d",
        "to=https://a.example.org/",
    ] {
        assert!(derive(pins).is_err(), "{pins}");
    }
    let both = derive("tags=a|b").unwrap();
    let list = Value::list([text("a"), text("b")]).unwrap();
    assert!(both.capabilities()[0].constraint(&"tags".parse().unwrap()).permits(&list), "mixed");
}

#[test]
fn whoever_narrows_adds_at_most_four_patterns() {
    let several = |count: usize| {
        let texts: Vec<_> = (0..count).map(|n| format!("file.read:x=~'a{{{n}}}'")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        narrowed(&texts).map(drop)
    };
    assert_eq!(several(4), Ok(()));
    assert_eq!(several(5), Err(DeriveProblem::TooManyAdded));
}

#[test]
fn more_than_is_held_is_refused_at_the_character() {
    let fault = |to: &str| held().derive(&requests(&[to])).unwrap_err();
    let place = |to: &str| fault(to).pointer.character();
    assert_eq!(place("ssh.tail_logs:service=web|vault"), 26);
    assert_eq!(place("ssh.tail_logs:lines<=101"), 21);
    assert!(matches!(*fault("ssh.tail_logs:lines<=101").problem, DeriveProblem::Beyond { .. }));
    assert!(matches!(
        narrowed(&["ssh.tail_log"]),
        Err(DeriveProblem::NotPermitted { nearest: Some(near), .. }) if near == "ssh.tail_logs"
    ));
    assert!(matches!(
        narrowed(&["ssh.tail_logs:service=web,service=db"]),
        Err(DeriveProblem::Nothing { .. })
    ));
    assert!(matches!(narrowed(&["ssh.tail_logs:lines<=many"]), Err(DeriveProblem::Value(_))));
    assert!(matches!(narrowed(&["ssh.tail_logs:service=*"]), Err(DeriveProblem::Beyond { .. })));
}

#[test]
fn combinations_are_bounded() {
    let list = |count: usize| (0..count).map(|n| format!("a{n}")).collect::<Vec<_>>().join("|");
    let asked = |a, b| narrowed(&[&format!("file.read:x={},y={}", list(a), list(b))]);
    assert!(asked(16, 16).is_ok());
    assert_eq!(asked(16, 17), Err(DeriveProblem::TooMany));
    let many: Vec<&str> = std::iter::repeat_n("file.read", 257).collect();
    assert!(narrowed(&many[1..]).is_ok());
    assert_eq!(narrowed(&many), Err(DeriveProblem::TooManyRequests));
}

proptest! {
    #[test]
    fn what_is_derived_lies_within_the_scope_whatever_is_asked(
        service in "(web|db|vault|8|true|we\\*|\\*)", lines in "(=|<=|>=)(5|100|101|1\\.\\.9)",
    ) {
        let asked = format!("ssh.tail_logs:service={service},lines{lines}");
        let Ok(request) = asked.parse() else { return Ok(()) };
        if let Ok(scope) = held().derive(&[request]) {
            prop_assert!(scope.is_subset_of(&held()), "{asked}: {scope}");
        }
    }
}
