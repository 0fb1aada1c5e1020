//! `list`: what may be called.

use policy::{
    Approve, Input, MenuEntry, MenuParameter, ParameterName, Reflects, Timestamp, Transfer,
};
use serde_json::{Value, json};

use crate::arguments::accepted;
use crate::clock::{told, until};
use crate::neutral::one_line;
use crate::seat::Seat;
use crate::session::View;

/// The most characters of a summary that are shown.
const SUMMARY: usize = 200;

/// The menu as JSON.
pub(crate) fn as_json(seat: &Seat, view: &View) -> Value {
    let authority = seat.authority();
    json!({
        "schema": "openscope.list/1",
        "daemon": authority.daemon,
        "owner": one_line(&authority.owner, 64),
        "share": authority.share,
        "seat": authority.seat,
        "deadline": told(view.standing.deadline),
        "remaining_s": view.standing.deadline.since(view.now()).as_secs(),
        "verbs": view.standing.menu,
    })
}

/// The menu for a person.
pub(crate) fn as_text(seat: &Seat, view: &View) -> String {
    let mut lines = vec![standing_line(seat, view.standing.deadline, view.now()), String::new()];
    lines.extend(view.standing.menu.iter().map(entry_text));
    if view.standing.menu.is_empty() {
        lines.push("Nothing may be called now.".to_owned());
    }
    lines.join("\n")
}

/// Whose share it is, and how long it lasts.
pub(crate) fn standing_line(seat: &Seat, deadline: Timestamp, now: Timestamp) -> String {
    let authority = seat.authority();
    let owner = one_line(&authority.owner, 64);
    let (share, daemon) = (authority.share, &authority.daemon);
    format!(
        "{share} of {owner} on {daemon}, until {} (in {})",
        told(deadline),
        until(now, deadline)
    )
}

/// One verb with its parameters.
pub(crate) fn entry_text(entry: &MenuEntry) -> String {
    let asks = match entry.approve {
        Approve::Never => "",
        Approve::Once => ", the first call waits for consent",
        Approve::Each => ", each call waits for consent",
    };
    let summary = one_line(&entry.summary, SUMMARY);
    let takes = match (entry.reflects, entry.input) {
        _ if entry.transfers == Some(Transfer::Get) => ", get: a file".to_owned(),
        (None, Input::Stdin(stdin)) if entry.transfers == Some(Transfer::Put) => {
            format!(", put: a file of {stdin}")
        }
        (Some(Reflects::Http), _) => ", forward: a web service".to_owned(),
        (Some(Reflects::Tcp), _) => ", forward: a port".to_owned(),
        (None, Input::Nothing) => String::new(),
        (None, Input::Stdin(stdin)) => format!(", takes standard input: {stdin}"),
        (None, Input::Terminal) => ", takes a terminal".to_owned(),
    };
    let head = format!("{}  [{}{takes}{asks}]  {summary}", entry.verb, entry.effect);
    let lines = entry.parameters.iter().map(|(name, one)| parameter_text(name, one));
    std::iter::once(head.trim_end().to_owned()).chain(lines).collect::<Vec<_>>().join("\n")
}

fn parameter_text(name: &ParameterName, parameter: &MenuParameter) -> String {
    let need = match (&parameter.default, parameter.required) {
        (Some(default), _) => format!("default {}", default.shown()),
        (None, true) => "required".to_owned(),
        (None, false) => "optional".to_owned(),
    };
    let summary = one_line(&parameter.summary, SUMMARY);
    format!("    {name}  {}  ({need})  {summary}", accepted(parameter)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Content, Stdin};

    use crate::arguments::tests::entry;

    #[test]
    fn a_verb_that_waits_for_consent_says_so() {
        let shown = |approve| entry_text(&MenuEntry { approve, ..entry() });
        assert!(!shown(Approve::Never).contains("consent"));
        assert!(shown(Approve::Each).contains(", each call waits for consent]"));
    }

    #[test]
    fn a_verb_that_takes_standard_input_says_so() {
        let stdin = Stdin { content: Content::Text, max: 8 << 20 };
        let shown = entry_text(&MenuEntry { input: Input::Stdin(stdin), ..entry() });
        assert!(shown.contains("[read, takes standard input: text, at most 8MiB]"), "{shown}");
        assert!(!entry_text(&entry()).contains("input"));
        let shown = entry_text(&MenuEntry { input: Input::Terminal, ..entry() });
        assert!(shown.contains("[read, takes a terminal]"), "{shown}");
    }

    #[test]
    fn a_verb_is_shown_with_what_each_parameter_takes() {
        assert_eq!(
            entry_text(&entry()),
            "log.tail  [read]  Last lines of a log\n    follow  bool  (optional)\n    \
             lines  int, 1..500  (optional)\n    service  string, db|web  (required)"
        );
    }

    #[test]
    fn an_owners_words_cannot_write_to_the_terminal() {
        let hostile = MenuEntry { summary: "x\u{1b}[2J\ny".to_owned(), ..entry() };
        assert!(entry_text(&hostile).starts_with("log.tail  [read]  x y\n"));
    }
}
