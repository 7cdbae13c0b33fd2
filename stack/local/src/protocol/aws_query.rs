//! awsQuery: a form in, XML out.
//!
//! The form's dotted names become nested JSON: `Tags.member.1.Key=a` is `{"Tags":[{"Key":"a"}]}`. Every value is a
//! string, as the protocol has no types.

use bytes::Bytes;
use serde_json::Value;

use crate::service::{AwsError, Call};

/// Decodes a form into its API version and call.
pub fn decode(body: &[u8]) -> Result<(String, Call), AwsError> {
    let _ = body;
    Err(AwsError::not_implemented("gateway", "awsQuery"))
}

/// Writes a successful answer.
#[must_use]
pub fn encode(operation: &str, version: &str, request_id: &str, output: &Value) -> Bytes {
    let _ = (operation, version, request_id, output);
    Bytes::new()
}

/// Writes an error.
#[must_use]
pub fn encode_error(request_id: &str, error: &AwsError) -> Bytes {
    let _ = (request_id, error);
    Bytes::new()
}
