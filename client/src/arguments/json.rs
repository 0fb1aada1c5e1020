//! JSON, read as the arguments of a verb as its parameters are declared.

use policy::{Arguments, Kind, MenuEntry, MenuParameter, ParameterName, Value as Given};
use serde_json::{Map, Value};

use super::{accepted, nearest};
use crate::neutral::one_line;

/// Why it is no call.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Unasked {
    pub(crate) message: String,
    pub(crate) parameter: Option<String>,
    pub(crate) accepted: Option<String>,
}

impl Unasked {
    pub(crate) fn of(name: &str, accepted: String, message: &str) -> Self {
        let name = one_line(name, 64);
        let message = format!("`{name}` {message}");
        let accepted = Some(accepted).filter(|text| !text.is_empty());
        Self { message, parameter: Some(name), accepted }
    }
}

/// Reads the members that are arguments.
pub(crate) fn read<'g>(
    entry: &MenuEntry,
    given: impl IntoIterator<Item = (&'g String, &'g Value)>,
) -> Result<Arguments, Unasked> {
    let mut arguments = Arguments::default();
    for (name, value) in given {
        let (name, one) = declared(entry, name)?;
        // Who has nothing to say of an optional parameter may say `null`.
        if !value.is_null() {
            arguments.0.insert(name.clone(), argument(&name, one, value)?);
        }
    }
    for (name, one) in &entry.parameters {
        if one.required && arguments.value(name).is_none() {
            return Err(Unasked::of(name.as_str(), accepted(one), "is required"));
        }
    }
    Ok(arguments)
}

/// Reads a whole text, which is one object.
pub(crate) fn read_text(entry: &MenuEntry, text: &str) -> Result<Arguments, String> {
    let given: Map<String, Value> = serde_json::from_str(text)
        .map_err(|fault| format!("the arguments are not a JSON object: {fault}"))?;
    read(entry, &given).map_err(|unasked| unasked.message)
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
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::tests::entry;

    #[test]
    fn a_text_is_one_object_of_arguments() {
        let read = read_text(&entry(), r#" {"service": "web", "lines": 5, "follow": null} "#);
        assert_eq!(read.unwrap().0.len(), 2);
        for (text, why) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"{"service": "web"} {}"#, "trailing characters at line 1 column 20"),
            (r#"{"service": "web""#, "line 1 column 17"),
            ("{}", "`service` is required"),
            (r#"{"service": 5, "lines": {}}"#, "`lines` must be int, 1..500"),
            (r#"{"srvice": "web"}"#, "did you mean `service`?"),
        ] {
            let fault = read_text(&entry(), text).unwrap_err();
            assert!(fault.contains(why), "{text}: {fault}");
        }
    }
}
