//! What a host asks of a verb: JSON, read as the verb's parameters are declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::{Arguments, Content, Input, MenuEntry, Timestamp};
use rmcp::model::JsonObject;
use serde_json::Value;
use wire::access::{Wanted, Why};
use wire::call::CallId;

use super::schema::{AFTER, CALL_ID, REASON, STDIN, WAITS, WANTED};
use crate::arguments::json::{self, Unasked, text};
use crate::request;

/// A call that can be made.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) arguments: Arguments,
    /// Of a call that was made before.
    pub(super) id: Option<CallId>,
    pub(super) stdin: Vec<u8>,
}

/// Reads what a tool was called with.
pub(super) fn read(entry: &MenuEntry, given: &JsonObject) -> Result<Asked, Unasked> {
    let mut asked = Asked { arguments: Arguments::default(), id: None, stdin: Vec::new() };
    if entry.input.stdin().is_some() && given.get(STDIN).is_none_or(Value::is_null) {
        return Err(Unasked::of(STDIN, String::new(), "is required: say \"\" for none"));
    }
    if let Some(id) = given.get(CALL_ID) {
        asked.id = Some(call_id(id).ok_or_else(|| not_an_id(CALL_ID))?);
    }
    if let Some(value) = given.get(STDIN) {
        asked.stdin = stdin(entry.input, value)?;
    }
    let others = given.iter().filter(|(name, _)| ![CALL_ID, STDIN].contains(&name.as_str()));
    asked.arguments = json::read(entry, others)?;
    Ok(asked)
}

fn stdin(input: Input, value: &Value) -> Result<Vec<u8>, Unasked> {
    let unasked = |message: &str| Unasked::of(STDIN, String::new(), message);
    let Some(stdin) = input.stdin() else { return Err(unasked("is nothing that this verb takes")) };
    let Value::String(text) = value else { return Err(unasked("must be a string")) };
    let bytes = match stdin.content {
        Content::Text => text.clone().into_bytes(),
        Content::Bytes => STANDARD.decode(text).map_err(|_| unasked("must be base64"))?,
    };
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= stdin.max);
    if fits { Ok(bytes) } else { Err(unasked(&format!("is more than it takes: {stdin}"))) }
}

/// Reads after which note, and whether one is waited for.
pub(super) fn read_notes(given: &JsonObject) -> Result<(Timestamp, bool), Unasked> {
    let unasked = |name: &str, message: &str| Unasked::of(name, String::new(), message);
    if let Some(name) = given.keys().find(|name| ![AFTER, WAITS].contains(&name.as_str())) {
        return Err(unasked(name, "is nothing that this takes"));
    }
    let after = match given.get(AFTER).filter(|value| !value.is_null()) {
        None => 0,
        Some(value) => value.as_u64().ok_or_else(|| unasked(AFTER, "must be a number"))?,
    };
    let waits = match given.get(WAITS).filter(|value| !value.is_null()) {
        None => false,
        Some(value) => value.as_bool().ok_or_else(|| unasked(WAITS, "must be true or false"))?,
    };
    Ok((Timestamp(after), waits))
}

/// Reads what is asked of the owner: which verbs, and why.
pub(super) fn read_access(given: &JsonObject) -> Result<(Wanted, Why), Unasked> {
    let unasked = |name: &str, message: &str| Unasked::of(name, String::new(), message);
    if let Some(name) = given.keys().find(|name| ![WANTED, REASON].contains(&name.as_str())) {
        return Err(unasked(name, "is nothing that this takes"));
    }
    let verbs = given.get(WANTED).and_then(Value::as_array);
    let verbs = verbs.and_then(|verbs| verbs.iter().map(text).collect::<Option<Vec<_>>>());
    let verbs = verbs.ok_or_else(|| unasked(WANTED, "must be a list of verbs"))?;
    let wanted = request::wanted(verbs);
    let wanted = wanted.map_err(|why| unasked(WANTED, &format!("cannot be asked for: {why}")))?;
    let reason = given.get(REASON).and_then(Value::as_str).unwrap_or_default();
    let reason = request::why(reason);
    Ok((wanted, reason.map_err(|why| unasked(REASON, &format!("is needed: {why}")))?))
}

/// 32 hexadecimal digits.
pub(super) fn call_id(value: &Value) -> Option<CallId> {
    let text = value.as_str().filter(|text| text.len() == 32)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten()?;
    Some(CallId(number.to_be_bytes()))
}

pub(super) fn not_an_id(name: &str) -> Unasked {
    Unasked::of(name, "32 hexadecimal digits".to_owned(), "is not the id of a call")
}

#[cfg(test)]
mod tests {
    use policy::Value as Given;
    use serde_json::json;

    use super::*;
    use crate::arguments::tests::entry;

    fn asked(given: &Value) -> Result<Asked, Unasked> {
        let Value::Object(given) = given else { panic!("no object") };
        read(&entry(), given)
    }

    #[test]
    fn json_becomes_what_the_parameters_are() {
        let read = asked(&json!({ "service": "web", "lines": 5, "follow": true })).unwrap();
        let shown: Vec<String> = read.arguments.0.values().map(Given::shown).collect();
        assert_eq!(shown, ["true", "5", "web"]);
        let typed = asked(&json!({ "service": "web", "lines": "5", "follow": null })).unwrap();
        assert_eq!(typed.arguments.0.len(), 2, "as text, and what is nothing is not given");
    }

    #[test]
    fn what_cannot_be_asked_is_named_with_what_can() {
        for (given, parameter, message) in [
            (json!({}), "service", "`service` is required"),
            (json!({ "service": "web", "lines": "many" }), "lines", "`lines` must be int, 1..500"),
            (json!({ "service": "web", "lines": [5] }), "lines", "`lines` must be int, 1..500"),
            (json!({ "service": ["web"] }), "service", "`service` must be string, db|web"),
            (
                json!({ "servce": "web" }),
                "servce",
                "`servce` is not a parameter of this verb; did you mean `service`?",
            ),
            (
                json!({ "service": "web", "call-id": "7" }),
                "call-id",
                "`call-id` is not the id of a call",
            ),
            (
                json!({ "service": "web", "standard-input": "x" }),
                "standard-input",
                "`standard-input` is nothing that this verb takes",
            ),
        ] {
            let fault = asked(&given).unwrap_err();
            assert_eq!(
                (fault.parameter.as_deref(), fault.message.as_str()),
                (Some(parameter), message)
            );
        }
    }

    #[test]
    fn what_is_asked_of_the_owner_is_verbs_and_a_reason() {
        let read = |given: &Value| read_access(given.as_object().unwrap());
        let (wanted, why) = read(&json!({ "wanted": ["a.b:c=1"], "reason": "it hangs" })).unwrap();
        assert_eq!((wanted.requests(), why.as_str()), (&["a.b:c=1".to_owned()][..], "it hangs"));
        for (given, parameter) in [
            (json!({ "reason": "x" }), "wanted"),
            (json!({ "wanted": [], "reason": "x" }), "wanted"),
            (json!({ "wanted": ["no verb"], "reason": "x" }), "wanted"),
            (json!({ "wanted": [["a.b"]], "reason": "x" }), "wanted"),
            (json!({ "wanted": ["a.b"] }), "reason"),
            (json!({ "wanted": ["a.b"], "reason": "x".repeat(501) }), "reason"),
            (json!({ "wanted": ["a.b"], "reason": "x", "for": "me" }), "for"),
        ] {
            let fault = read(&given).unwrap_err();
            assert_eq!(fault.parameter.as_deref(), Some(parameter), "{given}");
        }
    }

    #[test]
    fn an_input_is_as_long_as_it_may_be() {
        let takes = |content, max| Input::Stdin(policy::Stdin { content, max });
        assert_eq!(stdin(takes(Content::Text, 3), &json!("abc")).unwrap(), b"abc");
        assert!(stdin(takes(Content::Text, 2), &json!("abc")).is_err());
        assert_eq!(stdin(takes(Content::Bytes, 3), &json!("AAEC")).unwrap(), [0, 1, 2]);
        assert!(stdin(takes(Content::Bytes, 3), &json!("?")).is_err());
    }
}
