//! JSON with parameters in its strings.

use serde_json::{Map, Value as Tree};

use crate::template::Template;
use crate::value::{Arguments, Value};

/// A document of the catalog's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Json {
    /// A string; one that is nothing but a parameter is the argument as what it is.
    Text(Template),
    Number(i64),
    Bool(bool),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    pub(crate) fn templates(&self) -> Vec<&Template> {
        match self {
            Self::Text(template) => vec![template],
            Self::Number(_) | Self::Bool(_) => Vec::new(),
            Self::Array(items) => items.iter().flat_map(Self::templates).collect(),
            Self::Object(fields) => fields.iter().flat_map(|(_, one)| one.templates()).collect(),
        }
    }

    pub(crate) fn filled(&self, arguments: &Arguments) -> Tree {
        match self {
            Self::Text(template) => {
                let whole = template.whole().and_then(|name| arguments.value(name));
                whole.map_or_else(|| Tree::String(template.render(arguments)), tree)
            }
            Self::Number(number) => Tree::from(*number),
            Self::Bool(answer) => Tree::Bool(*answer),
            Self::Array(items) => items.iter().map(|item| item.filled(arguments)).collect(),
            Self::Object(fields) => {
                let filled = |(name, one): &(String, Self)| (name.clone(), one.filled(arguments));
                Tree::Object(fields.iter().map(filled).collect::<Map<_, _>>())
            }
        }
    }
}

fn tree(value: &Value) -> Tree {
    match value {
        Value::Text(text) => Tree::String(text.to_string()),
        Value::Int(number) => Tree::from(*number),
        Value::Bool(answer) => Tree::Bool(*answer),
        Value::List(items) => items.iter().map(tree).collect(),
    }
}
