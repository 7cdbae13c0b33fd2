//! What goes wrong on the way, and that the same call then brings it to its end.

use aws_sdk_cloudformation::types::{StackEvent, Tag};
use stack::{
    Event, Role,
    deploy::{DeployError, Images},
    progress::Phase,
    teardown::TeardownError,
};

use crate::endpoint::{Endpoint, name, request};

/// A stack that cannot be deleted while somebody else's service is in its cluster.
const CLUSTER: &str =
    r#"{"Resources": {"Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "weir"}}}}"#;

async fn create_cluster_stack(endpoint: &Endpoint) {
    let client = aws_sdk_cloudformation::Client::new(&endpoint.sdk);
    let tag = Tag::builder().key("weir:deployment").value("weir").build();
    client.create_stack().stack_name("weir").template_body(CLUSTER).tags(tag).send().await.expect("a stack");
}

async fn add_foreign_service(ecs: &aws_sdk_ecs::Client) {
    let container = aws_sdk_ecs::types::ContainerDefinition::builder().name("app").image("any").build();
    let definition = ecs.register_task_definition().family("theirs").container_definitions(container);
    let definition = definition.cpu("256").memory("512").send().await.expect("a definition");
    let arn = definition.task_definition.and_then(|definition| definition.task_definition_arn).expect("its ARN");
    let service = ecs.create_service().cluster("weir").service_name("theirs").task_definition(arn).desired_count(0);
    service.send().await.expect("a service");
}

fn retries(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Retrying { .. })).count()
}

#[tokio::test]
async fn a_stack_that_fails_to_be_deleted_is_tried_three_times_and_goes_once_the_cause_is_gone() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    create_cluster_stack(&endpoint).await;
    let ecs = aws_sdk_ecs::Client::new(&endpoint.sdk);
    add_foreign_service(&ecs).await;

    let (outcome, events) = endpoint.teardown_until(&name, |_| false).await;
    let Err(TeardownError::Stuck { status, rounds, reason, .. }) = outcome else { panic!("{outcome:?}") };
    assert_eq!((status.as_str(), rounds, retries(&events)), ("DELETE_FAILED", 3, 2), "{events:#?}");
    assert!(reason.starts_with("Cluster: ") && reason.contains("ClusterContainsServicesException"), "{reason}");

    ecs.delete_service().cluster("weir").service("theirs").force(true).send().await.expect("their service goes");
    let (outcome, events) = endpoint.teardown_until(&name, |_| false).await;
    assert_eq!((outcome.expect("the teardown").leftovers, retries(&events)), (vec![], 0), "{events:#?}");
    endpoint.stop().await;
}

#[tokio::test]
async fn an_interrupted_teardown_continues() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    let deployed = endpoint.deploy(&request(&name)).await;
    assert!(deployed.0.is_ok(), "{deployed:#?}");
    for phase in [Phase::StoppingServices, Phase::Emptying, Phase::DeletingStack] {
        let reached = |event: &Event| *event == Event::Phase { phase };
        let (outcome, events) = endpoint.teardown_until(&name, reached).await;
        assert!(matches!(outcome, Err(TeardownError::Cancelled)), "{outcome:?} after {events:#?}");
        assert!(events.iter().any(reached), "{events:#?}");
    }
    assert_eq!(endpoint.teardown(&name).await.expect("the teardown").leftovers, []);
    let inventory = stack::inventory::take(&endpoint.clients, &name).await.expect("an inventory");
    assert_eq!(inventory.resources, []);
    endpoint.stop().await;
}

#[tokio::test]
async fn a_push_that_fails_is_told_to_the_stack_which_rolls_back_and_the_next_deployment_succeeds() {
    let endpoint = Endpoint::start().await;
    let name = name("weir");
    let mut damaged = request(&name);
    if let Images::Push(images) = &mut damaged.images {
        images.consumer.layer.bytes = b"not what the digest says".as_slice().into();
    }
    let (outcome, events) = endpoint.deploy(&damaged).await;
    assert!(matches!(outcome, Err(DeployError::Push { role: Role::Consumer, .. })), "{outcome:?} after {events:#?}");

    let client = aws_sdk_cloudformation::Client::new(&endpoint.sdk);
    let told = client.describe_stack_events().stack_name("weir").send().await.expect("the events");
    let reasons: Vec<_> = told.stack_events().iter().filter_map(StackEvent::resource_status_reason).collect();
    assert!(reasons.contains(&"Received FAILURE signal with UniqueId ctl"), "{reasons:#?}");

    let (outcome, events) = endpoint.deploy(&request(&name)).await;
    assert!(outcome.is_ok(), "{outcome:?} after {events:#?}");
    endpoint.teardown(&name).await.expect("the teardown");
    endpoint.stop().await;
}
