//! Values with units: percentages, durations and rates, each a string with its unit.

use jiff::SignedDuration;
use toml::de::DeValue;

use super::value::Value;
use crate::units::{BytesPerSecond, Fraction, Millis, RecordsPerSecond};

impl Value for Fraction {
    const EXPECTED: &'static str = "a percentage such as \"70 %\"";
    const PATTERN: &'static str = r"^[0-9.]+ *%$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let (number, unit) = quantity(value)?;
        (unit == "%").then_some(Self(number / 100.0))
    }

    fn write(&self) -> String {
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

    fn write(&self) -> String {
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

    fn write(&self) -> String {
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

    fn write(&self) -> String {
        let (unit, size) = BYTE_RATES.iter().find(|(_, size)| self.0 >= *size).unwrap_or(&("B/s", 1.0));
        format!("\"{} {unit}\"", rounded(self.0 / size))
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
