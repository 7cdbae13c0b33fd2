//! AWS's wire protocols, each turned into JSON on the way in and written from JSON on the way out.

pub mod aws_json;
pub mod aws_query;
pub mod rpc_v2_cbor;

mod untyped;

use bytes::Bytes;
use hyper::{HeaderMap, header};

use crate::service::{AwsError, Call};

pub(crate) use untyped::Untyped;

/// What the client speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target` and JSON. The content type (1.0 or 1.1) is echoed.
    AwsJson { content_type: String },
    /// A form in, XML out: CloudFormation, STS, Elastic Load Balancing, and CloudWatch to most SDKs.
    AwsQuery,
    /// Smithy RPC v2 with CBOR: the Rust SDK's CloudWatch client.
    RpcV2Cbor,
}

impl Protocol {
    /// The protocol by the headers alone, so that a request that cannot be decoded is refused in its own protocol.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        if text(headers, "smithy-protocol") == "rpc-v2-cbor" {
            return Self::RpcV2Cbor;
        }
        let content_type = text(headers, header::CONTENT_TYPE.as_str());
        if content_type.starts_with("application/x-www-form-urlencoded") {
            return Self::AwsQuery;
        }
        let content_type = if content_type.is_empty() { aws_json::CONTENT_TYPE } else { content_type };
        Self::AwsJson { content_type: content_type.to_owned() }
    }

    /// Decodes a request's operation and input.
    ///
    /// # Errors
    /// When the request names no operation, or its body is not in this protocol.
    pub fn decode(&self, path: &str, headers: &HeaderMap, body: Bytes) -> Result<Call, AwsError> {
        match self {
            Self::AwsQuery => aws_query::decode(&body),
            Self::RpcV2Cbor => rpc_v2_cbor::decode(path, &body),
            Self::AwsJson { .. } => {
                let (_, operation) = target(headers).ok_or_else(|| {
                    AwsError::new(
                        "UnknownOperationException",
                        "the request is neither awsJson (no X-Amz-Target), awsQuery nor rpc-v2-cbor",
                    )
                })?;
                Ok(Call::new(operation, body))
            }
        }
    }
}

/// The API and the operation of `X-Amz-Target: <api>.<operation>`.
#[must_use]
pub fn target(headers: &HeaderMap) -> Option<(&str, &str)> {
    text(headers, "x-amz-target").rsplit_once('.')
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
