//! `inspect`: what a handle holds, said without talking to anybody.

use policy::passport::Block;
use policy::{Passport, Scope, Timestamp};
use serde_json::{Value, json};
use wire::fingerprint::Fingerprint;
use wire::handle::Handle;

use crate::clock::{told, until};
use crate::neutral::one_line;

/// The handle as JSON.
pub(crate) fn as_json(handle: &Handle, passport: &Passport, now: Timestamp) -> Value {
    let authority = passport.authority();
    let blocks = passport.blocks().iter().map(|block| {
        let said = block.narrowing();
        json!({
            "handed_on_by": block.handed_on().map(|hop| Fingerprint::of(&hop.by).to_string()),
            "not_after": told(said.not_after),
            "depth": said.depth,
            "reason": one_line(&said.reason, 300),
            "scope": capabilities(&said.scope),
        })
    });
    json!({
        "schema": "openscope.inspect/1",
        "daemon": authority.daemon,
        "fingerprint": handle.fingerprint().to_string(),
        "words": handle.fingerprint().words(),
        "owner": one_line(&authority.owner, 64),
        "share": authority.share,
        "seat": authority.seat,
        "relays": authority.relays.iter().map(|relay| one_line(relay, 256)).collect::<Vec<_>>(),
        "not_after": told(passport.not_after()),
        "expired": now >= passport.not_after(),
        "depth": passport.depth(),
        "redeems": handle.redeem.is_some(),
        "authority": {
            "not_after": told(authority.not_after),
            "depth": authority.depth,
            "scope": capabilities(&authority.scope),
        },
        "blocks": blocks.collect::<Vec<_>>(),
        "scope": capabilities(passport.scope()),
        "passport_bytes": handle.passport.len(),
    })
}

/// The handle for a person.
pub(crate) fn as_text(handle: &Handle, passport: &Passport, now: Timestamp) -> String {
    let authority = passport.authority();
    let end = passport.not_after();
    let remains = if now >= end { "EXPIRED".to_owned() } else { format!("in {}", until(now, end)) };
    let relays: Vec<_> = authority.relays.iter().map(|relay| one_line(relay, 256)).collect();
    let mut lines = vec![
        format!("daemon       {}", authority.daemon),
        format!("fingerprint  {}", handle.fingerprint()),
        format!("words        {}", handle.fingerprint().words().join(" ")),
        format!("owner        {}", one_line(&authority.owner, 64)),
        format!("share        {}, seat {}", authority.share, authority.seat),
        format!("relays       {}", relays.join(", ")),
        format!("not after    {} ({remains})", told(end)),
        format!(
            "passport     {} bytes, {}, {}",
            handle.passport.len(),
            made_smaller(passport),
            further(passport.depth())
        ),
    ];
    if handle.redeem.is_none() {
        lines.push("holder       only whoever holds the seat already: it was narrowed".to_owned());
    }
    lines.extend(scope_lines("scope", &authority.scope));
    for (at, block) in passport.blocks().iter().enumerate() {
        lines.extend(block_lines(at + 1, block));
    }
    if !passport.blocks().is_empty() {
        lines.extend(scope_lines("in force", passport.scope()));
    }
    lines.join("\n")
}

/// Who made a block, until when, how often it may be handed on from there, why, and what it leaves.
fn block_lines(number: usize, block: &Block) -> Vec<String> {
    let said = block.narrowing();
    let title = format!("block {number}");
    let by = match block.handed_on() {
        Some(hop) => format!("handed on by {}", Fingerprint::of(&hop.by)),
        None => "narrowed by its holder".to_owned(),
    };
    let (end, onward) = (told(said.not_after), further(said.depth));
    let mut lines = vec![format!("{title:<13}{by}, until {end}, {onward}")];
    if !said.reason.is_empty() {
        lines.push(format!("{:<13}{}", "reason", one_line(&said.reason, 300)));
    }
    lines.extend(scope_lines("narrowed to", &said.scope));
    lines
}

/// How often it was made smaller.
pub(crate) fn made_smaller(passport: &Passport) -> String {
    match passport.blocks().len() {
        0 => "as the owner gave it".to_owned(),
        1 => "made smaller once".to_owned(),
        times => format!("made smaller {times} times"),
    }
}

/// How often it may be handed on from there.
pub(crate) fn further(depth: u8) -> String {
    match depth {
        0 => "may not be handed on".to_owned(),
        1 => "may be handed on once".to_owned(),
        depth => format!("may be handed on {depth} times in a row"),
    }
}

fn capabilities(scope: &Scope) -> Vec<String> {
    scope.capabilities().iter().map(|one| one_line(&one.to_string(), 2000)).collect()
}

fn scope_lines(title: &'static str, scope: &Scope) -> impl Iterator<Item = String> {
    let titles = std::iter::once(title).chain(std::iter::repeat(""));
    titles.zip(capabilities(scope)).map(|(title, one)| format!("{title:<13}{one}"))
}
