//! The crates' graph is the design's: what is kept apart stays apart because nothing links it.

mod metadata;
mod walls;

use std::collections::BTreeSet;

use metadata::Graph;

/// Which of our crates each may be built from; tests apart, which use all.
const INTENDED: [(&str, &[&str]); 5] = [
    ("policy", &[]),
    ("relay", &[]),
    ("wire", &["policy", "relay"]),
    ("daemon", &["policy", "relay", "wire"]),
    ("client", &["policy", "relay", "wire"]),
];

/// A second TLS stack, or one that costs 30 ms at every start.
const UNWANTED: [&str; 6] =
    ["openssl", "openssl-sys", "native-tls", "aws-lc-rs", "aws-lc-sys", "boring"];

/// What would let `policy` wait, or reach out.
const IMPURE: [&str; 6] = ["tokio", "async-std", "smol", "quinn", "rustls", "nix"];

/// Where the crates depart from what is intended.
fn departures(graph: &Graph) -> Vec<String> {
    let ours: BTreeSet<&str> = graph.members();
    let depart = |(name, intended): &(&str, &[&str])| {
        let linked: BTreeSet<&str> = graph.direct(name).intersection(&ours).copied().collect();
        let intended: BTreeSet<&str> = intended.iter().copied().collect();
        (linked != intended).then(|| format!("{name} is built from {linked:?}, not {intended:?}"))
    };
    INTENDED.iter().filter_map(depart).collect()
}

#[test]
fn each_crate_is_built_from_the_crates_that_it_is_meant_to_be_built_from() {
    assert_eq!(departures(&Graph::of_this_workspace()), Vec::<String>::new());
}

#[test]
fn every_crate_of_the_workspace_is_in_the_intended_graph() {
    let graph = Graph::of_this_workspace();
    let known: BTreeSet<&str> = INTENDED.iter().map(|(name, _)| *name).chain(["tests"]).collect();
    assert_eq!(graph.members(), known);
}

#[test]
fn an_edge_that_is_not_intended_is_found() {
    let mut graph = Graph::of_this_workspace();
    graph.link("relay", "wire");
    assert_eq!(departures(&graph), [r#"relay is built from {"wire"}, not {}"#]);
}

#[test]
fn p07_nothing_that_a_relay_is_built_from_could_read_what_it_carries() {
    let graph = Graph::of_this_workspace();
    let all = graph.all("relay");
    assert!(all.contains("quinn"), "the graph is walked: {all:?}");
    for reader in ["age", "policy", "wire", "daemon", "client"] {
        assert!(!all.contains(reader), "the relay links {reader}");
    }
}

#[test]
fn policy_cannot_wait_or_reach_out() {
    let graph = Graph::of_this_workspace();
    let all = graph.all("policy");
    assert!(all.contains("biscuit-auth"), "the graph is walked: {all:?}");
    let found: Vec<_> = IMPURE.into_iter().filter(|name| all.contains(name)).collect();
    assert_eq!(found, Vec::<&str>::new());
}

#[test]
fn there_is_one_tls_stack() {
    let graph = Graph::of_this_workspace();
    for (name, _) in INTENDED {
        let all = graph.all(name);
        let found: Vec<_> =
            UNWANTED.into_iter().filter(|unwanted| all.contains(unwanted)).collect();
        assert_eq!(found, Vec::<&str>::new(), "in {name}");
    }
    assert!(graph.all("daemon").contains("ring"), "the one that is meant");
}

#[test]
fn whoever_dials_a_relay_does_not_link_its_server() {
    let graph = Graph::of_this_workspace();
    for name in ["wire", "daemon", "client"] {
        assert_eq!(graph.features_asked(name, "relay"), Vec::<String>::new(), "{name}");
    }
    assert!(
        graph.features_asked("tests", "relay").contains(&"server".to_owned()),
        "it is looked at"
    );
}
