//! What a verb takes, as JSON Schema: as much of it as that can say. What it cannot say is in the description, and the
//! daemon decides.

use policy::{Constraint, Content, Input, Kind, MenuEntry, MenuParameter, Value as Given};
use rmcp::model::JsonObject;
use serde_json::{Map, Value, json};
use wire::access::{MAX_REASON_BYTES, MAX_WANTED, MAX_WANTED_BYTES};

use crate::arguments::accepted;
use crate::neutral::one_line;

/// The properties that no parameter can have: their names have a `-`.
pub(super) const STDIN: &str = "standard-input";
pub(super) const CALL_ID: &str = "call-id";

/// The properties of what asks for more.
pub(super) const WANTED: &str = "wanted";
pub(super) const REASON: &str = "reason";

/// The most characters of a summary.
const SUMMARY: usize = 200;

/// The arguments of a verb's tool.
pub(super) fn input(entry: &MenuEntry) -> JsonObject {
    let mut properties = Map::new();
    for (name, one) in &entry.parameters {
        properties.insert(name.to_string(), parameter(one));
    }
    let mut required: Vec<Value> = (entry.parameters.iter())
        .filter(|(_, one)| one.required)
        .map(|(name, _)| json!(name))
        .collect();
    if let Input::Stdin(stdin) = entry.input {
        let text = match stdin.content {
            Content::Text => json!({
                "type": "string",
                "description": format!("What it reads: {stdin}, and without control characters"),
            }),
            Content::Bytes => json!({
                "type": "string",
                "contentEncoding": "base64",
                "description": format!("What it reads, in base64: {stdin}"),
            }),
        };
        properties.insert(STDIN.to_owned(), text);
        required.push(json!(STDIN));
    }
    properties.insert(
        CALL_ID.to_owned(),
        json!({
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "To ask for a call that was made before, its id, with the same arguments: it never runs twice",
        }),
    );
    object(&properties, &required)
}

fn parameter(one: &MenuParameter) -> Value {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!(type_of(one.kind)));
    if let Some(item) = item_of(one.kind) {
        schema.insert("items".to_owned(), json!({ "type": item }));
    }
    if let [accepts] = one.accepts.as_slice() {
        narrow(&mut schema, accepts);
    } else if !one.accepts.is_empty() {
        let either = one.accepts.iter().map(|accepts| {
            let mut schema = Map::new();
            narrow(&mut schema, accepts);
            Value::Object(schema)
        });
        schema.insert("anyOf".to_owned(), either.collect());
    }
    if let Some(default) = &one.default {
        schema.insert("default".to_owned(), given(default));
    }
    let summary = one_line(&one.summary, SUMMARY);
    let accepts = accepted(one);
    let description = [summary.as_str(), &accepts].map(str::trim);
    let description: Vec<&str> = description.into_iter().filter(|part| !part.is_empty()).collect();
    schema.insert("description".to_owned(), json!(description.join(": ")));
    Value::Object(schema)
}

fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Path | Kind::Address | Kind::Url => "string",
        Kind::Int => "integer",
        Kind::Bool => "boolean",
        Kind::Texts | Kind::Ints | Kind::Paths | Kind::Addresses | Kind::Urls => "array",
    }
}

fn item_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Texts | Kind::Paths | Kind::Addresses | Kind::Urls => Some("string"),
        Kind::Ints => Some("integer"),
        Kind::Text | Kind::Int | Kind::Bool | Kind::Path | Kind::Address | Kind::Url => None,
    }
}

/// What a constraint says that a schema can say too. A pattern's language is another than the schema's.
fn narrow(schema: &mut Map<String, Value>, accepts: &Constraint) {
    match accepts {
        Constraint::OneOf(values) => {
            let mut values: Vec<Value> = values.iter().map(given).collect();
            match values.as_mut_slice() {
                [one] => schema.insert("const".to_owned(), one.take()),
                _ => schema.insert("enum".to_owned(), json!(values)),
            };
        }
        Constraint::Range { min, max } => {
            for (key, bound, none) in [("minimum", *min, i64::MIN), ("maximum", *max, i64::MAX)] {
                if bound != none {
                    schema.insert(key.to_owned(), json!(bound));
                }
            }
        }
        Constraint::All(parts) => parts.iter().for_each(|part| narrow(schema, part)),
        Constraint::Each(item) => {
            if let Some(Value::Object(items)) = schema.get_mut("items") {
                narrow(items, item);
            }
        }
        Constraint::Any
        | Constraint::Prefix(_)
        | Constraint::Pattern(_)
        | Constraint::Length { .. }
        | Constraint::Subtree(_)
        | Constraint::Cidr(_)
        | Constraint::Url(_)
        | Constraint::Has(_) => {}
    }
}

fn given(value: &Given) -> Value {
    match value {
        Given::Text(text) => json!(**text),
        Given::Int(number) => json!(number),
        Given::Bool(truth) => json!(truth),
        Given::List(_) => value.items().iter().map(given).collect(),
    }
}

/// Of a tool that asks about a call.
pub(super) fn of_call(more: Value) -> JsonObject {
    let mut properties = Map::new();
    properties.insert(
        "call".to_owned(),
        json!({ "type": "string", "pattern": "^[0-9a-f]{32}$", "description": "The call's id" }),
    );
    if let Value::Object(more) = more {
        properties.extend(more);
    }
    object(&properties, &[json!("call")])
}

/// The properties of what tells notes.
pub(super) const AFTER: &str = "after";
pub(super) const WAITS: &str = "wait";

/// Of the tool that tells notes.
pub(super) fn notes() -> JsonObject {
    let mut properties = Map::new();
    properties.insert(
        AFTER.to_owned(),
        json!({ "type": "integer", "minimum": 0, "description": "Only what is newer: `next` of the last answer" }),
    );
    properties.insert(
        WAITS.to_owned(),
        json!({ "type": "boolean", "default": false, "description": "Where there is nothing newer, wait for it a while" }),
    );
    object(&properties, &[])
}

/// Of the tool that asks for more.
pub(super) fn access() -> JsonObject {
    let mut properties = Map::new();
    properties.insert(
        WANTED.to_owned(),
        json!({
            "type": "array",
            "items": { "type": "string", "maxLength": MAX_WANTED_BYTES },
            "minItems": 1,
            "maxItems": MAX_WANTED,
            "description": "The verbs, each with its pins if it is to have any: \"service.restart:service=web\"",
        }),
    );
    properties.insert(
        REASON.to_owned(),
        json!({
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_REASON_BYTES,
            "description": "Why, in a sentence for the owner",
        }),
    );
    object(&properties, &[json!(WANTED), json!(REASON)])
}

/// Of a tool that takes nothing.
pub(super) fn nothing() -> JsonObject {
    object(&Map::new(), &[])
}

fn object(properties: &Map<String, Value>, required: &[Value]) -> JsonObject {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), json!(properties));
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema.insert("additionalProperties".to_owned(), json!(false));
    schema
}

/// What each answer about a call has.
pub(super) fn output() -> JsonObject {
    let properties = json!({
        "schema": { "const": "openscope.mcp/1" },
        "call": { "type": "string" },
        "state": { "enum": ["pending", "running", "ended", "refused", "failed"] },
        "kind": or_null("string", "How it ended, or why not"),
        "exit": or_null("integer", "The status that the program ended with"),
        "message": or_null("string", "Why it was refused, or failed"),
        "parameter": or_null("string", "About which argument"),
        "accepted": or_null("string", "What would be accepted"),
        "retryable": { "type": "boolean" },
        "stdout": { "type": "string" },
        "stderr": { "type": "string" },
        "truncated": { "type": "boolean", "description": "There is more: read on with `openscope_read`" },
        "cursor": or_null("string", "What `openscope_read` takes for the rest"),
        "complete": { "type": "boolean", "description": "All that it wrote is here, or can be read" },
        "redactions": { "type": "integer", "description": "Secrets that were masked" },
        "duration_ms": or_null("integer", "How long it took"),
    });
    let required = ["schema", "call", "state", "stdout", "stderr", "truncated"].map(Value::from);
    let Value::Object(properties) = properties else { return nothing() };
    object(&properties, &required)
}

/// One type a branch: not every host takes an array of them.
fn or_null(kind: &str, description: &str) -> Value {
    json!({ "anyOf": [{ "type": kind }, { "type": "null" }], "description": description })
}
