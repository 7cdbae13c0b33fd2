//! Reads typed values from text, for protocols that have no types.

use serde::de::{
    Deserializer, IntoDeserializer, Visitor,
    value::{MapDeserializer, SeqDeserializer},
};
use serde_json::{Error, Number, Value};

/// The newtype that holds seconds since the epoch where the protocol writes ISO 8601.
const TIMESTAMP: &str = "Timestamp";

/// JSON whose scalars are text. What is wanted decides what a text means; one that means nothing of the kind is refused
/// as any other text would be.
pub(crate) struct Untyped(pub(crate) Value);

impl Untyped {
    fn number(self) -> Value {
        let number = self.0.as_str().and_then(|text| serde_json::from_str::<Number>(text).ok());
        number.map_or(self.0, Value::Number)
    }

    fn flag(self) -> Value {
        match self.0.as_str() {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            _ => self.0,
        }
    }

    fn timestamp(self) -> Self {
        let timestamp = self.0.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
        Self(timestamp.map_or(self.0, |timestamp| timestamp.as_duration().as_secs_f64().into()))
    }
}

impl IntoDeserializer<'_, Error> for Untyped {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.number().$method(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Untyped {
    type Error = Error;

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(Self))),
            Value::Object(members) => {
                visitor.visit_map(MapDeserializer::new(members.into_iter().map(|(name, value)| (name, Self(value)))))
            }
            scalar => scalar.deserialize_any(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.flag().deserialize_bool(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    /// An empty list is written as an empty text.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_empty = self.0.as_str().is_some_and(str::is_empty);
        if is_empty { Self(Value::Array(Vec::new())).deserialize_any(visitor) } else { self.deserialize_any(visitor) }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(if name == TIMESTAMP { self.timestamp() } else { self })
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Timestamp(f64);

    #[derive(Debug, PartialEq, Deserialize)]
    struct Input {
        count: Option<u64>,
        values: Vec<f64>,
        on: bool,
        at: Timestamp,
        text: String,
        others: Vec<u32>,
    }

    fn read(value: Value) -> Result<Input, Error> {
        Input::deserialize(Untyped(value))
    }

    fn input() -> Value {
        json!({ "count": "60", "values": ["1", "-2.5e3"], "on": "true", "at": "2026-01-02T03:04:05.5Z", "text": "7", "others": "" })
    }

    #[test]
    fn a_text_means_what_is_wanted() {
        let values = vec![1.0, -2500.0];
        let read = read(input()).unwrap();
        let at = Timestamp(1_767_323_045.5);
        assert_eq!(read, Input { count: Some(60), values, on: true, at, text: "7".to_owned(), others: vec![] });
    }

    #[test]
    fn a_text_that_means_something_else_is_refused() {
        for (name, wrong) in [("count", "six"), ("count", "-1"), ("count", "1.5"), ("on", "yes"), ("at", "today")] {
            let mut input = input();
            input[name] = wrong.into();
            assert!(read(input).is_err(), "{name}={wrong}");
        }
    }
}
