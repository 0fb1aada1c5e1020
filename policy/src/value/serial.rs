//! A value on the wire: the bare string, number, boolean, or an array of them.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{MAX_ITEMS, Value};

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => to.serialize_str(text),
            Self::Int(number) => to.serialize_i64(*number),
            Self::Bool(answer) => to.serialize_bool(*answer),
            Self::List(items) => to.collect_seq(items.iter()),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor { item: false })
    }
}

/// What is no list.
struct Item(Value);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ValueVisitor { item: true }).map(Self)
    }
}

struct ValueVisitor {
    item: bool,
}

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string, a whole number, a boolean")?;
        if self.item { Ok(()) } else { out.write_str(" or a list of them") }
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        if self.item {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        let mut values = Vec::new();
        while values.len() <= MAX_ITEMS
            && let Some(Item(value)) = items.next_element()?
        {
            values.push(value);
        }
        Value::list(values).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_sort_on_the_wire() {
        for value in [
            Value::text("5").unwrap(),
            Value::Int(5),
            Value::Int(i64::MIN),
            Value::Bool(true),
            Value::list([]).unwrap(),
            Value::list(["a", "b"].map(|text| Value::text(text).unwrap())).unwrap(),
            Value::list(vec![Value::Int(1); 64]).unwrap(),
        ] {
            let bytes = serde_cbor::to_vec(&value).unwrap();
            assert_eq!(serde_cbor::from_slice::<Value>(&bytes).unwrap(), value);
            let json = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }
    }

    #[test]
    fn a_malformed_value_does_not_arrive_from_the_wire() {
        for bad in [
            serde_cbor::to_vec(&"a\0b").unwrap(),
            serde_cbor::to_vec(&"x".repeat(4097)).unwrap(),
            serde_cbor::to_vec(&u64::MAX).unwrap(),
            serde_cbor::to_vec(&1.5).unwrap(),
            serde_cbor::to_vec(&[[1]]).unwrap(),
            serde_cbor::to_vec(&vec![1; 65]).unwrap(),
            serde_cbor::to_vec(&(1, "x")).unwrap(),
            serde_cbor::to_vec(&["x".repeat(2048), "x".repeat(2049)]).unwrap(),
        ] {
            assert!(serde_cbor::from_slice::<Value>(&bad).is_err(), "{bad:?}");
        }
    }
}
