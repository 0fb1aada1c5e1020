//! What a host asks of a verb: JSON, read as the verb's parameters are declared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::{
    Arguments, Content, Input, Kind, MenuEntry, MenuParameter, ParameterName, Value as Given,
};
use rmcp::model::JsonObject;
use serde_json::Value;
use wire::access::{Wanted, Why};
use wire::call::CallId;

use super::schema::{CALL_ID, REASON, STDIN, WANTED};
use crate::arguments::{accepted, nearest};
use crate::neutral::one_line;
use crate::request;

/// A call that can be made.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) arguments: Arguments,
    /// Of a call that was made before.
    pub(super) id: Option<CallId>,
    pub(super) stdin: Vec<u8>,
}

/// Why it is none.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Unasked {
    pub(super) message: String,
    pub(super) parameter: Option<String>,
    pub(super) accepted: Option<String>,
}

impl Unasked {
    fn of(name: &str, accepted: String, message: &str) -> Self {
        let name = one_line(name, 64);
        let message = format!("`{name}` {message}");
        let accepted = Some(accepted).filter(|text| !text.is_empty());
        Self { message, parameter: Some(name), accepted }
    }
}

/// Reads what a tool was called with.
pub(super) fn read(entry: &MenuEntry, given: &JsonObject) -> Result<Asked, Unasked> {
    let mut asked = Asked { arguments: Arguments::default(), id: None, stdin: Vec::new() };
    if entry.input.stdin().is_some() && given.get(STDIN).is_none_or(Value::is_null) {
        return Err(Unasked::of(STDIN, String::new(), "is required: say \"\" for none"));
    }
    for (name, value) in given {
        match name.as_str() {
            CALL_ID => asked.id = Some(call_id(value).ok_or_else(|| not_an_id(CALL_ID))?),
            STDIN => asked.stdin = stdin(entry.input, value)?,
            name => {
                let (name, one) = declared(entry, name)?;
                // A host that has nothing to say of an optional parameter may say `null`.
                if !value.is_null() {
                    asked.arguments.0.insert(name.clone(), argument(&name, one, value)?);
                }
            }
        }
    }
    for (name, one) in &entry.parameters {
        if one.required && asked.arguments.value(name).is_none() {
            return Err(Unasked::of(name.as_str(), accepted(one), "is required"));
        }
    }
    Ok(asked)
}

fn declared<'e>(
    entry: &'e MenuEntry,
    name: &str,
) -> Result<(ParameterName, &'e MenuParameter), Unasked> {
    let known = name.parse::<ParameterName>().ok();
    let found = known.and_then(|name| Some((name.clone(), entry.parameters.get(&name)?)));
    found.ok_or_else(|| {
        let names = entry.parameters.keys().map(ParameterName::as_str);
        let near = nearest(name, names).map(|near| format!("; did you mean `{near}`?"));
        let message = format!("is not a parameter of this verb{}", near.unwrap_or_default());
        Unasked::of(name, String::new(), &message)
    })
}

fn argument(name: &ParameterName, one: &MenuParameter, value: &Value) -> Result<Given, Unasked> {
    let given = match (one.kind, value) {
        (Kind::Bool, Value::Bool(truth)) => Some(Given::Bool(*truth)),
        (kind, Value::Array(items)) => of_items(kind, items),
        (kind, value) => text(value).and_then(|text| Given::parse(kind, &text).ok()),
    };
    given.ok_or_else(|| {
        Unasked::of(name.as_str(), accepted(one), &format!("must be {}", accepted(one)))
    })
}

fn of_items(kind: Kind, items: &[Value]) -> Option<Given> {
    let item = match kind {
        Kind::Texts => Kind::Text,
        Kind::Ints => Kind::Int,
        Kind::Paths => Kind::Path,
        Kind::Addresses => Kind::Address,
        Kind::Urls => Kind::Url,
        Kind::Text | Kind::Int | Kind::Bool | Kind::Path | Kind::Address | Kind::Url => {
            return None;
        }
    };
    let items = items.iter().map(|one| Given::parse(item, &text(one)?).ok());
    Given::list(items.collect::<Option<Vec<_>>>()?).ok()
}

/// As a person would type it.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
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
