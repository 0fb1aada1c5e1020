//! Values, and how text becomes one, once.

mod serial;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::name::{ParameterName, shown};
use crate::pattern::PatternFault;

/// The most bytes that a text value may have, and a list in all.
pub const MAX_VALUE_BYTES: usize = 4096;
/// The most items that a list may have.
pub const MAX_ITEMS: usize = 64;

/// Why a text is not a value.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ValueFault {
    /// An `int` was wanted.
    #[error("`{0}` is not a whole number between -9223372036854775808 and 9223372036854775807")]
    NotInt(String),
    /// A `bool` was wanted.
    #[error("`{0}` is neither `true` nor `false`")]
    NotBool(String),
    /// More than [`MAX_VALUE_BYTES`].
    #[error("a value of {0} bytes is longer than the {MAX_VALUE_BYTES} allowed")]
    TooLong(usize),
    /// No program's argument can hold a NUL.
    #[error("a value may not contain a NUL character")]
    Nul,
    /// A `path` was wanted.
    #[error("`{0}` is not a path: {1}")]
    NotPath(String, &'static str),
    /// An `address` was wanted.
    #[error("`{0}` is not an IP address{1}")]
    NotAddress(String, Instead),
    /// A network was wanted.
    #[error("`{0}` is not a network{1}")]
    NotNetwork(String, Instead),
    /// A `url` was wanted.
    #[error("`{0}` is not a URL that is taken: {1}")]
    NotUrl(String, String),
    /// Another kind was wanted.
    #[error("the parameter is of type {0}, and this is {1}")]
    Kind(Kind, &'static str),
    /// A star that is not the last character.
    #[error("`{0}`: `*` stands only at the end: put quotes around a value that contains it")]
    Star(String),
    /// A prefix of something that has better.
    #[error("a {0} is not limited by a beginning of its text: {1}")]
    NoPrefix(Kind, &'static str),
    /// A constraint that the kind does not have.
    #[error("a {0} is not limited {1}")]
    NotLimited(Kind, &'static str),
    /// A negative length, an immense one, or ends in the wrong order.
    #[error("`{0}` is not a length")]
    NotLength(String),
    /// Not a pattern.
    #[error("{0}")]
    Pattern(PatternFault),
    /// A list within brackets that is no JSON array of values.
    #[error("a list that begins with `[` is a JSON array of strings or whole numbers: {0}")]
    Json(String),
    /// Nothing between two commas.
    #[error("an item of the list is empty: write the list as a JSON array, [\"\"]")]
    EmptyItem,
    /// More than [`MAX_ITEMS`].
    #[error("a list of more than the {MAX_ITEMS} items allowed")]
    TooMany,
    /// Items of different kinds, or lists in a list.
    #[error("the items of a list are all strings, all whole numbers or all booleans")]
    Mixed,
}

/// What to write instead, where it is known. `Display` continues a sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instead(pub(crate) Option<String>);

impl fmt::Display for Instead {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|text| write!(out, ": write `{text}`"))
    }
}

/// A text without NUL, of at most [`MAX_VALUE_BYTES`].
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

impl Text {
    /// Takes the text when it is well-formed.
    ///
    /// # Errors
    /// When it is too long or contains a NUL.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueFault> {
        let text = text.into();
        if text.len() > MAX_VALUE_BYTES {
            return Err(ValueFault::TooLong(text.len()));
        }
        if text.contains('\0') {
            return Err(ValueFault::Nul);
        }
        Ok(Self(text))
    }
}

impl TryFrom<String> for Text {
    type Error = ValueFault;

    fn try_from(text: String) -> Result<Self, ValueFault> {
        Self::new(text)
    }
}

impl FromStr for Text {
    type Err = ValueFault;

    fn from_str(text: &str) -> Result<Self, ValueFault> {
        Self::new(text)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, out)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// At most [`MAX_ITEMS`] values of one sort, of at most [`MAX_VALUE_BYTES`] in all, none of them a list.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct List(Vec<Value>);

impl List {
    /// Takes the items when they make a list.
    ///
    /// # Errors
    /// When they are too many or too long, of different sorts, or lists themselves.
    pub fn new(items: impl IntoIterator<Item = Value>) -> Result<Self, ValueFault> {
        let items: Vec<_> = items.into_iter().take(MAX_ITEMS + 1).collect();
        if items.len() > MAX_ITEMS {
            return Err(ValueFault::TooMany);
        }
        let sort = items.first().map_or("", Value::sort);
        if sort == "list" || items.iter().any(|item| item.sort() != sort) {
            return Err(ValueFault::Mixed);
        }
        match items.iter().map(|item| item.to_string().len()).sum() {
            0..=MAX_VALUE_BYTES => Ok(Self(items)),
            bytes => Err(ValueFault::TooLong(bytes)),
        }
    }
}

impl Deref for List {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.0
    }
}

/// Items with commas between, or, where one has a comma or is empty, a JSON array.
impl fmt::Display for List {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.iter().map(Value::to_string).collect();
        let hard = |item: &String| item.is_empty() || item.starts_with('[') || item.contains(',');
        if items.iter().any(hard) {
            return out.write_str(&serde_json::to_string(&items).map_err(|_| fmt::Error)?);
        }
        out.write_str(&items.join(","))
    }
}

/// One argument of a call. `Display` is the value itself, as a program would be given it; of a list, as
/// it is typed.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Value {
    /// A text.
    Text(Text),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
    /// Several of one sort.
    List(List),
}

impl Value {
    /// A text value.
    ///
    /// # Errors
    /// When it is too long or contains a NUL.
    pub fn text(text: impl Into<String>) -> Result<Self, ValueFault> {
        Text::new(text).map(Self::Text)
    }

    /// A list.
    ///
    /// # Errors
    /// When the items do not make a list.
    pub fn list(items: impl IntoIterator<Item = Self>) -> Result<Self, ValueFault> {
        List::new(items).map(Self::List)
    }

    /// Reads a value of the kind wanted, as a person types it.
    ///
    /// # Errors
    /// When the text is not one of that kind.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, ValueFault> {
        kind.read(text)
    }

    /// What the value is without knowing its parameter, for a message: a path is a string here.
    #[must_use]
    pub fn sort(&self) -> &'static str {
        match self {
            Self::Text(_) => "string",
            Self::Int(_) => "int",
            Self::Bool(_) => "bool",
            Self::List(_) => "list",
        }
    }

    /// The values that it is made of: of a list its items, otherwise itself.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Int(_) | Self::Bool(_) => std::slice::from_ref(self),
        }
    }

    /// The value for a message to a person: one line, cut when long.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.to_string())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Int(number) => number.fmt(out),
            Self::Bool(answer) => answer.fmt(out),
            Self::List(items) => items.fmt(out),
        }
    }
}

/// The arguments of a call, by parameter.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Arguments(pub BTreeMap<ParameterName, Value>);

impl Arguments {
    /// The argument for a parameter, if one is given.
    #[must_use]
    pub fn value(&self, parameter: &ParameterName) -> Option<&Value> {
        self.0.get(parameter)
    }

    /// Every argument, in the order of its parameter's name.
    pub fn iter(&self) -> impl Iterator<Item = (&ParameterName, &Value)> {
        self.0.iter()
    }
}

impl FromIterator<(ParameterName, Value)> for Arguments {
    fn from_iter<I: IntoIterator<Item = (ParameterName, Value)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_at_most_4096_bytes_and_no_nul() {
        assert!(Value::text("x".repeat(4095)).is_ok());
        assert!(Value::text("x".repeat(4096)).is_ok());
        assert_eq!(Value::text("x".repeat(4097)), Err(ValueFault::TooLong(4097)));
        assert_eq!(Value::text("a\0b"), Err(ValueFault::Nul));
    }

    #[test]
    fn a_list_has_at_most_64_items_of_one_sort() {
        let ones = |count| Value::list(vec![Value::Int(1); count]).map(drop);
        assert_eq!((ones(0), ones(63), ones(64)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(ones(65), Err(ValueFault::TooMany));
        let text = || Value::text("x").unwrap();
        assert_eq!(Value::list([Value::Int(1), text()]), Err(ValueFault::Mixed));
        let nested = Value::list([Value::list([text()]).unwrap()]);
        assert_eq!(nested, Err(ValueFault::Mixed));
    }

    #[test]
    fn a_list_has_at_most_4096_bytes_in_all() {
        let of = |bytes: usize| {
            let item = |bytes| Value::text("x".repeat(bytes)).unwrap();
            Value::list([item(2048), item(bytes - 2048)]).map(drop)
        };
        assert_eq!((of(4095), of(4096)), (Ok(()), Ok(())));
        assert_eq!(of(4097), Err(ValueFault::TooLong(4097)));
    }
}
