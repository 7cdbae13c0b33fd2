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

    /// The keys without which the table means nothing.
    const NEEDED: &'static [&'static str];

    /// Every key, in the order in which it is printed.
    fn keys() -> Vec<Key>;

    /// Sets one key. An error is a message without a place.
    fn set(&mut self, key: &str, value: &DeValue<'_>) -> Result<(), SetError>;

    /// The value of a key as TOML.
    fn get(&self, key: &str) -> Option<String>;
}

/// Why a key could not be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetError {
    UnknownKey,
    WrongValue { allowed: String },
}

/// Reads a value, in its range where it has one.
pub(super) fn read<T: Value>(value: &DeValue<'_>, range: Option<&(T, T)>) -> Result<T, SetError> {
    T::read(value)
        .filter(|read| range.is_none_or(|range| read.is_within(range)))
        .ok_or_else(|| SetError::WrongValue { allowed: T::allowed(range) })
}

/// The range of a declaration, which has one or none.
pub(super) fn range<T, const N: usize>(range: [(T, T); N]) -> Option<(T, T)> {
    range.into_iter().next()
}

/// Declares the tables: `/// description` above `key: Type = default, lowest => highest;`, the range where there is one.
/// `needs` names the keys that have no default.
macro_rules! section {
    ($(#[doc = $intro:literal])+ $name:ident $table:literal $(needs ($($needed:literal),+))? {
        $($(#[doc = $about:literal])+ $key:ident: $type:ty = $default:expr $(, $low:expr => $high:expr)?;)+
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
            const NEEDED: &'static [&'static str] = &[$($($needed),+)?];

            fn keys() -> Vec<$crate::policy::section::Key> {
                use $crate::policy::{section::{Key, range}, value::Value};
                vec![$({
                    let range = range::<$type, _>([$(($low, $high))?]);
                    Key {
                        name: stringify!($key),
                        about: concat!($($about),+).trim(),
                        allowed: <$type as Value>::allowed(range.as_ref()),
                        default: <$type as Value>::write(&$default),
                        schema: <$type as Value>::schema(range.as_ref()),
                    }
                }),+]
            }

            fn set(
                &mut self,
                key: &str,
                value: &toml::de::DeValue<'_>,
            ) -> Result<(), $crate::policy::section::SetError> {
                use $crate::policy::section::{SetError, range, read};
                match key {
                    $(stringify!($key) => {
                        self.$key = read(value, range::<$type, _>([$(($low, $high))?]).as_ref())?;
                    })+
                    _ => return Err(SetError::UnknownKey),
                }
                Ok(())
            }

            fn get(&self, key: &str) -> Option<String> {
                match key {
                    $(stringify!($key) => Some($crate::policy::value::Value::write(&self.$key)),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use section;
