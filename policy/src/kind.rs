//! Kinds: what sort of value a parameter takes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::address;
use crate::name::shown;
use crate::path;
use crate::value::{Value, ValueFault};
use crate::web;

/// What sort of value a parameter takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// `string` in configuration.
    #[serde(rename = "string")]
    Text,
    /// `int` in configuration.
    #[serde(rename = "int")]
    Int,
    /// `bool` in configuration.
    #[serde(rename = "bool")]
    Bool,
    /// `path` in configuration: absolute, without empty, `.` or `..` components.
    #[serde(rename = "path")]
    Path,
    /// `address` in configuration: an IP address in its one spelling.
    #[serde(rename = "address")]
    Address,
    /// `url` in configuration: an absolute http or https URL in its one spelling.
    #[serde(rename = "url")]
    Url,
    /// `string[]` in configuration.
    #[serde(rename = "string[]")]
    Texts,
    /// `int[]` in configuration.
    #[serde(rename = "int[]")]
    Ints,
    /// `path[]` in configuration.
    #[serde(rename = "path[]")]
    Paths,
    /// `address[]` in configuration.
    #[serde(rename = "address[]")]
    Addresses,
    /// `url[]` in configuration.
    #[serde(rename = "url[]")]
    Urls,
}

impl Kind {
    /// Every kind, with the name that configuration calls it by.
    pub const ALL: [(&'static str, Self); 11] = [
        ("string", Self::Text),
        ("int", Self::Int),
        ("bool", Self::Bool),
        ("path", Self::Path),
        ("address", Self::Address),
        ("url", Self::Url),
        ("string[]", Self::Texts),
        ("int[]", Self::Ints),
        ("path[]", Self::Paths),
        ("address[]", Self::Addresses),
        ("url[]", Self::Urls),
    ];

    /// What each item of a list is; `None` when this is no list.
    #[must_use]
    pub fn item(self) -> Option<Self> {
        match self {
            Self::Texts => Some(Self::Text),
            Self::Ints => Some(Self::Int),
            Self::Paths => Some(Self::Path),
            Self::Addresses => Some(Self::Address),
            Self::Urls => Some(Self::Url),
            Self::Text | Self::Int | Self::Bool | Self::Path | Self::Address | Self::Url => None,
        }
    }

    /// What a constraint on one value is about: the item of a list, otherwise the kind itself.
    #[must_use]
    pub fn each(self) -> Self {
        self.item().unwrap_or(self)
    }

    /// Whether the value is well-formed for this kind.
    #[must_use]
    pub fn takes(self, value: &Value) -> bool {
        self.check(value).is_ok()
    }

    /// Takes the value when it is well-formed for this kind.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(self, value: &Value) -> Result<(), ValueFault> {
        match (self, value) {
            (Self::Text, Value::Text(_))
            | (Self::Int, Value::Int(_))
            | (Self::Bool, Value::Bool(_)) => Ok(()),
            (Self::Path, Value::Text(text)) => path::check(text),
            (Self::Address, Value::Text(text)) => address::parse(text).map(drop),
            (Self::Url, Value::Text(text)) => web::parse(text).map(drop),
            (list, Value::List(items)) => {
                let item = list.item().ok_or(ValueFault::Kind(self, "list"))?;
                items.iter().try_for_each(|value| item.check(value))
            }
            (_, other) => Err(ValueFault::Kind(self, other.sort())),
        }
    }

    /// Reads a value of this kind. Numbers, addresses and URLs have one spelling; a list is its items
    /// with commas between, or, when an item has a comma or is empty, a JSON array.
    ///
    /// # Errors
    /// When the text is not one of this kind.
    pub(crate) fn read(self, text: &str) -> Result<Value, ValueFault> {
        let value = match self {
            Self::Text | Self::Path | Self::Address | Self::Url => Value::text(text)?,
            Self::Int => Value::Int(int(text)?),
            Self::Bool => Value::Bool(text.parse().map_err(|_| ValueFault::NotBool(shown(text)))?),
            Self::Texts | Self::Ints | Self::Paths | Self::Addresses | Self::Urls => {
                self.read_list(text)?
            }
        };
        self.check(&value).map(|()| value)
    }

    fn read_list(self, text: &str) -> Result<Value, ValueFault> {
        if text.starts_with('[') {
            let wrong = |fault: serde_json::Error| ValueFault::Json(shown(&fault.to_string()));
            return serde_json::from_str(text).map_err(wrong);
        }
        if text.is_empty() {
            return Value::list([]);
        }
        let items = text.split(',').map(|item| match item {
            "" => Err(ValueFault::EmptyItem),
            item => self.each().read(item),
        });
        Value::list(items.collect::<Result<Vec<_>, ValueFault>>()?)
    }
}

/// A whole number in its one spelling: no `+`, no leading zero.
pub(crate) fn int(text: &str) -> Result<i64, ValueFault> {
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| ValueFault::NotInt(shown(text)))
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, kind)| kind == self);
        out.write_str(named.map_or("value", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(items: &[&str]) -> Value {
        Value::list(items.iter().map(|item| Value::text(*item).unwrap())).unwrap()
    }

    #[test]
    fn a_number_has_one_spelling() {
        for good in ["0", "-5", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(Value::parse(Kind::Int, good).unwrap().to_string(), good);
        }
        for bad in ["", "+5", "05", "-0", " 5", "5 ", "0x5", "1e3", "9223372036854775808", "٣"] {
            assert!(Value::parse(Kind::Int, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_boolean_is_true_or_false() {
        assert_eq!(Value::parse(Kind::Bool, "true"), Ok(Value::Bool(true)));
        assert_eq!(Value::parse(Kind::Bool, "false"), Ok(Value::Bool(false)));
        assert!(Value::parse(Kind::Bool, "yes").is_err());
    }

    #[test]
    fn a_list_is_read_from_commas_or_from_json() {
        let read = |text| Value::parse(Kind::Texts, text);
        assert_eq!(read("web,db"), Ok(texts(&["web", "db"])));
        assert_eq!(read("web"), Ok(texts(&["web"])));
        assert_eq!(read(""), Ok(texts(&[])));
        assert_eq!(read(r#"["a,b",""]"#), Ok(texts(&["a,b", ""])));
        assert_eq!(read(r#"["[x"]"#), Ok(texts(&["[x"])));
        assert_eq!(read("a,,b"), Err(ValueFault::EmptyItem));
        assert_eq!(read("a,"), Err(ValueFault::EmptyItem));
        for bad in ["[", "[1", r#"["a"] x"#, "[[]]", "[1]", "[null]"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let numbers = Value::list([1, 2].map(Value::Int));
        assert_eq!(Value::parse(Kind::Ints, "1,2"), numbers);
        assert_eq!(Value::parse(Kind::Ints, "[1, 2]"), numbers);
        assert!(Value::parse(Kind::Ints, "1, 2").is_err());
    }

    #[test]
    fn a_list_reads_back_as_it_is_written() {
        for items in [&["web", "db"][..], &[], &[""], &["a,b"], &["[x", "y"], &["a\"b", "c,\\"]] {
            let list = texts(items);
            assert_eq!(Value::parse(Kind::Texts, &list.to_string()), Ok(list));
        }
    }

    #[test]
    fn a_kind_takes_only_what_is_well_formed_for_it() {
        let text = |text: &str| Value::text(text).unwrap();
        assert!(Kind::Path.takes(&text("/var/log")));
        assert!(!Kind::Path.takes(&text("/var/../log")));
        assert!(!Kind::Path.takes(&Value::Int(1)));
        assert!(Kind::Address.takes(&text("10.0.0.1")));
        assert!(!Kind::Address.takes(&text("10.0.0.01")));
        assert!(Kind::Url.takes(&text("https://example.com/")));
        assert!(!Kind::Url.takes(&text("https://example.com")));
        assert!(Kind::Paths.takes(&texts(&["/a", "/b"])));
        assert!(!Kind::Paths.takes(&texts(&["/a", "b"])));
        assert!(!Kind::Path.takes(&texts(&["/a"])));
        assert!(!Kind::Paths.takes(&text("/a")));
        assert!(!Kind::Ints.takes(&texts(&["1"])));
        assert!(Kind::Ints.takes(&texts(&[])), "how many is for the constraint to say");
    }
}
