//! Values as JSON.

use std::borrow::Cow;

/// One value of a row.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Cell<'c> {
    Null,
    /// What is JSON as it stands: a number, `true`, an object.
    Json(Cow<'c, str>),
    Text(Cow<'c, str>),
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether JSON knows this number: it has no infinities, and nothing that is not one.
pub(super) fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// A document without the blanks between its parts, so that it stays on its line. Its numbers stay as they are.
pub(super) fn on_one_line(document: &str) -> String {
    let (mut line, mut is_text, mut is_escaped) = (String::new(), false, false);
    for c in document.chars() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_text => is_escaped = true,
            '"' => is_text = !is_text,
            _ => {}
        }
        if is_text || !c.is_ascii_whitespace() {
            line.push(c);
        }
    }
    line
}
