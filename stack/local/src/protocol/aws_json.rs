//! awsJson 1.0 and 1.1.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::service::AwsError;

/// The content type of a client that states none.
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The body of an error.
#[must_use]
pub fn error_body(error: &AwsError) -> Bytes {
    let mut body = Map::new();
    body.insert("__type".to_owned(), Value::String(error.code.clone()));
    body.insert("message".to_owned(), Value::String(error.message.clone()));
    body.extend(error.members.clone());
    Value::Object(body).to_string().into()
}
