//! Items of the control table: keys, attributes and documents.

use std::{collections::HashMap, error::Error};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;

use super::TableError;

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) const POLICY: &str = "policy";
pub(super) const STATUS: &str = "status";
pub(super) const PAUSE: &str = "pause";
pub(super) const RESHARD: &str = "reshard#";
pub(super) const DECISION: &str = "decision#";
pub(super) const EVENT: &str = "event#";
/// Sorts after every uuid.
pub(super) const AFTER_UUIDS: &str = "~";

pub(super) fn pipeline(name: &str) -> String {
    format!("pipeline#{name}")
}

pub(super) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

/// An attribute that is missing or of another type.
#[derive(Debug, thiserror::Error)]
#[error("attribute `{0}` is missing or of another type")]
struct MissingAttribute(&'static str);

/// Reads the attributes of one item.
pub(super) struct Reader<'a> {
    pub(super) table: &'a str,
    pub(super) item: &'a Item,
}

impl Reader<'_> {
    pub(super) fn string(&self, name: &'static str) -> Result<&str, TableError> {
        self.attribute(name, |value| value.as_s().ok().map(String::as_str))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, TableError> {
        self.attribute(name, |value| value.as_n().ok()?.parse().ok())
    }

    /// An attribute in the form that its own type reads, for example a timestamp.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, TableError> {
        self.attribute(name, |value| value.as_s().ok()?.parse().ok())
    }

    /// The JSON in `document`.
    pub(super) fn document<T: DeserializeOwned>(&self) -> Result<T, TableError> {
        serde_json::from_str(self.string("document")?).map_err(|error| self.malformed(error))
    }

    fn attribute<'s, T>(
        &'s self,
        name: &'static str,
        read: impl FnOnce(&'s AttributeValue) -> Option<T>,
    ) -> Result<T, TableError> {
        self.item.get(name).and_then(read).ok_or_else(|| self.malformed(MissingAttribute(name)))
    }

    fn malformed(&self, source: impl Error + Send + Sync + 'static) -> TableError {
        let sk = self.item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
        TableError::Malformed { table: self.table.to_owned(), sk, source: Box::new(source) }
    }
}
