//! Plan → API calls. Makes no choices: whether a call may be made was settled before.
//!
//! Every target is absolute and every call is tried once. A call without an answer may have been heard, so the next tick
//! looks at the world instead of calling again.

use aws_config::retry::RetryConfig;
use aws_sdk_kinesis::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    types::ScalingType,
};

use crate::{
    aws::Clients,
    chain::chain,
    decide::{Action, ActionResult},
};

/// What the control plane changes the world with.
pub(crate) struct Hands {
    kinesis: aws_sdk_kinesis::Client,
    ecs: aws_sdk_ecs::Client,
    cluster: Option<String>,
}

impl Hands {
    /// `cluster` is the one of the pipeline's services, where it has any.
    pub(crate) fn new(clients: &Clients, cluster: Option<String>) -> Self {
        Self { kinesis: clients.kinesis.clone(), ecs: clients.ecs.clone(), cluster }
    }

    /// Makes the one call that an action is.
    pub(crate) async fn carry_out(&self, action: &Action) -> ActionResult {
        match action {
            Action::UpdateShardCount { stream, to, .. } => {
                let call = self
                    .kinesis
                    .update_shard_count()
                    .stream_name(stream)
                    .target_shard_count(i32::try_from(to.0).unwrap_or(i32::MAX))
                    .scaling_type(ScalingType::UniformScaling)
                    .customize()
                    .config_override(once());
                result(call.send().await)
            }
            Action::SplitShard { stream, shard_id, new_starting_hash_key } => {
                let call = self
                    .kinesis
                    .split_shard()
                    .stream_name(stream)
                    .shard_to_split(shard_id)
                    .new_starting_hash_key(new_starting_hash_key)
                    .customize()
                    .config_override(once());
                result(call.send().await)
            }
            Action::MergeShards { stream, shard_id, adjacent_shard_id } => {
                let call = self
                    .kinesis
                    .merge_shards()
                    .stream_name(stream)
                    .shard_to_merge(shard_id)
                    .adjacent_shard_to_merge(adjacent_shard_id)
                    .customize()
                    .config_override(once());
                result(call.send().await)
            }
            Action::UpdateStreamWarmThroughput { stream, to_mib, .. } => {
                let call = self
                    .kinesis
                    .update_stream_warm_throughput()
                    .stream_name(stream)
                    .warm_throughput_mibps(i32::try_from(*to_mib).unwrap_or(i32::MAX))
                    .customize()
                    .config_override(once());
                result(call.send().await)
            }
            Action::UpdateService { name, to, .. } => {
                let call = self
                    .ecs
                    .update_service()
                    .set_cluster(self.cluster.clone())
                    .service(name)
                    .desired_count(i32::try_from(to.0).unwrap_or(i32::MAX))
                    .customize()
                    .config_override(aws_sdk_ecs::Config::builder().retry_config(RetryConfig::disabled()));
                result(call.send().await)
            }
        }
    }
}

/// Whether a call that may have been heard is made again is for the next look to say.
fn once() -> aws_sdk_kinesis::config::Builder {
    aws_sdk_kinesis::Config::builder().retry_config(RetryConfig::disabled())
}

/// A client error was understood and refused; anything else may have been done.
fn result<T, E>(answer: Result<T, SdkError<E, HttpResponse>>) -> ActionResult
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let Err(error) = answer else { return ActionResult::Done };
    match (error.raw_response().map(|response| response.status().as_u16()), error.code()) {
        (Some(400..=499), Some(code)) => ActionResult::Refused {
            code: code.to_owned(),
            message: error.message().unwrap_or("no reason was given").to_owned(),
        },
        _ => ActionResult::Unknown { message: chain(&error) },
    }
}
