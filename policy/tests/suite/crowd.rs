//! Many rules about one verb of one person.

use policy::{Constraint, MenuEntry, ParameterProblem, PublicRefusal};

use crate::world::{HOLDS_ALL, NOW, Shared, scope, text};

/// So many rules, each with a beginning of its own for the service.
fn rules(many: usize) -> String {
    let allow = |number| {
        format!(
            "[[allow]]\nuser = \"alice\"\nverbs = {{ \"ssh.restart_service\" = {{ service = {{ prefix = \"s{number}-\" }} }} }}\n"
        )
    };
    let allows: String = (0..many).map(allow).collect();
    HOLDS_ALL.replace("verbs = [\"*\"]\n[[delegate]]", "verbs = [\"web.*\"]\n[[delegate]]")
        + &allows
}

fn shared(many: usize) -> Shared {
    Shared::with_scope(&rules(many), scope(&["ssh.restart_service"]))
}

fn entry(shared: &Shared) -> MenuEntry {
    let menu = shared.policy.menu(&shared.standing, &shared.passport, NOW);
    menu.into_iter().next().unwrap()
}

#[test]
fn a_menu_lists_what_512_rules_leave_and_of_more_what_passport_and_share_say() {
    let accepts = |many| {
        let entry = entry(&shared(many));
        entry.parameters.into_values().next().unwrap().accepts
    };
    assert_eq!(accepts(511).len(), 511);
    assert_eq!(accepts(512).len(), 512);
    assert_eq!(accepts(513), [Constraint::Any]);
}

#[test]
fn however_many_rules_there_are_they_decide() {
    for many in [511, 513] {
        let shared = shared(many);
        let admits =
            |service: &str| shared.admits("ssh.restart_service", [("service", text(service))]);
        assert!(admits("s0-web") && admits(&format!("s{}-web", many - 1)), "{many}");
        assert!(!admits(&format!("s{many}-web")) && !admits("web"), "{many}");
    }
}

#[test]
fn a_pinned_share_is_shown_by_the_rules_that_meet_its_pins() {
    let allow = |number| {
        format!(
            "[[allow]]\nuser = \"alice\"\nverbs = {{ \"ssh.restart_service\" = {{ service = \"s{number}\" }} }}\n"
        )
    };
    let rules: String = (0..3000).map(allow).collect();
    let delegate = "[[agent]]\nname = \"you\"\nuser = \"alice\"\n[[delegate]]\nuser = \"*\"\nverbs = [\"*\"]\nto = [\"*\"]\n";
    let pinned = scope(&["ssh.restart_service:service=a|s7"]);
    let shared = Shared::with_scope(&format!("{delegate}{rules}"), pinned);
    let refusal = shared.refusal("ssh.restart_service", [("service", text("db"))]);
    let PublicRefusal::Parameter { problem: ParameterProblem::Value { accepts }, .. } =
        refusal.public
    else {
        panic!("{:?}", refusal.public)
    };
    assert_eq!(
        accepts,
        [Constraint::exact(text("s7"))],
        "`a` is in the share, and allowed by none"
    );
}
