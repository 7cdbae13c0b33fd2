//! How each kind of value is written in a policy: counts as numbers, everything with a unit as a string.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use crate::units::{ShardCount, TaskCount};

/// A value of the policy.
pub(super) trait Value: Clone + PartialOrd {
    /// What may stand here, as the end of the sentence "expected ...".
    const EXPECTED: &'static str;

    /// The form of values that are strings, as a regular expression.
    const PATTERN: &'static str = "";

    /// Reads the value, or nothing when it is not of this kind.
    fn read(value: &DeValue<'_>) -> Option<Self>;

    /// Writes the value as TOML.
    fn write(&self) -> String;

    fn is_within(&self, (low, high): &(Self, Self)) -> bool {
        low <= self && self <= high
    }

    /// What may stand here, with the range where there is one.
    fn allowed(range: Option<&(Self, Self)>) -> String {
        match range {
            Some((low, high)) => format!("{}, from {} to {}", Self::EXPECTED, low.write(), high.write()),
            None => Self::EXPECTED.to_owned(),
        }
    }

    /// The JSON Schema of the values in a range. A schema cannot compare strings with units, so their range is left to
    /// the program.
    fn schema(_range: Option<&(Self, Self)>) -> Json {
        json!({ "type": "string", "pattern": Self::PATTERN })
    }
}

macro_rules! whole_number {
    ($type:ty, $wrap:expr, $number:expr) => {
        impl Value for $type {
            const EXPECTED: &'static str = "a whole number";

            fn read(value: &DeValue<'_>) -> Option<Self> {
                let integer = value.as_integer()?;
                u32::from_str_radix(integer.as_str(), integer.radix()).ok().map($wrap)
            }

            fn write(&self) -> String {
                $number(self).to_string()
            }

            fn schema(range: Option<&(Self, Self)>) -> Json {
                let (low, high) = range.map_or((0, u32::MAX), |(low, high)| ($number(low), $number(high)));
                json!({ "type": "integer", "minimum": low, "maximum": high })
            }
        }
    };
}

whole_number!(u32, |number| number, |number: &u32| *number);
whole_number!(ShardCount, ShardCount, |count: &ShardCount| count.0);
whole_number!(TaskCount, TaskCount, |count: &TaskCount| count.0);

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> String {
        self.to_string()
    }

    fn schema(_: Option<&(Self, Self)>) -> Json {
        json!({ "type": "boolean" })
    }
}

/// A value that can be switched off. Its range is that of what it is when it is on.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(value: &DeValue<'_>) -> Option<Self> {
        if value.as_str() == Some("off") { Some(None) } else { T::read(value).map(Some) }
    }

    fn write(&self) -> String {
        self.as_ref().map_or_else(|| "\"off\"".to_owned(), T::write)
    }

    fn is_within(&self, range: &(Self, Self)) -> bool {
        match (self, inner(Some(range))) {
            (Some(value), Some(range)) => value.is_within(&range),
            _ => true,
        }
    }

    fn allowed(range: Option<&(Self, Self)>) -> String {
        format!("{}, or \"off\"", T::allowed(inner(range).as_ref()))
    }

    fn schema(range: Option<&(Self, Self)>) -> Json {
        json!({ "anyOf": [{ "const": "off" }, T::schema(inner(range).as_ref())] })
    }
}

fn inner<T: Clone>(range: Option<&(Option<T>, Option<T>)>) -> Option<(T, T)> {
    let (low, high) = range?;
    Some((low.clone()?, high.clone()?))
}
