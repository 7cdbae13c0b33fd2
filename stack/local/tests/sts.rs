//! STS and the gateway's own answers, through the SDK and through raw HTTP.

mod endpoint;

use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

#[tokio::test]
async fn the_caller_is_the_root_of_the_configured_account() {
    let endpoint = endpoint::start_with(|settings| settings.account = "123456789012".to_owned()).await;
    let identity = aws_sdk_sts::Client::new(&endpoint.sdk).get_caller_identity().send().await.unwrap();
    assert_eq!(identity.account(), Some("123456789012"));
    assert_eq!(identity.arn(), Some("arn:aws:iam::123456789012:root"));
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn an_unknown_operation_is_refused_by_name() {
    let endpoint = endpoint::start().await;
    let refused = aws_sdk_sts::Client::new(&endpoint.sdk).get_session_token().send().await.unwrap_err();
    assert!(format!("{refused:?}").contains("localcloud does not implement sts:GetSessionToken"), "{refused:?}");
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn http_2_is_spoken_with_prior_knowledge() {
    let endpoint = endpoint::start().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::post(endpoint.cloud.endpoint_url()).header("x-amz-target", "DynamoDB_20120810.ListTables");
    let answer = client.request(request.body(Full::new(Bytes::from_static(b"{}"))).unwrap()).await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, hyper::Version::HTTP_2));
    endpoint.cloud.stop().await;
}

async fn post(url: &str, headers: &[(&str, &str)], body: &'static [u8]) -> (StatusCode, String) {
    let mut request = Request::post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request.body(Full::new(Bytes::from_static(body))).unwrap()).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_request_that_nobody_signed_is_routed_by_its_target() {
    let endpoint = endpoint::start().await;
    let url = endpoint.cloud.endpoint_url();
    let (status, body) = post(url, &[("x-amz-target", "DynamoDB_20120810.ListTables")], b"{}").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, r#"{"TableNames":[]}"#));
    let (status, body) = post(url, &[], b"{}").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(body.contains("MissingAuthenticationToken"), "{body}");
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn a_request_that_cannot_be_decoded_is_refused_in_its_own_protocol() {
    let endpoint = endpoint::start().await;
    let url = endpoint.cloud.endpoint_url();
    let signed = ("authorization", "AWS4-HMAC-SHA256 Credential=a/20260101/eu-central-1/sts/aws4_request, Signature=a");
    let form = ("content-type", "application/x-www-form-urlencoded");
    let (status, body) = post(url, &[signed, form], b"Version=1").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("<Code>MissingAction</Code>"), "{body}");
    let (_, body) = post(url, &[signed, ("smithy-protocol", "rpc-v2-cbor")], b"").await;
    assert!(body.contains("UnknownOperationException") && !body.starts_with('{'), "{body}");
    let (_, body) = post(url, &[signed, ("content-encoding", "gzip")], b"not gzip").await;
    assert!(body.contains("the gzip body is damaged"), "{body}");
    endpoint.cloud.stop().await;
}
