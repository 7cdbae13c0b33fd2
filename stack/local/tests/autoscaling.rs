//! Application Auto Scaling through the unmodified SDK.

mod endpoint;

use aws_sdk_applicationautoscaling::{
    Client,
    types::{ScalableDimension, ServiceNamespace, SuspendedState},
};

const SERVICE: &str = "service/weir/weir-producer";

fn register(
    client: &Client,
    resource: &str,
) -> aws_sdk_applicationautoscaling::operation::register_scalable_target::builders::RegisterScalableTargetFluentBuilder
{
    client
        .register_scalable_target()
        .service_namespace(ServiceNamespace::Ecs)
        .scalable_dimension(ScalableDimension::EcsServiceDesiredCount)
        .resource_id(resource)
}

#[tokio::test]
async fn a_target_is_described_until_it_is_deregistered_and_keeps_what_a_call_does_not_name() {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    let incomplete = register(&client, SERVICE).send().await.unwrap_err();
    assert!(incomplete.into_service_error().is_validation_exception());
    register(&client, SERVICE).min_capacity(1).max_capacity(4).send().await.unwrap();
    let suspended = SuspendedState::builder().dynamic_scaling_in_suspended(true).build();
    register(&client, SERVICE).suspended_state(suspended).send().await.unwrap();

    let described = client.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs).send().await.unwrap();
    let [target] = described.scalable_targets() else { panic!("{described:?}") };
    assert_eq!((target.resource_id.as_str(), target.min_capacity, target.max_capacity), (SERVICE, 1, 4));
    let suspended = target.suspended_state.as_ref().unwrap();
    assert_eq!(suspended.dynamic_scaling_in_suspended, Some(true));
    assert_eq!(suspended.dynamic_scaling_out_suspended, Some(false));

    let deregister = || {
        let call = client.deregister_scalable_target().service_namespace(ServiceNamespace::Ecs).resource_id(SERVICE);
        call.scalable_dimension(ScalableDimension::EcsServiceDesiredCount).send()
    };
    deregister().await.unwrap();
    assert!(deregister().await.unwrap_err().into_service_error().is_object_not_found_exception());
    endpoint.cloud.stop().await;
}

#[tokio::test]
async fn targets_are_listed_in_pages_and_by_resource() {
    let endpoint = endpoint::start().await;
    let client = Client::new(&endpoint.sdk);
    for number in 10..70 {
        register(&client, &format!("service/c/s{number}")).min_capacity(1).max_capacity(2).send().await.unwrap();
    }
    let describe = || client.describe_scalable_targets().service_namespace(ServiceNamespace::Ecs);
    let pages: Vec<_> = describe().into_paginator().items().send().collect::<Result<_, _>>().await.unwrap();
    assert_eq!(pages.len(), 60);
    let two = describe().resource_ids("service/c/s11").resource_ids("service/c/s69").send().await.unwrap();
    assert_eq!(two.scalable_targets().len(), 2);
    endpoint.cloud.stop().await;
}
