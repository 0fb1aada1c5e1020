//! `openscope status`: how the daemon does.

use serde_json::{Value, json};
use wire::control::{RelayView, Reply, Request, StatusView};

use super::fault::Fault;
use super::output::{Format, Output};
use super::shown;
use super::socket::Daemon;
use crate::exit::Exit;

pub(super) fn run(daemon: &Daemon, out: &mut Output) -> Result<Exit, Fault> {
    let Reply::Status(status) = daemon.ask(&Request::Status)? else {
        return Err(Fault::unfitting());
    };
    match out.format() {
        Format::Json => out.json(&document(&status))?,
        Format::Text => out.data(&text(&status))?,
    }
    Ok(Exit::Done)
}

fn document(status: &StatusView) -> Value {
    json!({
        "schema": "openscope.status/1",
        "name": status.name,
        "version": status.version,
        "mode": status.mode,
        "fingerprint": status.fingerprint,
        "words": status.words,
        "relays": status.relays.iter().map(relay_json).collect::<Vec<_>>(),
        "warnings": status.warnings,
        "shares": status.shares,
        "calls": status.calls,
    })
}

fn relay_json(relay: &RelayView) -> Value {
    json!({ "address": relay.address, "up": relay.up, "why": relay.why })
}

fn text(status: &StatusView) -> String {
    let mut lines = vec![
        fact("daemon", &format!("{} {} ({})", status.name, status.version, status.mode)),
        fact("fingerprint", &status.fingerprint),
        fact("in words", &status.words.join(" ")),
        fact("live", &format!("shares {}, running calls {}", status.shares, status.calls)),
    ];
    lines.extend(status.relays.iter().map(|relay| fact("relay", &relay_text(relay))));
    lines.extend(status.warnings.iter().map(|warning| fact("WARNING", warning)));
    lines.join("\n")
}

fn fact(name: &str, value: &str) -> String {
    format!("{name:<12} {}", shown::line(value))
}

fn relay_text(relay: &RelayView) -> String {
    match (relay.up, &relay.why) {
        (true, _) => format!("{} up", relay.address),
        (false, Some(why)) => format!("{} DOWN: {why}", relay.address),
        (false, None) => format!("{} DOWN", relay.address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_is_down_says_why_and_what_does_not_hold_stands_out() {
        let status = StatusView {
            name: "web-7".to_owned(),
            version: "0.1.0".to_owned(),
            fingerprint: "SHA256:abc".to_owned(),
            words: vec!["one".to_owned(), "two".to_owned()],
            mode: "rootless".to_owned(),
            relays: vec![RelayView {
                address: "r:4433".to_owned(),
                up: false,
                why: Some("no route".to_owned()),
            }],
            warnings: vec!["P9 does not hold".to_owned()],
            shares: 1,
            calls: 0,
        };
        let expected = "\
daemon       web-7 0.1.0 (rootless)
fingerprint  SHA256:abc
in words     one two
live         shares 1, running calls 0
relay        r:4433 DOWN: no route
WARNING      P9 does not hold";
        assert_eq!(text(&status), expected);
        assert_eq!(document(&status)["schema"], "openscope.status/1");
    }
}
