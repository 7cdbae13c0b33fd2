//! Reading a call's input. awsQuery has no types: every scalar is a string, and an empty list is an empty string.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::service::{AwsError, Call};

pub(super) struct Input(Value);

impl Input {
    pub(super) fn read(call: &Call) -> Result<Self, AwsError> {
        call.input().map(Self)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0[name].as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, AwsError> {
        self.text(name).ok_or_else(|| {
            let mut member = name.to_owned();
            if let Some(first) = member.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            let text = format!("1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null");
            AwsError::new("ValidationError", text)
        })
    }

    /// Whether a boolean is given and true.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// Whether a member is given at all, be it an empty list.
    pub(super) fn has(&self, name: &str) -> bool {
        !self.0[name].is_null()
    }

    pub(super) fn list(&self, name: &str) -> &[Value] {
        self.0[name].as_array().map_or(&[], Vec::as_slice)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    pub(super) fn tags(&self) -> BTreeMap<String, String> {
        let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        self.list("Tags").iter().map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
    }

    /// Refuses members that would change what the call means if they were ignored.
    pub(super) fn refuse(&self, operation: &str, members: &[&str]) -> Result<(), AwsError> {
        match members.iter().find(|member| self.has(member)) {
            Some(member) => Err(AwsError::not_implemented("cloudformation", &format!("{operation} with {member}"))),
            None => Ok(()),
        }
    }
}
