//! Inputs of awsQuery calls, where every scalar may be text.

use serde::Deserialize;
use serde_json::Value;

use super::errors::invalid;
use crate::service::AwsError;

/// The input of a call, or a part of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Input(pub(super) Value);

impl Input {
    /// A scalar as text, whether it came as text, number or boolean.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match &self.0[name] {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        }
    }

    pub(super) fn required(&self, name: &str) -> Result<String, AwsError> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| invalid(format!("{name} is required")))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, AwsError> {
        let parse = |text: String| text.parse().map_err(|_| invalid(format!("{name} is not a valid number: {text}")));
        self.text(name).map(parse).transpose()
    }

    pub(super) fn parts(&self, name: &str) -> impl Iterator<Item = Input> {
        self.0[name].as_array().into_iter().flatten().cloned().map(Input)
    }

    pub(super) fn part(&self, name: &str) -> Input {
        Input(self.0[name].clone())
    }

    /// A list of scalars.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.0[name].as_array().into_iter().flatten().filter_map(|it| it.as_str().map(str::to_owned)).collect()
    }

    /// A list of `{Key, Value}`, as tags and attributes are.
    pub(super) fn pairs(&self, name: &str) -> Result<Vec<(String, String)>, AwsError> {
        self.parts(name).map(|pair| Ok((pair.required("Key")?, pair.text("Value").unwrap_or_default()))).collect()
    }
}
