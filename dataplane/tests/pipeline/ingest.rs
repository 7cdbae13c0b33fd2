//! What clients are told.

use hyper::{StatusCode, header};
use serde_json::json;

use crate::world::World;

#[tokio::test]
async fn the_curl_call_of_the_sample_stores_a_record() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let body = r#"{"data":"2000-00-00 00:00:00 INFO HelloExample:1 - This is our load testing record"}"#;
    let answer = world.post(&producer, "/", body).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body["shard_id"], "shardId-000000000000");
    assert_eq!(world.get(producer.ingest, "/healthcheck").await.status, StatusCode::OK);
    producer.role.stop().await;
}

#[tokio::test]
async fn a_bad_request_gets_its_own_status_and_a_reason_in_json() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let large = json!({"data": "x".repeat(2 << 20)}).to_string();
    let huge = "x".repeat(9 << 20);
    for (path, body, status, code) in [
        ("/", "{", 400, "malformed"),
        ("/", r#"{"date":"x"}"#, 400, "malformed"),
        ("/", r#"{"data":1}"#, 400, "malformed"),
        ("/", "", 400, "malformed"),
        ("/", &large, 413, "record_too_large"),
        ("/", &huge, 413, "body_too_large"),
        ("/records", "[]", 400, "malformed"),
        ("/records", "{\"data\":\"a\"}\nnonsense", 400, "malformed"),
        ("/nowhere", "{}", 404, "no_such_path"),
    ] {
        let answer = world.post(&producer, path, body.to_owned()).await;
        let shown = &body[..body.len().min(40)];
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (status, Some(code)),
            "{path} {shown}: {answer:?}"
        );
        assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json");
        assert_eq!(answer.body["limit"].is_u64(), status == 413, "{answer:?}");
    }
    assert_eq!(world.get(producer.ingest, "/").await.status, StatusCode::METHOD_NOT_ALLOWED);
    producer.role.stop().await;
}

#[tokio::test]
async fn a_record_that_kinesis_does_not_take_in_time_is_not_acknowledged() {
    let world = World::without_stream().await;
    let producer = world.producer(&["--record-ttl", "300ms"]).await;
    let answer = world.post(&producer, "/", r#"{"data":"x"}"#).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("not_stored")));
    assert_eq!(answer.headers[header::RETRY_AFTER], "1");
    assert_eq!(world.get(producer.role.admin, "/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let answer = world.post(&producer, "/records", "{\"data\":\"x\"}\n{\"data\":\"y\"}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body["results"][1]["error"].is_string(), "{answer:?}");
    producer.role.stop().await;
}

#[tokio::test]
async fn a_full_buffer_is_said_and_does_not_grow() {
    let world = World::without_stream().await;
    let producer = world.producer(&["--buffer-mib", "4", "--record-ttl", "5s"]).await;
    let body = json!(vec![json!({"data": "x".repeat(1 << 19)}); 3]).to_string();
    let posts = (0..8).map(|_| world.post(&producer, "/records", body.clone()));
    let answers = futures::future::join_all(posts).await;
    let full = answers.iter().filter(|answer| answer.body["code"] == "buffer_full").count();
    assert!((1..8).contains(&full), "{full} of 8 were turned away");
    assert!(answers.iter().all(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE));
    assert!(answers.iter().all(|answer| answer.headers[header::RETRY_AFTER] == "1"));
    producer.role.stop().await;
}
