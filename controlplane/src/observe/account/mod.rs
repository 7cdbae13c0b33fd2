//! What the pipelines of one account share: its limits, and calls that answer for many pipelines at once.

mod cached;
mod metrics;
mod pace;
mod scalers;
mod services;

pub(super) use cached::Cached;
pub(super) use metrics::{Metrics, Point, Series};
pub(super) use pace::Pace;
pub(super) use services::{Counts, Described, Services};

use std::sync::Arc;

use crate::{
    aws::Clients,
    chain::chain,
    limits::{
        ACCOUNT_AGE, DESCRIBE_LIMITS_RATE, ECS_READ_RATE, GET_METRIC_DATA_RATE, LIST_TAGS_RATE, STREAM_SUMMARY_RATE,
    },
};
use scalers::Scalers;

/// Everything that is read once for all pipelines.
pub(crate) struct Account {
    pub(super) clients: Clients,
    pub(super) services: Services,
    pub(super) metrics: Metrics,
    pub(super) scalers: Scalers,
    /// How often each operation may be called, whichever pipeline it is for.
    pub(super) paces: Paces,
    shards_left: Cached<u32>,
}

/// The account's rates, less what others need.
pub(super) struct Paces {
    pub(super) stream_summary: Pace,
    pub(super) stream_tags: Pace,
    pub(super) ecs: Arc<Pace>,
    limits: Pace,
}

/// A call that failed, in words: several pipelines hear of the same one.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Failed(pub(super) String);

impl Failed {
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self(chain(error))
    }
}

impl Account {
    pub(crate) fn new(clients: &Clients) -> Arc<Self> {
        let ecs = Arc::new(Pace::new(ECS_READ_RATE));
        Arc::new(Self {
            services: Services::start(clients.ecs.clone(), ecs.clone()),
            metrics: Metrics::new(clients.cloudwatch.clone(), Pace::new(GET_METRIC_DATA_RATE)),
            scalers: Scalers::new(clients.autoscaling.clone()),
            paces: Paces {
                stream_summary: Pace::new(STREAM_SUMMARY_RATE),
                stream_tags: Pace::new(LIST_TAGS_RATE),
                ecs,
                limits: Pace::new(DESCRIBE_LIMITS_RATE),
            },
            shards_left: Cached::new(ACCOUNT_AGE),
            clients: clients.clone(),
        })
    }

    /// How many more shards may be open.
    pub(super) async fn shards_left(&self) -> Result<u32, Failed> {
        let read = async {
            self.paces.limits.take().await;
            let limits = self
                .clients
                .kinesis
                .describe_limits()
                .send()
                .await
                .map_err(|error| Failed::of(&aws_sdk_kinesis::Error::from(error)))?;
            Ok(u32::try_from(limits.shard_limit - limits.open_shard_count).unwrap_or_default())
        };
        self.shards_left.get(read).await
    }
}
