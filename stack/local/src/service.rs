//! What a service is called with and what it answers: one shape for every protocol.

use bytes::Bytes;
use futures::stream::BoxStream;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::protocol::Untyped;

/// One API call, already decoded from its wire protocol: the input is JSON whatever the client spoke.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation as AWS names it, for example `PutRecords`.
    pub operation: String,
    /// The input as a JSON object.
    pub body: Bytes,
    /// The protocol has no types: every scalar of the input is text.
    is_untyped: bool,
}

impl Call {
    /// A call whose input is JSON.
    pub fn new(operation: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { operation: operation.into(), body: body.into(), is_untyped: false }
    }

    /// A call whose input is JSON with nothing but text in it.
    pub(crate) fn untyped(operation: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { is_untyped: true, ..Self::new(operation, body) }
    }

    /// Reads the input into the operation's own type.
    ///
    /// # Errors
    /// `SerializationException`, as AWS answers it, when the input does not have the operation's shape.
    pub fn input<T: DeserializeOwned>(&self) -> Result<T, AwsError> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        let read = if self.is_untyped {
            serde_json::from_slice(body).and_then(|value| T::deserialize(Untyped(value)))
        } else {
            serde_json::from_slice(body)
        };
        read.map_err(|error| AwsError::new("SerializationException", error.to_string()))
    }
}

/// A successful answer.
pub enum Reply {
    /// A JSON object, to be written in the caller's protocol.
    Json(Bytes),
    /// Frames of an `application/vnd.amazon.eventstream` body, each already encoded. The stream's end ends the response.
    EventStream(BoxStream<'static, Bytes>),
}

impl Reply {
    /// An answer from any serialisable value.
    pub fn json<T: Serialize>(value: &T) -> Result<Self, AwsError> {
        serde_json::to_vec(value)
            .map(|body| Self::Json(body.into()))
            .map_err(|error| AwsError::internal(error.to_string()))
    }

    /// The answer of operations that return nothing: `{}`.
    #[must_use]
    pub fn empty() -> Self {
        Self::Json(Bytes::from_static(b"{}"))
    }
}

/// An error as AWS reports it: a code that clients match on, and a message for people.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The error code, for example `ResourceInUseException`.
    pub code: String,
    /// The text for people.
    pub message: String,
    /// The HTTP status: 400 for the client's fault, 500 for ours.
    pub status: u16,
    /// Further members that some errors carry.
    pub members: Map<String, Value>,
}

impl AwsError {
    /// A client error (HTTP 400).
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), status: 400, members: Map::new() }
    }

    /// An operation or an input that this endpoint does not support. Never answer such a call with an empty success.
    pub fn not_implemented(service: &str, what: &str) -> Self {
        Self { status: 501, ..Self::new("NotImplemented", format!("localcloud does not implement {service}:{what}")) }
    }

    /// An input that breaks a rule of the API.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", message)
    }

    /// A fault of this process (HTTP 500).
    pub fn internal(message: impl Into<String>) -> Self {
        Self { status: 500, ..Self::new("InternalFailure", message) }
    }
}
