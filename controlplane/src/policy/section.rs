//! A table of the policy, declared once: fields, defaults, ranges and descriptions.

use serde_json::Value as Json;
use toml::de::DeValue;

use super::value::Value;

/// A key of a table, as documentation and error messages need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What may stand there, with the range.
    pub(super) allowed: String,
    pub(super) default: String,
    pub(super) schema: Json,
}

/// A table of the policy.
pub(super) trait Section: Default {
    const TABLE: &'static str;

    /// Every key, in the order in which it is printed.
    fn keys() -> Vec<Key>;

    /// Sets one key. An error is a message without a place.
    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), SetError>;

    /// The value of a key as TOML.
    fn get(&self, key: &str) -> Option<String>;

    /// The table with every key under its description.
    fn to_toml(&self) -> String {
        let lines = Self::keys().into_iter().filter_map(|Key { name, about, .. }| {
            let value = self.get(name)?;
            Some(format!("# {about}\n{name} = {value}\n"))
        });
        format!("[{}]\n{}", Self::TABLE, lines.collect::<String>())
    }
}

/// Why a key could not be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetError {
    UnknownKey,
    WrongValue { allowed: String },
}

/// Reads a value that lies in a range.
pub(super) fn read_within<T: Value>(value: &DeValue<'_>, low: T, high: T) -> Result<T, SetError> {
    T::read(value)
        .filter(|read| low <= *read && *read <= high)
        .ok_or_else(|| SetError::WrongValue { allowed: allowed(low, high) })
}

/// What may stand at a key with this range.
pub(super) fn allowed<T: Value>(low: T, high: T) -> String {
    if T::EXPECTED == bool::EXPECTED {
        return T::EXPECTED.to_owned();
    }
    format!("{}, from {} to {}", T::EXPECTED, low.write(), high.write())
}

/// Declares the tables: `/// description` above `key: Type = default, lowest => highest;`.
macro_rules! section {
    ($(#[doc = $intro:literal])+ $name:ident $table:literal {
        $($(#[doc = $about:literal])+ $key:ident: $type:ty = $default:expr, $low:expr => $high:expr;)+
    }) => {
        $(#[doc = $intro])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[doc = $about])+ pub $key: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::policy::section::Section for $name {
            const TABLE: &'static str = $table;

            fn keys() -> Vec<$crate::policy::section::Key> {
                vec![$($crate::policy::section::Key {
                    name: stringify!($key),
                    about: concat!($($about),+).trim(),
                    allowed: $crate::policy::section::allowed::<$type>($low, $high),
                    default: <$type as $crate::policy::value::Value>::write($default),
                    schema: <$type as $crate::policy::value::Value>::schema($low, $high),
                }),+]
            }

            fn set(
                &mut self,
                key: &str,
                value: &toml::de::DeValue<'_>,
            ) -> Result<(), $crate::policy::section::SetError> {
                match key {
                    $(stringify!($key) => {
                        self.$key = $crate::policy::section::read_within(value, $low, $high)?;
                    })+
                    _ => return Err($crate::policy::section::SetError::UnknownKey),
                }
                Ok(())
            }

            fn get(&self, key: &str) -> Option<String> {
                match key {
                    $(stringify!($key) => Some($crate::policy::value::Value::write(self.$key)),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use section;
