//! One port for every service: the SigV4 scope says which one a request is for.

use std::{convert::Infallible, io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures::StreamExt;
use http_body_util::{BodyExt, Full, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Frame, body::Incoming, header, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    Services, cloudwatch,
    protocol::{self, Protocol, aws_json, aws_query, rpc_v2_cbor},
    service::{AwsError, Reply},
};

/// The largest request of any supported API is an ECR layer part of 20 MiB, in base64.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long open connections may finish after the endpoint was told to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Accepts connections until `stopping`, then lets the open ones finish for [`DRAIN_TIMEOUT`].
pub async fn serve(listener: TcpListener, services: Arc<Services>, stopping: CancellationToken) {
    let connections = TaskTracker::new();
    while let Some(accepted) = stopping.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, services.clone(), stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    connections.close();
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, connections.wait()).await;
}

/// Serves HTTP/1.1 and HTTP/2 with prior knowledge on one connection.
async fn connection(stream: TcpStream, services: Arc<Services>, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let service = service_fn(move |request| {
        let services = services.clone();
        async move { Ok::<_, Infallible>(handle(&services, request).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopping.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_TIMEOUT, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn handle(services: &Services, request: Request<Incoming>) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let Some(service) = scope(&parts.headers) else {
        let missing = AwsError {
            status: 403,
            ..AwsError::new(
                "MissingAuthenticationToken",
                "the request is not signed with SigV4, so its service is unknown",
            )
        };
        return fail(&Protocol::AwsJson { content_type: aws_json::CONTENT_TYPE.to_owned() }, &request_id, &missing);
    };
    let fallback = Protocol::AwsJson { content_type: aws_json::CONTENT_TYPE.to_owned() };
    let body = match read(&parts.headers, body).await {
        Ok(body) => body,
        Err(error) => return fail(&fallback, &request_id, &error),
    };
    let (protocol, call) = match protocol::decode(parts.uri.path(), &parts.headers, body) {
        Ok(decoded) => decoded,
        Err(error) => return fail(&fallback, &request_id, &error),
    };
    let operation = call.operation.clone();
    match services.call(&service, call).await {
        Ok(reply) => succeed(&protocol, &operation, &request_id, reply),
        Err(error) => {
            tracing::debug!(%service, %operation, code = %error.code, "refused");
            fail(&protocol, &request_id, &error)
        }
    }
}

/// The service in `Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn scope(headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let credential = authorization.split("Credential=").nth(1)?;
    credential.split('/').nth(3).map(str::to_owned)
}

async fn read(headers: &HeaderMap, body: Incoming) -> Result<Bytes, AwsError> {
    let too_large = || AwsError {
        status: 413,
        ..AwsError::new("RequestEntityTooLargeException", "the request is larger than 32 MiB")
    };
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|_| too_large())?.to_bytes();
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Ok(body);
    }
    let mut expanded = Vec::new();
    let limit = REQUEST_BYTES_MAX as u64 + 1;
    GzDecoder::new(&body[..])
        .take(limit)
        .read_to_end(&mut expanded)
        .map_err(|error| AwsError::new("SerializationException", format!("the gzip body is damaged: {error}")))?;
    if expanded.len() as u64 == limit { Err(too_large()) } else { Ok(expanded.into()) }
}

fn succeed(protocol: &Protocol, operation: &str, request_id: &str, reply: Reply) -> Response<Body> {
    let body = match reply {
        Reply::EventStream(frames) => {
            let frames = frames.map(|frame| Ok(Frame::data(frame)));
            return response(
                StatusCode::OK,
                "application/vnd.amazon.eventstream",
                request_id,
                StreamBody::new(frames).boxed_unsync(),
            );
        }
        Reply::Json(body) => body,
    };
    let value = || serde_json::from_slice::<Value>(&body).unwrap_or_default();
    match protocol {
        Protocol::AwsJson { content_type } => response(StatusCode::OK, content_type, request_id, full(body)),
        Protocol::AwsQuery { version } => {
            let xml = aws_query::encode(operation, version, request_id, &value());
            response(StatusCode::OK, "text/xml", request_id, full(xml))
        }
        Protocol::RpcV2Cbor => {
            let cbor = rpc_v2_cbor::encode(&value(), cloudwatch::TIMESTAMP_MEMBERS);
            cbor_response(StatusCode::OK, request_id, cbor)
        }
    }
}

fn fail(protocol: &Protocol, request_id: &str, error: &AwsError) -> Response<Body> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match protocol {
        Protocol::AwsJson { content_type } => {
            response(status, content_type, request_id, full(aws_json::error_body(error)))
        }
        Protocol::AwsQuery { .. } => {
            response(status, "text/xml", request_id, full(aws_query::encode_error(request_id, error)))
        }
        Protocol::RpcV2Cbor => cbor_response(status, request_id, rpc_v2_cbor::encode_error(error)),
    }
}

fn cbor_response(status: StatusCode, request_id: &str, body: Bytes) -> Response<Body> {
    let mut response = response(status, "application/cbor", request_id, full(body));
    response.headers_mut().insert("smithy-protocol", header::HeaderValue::from_static("rpc-v2-cbor"));
    response
}

fn full(body: Bytes) -> Body {
    Full::new(body).boxed_unsync()
}

fn response(status: StatusCode, content_type: &str, request_id: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in [("content-type", content_type), ("x-amzn-requestid", request_id)] {
        if let Ok(value) = header::HeaderValue::from_str(value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
