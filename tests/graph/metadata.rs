//! What cargo says of the workspace's packages and what they are built from.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Packages by name, with those that each is built from. Tests and build scripts do not count as built from.
pub struct Graph {
    members: BTreeSet<String>,
    edges: BTreeMap<String, BTreeSet<String>>,
    /// What a package asks of another it is built from, by the names of both.
    features: BTreeMap<(String, String), Vec<String>>,
}

impl Graph {
    /// As cargo resolves it for this machine.
    pub fn of_this_workspace() -> Self {
        let metadata = metadata();
        let names: BTreeMap<&str, &str> = list(&metadata["packages"])
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let members: BTreeSet<String> =
            list(&metadata["workspace_members"]).map(|id| names[text(id)].to_owned()).collect();
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let from = edges.entry(names[text(&node["id"])].to_owned()).or_default();
            let built_from = list(&node["deps"]).filter(|dependency| is_linked(dependency));
            from.extend(built_from.map(|dependency| names[text(&dependency["pkg"])].to_owned()));
        }
        let features = list(&metadata["packages"])
            .filter(|package| members.contains(text(&package["name"])))
            .flat_map(asked)
            .collect();
        Self { members, edges, features }
    }

    /// Our own crates.
    pub fn members(&self) -> BTreeSet<&str> {
        self.members.iter().map(String::as_str).collect()
    }

    /// What `name` names itself.
    pub fn direct(&self, name: &str) -> BTreeSet<&str> {
        self.edges[name].iter().map(String::as_str).collect()
    }

    /// All that ends up in `name`.
    pub fn all(&self, name: &str) -> BTreeSet<&str> {
        let mut found = self.direct(name);
        let mut open: Vec<&str> = found.iter().copied().collect();
        while let Some(next) = open.pop() {
            open.extend(
                self.direct(next).into_iter().filter(|dependency| found.insert(dependency)),
            );
        }
        found
    }

    /// The features that `user` asks of `dependency`, the default ones by that name.
    pub fn features_asked(&self, user: &str, dependency: &str) -> Vec<String> {
        self.features[&(user.to_owned(), dependency.to_owned())].clone()
    }

    /// Adds an edge, as a changed `Cargo.toml` would.
    pub fn link(&mut self, from: &str, to: &str) {
        self.edges.entry(from.to_owned()).or_default().insert(to.to_owned());
    }
}

/// Whether a resolved dependency is in the program, and not only in its tests or its build.
fn is_linked(dependency: &Value) -> bool {
    list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

fn asked(package: &Value) -> Vec<((String, String), Vec<String>)> {
    let user = text(&package["name"]);
    let linked = list(&package["dependencies"]).filter(|dependency| dependency["kind"].is_null());
    let features = |dependency: &Value| {
        let default = dependency["uses_default_features"].as_bool().filter(|asked| *asked);
        let named = list(&dependency["features"]).map(text);
        let features = default.map(|_| "default").into_iter().chain(named).map(str::to_owned);
        ((user.to_owned(), text(&dependency["name"]).to_owned()), features.collect())
    };
    linked.map(features).collect()
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--offline", "--locked", "--format-version", "1"]);
    command.args(["--filter-platform", &platform()]);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("run cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

/// The target that these tests are built for; what other systems would link is not here.
fn platform() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}
