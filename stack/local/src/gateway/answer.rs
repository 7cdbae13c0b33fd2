//! Writes a service's answer in the protocol of the request.

use std::convert::Infallible;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, body::Frame, header::HeaderValue};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    cloudwatch,
    protocol::{Protocol, aws_json, aws_query, rpc_v2_cbor},
    service::{AwsError, Reply},
};

pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// How one request is answered.
pub(super) struct Answer {
    protocol: Protocol,
    service: String,
    request_id: String,
}

impl Answer {
    pub(super) fn new(protocol: Protocol, service: &str) -> Self {
        Self { protocol, service: service.to_owned(), request_id: Uuid::new_v4().to_string() }
    }

    pub(super) fn succeed(&self, operation: &str, reply: Reply) -> Response<Body> {
        let body = match reply {
            Reply::EventStream(frames) => {
                let frames = StreamBody::new(frames.map(|frame| Ok(Frame::data(frame))));
                return self.response(StatusCode::OK, "application/vnd.amazon.eventstream", frames.boxed_unsync());
            }
            Reply::Json(body) => body,
        };
        let value = || serde_json::from_slice::<Value>(&body).unwrap_or_default();
        let body = match &self.protocol {
            Protocol::AwsJson { .. } => body,
            Protocol::AwsQuery => {
                aws_query::encode(&self.service, operation, &self.request_id, &value(), cloudwatch::TIMESTAMP_MEMBERS)
            }
            Protocol::RpcV2Cbor => rpc_v2_cbor::encode(&value(), cloudwatch::TIMESTAMP_MEMBERS),
        };
        self.written(StatusCode::OK, body)
    }

    pub(super) fn fail(&self, error: &AwsError) -> Response<Body> {
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = match &self.protocol {
            Protocol::AwsJson { .. } => aws_json::error_body(error),
            Protocol::AwsQuery => aws_query::encode_error(&self.service, &self.request_id, error),
            Protocol::RpcV2Cbor => rpc_v2_cbor::encode_error(error),
        };
        self.written(status, body)
    }

    fn written(&self, status: StatusCode, body: Bytes) -> Response<Body> {
        let content_type = match &self.protocol {
            Protocol::AwsJson { content_type } => content_type,
            Protocol::AwsQuery => "text/xml",
            Protocol::RpcV2Cbor => "application/cbor",
        };
        let mut response = self.response(status, content_type, Full::new(body).boxed_unsync());
        if self.protocol == Protocol::RpcV2Cbor {
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
        }
        response
    }

    fn response(&self, status: StatusCode, content_type: &str, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        for (name, value) in [("content-type", content_type), ("x-amzn-requestid", &self.request_id)] {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}
