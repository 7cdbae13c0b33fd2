//! How each kind of value is written in a policy: counts as numbers, everything with a unit as a string.

use jiff::SignedDuration;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use crate::units::{BytesPerSecond, Fraction, Millis, RecordsPerSecond, ShardCount, TaskCount};

/// A value of the policy.
pub(super) trait Value: Copy + PartialOrd {
    /// What may stand here, as the end of the sentence "expected ...".
    const EXPECTED: &'static str;

    /// Reads the value, or nothing when it is not of this kind.
    fn read(value: &DeValue<'_>) -> Option<Self>;

    /// Writes the value as TOML.
    fn write(self) -> String;

    /// The JSON Schema of values from `low` to `high`. A schema cannot compare strings with units, so their range is
    /// left to the program.
    fn schema(_low: Self, _high: Self) -> Json {
        json!({ "type": "string", "pattern": Self::PATTERN })
    }

    /// The form of values that are strings, as a regular expression.
    const PATTERN: &'static str = "";
}

macro_rules! whole_number {
    ($type:ty, $wrap:expr, $number:expr) => {
        impl Value for $type {
            const EXPECTED: &'static str = "a whole number";

            fn read(value: &DeValue<'_>) -> Option<Self> {
                let integer = value.as_integer()?;
                u32::from_str_radix(integer.as_str(), integer.radix()).ok().map($wrap)
            }

            fn write(self) -> String {
                $number(self).to_string()
            }

            fn schema(low: Self, high: Self) -> Json {
                json!({ "type": "integer", "minimum": $number(low), "maximum": $number(high) })
            }
        }
    };
}

whole_number!(u32, |number| number, |number: u32| number);
whole_number!(ShardCount, ShardCount, |count: ShardCount| count.0);
whole_number!(TaskCount, TaskCount, |count: TaskCount| count.0);

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn write(self) -> String {
        self.to_string()
    }

    fn schema(_: Self, _: Self) -> Json {
        json!({ "type": "boolean" })
    }
}

impl Value for Fraction {
    const EXPECTED: &'static str = "a percentage such as \"70 %\"";
    const PATTERN: &'static str = r"^[0-9.]+ *%$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let (number, unit) = quantity(value)?;
        (unit == "%").then_some(Self(number / 100.0))
    }

    fn write(self) -> String {
        format!("\"{} %\"", rounded(self.0 * 100.0))
    }
}

impl Value for Millis {
    const EXPECTED: &'static str = "a duration such as \"30s\", \"10min\" or \"1h 30min\"";
    const PATTERN: &'static str = "^([0-9.]+ *[a-zµ]+[ ,]*)+$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let duration: SignedDuration = value.as_str()?.trim().parse().ok()?;
        u64::try_from(duration.as_millis()).ok().map(Self)
    }

    fn write(self) -> String {
        const UNITS: [(u64, &str); 4] = [(3_600_000, "h"), (60_000, "min"), (1_000, "s"), (1, "ms")];
        let (_, parts) = UNITS.iter().fold((self.0, Vec::new()), |(rest, mut parts), (size, unit)| {
            if rest >= *size {
                parts.push(format!("{}{unit}", rest / size));
            }
            (rest % size, parts)
        });
        if parts.is_empty() { "\"0s\"".to_owned() } else { format!("\"{}\"", parts.join(" ")) }
    }
}

impl Value for RecordsPerSecond {
    const EXPECTED: &'static str = "a rate such as \"5000 records/s\"";
    const PATTERN: &'static str = "^[0-9.]+ *records/s$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let (number, unit) = quantity(value)?;
        (unit == "records/s").then_some(Self(number))
    }

    fn write(self) -> String {
        format!("\"{} records/s\"", rounded(self.0))
    }
}

/// Units of bytes per second, the largest first.
const BYTE_RATES: [(&str, f64); 4] =
    [("GiB/s", 1024.0 * 1024.0 * 1024.0), ("MiB/s", 1024.0 * 1024.0), ("KiB/s", 1024.0), ("B/s", 1.0)];

impl Value for BytesPerSecond {
    const EXPECTED: &'static str = "a rate such as \"1.5 MiB/s\" (B/s, KiB/s, MiB/s or GiB/s)";
    const PATTERN: &'static str = "^[0-9.]+ *[KMG]?i?B/s$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let (number, unit) = quantity(value)?;
        BYTE_RATES.iter().find(|(name, _)| *name == unit).map(|(_, size)| Self(number * size))
    }

    fn write(self) -> String {
        let (unit, size) = BYTE_RATES.iter().find(|(_, size)| self.0 >= *size).unwrap_or(&("B/s", 1.0));
        format!("\"{} {unit}\"", rounded(self.0 / size))
    }
}

/// A value with a unit that can be switched off.
impl<T: Value> Value for Option<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(value: &DeValue<'_>) -> Option<Self> {
        if value.as_str() == Some("off") { Some(None) } else { T::read(value).map(Some) }
    }

    fn write(self) -> String {
        self.map_or_else(|| "\"off\"".to_owned(), T::write)
    }

    fn schema(_: Self, _: Self) -> Json {
        json!({ "anyOf": [{ "const": "off" }, { "type": "string", "pattern": T::PATTERN }] })
    }
}

/// A finite, non-negative number and its unit: `"1.5 MiB/s"` or `"1.5MiB/s"`.
fn quantity<'a>(value: &'a DeValue<'_>) -> Option<(f64, &'a str)> {
    let text = value.as_str()?.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..end].parse().ok()?;
    number.is_finite().then(|| (number, text[end..].trim()))
}

/// Without the noise that binary fractions leave in the last digits.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}
