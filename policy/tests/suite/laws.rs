//! Laws that hold for every constraint, scope, rule and chain.

use std::collections::BTreeSet;

use policy::{Anchored, Arguments, Capability, Constraint, Decision, Scope, Text, Value};
use proptest::prelude::*;

use crate::world::{NOW, Shared, arguments, with};

fn laws(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Texts that look alike and are not: to a path, an address, a URL, and to people.
const HARD: [&str; 36] = [
    "/",
    "/a",
    "/a/b",
    "/a/b/c",
    "/ab",
    "/a/bc",
    "/a/",
    "/a/../b",
    "/a/b/../../c",
    "//a",
    "/a/./b",
    "10.0.0.0",
    "10.0.0.1",
    "10.1.0.1",
    "11.0.0.1",
    "10.0.0.01",
    "::ffff:10.0.0.1",
    "::a00:1",
    "2001:db8::1",
    "https://example.com/",
    "https://example.com/a/",
    "https://example.com/a/b",
    "https://example.com/ab/",
    "https://example.com/a/../b",
    "https://example.com/%61/",
    "https://example.com.evil.org/",
    "https://example.com@evil.org/",
    "https://example.comevil/",
    "https://x.example.com/",
    "https://x.example.com/a/?q=/b/",
    "https://y.x.example.com/a/",
    "https://xexample.com/",
    "https://example.com:8443/",
    "http://example.com/",
    "https://example.com",
    "https://10.0.0.1/",
];

fn text_values() -> impl Strategy<Value = Value> {
    let hard = proptest::sample::select(HARD.to_vec()).prop_map(str::to_owned);
    prop_oneof!["[ab]{0,3}", hard].prop_map(|text| Value::text(text).unwrap())
}

fn lists() -> impl Strategy<Value = Value> {
    prop_oneof![
        proptest::collection::vec(text_values(), 0..4),
        proptest::collection::vec((-3..6_i64).prop_map(Value::Int), 0..4),
    ]
    .prop_map(|items| Value::list(items).unwrap())
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text_values(),
        3 => (-3..6_i64).prop_map(Value::Int),
        1 => any::<bool>().prop_map(Value::Bool),
        5 => lists(),
    ]
}

fn patterns() -> impl Strategy<Value = Constraint> {
    let compiled: Vec<_> = ["a+", "a*b?", "[ab]{2}", ".*b", "", "(a|ab)b?", "/a/.*", "https:.*"]
        .map(|source| Constraint::Pattern(Anchored::new(source).unwrap()))
        .to_vec();
    proptest::sample::select(compiled)
}

fn subtrees() -> impl Strategy<Value = Constraint> {
    let roots = ["/", "/a", "/a/b", "/ab", "/a/b/c"];
    let roots = roots.map(|root| Constraint::Subtree(root.parse().unwrap()));
    proptest::sample::select(roots.to_vec())
}

fn networks() -> impl Strategy<Value = Constraint> {
    let nets = ["10.0.0.0/8", "10.0.0.0/31", "10.0.0.1/32", "0.0.0.0/0", "::/0", "2001:db8::/32"];
    let nets = nets.map(|net| Constraint::Cidr(net.parse().unwrap()));
    proptest::sample::select(nets.to_vec())
}

fn urls() -> impl Strategy<Value = Constraint> {
    let urls = [
        "https://example.com/",
        "https://example.com/a/",
        "https://*.example.com/",
        "https://*.example.com/a/",
        "https://*.x.example.com/",
        "https://x.example.com/",
        "https://example.com:8443/",
        "http://example.com/",
        "https://*.com/",
        "https://10.0.0.1/",
    ];
    proptest::sample::select(urls.map(|url| Constraint::Url(url.parse().unwrap())).to_vec())
}

fn lengths() -> impl Strategy<Value = Constraint> {
    let max = prop_oneof![2 => 0..5_u32, 1 => Just(u32::MAX), 1 => Just(4096), 1 => Just(4095)];
    (0..4_u32, max).prop_map(|(min, max)| Constraint::Length { min: min.min(max), max })
}

fn prefixes() -> impl Strategy<Value = Constraint> {
    let hard = ["/", "/a", "/a/", "/a/b", "10.", "https://example.com", "https://", "https://x"];
    let hard = proptest::sample::select(hard.to_vec()).prop_map(str::to_owned);
    prop_oneof!["[ab]{0,2}", hard].prop_map(|text| Constraint::Prefix(Text::new(text).unwrap()))
}

fn item_constraints() -> impl Strategy<Value = Constraint> {
    prop_oneof![
        1 => Just(Constraint::Any),
        4 => proptest::collection::btree_set(values(), 1..4).prop_map(Constraint::OneOf),
        3 => (-3..6_i64, 0..5_i64).prop_map(|(min, span)| Constraint::Range { min, max: min + span }),
        2 => prefixes(),
        2 => patterns(),
        2 => subtrees(),
        2 => networks(),
        2 => urls(),
        2 => lengths(),
    ]
}

fn simple_constraints() -> impl Strategy<Value = Constraint> {
    prop_oneof![
        6 => item_constraints(),
        2 => met(item_constraints().boxed()).prop_map(|item| Constraint::Each(Box::new(item))),
        1 => met(item_constraints().boxed()).prop_map(|item| Constraint::Has(Box::new(item))),
    ]
}

/// One constraint, or what two of them leave.
fn met<S: Strategy<Value = Constraint> + Clone>(one: S) -> impl Strategy<Value = Constraint> {
    (one.clone(), one, any::<bool>()).prop_map(|(one, two, joined)| {
        let both = if joined { one.intersect(&two) } else { None };
        both.unwrap_or(one)
    })
}

fn constraints() -> impl Strategy<Value = Constraint> {
    met(met(simple_constraints().boxed()).boxed())
}

fn capabilities() -> impl Strategy<Value = Capability> {
    let verb = proptest::sample::select(vec!["a.one", "a.two"]);
    let limits =
        proptest::collection::vec((proptest::sample::select(vec!["x", "y"]), constraints()), 0..3);
    (verb, limits).prop_map(|(verb, limits)| {
        let limits = limits.into_iter().map(|(name, limit)| (name.parse().unwrap(), limit));
        Capability::new(verb.parse().unwrap(), limits)
    })
}

fn scopes() -> impl Strategy<Value = Scope> {
    proptest::collection::vec(capabilities(), 0..4).prop_map(Scope::new)
}

fn calls() -> impl Strategy<Value = (&'static str, Arguments)> {
    let verb = proptest::sample::select(vec!["a.one", "a.two"]);
    (verb, proptest::option::of(values()), proptest::option::of(values())).prop_map(
        |(verb, x, y)| {
            let pairs = [("x", x), ("y", y)].into_iter();
            let given = pairs.filter_map(|(name, value)| Some((name.parse().unwrap(), value?)));
            (verb, given.collect())
        },
    )
}

fn permits(scope: &Scope, call: &(&str, Arguments)) -> bool {
    scope.permits(&call.0.parse().unwrap(), &call.1)
}

/// A value for every text that looks alike, and small lists of them.
fn domain() -> Vec<Value> {
    let texts = HARD.into_iter().chain(["", "a", "b", "ab", "ba", "aab"]);
    let texts: Vec<_> = texts.map(|text| Value::text(text).unwrap()).collect();
    let list = |items: &[&Value]| Value::list(items.iter().map(|one| (*one).clone())).unwrap();
    let mut all = texts.clone();
    all.extend((-4..12).map(Value::Int));
    all.extend([Value::Bool(false), Value::Bool(true), list(&[])]);
    all.extend(texts.iter().map(|one| list(&[one])));
    all.extend(texts.iter().zip(texts.iter().skip(1)).map(|(one, two)| list(&[one, two])));
    all.extend((-4..12).map(|number| list(&[&Value::Int(number), &Value::Int(number / 2)])));
    all
}

#[test]
fn every_pair_of_simple_constraints_keeps_the_laws_on_every_value() {
    let domain = domain();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut some = |strategy: BoxedStrategy<Constraint>, count: usize| -> Vec<Constraint> {
        (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
    };
    let mut all = some(simple_constraints().boxed(), 150);
    for kind in [subtrees().boxed(), networks().boxed(), urls().boxed(), prefixes().boxed()] {
        all.extend(some(kind, 12));
    }
    for (one, two) in all.iter().flat_map(|one| all.iter().map(move |two| (one, two))) {
        let (met, covers) = (one.intersect(two), one.covers(two));
        for value in &domain {
            let (in_one, in_two) = (one.permits(value), two.permits(value));
            assert!(!(covers && in_two) || in_one, "{one:?} does not cover {two:?}: {value:?}");
            let in_met = met.as_ref().is_some_and(|met| met.permits(value));
            assert_eq!(in_met, in_one && in_two, "{one:?} with {two:?}: {value:?}");
        }
    }
}

#[test]
fn a_constraint_covers_what_lies_within_it() {
    let of = |text: &str| -> Constraint {
        match text.split_at(4) {
            ("pre ", text) => Constraint::Prefix(text.parse().unwrap()),
            ("sub ", text) => Constraint::Subtree(text.parse().unwrap()),
            ("net ", text) => Constraint::Cidr(text.parse().unwrap()),
            (_, text) => Constraint::Url(text.parse().unwrap()),
        }
    };
    for (wide, narrow) in [
        ("sub /var/log", "sub /var/log/nginx"),
        ("sub /", "sub /var"),
        ("pre /var/log", "sub /var/log"),
        ("net 10.0.0.0/8", "net 10.1.0.0/16"),
        ("url https://*.example.com/", "url https://a.example.com/b/"),
        ("url https://*.example.com/", "url https://*.a.example.com/"),
        ("pre https://example.com/", "url https://example.com/a/"),
    ] {
        let (wide, narrow) = (of(wide), of(narrow));
        assert!(wide.covers(&narrow), "{wide} {narrow}");
        assert!(!narrow.covers(&wide), "{narrow} {wide}");
        assert!(Constraint::each(wide.clone()).covers(&Constraint::each(narrow.clone())));
        assert_eq!(wide.intersect(&narrow), Some(narrow));
    }
    for (one, two) in [
        ("sub /var/log", "sub /var/logs"),
        ("pre /var/logs", "sub /var/log"),
        ("net 10.0.0.0/8", "net 11.0.0.0/8"),
        ("net 10.0.0.0/8", "net ::/0"),
        ("url https://example.com/", "url https://example.com.evil.org/"),
        ("url https://*.example.com/", "url https://example.com/"),
        ("url https://example.com/a/", "url https://example.com/ab/"),
        ("sub /", "net 0.0.0.0/0"),
    ] {
        let (one, two) = (of(one), of(two));
        assert!(!one.covers(&two) && !two.covers(&one), "{one} {two}");
        assert_eq!(one.intersect(&two), None, "{one} {two}");
    }
    let some_vault = Constraint::Has(Box::new(of("pre vault")));
    let each = Constraint::each(of("pre vault-1"));
    assert!(!some_vault.covers(&each), "the empty list has none");
    let filled = each.intersect(&Constraint::Length { min: 1, max: u32::MAX }).unwrap();
    assert!(some_vault.covers(&filled));
    let text = of("pre a").intersect(&Constraint::Length { min: 1, max: u32::MAX }).unwrap();
    let something = Constraint::Has(Box::new(Constraint::Any));
    assert!(!something.covers(&text), "a text has nothing in it");
    assert!(something.covers(&filled));
}

proptest! {
    #![proptest_config(laws(20_000))]

    #[test]
    fn what_covers_permits_what_the_covered_permits(a in constraints(), b in constraints(), v in values()) {
        prop_assert!(!(a.covers(&b) && b.permits(&v)) || a.permits(&v));
        prop_assert!(a.covers(&a));
    }

    #[test]
    fn an_intersection_permits_exactly_what_both_permit(a in constraints(), b in constraints(), v in values()) {
        let both = a.permits(&v) && b.permits(&v);
        match a.intersect(&b) {
            Some(met) => {
                prop_assert_eq!(met.permits(&v), both);
                prop_assert!(a.covers(&met) && b.covers(&met), "{a:?} {b:?} {met:?}");
            }
            None => prop_assert!(!both),
        }
    }

    #[test]
    fn a_scope_permits_exactly_what_its_capabilities_permit(all in proptest::collection::vec(capabilities(), 0..5), call in calls()) {
        let scope = Scope::new(all.clone());
        let any = all.iter().any(|one| one.permits(&call.0.parse().unwrap(), &call.1));
        prop_assert_eq!(permits(&scope, &call), any);
        prop_assert_eq!(Scope::new(scope.capabilities().to_vec()), scope);
    }

    #[test]
    fn a_subset_permits_no_more(a in scopes(), b in scopes(), call in calls()) {
        prop_assert!(!(a.is_subset_of(&b) && permits(&a, &call)) || permits(&b, &call));
        let met = a.intersect(&b);
        prop_assert!(met.is_subset_of(&a) && met.is_subset_of(&b));
        prop_assert_eq!(permits(&met, &call), permits(&a, &call) && permits(&b, &call));
    }
}

proptest! {
    #![proptest_config(laws(100_000))]

    /// Each child is what its maker asked for, if the parent takes it, else what is left of it. No child
    /// ever permits what one of its ancestors refuses.
    #[test]
    fn pp10_a_child_never_permits_what_an_ancestor_refuses(first in scopes(), asked in proptest::collection::vec(scopes(), 1..8), call in calls()) {
        let mut chain = vec![first];
        for wish in asked {
            let parent = chain.last().unwrap();
            let child = if wish.is_subset_of(parent) { wish } else { parent.intersect(&wish) };
            prop_assert!(child.is_subset_of(parent));
            chain.push(child);
        }
        let effective = permits(chain.last().unwrap(), &call);
        prop_assert!(!effective || chain.iter().all(|scope| permits(scope, &call)));
    }
}

/// A rule as data, for a second opinion that knows nothing of the crate's own types.
#[derive(Clone, Debug)]
struct Naive {
    kind: &'static str,
    everyone: bool,
    services: Option<BTreeSet<&'static str>>,
    most: Option<i64>,
    recipients: &'static str,
}

impl Naive {
    fn toml(&self) -> String {
        let who = if self.everyone { "user = \"*\"" } else { "agent = \"you\"" };
        let list = |services: &BTreeSet<_>| format!("service = {:?}", Vec::from_iter(services));
        let mut limits: Vec<_> = self.services.iter().map(list).collect();
        limits.extend(self.most.map(|most| format!("lines = {{ max = {most} }}")));
        let to = if self.kind == "delegate" {
            format!("to = [\"{}\"]\n", self.recipients)
        } else {
            String::new()
        };
        format!(
            "[[{}]]\n{who}\nverbs = {{ \"ssh.tail_logs\" = {{ {} }} }}\n{to}",
            self.kind,
            limits.join(", ")
        )
    }

    fn matches(&self, service: &str, lines: i64) -> bool {
        self.services.as_ref().is_none_or(|list| list.contains(service))
            && self.most.is_none_or(|most| lines <= most)
    }
}

fn naive_rules() -> impl Strategy<Value = Naive> {
    let services =
        proptest::collection::btree_set(proptest::sample::select(vec!["web", "db", "vault"]), 1..3);
    (
        proptest::sample::select(vec!["allow", "allow", "deny", "delegate", "delegate"]),
        any::<bool>(),
        proptest::option::of(services),
        proptest::option::of(proptest::sample::select(vec![10_i64, 100, 300])),
        proptest::sample::select(vec!["vendor-*", "vendor-b", "partner"]),
    )
        .prop_map(|(kind, everyone, services, most, recipients)| Naive {
            kind,
            everyone,
            services,
            most,
            recipients,
        })
}

proptest! {
    #![proptest_config(laws(1_500))]

    #[test]
    fn p01_authorize_agrees_with_a_second_evaluator(
        rules in proptest::collection::vec(naive_rules(), 0..6),
        pins in proptest::collection::btree_set(proptest::sample::select(vec!["web", "db", "vault"]), 1..3),
        service in proptest::sample::select(vec!["web", "db", "vault", "mail"]),
        lines in proptest::sample::select(vec![1_i64, 10, 11, 100, 101, 300, 301, 500]),
    ) {
        let toml: String = rules.iter().map(Naive::toml).collect();
        let toml = format!("[[agent]]\nname = \"you\"\nuser = \"alice\"\n{toml}");
        let list: Vec<_> = pins.iter().copied().collect();
        let shared = Shared::of(&toml, &[&format!("ssh.tail_logs:service={}", list.join("|"))]);
        let say = |kind: &str| {
            let matching = |rule: &&Naive| rule.kind == kind && rule.matches(service, lines);
            let reaching = |rule: &&Naive| kind != "delegate" || rule.recipients != "partner";
            rules.iter().filter(matching).any(|rule| reaching(&rule))
        };
        let expected = pins.contains(service) && say("allow") && !say("deny") && say("delegate");
        let call = policy::Call {
            verb: "ssh.tail_logs".parse().unwrap(),
            arguments: arguments([("service", crate::world::text(service)), ("lines", Value::Int(lines))]),
        };
        let decided = matches!(shared.decide_at(call, NOW), Decision::Permit(_));
        prop_assert_eq!(decided, expected, "{}", toml);
    }

    /// What is derived lies within what the rules allow, and nothing that a request names is lost.
    #[test]
    fn a_derived_scope_is_within_the_rules_and_meets_the_request(
        rules in proptest::collection::vec(naive_rules(), 0..6),
        pins in proptest::collection::btree_set(proptest::sample::select(vec!["web", "db", "vault"]), 1..3),
        bound in proptest::option::of(proptest::sample::select(vec![5_i64, 50, 200])),
        service in proptest::sample::select(vec!["web", "db", "vault", "mail"]),
        lines in proptest::sample::select(vec![1_i64, 5, 10, 50, 100, 200, 300, 500]),
    ) {
        let toml: String = rules.iter().map(Naive::toml).collect();
        let list: Vec<_> = pins.iter().copied().collect();
        let mut request = format!("ssh.tail_logs:service={}", list.join("|"));
        request.extend(bound.map(|most| format!(",lines<={most}")));
        let surface = with(&toml).surface(&crate::world::subject());
        let say = |kind: &str, service: &str, lines| {
            rules.iter().any(|rule| rule.kind == kind && rule.matches(service, lines))
        };
        let named = |lines| pins.iter().all(|service| say("allow", service, lines));
        let met = named(bound.unwrap_or(1));
        if let Ok(scope) = surface.derive(&crate::world::requests(&[&request])) {
            let call = arguments([("service", crate::world::text(service)), ("lines", Value::Int(lines))]);
            if scope.permits(&"ssh.tail_logs".parse().unwrap(), &call) {
                prop_assert!(pins.contains(service) && bound.is_none_or(|most| lines <= most));
                prop_assert!(say("allow", service, lines), "{toml}");
            }
            prop_assert!(met, "{toml}");
        } else {
            prop_assert!(!met || rules.iter().any(|rule| rule.kind == "deny"), "{toml}");
        }
    }
}
