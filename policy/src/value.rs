//! Values, and how text becomes one, once.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::name::{ParameterName, shown};

/// The most bytes that a text value may have.
pub const MAX_VALUE_BYTES: usize = 4096;

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
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Text => "string",
            Self::Int => "int",
            Self::Bool => "bool",
        })
    }
}

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

/// One argument of a call. `Display` is the value itself, as a program would be given it.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Value {
    /// A text.
    Text(Text),
    /// A whole number.
    Int(i64),
    /// Yes or no.
    Bool(bool),
}

impl Value {
    /// A text value.
    ///
    /// # Errors
    /// When it is too long or contains a NUL.
    pub fn text(text: impl Into<String>) -> Result<Self, ValueFault> {
        Text::new(text).map(Self::Text)
    }

    /// Reads a value of the kind wanted. A number has one spelling: no `+`, no leading zero.
    ///
    /// # Errors
    /// When the text is not one of that kind.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, ValueFault> {
        match kind {
            Kind::Text => Self::text(text),
            Kind::Int => parse_int(text).map(Self::Int),
            Kind::Bool => parse_bool(text).map(Self::Bool),
        }
    }

    /// What sort of value this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Bool(_) => Kind::Bool,
        }
    }

    /// The value for a message to a person: one line, cut when long.
    #[must_use]
    pub fn shown(&self) -> String {
        shown(&self.to_string())
    }
}

fn parse_int(text: &str) -> Result<i64, ValueFault> {
    let number = text.parse::<i64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| ValueFault::NotInt(shown(text)))
}

fn parse_bool(text: &str) -> Result<bool, ValueFault> {
    text.parse().map_err(|_| ValueFault::NotBool(shown(text)))
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => out.write_str(text),
            Self::Int(number) => number.fmt(out),
            Self::Bool(answer) => answer.fmt(out),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => to.serialize_str(text),
            Self::Int(number) => to.serialize_i64(*number),
            Self::Bool(answer) => to.serialize_bool(*answer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string, a whole number or a boolean")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Value::text(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Int).map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, answer: bool) -> Result<Value, E> {
        Ok(Value::Bool(answer))
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
    fn a_text_has_at_most_4096_bytes_and_no_nul() {
        assert!(Value::text("x".repeat(4095)).is_ok());
        assert!(Value::text("x".repeat(4096)).is_ok());
        assert_eq!(Value::text("x".repeat(4097)), Err(ValueFault::TooLong(4097)));
        assert_eq!(Value::text("a\0b"), Err(ValueFault::Nul));
    }

    #[test]
    fn a_value_keeps_its_kind_on_the_wire() {
        for value in
            [Value::text("5").unwrap(), Value::Int(5), Value::Int(i64::MIN), Value::Bool(true)]
        {
            let bytes = serde_cbor::to_vec(&value).unwrap();
            assert_eq!(serde_cbor::from_slice::<Value>(&bytes).unwrap(), value);
        }
    }

    #[test]
    fn a_malformed_value_does_not_arrive_from_the_wire() {
        for bad in [
            serde_cbor::to_vec(&"a\0b").unwrap(),
            serde_cbor::to_vec(&"x".repeat(4097)).unwrap(),
            serde_cbor::to_vec(&u64::MAX).unwrap(),
            serde_cbor::to_vec(&1.5).unwrap(),
            serde_cbor::to_vec(&[1]).unwrap(),
        ] {
            assert!(serde_cbor::from_slice::<Value>(&bad).is_err(), "{bad:?}");
        }
    }
}
