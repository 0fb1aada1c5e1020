//! `status`: whose share it is, how long it lasts, and how it is reached.

use serde_json::{Value, json};

use crate::clock::{told, until};
use crate::inspect::{further, made_smaller};
use crate::neutral::one_line;
use crate::session::{Session, View};

/// The share as JSON.
pub(crate) fn as_json(session: &Session, view: &View) -> Value {
    let (seat, authority) = (session.seat(), session.seat().authority());
    let passport = seat.passport();
    json!({
        "schema": "openscope.client.status/1",
        "daemon": authority.daemon,
        "fingerprint": seat.fingerprint().to_string(),
        "words": seat.fingerprint().words(),
        "owner": one_line(&authority.owner, 64),
        "share": authority.share,
        "seat": authority.seat,
        "deadline": told(view.standing.deadline),
        "remaining_s": view.standing.deadline.since(view.now()).as_secs(),
        "verbs": view.standing.menu.len(),
        "relay": session.relay().map(ToString::to_string),
        "narrowed": passport.blocks().len(),
        "depth": passport.depth(),
    })
}

/// The share for a person.
pub(crate) fn as_text(session: &Session, view: &View) -> String {
    let (seat, authority) = (session.seat(), session.seat().authority());
    let passport = seat.passport();
    let (deadline, now) = (view.standing.deadline, view.now());
    [
        format!("share        {}, seat {}", authority.share, authority.seat),
        format!("owner        {}", one_line(&authority.owner, 64)),
        format!("daemon       {}", authority.daemon),
        format!("fingerprint  {}", seat.fingerprint()),
        format!("words        {}", seat.fingerprint().words().join(" ")),
        format!(
            "until        {} (in {}, by the daemon's clock)",
            told(deadline),
            until(now, deadline)
        ),
        format!("verbs        {}, as `list` shows", view.standing.menu.len()),
        session.relay().map_or_else(
            || "reached      over the channel that is kept".to_owned(),
            |relay| format!("reached      over relay {relay}"),
        ),
        format!("handle       {}, {}", made_smaller(passport), further(passport.depth())),
    ]
    .join("\n")
}
