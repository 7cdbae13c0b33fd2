//! A deployment from its creation to its end.

use std::{collections::BTreeMap, net::SocketAddr};

use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType};
use aws_sdk_kinesis::types::ScalingType;
use stack::{
    Event, Progress,
    deploy::{DeployError, Request, deploy, describe},
    inventory::{Inventory, Owner, take},
    template::Parameter,
};
use tokio_util::sync::CancellationToken;

use crate::{
    endpoint::{Endpoint, name, request},
    stand_in::get,
};

/// Names that look like the deployment's and are not.
const FOREIGN: &str = "weir-foreign";

async fn make_foreign(endpoint: &Endpoint) {
    let kinesis = aws_sdk_kinesis::Client::new(&endpoint.sdk);
    kinesis.create_stream().stream_name(FOREIGN).shard_count(1).send().await.expect("a stream");
    let key = KeySchemaElement::builder().attribute_name("k").key_type(KeyType::Hash).build().expect("a key");
    let kind = ScalarAttributeType::S;
    let attribute = AttributeDefinition::builder().attribute_name("k").attribute_type(kind).build();
    let table = aws_sdk_dynamodb::Client::new(&endpoint.sdk).create_table().table_name(FOREIGN).key_schema(key);
    let table = table.attribute_definitions(attribute.expect("an attribute"));
    table.billing_mode(BillingMode::PayPerRequest).send().await.expect("a table");
    let ecr = aws_sdk_ecr::Client::new(&endpoint.sdk);
    ecr.create_repository().repository_name("weir/foreign").send().await.expect("a repository");
    let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
    logs.create_log_group().log_group_name("/weir/weir/foreign").send().await.expect("a log group");
}

/// Fails unless everything of [`make_foreign`] is still there.
async fn assert_foreign_is_there(endpoint: &Endpoint) {
    let kinesis = aws_sdk_kinesis::Client::new(&endpoint.sdk);
    kinesis.describe_stream_summary().stream_name(FOREIGN).send().await.expect("the foreign stream");
    let dynamodb = aws_sdk_dynamodb::Client::new(&endpoint.sdk);
    dynamodb.describe_table().table_name(FOREIGN).send().await.expect("the foreign table");
    let ecr = aws_sdk_ecr::Client::new(&endpoint.sdk);
    ecr.describe_repositories().repository_names("weir/foreign").send().await.expect("the foreign repository");
    let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
    let groups = logs.describe_log_groups().log_group_name_prefix("/weir/weir/foreign").send().await;
    assert_eq!(groups.expect("the log groups").log_groups().len(), 1, "the foreign log group");
}

/// Adds what keeps a stream from being deleted.
async fn register_consumer(endpoint: &Endpoint) {
    let kinesis = aws_sdk_kinesis::Client::new(&endpoint.sdk);
    let summary = kinesis.describe_stream_summary().stream_name("weir").send().await.expect("the stream");
    let arn = summary.stream_description_summary.expect("a summary").stream_arn;
    kinesis.register_stream_consumer().stream_arn(arn).consumer_name("other").send().await.expect("a consumer");
}

fn ids<'a>(inventory: &'a Inventory, kind: &str) -> Vec<&'a str> {
    let of_kind = inventory.resources.iter().filter(|resource| resource.kind == kind);
    of_kind.map(|resource| resource.id.as_str()).collect()
}

#[tokio::test]
async fn a_deployment_comes_up_is_listed_and_goes_without_a_trace() {
    let endpoint = Endpoint::start().await;
    make_foreign(&endpoint).await;
    let name = name("weir");

    let (outputs, events) = endpoint.deploy(&request(&name)).await;
    let outputs = outputs.unwrap_or_else(|error| panic!("{error:?} after {events:#?}"));
    assert_eq!(outputs.stream_name, "weir");
    assert_eq!(outputs.lease_table_name, "weir-consumer");
    assert_eq!(outputs.producer_service_name, "weir-producer");
    let address: SocketAddr = outputs.ingest_url.trim_start_matches("http://").parse().expect("a loopback URL");
    let answer = tokio::task::spawn_blocking(move || get(address, "/healthcheck")).await.expect("the client");
    assert!(answer.expect("an answer").starts_with("HTTP/1.1 200"));
    assert_eq!(events.iter().filter(|event| matches!(event, Event::ImagePushed { .. })).count(), 3);
    assert_eq!(describe(&endpoint.clients, &name).await.expect("a look"), Some(outputs));

    register_consumer(&endpoint).await;
    let inventory = take(&endpoint.clients, &name).await.expect("an inventory");
    assert_eq!(ids(&inventory, "AWS::Kinesis::Stream"), ["weir"]);
    assert_eq!(ids(&inventory, "AWS::DynamoDB::Table"), ["weir-consumer", "weir-control"]);
    assert_eq!(ids(&inventory, "AWS::ECR::Image").len(), 3);
    assert_eq!(ids(&inventory, "AWS::Kinesis::StreamConsumer").len(), 1);
    assert!(inventory.resources.iter().all(|resource| !resource.id.contains("foreign")), "{inventory:#?}");
    assert!(inventory.resources.iter().filter(|resource| resource.owner == Owner::Stack).count() > 40);

    let report = endpoint.teardown(&name).await.expect("the teardown");
    assert_eq!(report.leftovers, []);
    for resource in &inventory.resources {
        assert!(report.deleted.iter().any(|deleted| deleted.id == resource.id), "{resource:?} is not in the report");
    }
    assert_eq!(report.kept.iter().map(|kept| kept.resource.id.as_str()).collect::<Vec<_>>(), ["/weir/weir/foreign"]);
    assert_eq!(take(&endpoint.clients, &name).await.expect("an inventory").resources, []);
    assert_eq!(endpoint.teardown(&name).await.expect("a second teardown").deleted, []);
    assert_foreign_is_there(&endpoint).await;
    endpoint.stop().await;
}

/// Deploys, and fails with what happened on the way when that fails.
async fn deployed(endpoint: &Endpoint, request: &Request) -> Vec<Event> {
    let (outputs, events) = endpoint.deploy(request).await;
    if let Err(error) = outputs {
        panic!("{error:?} after {events:#?}");
    }
    events
}

fn updated(events: &[Event], resource: &str) -> bool {
    events.iter().any(|event| {
        matches!(event, Event::Stack { logical_id, status, .. } if logical_id == resource && status == "UPDATE_COMPLETE")
    })
}

#[tokio::test]
async fn an_update_changes_what_was_asked_for_and_keeps_the_shards() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    let mut request = request(&name);
    deployed(&endpoint, &request).await;
    let kinesis = aws_sdk_kinesis::Client::new(&endpoint.sdk);
    let reshard = kinesis.update_shard_count().stream_name("weir").target_shard_count(2);
    reshard.scaling_type(ScalingType::UniformScaling).send().await.expect("a reshard");

    let events = deployed(&endpoint, &request).await;
    let uploads = events.iter().filter(|event| matches!(event, Event::ImagePushed { uploaded: 1.., .. }));
    assert_eq!(uploads.count(), 0, "the images are there already");

    request.parameters = BTreeMap::from([(Parameter::Tick, "3s".to_owned()), (Parameter::ShardCount, "1".to_owned())]);
    let events = deployed(&endpoint, &request).await;
    assert!(updated(&events, "ControlPlaneTask"), "{events:#?}");
    assert!(!updated(&events, "Stream"), "{events:#?}");

    request.parameters.insert(Parameter::RetentionHours, "48".to_owned());
    let events = deployed(&endpoint, &request).await;
    assert!(updated(&events, "Stream"), "{events:#?}");
    let summary = kinesis.describe_stream_summary().stream_name("weir").send().await.expect("the stream");
    let summary = summary.stream_description_summary.expect("a summary");
    assert_eq!((summary.open_shard_count, summary.retention_period_hours), (2, 48));

    endpoint.teardown(&name).await.expect("the teardown");
    endpoint.stop().await;
}

#[tokio::test]
async fn an_interrupted_deployment_continues() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    let request = request(&name);
    let (progress, mut events) = Progress::channel();
    let cancel = CancellationToken::new();
    let interrupting = async {
        while let Some(event) = events.recv().await {
            if matches!(event, Event::ImagePushed { .. }) {
                cancel.cancel();
            }
        }
    };
    let deploying = async {
        let outcome = deploy(&endpoint.clients, &request, &progress, &cancel).await;
        drop(progress);
        outcome
    };
    let (outcome, ()) = tokio::join!(deploying, interrupting);
    assert!(matches!(outcome, Err(DeployError::Cancelled)), "{outcome:?}");

    deployed(&endpoint, &request).await;
    assert_eq!(endpoint.teardown(&name).await.expect("the teardown").leftovers, []);
    endpoint.stop().await;
}

/// A replaced table whose old data was kept, and what a stack leaves behind by itself.
#[tokio::test]
async fn leftovers_with_the_deployments_tag_are_swept_without_a_stack() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    let tagged = |value: &str| [("weir:deployment".to_owned(), value.to_owned())];
    let kinesis = aws_sdk_kinesis::Client::new(&endpoint.sdk);
    let logs = aws_sdk_cloudwatchlogs::Client::new(&endpoint.sdk);
    for (stream, deployment) in [("old", "weir"), ("others", "weird")] {
        let create = kinesis.create_stream().stream_name(stream).shard_count(1);
        create.set_tags(Some(tagged(deployment).into())).send().await.expect("a stream");
        let create = logs.create_log_group().log_group_name(stream);
        create.set_tags(Some(tagged(deployment).into())).send().await.expect("a log group");
    }

    let inventory = take(&endpoint.clients, &name).await.expect("an inventory");
    let found: Vec<_> = inventory.resources.iter().map(|it| (it.kind.as_str(), it.id.as_str(), it.owner)).collect();
    assert_eq!(found, [("AWS::Kinesis::Stream", "old", Owner::Tag), ("AWS::Logs::LogGroup", "old", Owner::Tag)]);

    let report = endpoint.teardown(&name).await.expect("the teardown");
    assert_eq!((report.deleted.len(), report.leftovers.len()), (2, 0));
    let left = kinesis.list_streams().send().await.expect("the streams");
    assert_eq!(left.stream_names(), ["others"]);
    endpoint.stop().await;
}
