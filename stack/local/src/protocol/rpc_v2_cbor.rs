//! Smithy RPC v2 with CBOR.
//!
//! The operation is in the path: `/service/<service>/operation/<operation>`.

use bytes::Bytes;
use serde_json::Value;

use crate::service::{AwsError, Call};

/// Decodes a request. CBOR timestamps (tag 1) become seconds since the epoch, as in awsJson.
pub fn decode(path: &str, body: &[u8]) -> Result<Call, AwsError> {
    let _ = (path, body);
    Err(AwsError::not_implemented("gateway", "rpc-v2-cbor"))
}

/// Writes an answer. JSON has no timestamps, so members of the names in `timestamps` are written with tag 1.
#[must_use]
pub fn encode(output: &Value, timestamps: &[&str]) -> Bytes {
    let _ = (output, timestamps);
    Bytes::new()
}

/// Writes an error.
#[must_use]
pub fn encode_error(error: &AwsError) -> Bytes {
    let _ = error;
    Bytes::new()
}
