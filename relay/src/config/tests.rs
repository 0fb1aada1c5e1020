//! Configurations as files.

use super::key_file::{pem, public_to_text, write_new};
use super::*;

const GOOD: &str = r#"
listen = "127.0.0.1:0"
self_signed = true
key = "relay.key"
operators = ["operator.pub"]
"#;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        write_new(&place.path("relay.key"), &pem(&[1; 32]), 0o600).unwrap();
        write_new(&place.path("operator.pub"), &public_to_text(&[2; 32]), 0o644).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, text: &str) -> Result<Config, String> {
        let path = self.path("openscope-relay.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path).map_err(|fault| {
            fault.to_string().replace(&format!("{}/", self.0.path().display()), "")
        })
    }

    fn fault(&self, text: &str) -> String {
        self.load(text).unwrap_err()
    }
}

#[test]
fn a_minimal_file_has_the_default_bounds() {
    let config = Place::new().load(GOOD).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.operators, [[2; 32]]);
    assert_eq!(config.drain, Duration::from_secs(10));
}

#[test]
fn the_example_holds_and_states_the_defaults() {
    let example = include_str!("../../../examples/relay/openscope-relay.toml");
    let config = Place::new().load(example).unwrap();
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.drain, Duration::from_secs(10));
}

#[test]
fn every_bound_of_the_example_is_read_under_its_own_name() {
    let example = include_str!("../../../examples/relay/openscope-relay.toml");
    let limits = example.split("[limits]").nth(1).unwrap();
    let names =
        limits.lines().filter_map(|line| line.split(" = ").next()).filter(|n| !n.is_empty());
    for name in names {
        let fault = Place::new().fault(&format!("{GOOD}[limits]\n{name} = \"nonsense\"\n"));
        assert!(fault.contains("openscope-relay.toml"), "{fault}");
    }
}

#[test]
fn lo7_an_unknown_key_is_refused_with_its_place() {
    let fault = Place::new().fault(&format!("{GOOD}[limits]\nlegz = 1\n"));
    assert!(fault.starts_with("openscope-relay.toml:7:1: unknown field `legz`"), "{fault}");
}

#[test]
fn lo7_a_wrong_type_is_refused_with_its_place() {
    let fault = Place::new().fault(&format!("{GOOD}drain = 10\n"));
    assert!(fault.starts_with("openscope-relay.toml:6:9: "), "{fault}");
}

#[test]
fn lo7_what_cannot_be_is_refused_by_its_key() {
    let place = Place::new();
    for (line, expected) in [
        ("legs = 0", "`limits.legs` must be at least 1"),
        ("hello_timeout = \"99ms\"", "`limits.hello_timeout` must be between 100ms and 1h"),
        ("wait = \"3601s\"", "`limits.wait` must be between 100ms and 1h"),
        ("queue = \"16383\"", "`limits.queue` must be at least 16KiB"),
        ("memory = \"lots\"", "`limits.memory` is wrong: `lots` is not a size"),
    ] {
        let fault = place.fault(&format!("{GOOD}[limits]\n{line}\n"));
        assert!(fault.contains(expected), "{fault}");
    }
    for line in [
        "legs = 1",
        "hello_timeout = \"100ms\"",
        "wait = \"1h\"",
        "queue = \"16KiB\"",
        "waiting = 0",
    ] {
        assert!(place.load(&format!("{GOOD}[limits]\n{line}\n")).is_ok(), "{line}");
    }
}

#[test]
fn a_certificate_or_one_made_here_but_not_both_nor_neither() {
    let place = Place::new();
    let both = place.fault(&format!("certificate = \"c.pem\"\n{GOOD}"));
    assert!(both.contains("exclude each other"), "{both}");
    let neither = place.fault(&GOOD.replace("self_signed = true", ""));
    assert!(neither.contains("`certificate` is missing"), "{neither}");
}

#[test]
fn a_certificate_of_ones_own_is_used() {
    let place = Place::new();
    let signer = rcgen::KeyPair::from_pem(&pem(&[1; 32])).unwrap();
    let params = rcgen::CertificateParams::new(vec!["relay.example".into()]).unwrap();
    std::fs::write(place.path("c.pem"), params.self_signed(&signer).unwrap().pem()).unwrap();
    let config =
        place.load(&GOOD.replace("self_signed = true", "certificate = \"c.pem\"")).unwrap();
    assert_eq!(config.identity.pin(), Identity::self_signed(&[1; 32]).unwrap().pin());
}

#[test]
fn a_relay_without_operators_is_refused() {
    let fault = Place::new().fault(&GOOD.replace("[\"operator.pub\"]", "[]"));
    assert!(fault.contains("`operators` is empty"), "{fault}");
}

#[test]
fn lo5_a_key_that_others_may_read_is_refused_by_name() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    std::fs::set_permissions(place.path("relay.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let fault = place.fault(GOOD);
    assert!(fault.contains("relay.key") && fault.contains("chmod 600"), "{fault}");
}
