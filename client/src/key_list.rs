//! `keys`: what this program would open handles with, and which seats it holds.

use std::path::Path;

use policy::Timestamp;
use serde_json::{Value, json};
use wire::fingerprint::Fingerprint;

use crate::cli::Options;
use crate::clock::{now, told, until};
use crate::environment::Environment;
use crate::exit::Exit;
use crate::failure::{Failure, chain};
use crate::keys::{KeptSeat, Seats};
use crate::known_daemons::KnownDaemons;
use crate::neutral::one_line;
use crate::own_keys::{Kept, OwnKey, State, own_keys};
use crate::protection::Protection;
use crate::start::{no_key, print, say};

/// What is said where there is no key.
pub(crate) const HOW_TO_MAKE_ONE: &str =
    "`openscope-reflect-client keygen` makes one, or name yours with `--identity FILE`";

/// Shows all of them; a secret never.
pub(crate) fn run(options: &Options, environment: &Environment) -> Result<Exit, Failure> {
    let own = own_keys(options, environment);
    let state = environment.state.as_deref();
    let seats = state.map_or(Ok(Vec::new()), |state| Seats::within(state).all());
    let seats = seats.map_err(|fault| no_key(&fault))?;
    if options.json {
        print(&as_json(&own, &seats, now()).to_string());
        return Ok(Exit::DONE);
    }
    let names = Names::read(environment);
    print(&as_text(&own, &seats, &names, now()));
    if own.is_empty() && !options.quiet {
        say(HOW_TO_MAKE_ONE);
    }
    Ok(Exit::DONE)
}

/// By what names daemons were confirmed here.
struct Names(Vec<(policy::DaemonName, Fingerprint)>);

impl Names {
    /// Without names, fingerprints are shown: `doctor` says what is wrong with the file.
    fn read(environment: &Environment) -> Self {
        let known = environment.config.as_deref().map(KnownDaemons::within);
        Self(known.and_then(|known| known.all().ok()).unwrap_or_default())
    }

    fn of(&self, key: Fingerprint) -> &str {
        let named = self.0.iter().find(|(_, known)| *known == key);
        named.map_or("a daemon that was not confirmed for good", |(name, _)| name.as_str())
    }
}

fn as_json(own: &[OwnKey], seats: &[KeptSeat], now: Timestamp) -> Value {
    json!({
        "schema": "openscope.client.keys/1",
        "identities": own.iter().map(own_json).collect::<Vec<_>>(),
        "seats": seats.iter().map(|seat| seat_json(seat, now)).collect::<Vec<_>>(),
    })
}

fn own_json(key: &OwnKey) -> Value {
    let (state, public, kept, why) = match &key.state {
        State::Usable { public, kept } => ("usable", public.as_slice(), kept.as_slice(), None),
        State::Locked => ("passphrase", [].as_slice(), [].as_slice(), None),
        State::Unusable(why) => ("unusable", [].as_slice(), [].as_slice(), Some(why)),
    };
    json!({
        "file": shown(&key.path),
        "named_by": key.named_by.word(),
        "state": state,
        "public": public,
        "plugins": kept.iter().map(kept_json).collect::<Vec<_>>(),
        "why": why,
        "protection": key.protection.map(Protection::json),
    })
}

fn kept_json(kept: &Kept) -> Value {
    let Kept { program, is_installed, public } = kept;
    json!({ "program": program, "installed": is_installed, "public": public })
}

fn seat_json(seat: &KeptSeat, now: Timestamp) -> Value {
    let said = seat.says.as_ref().ok();
    json!({
        "file": shown(&seat.path),
        "share_and_seat": name(&seat.path),
        "daemon": said.map(|(_, daemon)| Fingerprint::of(daemon).to_string()),
        "not_after": said.map(|(end, _)| told(*end)),
        "expired": said.map(|(end, _)| now >= *end),
        "why": seat.says.as_ref().err().map(|fault| chain(fault)),
        "protection": Protection::of_secret(&seat.path).ok().map(Protection::json),
    })
}

fn as_text(own: &[OwnKey], seats: &[KeptSeat], names: &Names, now: Timestamp) -> String {
    let mut lines = vec!["Opens handles:".to_owned()];
    lines.extend(own.iter().flat_map(own_lines));
    if own.is_empty() {
        lines.push("  nothing: there is no key of yours here".to_owned());
    }
    lines.push("Holds seats:".to_owned());
    lines.extend(seats.iter().flat_map(|seat| seat_lines(seat, names, now)));
    if seats.is_empty() {
        lines.push("  nothing: no seat has been taken from here, or its share is over".to_owned());
    }
    lines.join("\n")
}

fn own_lines(key: &OwnKey) -> Vec<String> {
    let mut lines = vec![format!("  {}, {}", shown(&key.path), key.named_by)];
    match &key.state {
        State::Usable { public, kept } => {
            lines.extend(public.iter().map(|public| format!("    public      {public}")));
            lines.extend((!public.is_empty()).then(|| "    passphrase  none".to_owned()));
            lines.extend(kept.iter().flat_map(kept_lines));
        }
        State::Locked => {
            lines.push("    passphrase  yes: it is asked for when a handle is opened".to_owned());
        }
        State::Unusable(why) => lines.push(format!("    UNUSABLE    {why}")),
    }
    lines.extend(protection_line(key.protection));
    lines
}

fn kept_lines(kept: &Kept) -> Vec<String> {
    let public = kept.public.iter().map(|public| format!("    public      {public}"));
    let missing = if kept.is_installed { "" } else { ", which is NOT INSTALLED" };
    let plugin = format!("    plugin      opens through {}{missing}", kept.program);
    public.chain([plugin]).collect()
}

fn seat_lines(seat: &KeptSeat, names: &Names, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("  {}", name(&seat.path))];
    match &seat.says {
        Ok((end, daemon)) => {
            let daemon = Fingerprint::of(daemon);
            let remains =
                if now >= *end { "EXPIRED".to_owned() } else { format!("in {}", until(now, *end)) };
            lines.push(format!("    daemon      {}, {daemon}", names.of(daemon)));
            lines.push(format!("    not after   {} ({remains})", told(*end)));
        }
        Err(fault) => lines.push(format!("    UNUSABLE    {}", chain(fault))),
    }
    lines.extend(protection_line(Protection::of_secret(&seat.path).ok()));
    lines
}

fn protection_line(protection: Option<Protection>) -> Option<String> {
    protection.map(|protection| format!("    file        {protection}"))
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| one_line(&name.to_string_lossy(), 200)).unwrap_or_default()
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string(), 4096)
}
