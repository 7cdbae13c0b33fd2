//! The API: each function answers one operation.

pub(super) mod change_set;
pub(super) mod describe;
pub(super) mod stack;
pub(super) mod template;

mod page;
mod source;

use serde_json::{Map, Value};

/// Milliseconds since the epoch as CloudFormation writes timestamps.
fn timestamp(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
    at.map(|at| format!("{at:.3}")).unwrap_or_default()
}

/// Takes members without a value out: awsQuery leaves them away.
fn present(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let given = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.map(|(name, value)| (name, present(value))).collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(present).collect(),
        scalar => scalar,
    }
}
