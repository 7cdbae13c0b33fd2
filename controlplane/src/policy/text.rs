//! Values that are words.

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::value::Value;

/// The longest name: AWS allows 128 characters for a stream's and 255 for a service's.
const NAME_CHARS_MAX: usize = 255;

/// A name in one line.
impl Value for String {
    const EXPECTED: &'static str = "a name of 1 to 255 characters without control characters";
    const PATTERN: &'static str = r"^[^\u0000-\u001f\u007f]{1,255}$";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let name = value.as_str()?;
        let fits = !name.trim().is_empty() && name.chars().count() <= NAME_CHARS_MAX;
        (fits && !name.chars().any(char::is_control)).then(|| name.to_owned())
    }

    fn write(&self) -> String {
        toml::Value::String(self.clone()).to_string()
    }
}

/// Which changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd)]
pub enum Direction {
    Up,
    Down,
    All,
}

impl Direction {
    const WORDS: [(&'static str, Self); 3] = [("up", Self::Up), ("down", Self::Down), ("all", Self::All)];
}

impl Value for Direction {
    const EXPECTED: &'static str = "\"up\", \"down\" or \"all\"";

    fn read(value: &DeValue<'_>) -> Option<Self> {
        let word = value.as_str()?;
        Self::WORDS.iter().find(|(name, _)| *name == word).map(|(_, direction)| *direction)
    }

    fn write(&self) -> String {
        let word = Self::WORDS.iter().find(|(_, direction)| direction == self).map_or("all", |(name, _)| name);
        format!("\"{word}\"")
    }

    fn schema(_: Option<&(Self, Self)>) -> Json {
        json!({ "enum": Self::WORDS.map(|(name, _)| name) })
    }
}
