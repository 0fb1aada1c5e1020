//! The lints that hold the walls up: each forbids a thing to all but its one home.

use std::fs;

/// What is done in one place only.
const ONE_HOME: [&str; 6] = [
    "policy::authorize",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "std::env::var",
    "std::process::Command::new",
    "tokio::spawn",
];

/// What the workspace forbids.
const FORBIDDEN: [&str; 4] = [
    "unsafe_code = \"forbid\"",
    "unwrap_used = \"deny\"",
    "panic = \"deny\"",
    "disallowed_methods = \"deny\"",
];

fn read(path: &str) -> String {
    let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("read {path}: {fault}"))
}

/// Lines that say something.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#'))
}

#[test]
fn what_has_one_home_is_forbidden_elsewhere() {
    let clippy = read("clippy.toml");
    for method in ONE_HOME {
        let entry = format!("{{ path = \"{method}\", reason = ");
        assert!(
            lines(&clippy).any(|line| line.starts_with(&entry)),
            "{method} may be used anywhere"
        );
    }
}

#[test]
fn the_workspace_forbids_what_it_says_and_every_crate_obeys() {
    let workspace = read("Cargo.toml");
    for lint in FORBIDDEN {
        assert!(lines(&workspace).any(|line| line == lint), "{lint} is gone");
    }
    for name in ["policy", "relay", "wire", "daemon", "client"] {
        let manifest = read(&format!("{name}/Cargo.toml"));
        assert!(manifest.contains("[lints]\nworkspace = true\n"), "{name} goes its own way");
    }
    let own = read("tests/Cargo.toml");
    assert!(lines(&own).any(|line| line == "unsafe_code = \"forbid\""), "the tests too");
}
