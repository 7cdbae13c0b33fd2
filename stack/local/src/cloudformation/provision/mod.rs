//! Resources: real ones through the other services' own APIs, inert ones as records.

mod cloudwatch;
mod dynamodb;
mod ecr;
mod ecs;
mod ecs_service;
mod elb;
mod failure;
mod inert;
mod kinesis;
mod logs;
mod properties;
mod request;
mod tags;
mod types;

pub(crate) use failure::Failure;
pub(crate) use inert::arn as inert_arn;
pub(crate) use properties::changed;
pub(crate) use request::{Existing, Provisioned, Request};
pub(crate) use tags::{Tags, merged as merged_tags};
pub(crate) use types::{Kind, Type, resource_type};

/// Makes the resource and waits until it can be used.
///
/// # Errors
/// The service's refusal, or that the resource did not become ready; what exists by then was told to
/// [`Request::identify`].
pub(crate) async fn create(kind: Kind, request: &Request<'_>) -> Result<Provisioned, Failure> {
    match kind {
        Kind::Stream => kinesis::create_stream(request).await,
        Kind::StreamConsumer => kinesis::create_consumer(request).await,
        Kind::Table => dynamodb::create(request).await,
        Kind::Repository => ecr::create(request).await,
        Kind::LogGroup => logs::create(request).await,
        Kind::Cluster => ecs::create_cluster(request).await,
        Kind::TaskDefinition => ecs::register_task_definition(request).await,
        Kind::Service => ecs_service::create(request).await,
        Kind::LoadBalancer => elb::create_load_balancer(request).await,
        Kind::TargetGroup => elb::create_target_group(request).await,
        Kind::Listener => elb::create_listener(request).await,
        Kind::Alarm => cloudwatch::put_alarm(request, None).await,
        Kind::Dashboard => cloudwatch::put_dashboard(request, None).await,
        Kind::Inert(record) => Ok(inert::create(record, request)),
    }
}

/// Applies changed properties and tags to what exists. Only for changes that need no replacement.
pub(crate) async fn update(kind: Kind, request: &Request<'_>, existing: &Existing<'_>) -> Result<Provisioned, Failure> {
    let provisioned = match kind {
        Kind::Stream => kinesis::update_stream(request, existing).await,
        Kind::Table => dynamodb::update(request, existing).await,
        Kind::Repository => ecr::update(request, existing).await,
        Kind::LogGroup => logs::update(request, existing).await,
        Kind::Cluster => ecs::update_cluster(request, existing).await,
        Kind::Service => ecs_service::update(request, existing).await,
        Kind::LoadBalancer => elb::update_load_balancer(request, existing).await,
        Kind::TargetGroup => elb::update_target_group(request, existing).await,
        Kind::Listener => elb::update_listener(request, existing).await,
        Kind::Alarm => cloudwatch::put_alarm(request, Some(existing.physical_id)).await,
        Kind::Dashboard => cloudwatch::put_dashboard(request, Some(existing.physical_id)).await,
        // Nothing but their tags can change without a replacement.
        Kind::StreamConsumer | Kind::TaskDefinition => Ok(existing.unchanged()),
        Kind::Inert(record) => Ok(inert::update(record, request, existing)),
    }?;
    tags::apply(kind, request, existing).await?;
    Ok(provisioned)
}

/// Removes the resource and waits until it is gone. What is gone already counts as removed.
pub(crate) async fn delete(kind: Kind, request: &Request<'_>, physical_id: &str) -> Result<(), Failure> {
    let deleted = match kind {
        Kind::Stream => kinesis::delete_stream(request, physical_id).await,
        Kind::StreamConsumer => kinesis::delete_consumer(request, physical_id).await,
        Kind::Table => dynamodb::delete(request, physical_id).await,
        Kind::Repository => ecr::delete(request, physical_id).await,
        Kind::LogGroup => logs::delete(request, physical_id).await,
        Kind::Cluster => ecs::delete_cluster(request, physical_id).await,
        Kind::TaskDefinition => ecs::deregister_task_definition(request, physical_id).await,
        Kind::Service => ecs_service::delete(request, physical_id).await,
        Kind::LoadBalancer => elb::delete(request, "DeleteLoadBalancer", "LoadBalancerArn", physical_id).await,
        Kind::TargetGroup => elb::delete(request, "DeleteTargetGroup", "TargetGroupArn", physical_id).await,
        Kind::Listener => elb::delete(request, "DeleteListener", "ListenerArn", physical_id).await,
        Kind::Alarm => cloudwatch::delete_alarm(request, physical_id).await,
        Kind::Dashboard => cloudwatch::delete_dashboard(request, physical_id).await,
        Kind::Inert(_) => Ok(()),
    };
    match deleted {
        Err(failure) if failure.is_not_found() => Ok(()),
        other => other,
    }
}
