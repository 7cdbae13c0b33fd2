//! One port for every service: the SigV4 scope says which one a request is for.

mod answer;

use std::{convert::Infallible, io::Read, sync::Arc, time::Duration};

use bytes::Bytes;
use flate2::read::GzDecoder;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, Response, body::Incoming, header, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::{
    Services, connections,
    protocol::{self, Protocol},
    service::AwsError,
};

use answer::{Answer, Body};

/// The largest request of any supported API is an ECR layer part of 20 MiB, in base64.
const REQUEST_BYTES_MAX: usize = 32 << 20;

/// How long a connection may wait for a request's headers. The wait includes the idle time between two requests, so it
/// is longer than the 90 s for which the SDK keeps an idle connection: closed earlier, a request would now and then
/// meet a connection that is just going away.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);

/// How many connections are open at once; more wait to be accepted. 1,024 open files are what a process usually may have,
/// and a client needs few: one, and over HTTP/1.1 one more for each shard that it subscribes to.
const CONNECTIONS_MAX: usize = 1_024;

/// Serves clients until `stopping`.
pub async fn serve(listener: TcpListener, services: Arc<Services>, stopping: CancellationToken) {
    connections::accept(listener, CONNECTIONS_MAX, &stopping, |stream, _| {
        connection(stream, services.clone(), stopping.clone())
    })
    .await;
}

/// Serves HTTP/1.1 and HTTP/2 with prior knowledge on one connection.
async fn connection(stream: TcpStream, services: Arc<Services>, stopping: CancellationToken) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let service = service_fn(move |request| {
        let services = services.clone();
        async move { Ok::<_, Infallible>(answer(&services, request).await) }
    });
    let serving = builder.serve_connection(TokioIo::new(stream), service);
    connections::finish(serving, auto::Connection::graceful_shutdown, &stopping).await;
}

async fn answer(services: &Services, request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let protocol = Protocol::of(&parts.headers);
    let service = service(&parts.headers);
    let answer = Answer::new(protocol.clone(), service.unwrap_or_default());
    let Some(service) = service else {
        return answer.fail(&AwsError {
            status: 403,
            ..AwsError::new(
                "MissingAuthenticationToken",
                "the request is not signed with SigV4, so its service is unknown",
            )
        });
    };
    let call = match read(&parts.headers, body).await {
        Ok(body) => protocol.decode(parts.uri.path(), &parts.headers, body),
        Err(error) => Err(error),
    };
    let call = match call {
        Ok(call) => call,
        Err(error) => return answer.fail(&error),
    };
    let operation = call.operation.clone();
    match services.call(service, call).await {
        Ok(reply) => answer.succeed(&operation, reply),
        Err(error) => {
            tracing::debug!(%service, %operation, code = %error.code, "refused");
            answer.fail(&error)
        }
    }
}

/// The service that a request is for: by its signature, or by its target where nobody signed it.
fn service(headers: &HeaderMap) -> Option<&str> {
    scope(headers).or_else(|| protocol::target(headers).and_then(|(api, _)| service_of_api(api)))
}

/// The service in `Authorization: AWS4-HMAC-SHA256 Credential=<key>/<date>/<region>/<service>/aws4_request`.
fn scope(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let credential = authorization.split("Credential=").nth(1)?;
    credential.split('/').nth(3)
}

/// The service whose API an `X-Amz-Target` names.
fn service_of_api(api: &str) -> Option<&'static str> {
    Some(match api {
        "Kinesis_20131202" => "kinesis",
        "DynamoDB_20120810" => "dynamodb",
        "AmazonEC2ContainerServiceV20141113" => "ecs",
        "GraniteServiceVersion20100801" => "monitoring",
        "Logs_20140328" => "logs",
        "AmazonEC2ContainerRegistry_V20150921" => "ecr",
        "ResourceGroupsTaggingAPI_20170126" => "tagging",
        "AnyScaleFrontendService" => "application-autoscaling",
        _ => return None,
    })
}

async fn read(headers: &HeaderMap, body: Incoming) -> Result<Bytes, AwsError> {
    let too_large = || AwsError {
        status: 413,
        ..AwsError::new("RequestEntityTooLargeException", "the request is larger than 32 MiB")
    };
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            too_large()
        } else {
            AwsError::new("IncompleteBody", format!("the request ended early: {error}"))
        }
    })?;
    let body = body.to_bytes();
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
