//! `note` and `notes`: a word to the owner, and what was said.

use std::time::Duration;

use policy::{Arguments, MAX_NOTE, MenuEntry, NOTE_TEXT, Timestamp, Value};
use serde_json::{Value as Json, json};
use tokio::time::{sleep, timeout};
use wire::note::{Author, NoteStatement};

use crate::call::Call;
use crate::cli::{NoteArguments, NotesArguments, Options};
use crate::clock::told;
use crate::conduct::Stops;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::notes::{as_text, author};
use crate::one_call::{Sight, listed, machine, style};
use crate::output::Output;
use crate::report::is_over;
use crate::session::Session;
use crate::source::Source;
use crate::start::print;

/// What was left before comes at once; who sends less than they said is not waited for.
const ARRIVES: Duration = Duration::from_secs(5);

/// Leaves the owner a note.
pub(crate) async fn leave(
    session: &Session,
    what: &NoteArguments,
    options: &Options,
) -> Result<Exit, Failure> {
    let mut call = begin(session, &what.text.join(" "), what.verb.as_deref())?;
    let mut stops = Stops::listen().map_err(|fault| machine(&fault))?;
    let sight = Sight { style: style(options), options };
    let output = Output::start(sight.style).map_err(|fault| machine(&fault))?;
    let report = sight.see(&mut call, Source::Nothing, output, &mut stops).await;
    let report = report.under(session.view().over());
    Ok(sight.tell(&call, &report))
}

/// A call that leaves a note.
pub(crate) fn begin(session: &Session, text: &str, verb: Option<&str>) -> Result<Call, Failure> {
    let usage = |what: String| Failure::new(Exit::USAGE, "usage", what);
    let menu = session.view().standing.menu.clone();
    let entry = match verb {
        Some(verb) => listed(verb, &menu)?,
        None => only(&menu)?,
    };
    if !(1..=MAX_NOTE).contains(&text.len()) {
        return Err(usage(format!("a note has 1 to {MAX_NOTE} bytes, not {}", text.len())));
    }
    let value = Value::text(text).map_err(|fault| usage(fault.to_string()))?;
    let argument = NOTE_TEXT.parse().ok().map(|name| (name, value));
    let arguments: Arguments = argument.into_iter().collect();
    let call = session.call(entry.verb.clone(), arguments);
    call.map_err(|fault| Failure::of(Exit::USAGE, "usage", &fault))
}

fn only(menu: &[MenuEntry]) -> Result<&MenuEntry, Failure> {
    let mut leaving = menu.iter().filter(|entry| entry.notes);
    match (leaving.next(), leaving.next()) {
        (Some(entry), None) => Ok(entry),
        (Some(one), Some(other)) => Err(Failure::new(
            Exit::USAGE,
            "usage",
            format!("several verbs leave notes: `{}`, `{}`", one.verb, other.verb),
        )
        .hint("say which: `--verb VERB`")),
        (None, _) => Err(no_notes()),
    }
}

fn no_notes() -> Failure {
    Failure::new(Exit::UNKNOWN_VERB, "unknown_verb", "this share has no notes")
        .hint("no verb that leaves one is shared with you; `list` shows what is")
}

/// Shows what was said, and with `--follow` what is said from here on.
pub(crate) async fn show(
    session: &Session,
    what: &NotesArguments,
    options: &Options,
) -> Result<Exit, Failure> {
    let view = session.view();
    if !view.standing.menu.iter().any(|entry| entry.notes) {
        return Err(no_notes());
    }
    let (mut notes, mut views) = (session.notes(), session.views());
    let wanted = view.standing.notes;
    drop(timeout(ARRIVES, notes.wait_for(|notes| notes.are(wanted))).await);
    let mut stops = Stops::listen().map_err(|fault| machine(&fault))?;
    let mut last = Timestamp(0);
    loop {
        for note in notes.borrow_and_update().after(last) {
            last = note.at;
            print(&if options.json { as_json(note).to_string() } else { as_text(note) });
        }
        if !what.follow {
            return Ok(Exit::DONE);
        }
        tokio::select! {
            biased;
            stop = stops.next() => return Ok(stop),
            _changed = notes.changed() => {}
            over = views.wait_for(|view| view.over().is_some()) => {
                let over = over.ok().and_then(|view| view.over().cloned());
                // What was said last may still be on its way from the other stream.
                sleep(Duration::from_millis(10)).await;
                return over.map_or(Ok(Exit::GONE), |over| Err(is_over(&over)));
            }
        }
    }
}

fn as_json(note: &NoteStatement) -> Json {
    let call = match note.author {
        Author::Owner => None,
        Author::Recipient(call) => Some(call.to_string()),
    };
    json!({
        "schema": "openscope.note/1",
        "share": note.share,
        "seat": note.seat,
        "at": told(note.at),
        "at_ms": note.at.0,
        "author": author(note),
        "call": call,
        "text": note.text,
    })
}
