//! The tools as they stand: one for each verb that a host can call, and those by which it asks about calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Approve, Effect, Input, MenuEntry, VerbName};
use rmcp::model::{Tool, ToolAnnotations};
use serde_json::json;

use super::names::{self, CANCEL, NOTES, READ, REQUEST, STATUS, WAIT};
use super::schema;
use crate::neutral::one_line;

/// The most characters of a summary.
const SUMMARY: usize = 300;

/// Whether a host can call it: it has no terminal, and no programs of this machine to lead to a service.
fn is_callable(entry: &MenuEntry) -> bool {
    entry.input != Input::Terminal && entry.reflects.is_none()
}

/// Verbs by the names of their tools.
pub(super) fn by_name(menu: &[MenuEntry]) -> BTreeMap<String, VerbName> {
    names::of_verbs(menu.iter().filter(|entry| is_callable(entry)).map(|entry| &entry.verb))
}

/// All of them, in one order.
pub(super) fn list(menu: &[MenuEntry]) -> Vec<Tool> {
    let entry = |verb: &VerbName| menu.iter().find(|entry| entry.verb == *verb);
    let verbs = by_name(menu);
    let verbs = verbs.iter().filter_map(|(name, verb)| Some(tool(name, entry(verb)?)));
    let notes = menu.iter().any(|entry| entry.notes).then(notes);
    own().into_iter().chain(notes).chain(verbs).collect()
}

/// What stands in the menu and no host can call.
pub(super) fn others(menu: &[MenuEntry]) -> Vec<String> {
    let others = menu.iter().filter(|entry| !is_callable(entry));
    others.map(|entry| entry.verb.to_string()).collect()
}

fn tool(name: &str, entry: &MenuEntry) -> Tool {
    let reads = entry.effect == Effect::Read;
    let waits = match entry.approve {
        Approve::Never => "",
        Approve::Once => " The first call waits until somebody on the owner's side has consented.",
        Approve::Each => " Each call waits until somebody on the owner's side has consented.",
    };
    let changes =
        if reads { "" } else { " It changes something: do it once, and when it is wanted." };
    let description = format!("{}.{changes}{waits}", summary(entry));
    let annotations = ToolAnnotations::with_title(entry.verb.to_string())
        .read_only(reads)
        .destructive(!reads)
        .idempotent(reads)
        .open_world(false);
    Tool::new(name.to_owned(), description, Arc::new(schema::input(entry)))
        .with_title(entry.verb.to_string())
        .with_raw_output_schema(Arc::new(schema::output()))
        .with_annotations(annotations)
}

fn summary(entry: &MenuEntry) -> String {
    let summary = one_line(&entry.summary, SUMMARY);
    let summary = summary.trim().trim_end_matches('.');
    if summary.is_empty() { entry.verb.to_string() } else { summary.to_owned() }
}

fn own() -> [Tool; 5] {
    let asks = |title: &str| {
        ToolAnnotations::with_title(title).read_only(true).idempotent(true).open_world(false)
    };
    let cursor = json!({
        "cursor": { "type": "string", "description": "From where, as the last answer said [default: from the beginning]" }
    });
    let of_call = |name: &'static str, description: &'static str, title: &str, more| {
        Tool::new(name, description, Arc::new(schema::of_call(more)))
            .with_raw_output_schema(Arc::new(schema::output()))
            .with_annotations(asks(title))
    };
    [
        of_call(
            CANCEL,
            "Ends a call of yours that goes on: all that it started is killed. What you have asked the owner is taken back.",
            "End a call",
            json!({}),
        )
        .with_annotations(
            ToolAnnotations::with_title("End a call")
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(false),
        ),
        of_call(READ, "Reads more of what a call wrote.", "Read on", cursor.clone()),
        Tool::new(
            REQUEST,
            "Asks the owner for a verb, or for more of one, that is not shared with you. They see exactly what the share would gain, with your reason, and say yes or no. Ask for as little as will do, and once.",
            Arc::new(schema::access()),
        )
        .with_raw_output_schema(Arc::new(schema::output()))
        .with_annotations(
            ToolAnnotations::with_title("Ask for more")
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(false),
        ),
        Tool::new(
            STATUS,
            "Who shares what with you, until when, and how many of your calls go on.",
            Arc::new(schema::nothing()),
        )
        .with_annotations(asks("The share")),
        of_call(
            WAIT,
            "Waits for a call of yours that goes on, for consent to it, or for what you have asked the owner, and says how it stands.",
            "Wait for a call",
            cursor,
        ),
    ]
}

/// Where the share has notes: what leaves one is a verb like any other.
fn notes() -> Tool {
    let annotations = ToolAnnotations::with_title("What was said");
    Tool::new(
        NOTES,
        "What you and the owner have said to each other by notes, the oldest first; or, to wait for a word of theirs, what is new.",
        Arc::new(schema::notes()),
    )
    .with_annotations(annotations.read_only(true).idempotent(true).open_world(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::entry;

    #[test]
    fn tools_have_one_order_and_say_what_they_do() {
        let write = MenuEntry {
            verb: "service.restart".parse().unwrap(),
            effect: Effect::Write,
            approve: Approve::Each,
            ..entry()
        };
        let terminal =
            MenuEntry { verb: "host.top".parse().unwrap(), input: Input::Terminal, ..entry() };
        let menu = [entry(), write, terminal];
        let tools = list(&menu);
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        let wanted = [
            "openscope_cancel",
            "openscope_read",
            "openscope_request_access",
            "openscope_status",
            "openscope_wait",
            "log-tail",
            "service-restart",
        ];
        assert_eq!(names, wanted);
        assert_eq!(others(&menu), ["host.top"]);
        let hints = |at: usize| tools[at].annotations.clone().unwrap();
        assert_eq!((hints(5).read_only_hint, hints(5).destructive_hint), (Some(true), Some(false)));
        assert_eq!((hints(6).read_only_hint, hints(6).idempotent_hint), (Some(false), Some(false)));
        let said = tools[6].description.clone().unwrap();
        assert!(said.contains("changes something") && said.contains("consented"), "{said}");
    }

    #[test]
    fn a_schema_says_what_is_accepted() {
        let schema = serde_json::Value::Object(schema::input(&entry()));
        let properties = &schema["properties"];
        assert_eq!(properties["service"]["enum"], json!(["db", "web"]));
        assert_eq!(properties["lines"]["minimum"], json!(1));
        assert_eq!(properties["lines"]["maximum"], json!(500));
        assert_eq!(properties["follow"]["type"], json!("boolean"));
        assert_eq!(schema["required"], json!(["service"]));
        assert_eq!(schema["additionalProperties"], json!(false));
    }
}
