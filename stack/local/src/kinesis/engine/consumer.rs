//! Consumers registered for enhanced fan-out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{bucket::Bucket, metering::Meter, shard::ShardId};
use crate::kinesis::moment::Moment;

/// What a consumer is becoming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Becoming {
    Active(Moment),
    Gone(Moment),
}

/// The subscription of a consumer to one shard.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subscription {
    /// Which of the calls holds the subscription now.
    pub(super) call: u64,
    pub(super) began: Moment,
    pub(super) read_bytes: Bucket,
}

/// A registered consumer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: Moment,
    pub(crate) becoming: Option<Becoming>,
    pub(crate) tags: BTreeMap<String, String>,
    #[serde(skip)]
    pub(super) subscriptions: BTreeMap<ShardId, Subscription>,
    #[serde(skip)]
    pub(crate) meter: Meter,
}

impl Consumer {
    /// A consumer that is being created until `until`.
    pub(crate) fn new(
        stream_arn: &str,
        name: &str,
        tags: BTreeMap<String, String>,
        now: Moment,
        until: Moment,
    ) -> Self {
        Self {
            name: name.to_owned(),
            arn: format!("{stream_arn}/consumer/{name}:{}", now.seconds()),
            created: now,
            becoming: Some(Becoming::Active(until)),
            tags,
            subscriptions: BTreeMap::new(),
            meter: Meter::default(),
        }
    }

    pub(crate) fn status(&self) -> &'static str {
        match self.becoming {
            Some(Becoming::Active(_)) => "CREATING",
            Some(Becoming::Gone(_)) => "DELETING",
            None => "ACTIVE",
        }
    }

    /// Brings the status up to date. True when it changed.
    pub(super) fn settle(&mut self, now: Moment) -> bool {
        let active = matches!(self.becoming, Some(Becoming::Active(until)) if until <= now);
        if active {
            self.becoming = None;
        }
        active
    }

    /// Whether the consumer was deregistered and its time is over.
    pub(super) fn is_gone(&self, now: Moment) -> bool {
        matches!(self.becoming, Some(Becoming::Gone(until)) if until <= now)
    }
}
