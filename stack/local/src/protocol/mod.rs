//! AWS's wire protocols, each turned into JSON on the way in and written from JSON on the way out.

pub mod aws_json;
pub mod aws_query;
pub mod rpc_v2_cbor;

use bytes::Bytes;
use hyper::{HeaderMap, header};

use crate::service::{AwsError, Call};

/// What the client speaks, as far as it decides how the answer is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Protocol {
    /// `X-Amz-Target` and JSON. The content type (1.0 or 1.1) is echoed.
    AwsJson { content_type: String },
    /// A form in, XML out: CloudFormation, STS, Elastic Load Balancing and older CloudWatch clients.
    AwsQuery { version: String },
    /// Smithy RPC v2 with CBOR: the Rust SDK's CloudWatch client.
    RpcV2Cbor,
}

/// Finds the protocol of a request and decodes its input.
///
/// # Errors
/// When the request is in none of the protocols, or its body cannot be decoded.
pub fn decode(path: &str, headers: &HeaderMap, body: Bytes) -> Result<(Protocol, Call), AwsError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if text("smithy-protocol") == "rpc-v2-cbor" {
        return rpc_v2_cbor::decode(path, &body).map(|call| (Protocol::RpcV2Cbor, call));
    }
    let content_type = text(header::CONTENT_TYPE.as_str());
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return aws_query::decode(&body).map(|(version, call)| (Protocol::AwsQuery { version }, call));
    }
    let target = text("x-amz-target");
    let Some((_, operation)) = target.rsplit_once('.') else {
        return Err(AwsError::new(
            "UnknownOperationException",
            "the request is neither awsJson (no X-Amz-Target), awsQuery nor rpc-v2-cbor",
        ));
    };
    let content_type = if content_type.is_empty() { aws_json::CONTENT_TYPE } else { content_type };
    let protocol = Protocol::AwsJson { content_type: content_type.to_owned() };
    Ok((protocol, Call { operation: operation.to_owned(), body }))
}
