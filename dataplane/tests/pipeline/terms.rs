//! What a request may ask for, and who may ask.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use futures::future::join_all;
use hyper::{StatusCode, header};
use serde_json::{Value, json};

use crate::world::{Answer, RunningProducer, World, until};

fn lines(names: &[&str]) -> String {
    names.iter().map(|name| json!({"data": name}).to_string() + "\n").collect()
}

async fn keyed(world: &World, producer: &RunningProducer, key: &str, body: &str) -> Answer {
    world.post_with(producer, "/records", &[("idempotency-key", key)], body.to_owned()).await
}

/// Everything in the stream, as often as it is there.
async fn stored(world: &World) -> Vec<String> {
    let mut data: Vec<_> = world.user_records().await.into_iter().map(|record| record.data).collect();
    data.sort();
    data.into_iter().map(|data| String::from_utf8(data).unwrap()).collect()
}

#[tokio::test]
async fn a_retry_under_the_same_key_gets_the_same_answer_and_adds_no_copy() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let body = lines(&["a", "b"]);
    let together = join_all((0..8).map(|_| keyed(&world, &producer, "one", &body))).await;
    let again = keyed(&world, &producer, "one", &body).await;
    let results: BTreeSet<_> =
        together.iter().chain([&again]).map(|answer| answer.body["results"].to_string()).collect();
    assert_eq!(results.len(), 1, "{together:?}");
    assert!(together.iter().chain([&again]).all(|answer| answer.status == StatusCode::OK));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(keyed(&world, &producer, "two", &body).await.status, StatusCode::OK);
    let other = keyed(&world, &producer, "one", &lines(&["c"])).await;
    assert_eq!(other.body["code"], "idempotency_key_reused");
    assert_eq!(stored(&world).await, ["a", "a", "b", "b"], "once for each key");
    producer.role.stop().await;
}

#[tokio::test]
async fn with_a_table_a_retry_at_another_task_adds_no_copy() {
    let world = World::start(1).await;
    create_table(&world).await;
    let with_table = ["--idempotency-table", "keys"];
    let (first, second) = (world.producer(&with_table).await, world.producer(&with_table).await);
    let body = lines(&["a", "b"]);
    let at_once = tokio::join!(keyed(&world, &first, "one", &body), keyed(&world, &second, "one", &body));
    first.role.stop().await;
    let later = keyed(&world, &second, "one", &body).await;
    for answer in [&at_once.0, &at_once.1, &later] {
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &later.body));
    }
    assert_eq!(keyed(&world, &second, "one", "{\"data\":\"c\"}").await.body["code"], "idempotency_key_reused");
    assert_eq!(stored(&world).await, ["a", "b"]);
    second.role.stop().await;
}

#[tokio::test]
async fn without_its_table_a_request_with_a_key_is_refused() {
    let world = World::start(1).await;
    let producer = world.producer(&["--idempotency-table", "missing"]).await;
    let answer = keyed(&world, &producer, "one", &lines(&["a"])).await;
    assert_eq!(
        (answer.status, answer.body["code"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("idempotency_unavailable"))
    );
    assert!(stored(&world).await.is_empty());
    producer.role.stop().await;
}

#[tokio::test]
async fn what_was_not_stored_may_be_tried_again_under_its_key() {
    let world = World::without_stream().await;
    let producer = world.producer(&["--record-ttl", "300ms"]).await;
    let body = lines(&["a"]);
    assert_eq!(keyed(&world, &producer, "one", &body).await.status, StatusCode::SERVICE_UNAVAILABLE);
    world.create_stream(1).await;
    until("the retry is stored", async || keyed(&world, &producer, "one", &body).await.status == StatusCode::OK).await;
    assert_eq!(stored(&world).await, ["a"]);
    producer.role.stop().await;
}

#[tokio::test]
async fn an_early_acknowledgement_is_202_and_the_record_follows() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    let answer = world.post(&producer, "/?ack=accepted", r#"{"data":"x"}"#).await;
    assert_eq!((answer.status, &answer.body["accepted"]), (StatusCode::ACCEPTED, &json!(1)));
    assert_eq!(world.post(&producer, "/?ack=maybe", r#"{"data":"x"}"#).await.status, StatusCode::BAD_REQUEST);
    until("it is stored", async || stored(&world).await == ["x"]).await;
    producer.role.stop().await;
    let early = world.producer(&["--ack", "accepted"]).await;
    assert_eq!(world.post(&early, "/", r#"{"data":"y"}"#).await.status, StatusCode::ACCEPTED);
    assert_eq!(world.post(&early, "/?ack=stored", r#"{"data":"z"}"#).await.status, StatusCode::OK);
    early.role.stop().await;
    assert_eq!(stored(&world).await, ["x", "y", "z"], "a task that is asked to stop stores what it has accepted");
}

#[tokio::test]
async fn only_holders_of_a_token_send_and_each_no_more_than_its_rate() {
    let world = World::start(1).await;
    // printf second | sha256sum
    let token = "bob=16367aacb67a4a017c8da8ab95682ccb390863780f7114dda0a0e0c55644c7c4";
    let producer = world.producer(&["--token", token, "--client-rate", "10"]).await;
    let answer = world.post(&producer, "/", r#"{"data":"x"}"#).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("not_allowed")));
    assert_eq!(answer.headers[header::WWW_AUTHENTICATE], "Bearer");
    assert_eq!(world.get(producer.ingest, "/healthcheck").await.status, StatusCode::OK, "the balancer has no token");
    let bearer = [("authorization", "Bearer second")];
    let many = lines(&["x"; 100]);
    assert_eq!(world.post_with(&producer, "/records", &bearer, many.clone()).await.status, StatusCode::OK);
    let answer = world.post_with(&producer, "/records", &bearer, many).await;
    assert_eq!((answer.status, &answer.body["limit"]), (StatusCode::TOO_MANY_REQUESTS, &json!(10)));
    let seconds: u64 = answer.headers[header::RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((1..=10).contains(&seconds), "{seconds}");
    producer.role.stop().await;
}

#[tokio::test]
async fn larger_records_are_taken_where_the_stream_takes_them() {
    let world = World::start(1).await;
    let arn = world.kinesis.describe_stream_summary().stream_name("weir").send().await.unwrap();
    let arn = arn.stream_description_summary.unwrap().stream_arn;
    world.kinesis.update_max_record_size().stream_arn(arn).max_record_size_in_kib(4096).send().await.unwrap();
    world.until_active().await;
    let producer = world.producer(&[]).await;
    let data = "x".repeat(3 << 20);
    let body = json!({"data": data, "partitionKey": "k"}).to_string();
    until("the producer knows", async || world.post(&producer, "/", body.clone()).await.status == StatusCode::OK).await;
    let larger = world.post(&producer, "/", json!({"data": "x".repeat(5 << 20)}).to_string()).await;
    assert_eq!((larger.status, &larger.body["limit"]), (StatusCode::PAYLOAD_TOO_LARGE, &Value::from(4 << 20)));
    assert_eq!(stored(&world).await, [data]);
    producer.role.stop().await;
}

pub(crate) async fn create_table(world: &World) {
    let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    let create = world.dynamodb().create_table().table_name("keys").billing_mode(BillingMode::PayPerRequest);
    let create = create.attribute_definitions(id.build().unwrap()).key_schema(key.build().unwrap());
    create.send().await.unwrap();
}
