//! Enhanced monitoring: which shard-level metrics are published.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::json;

use crate::{
    kinesis::{
        account::{Account, StreamRef},
        engine::metering::Metric,
        fault,
    },
    service::{AwsError, Call, Reply},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Input {
    #[serde(flatten)]
    stream: StreamRef,
    shard_level_metrics: Vec<String>,
}

pub(super) fn enable(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    change(account, call, |current, named| current | named)
}

pub(super) fn disable(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    change(account, call, |current, named| current - named)
}

type Metrics = BTreeSet<Metric>;

fn change(
    account: &Account,
    call: &Call,
    combine: impl FnOnce(&Metrics, &Metrics) -> Metrics,
) -> Result<Reply, AwsError> {
    let input: Input = call.input()?;
    let named = parse(&input.shard_level_metrics)?;
    let answer = account.find(&input.stream)?.change(account.now(), |stream| {
        stream.require_active()?;
        let desired = combine(&stream.shard_metrics, &named);
        let current = std::mem::replace(&mut stream.shard_metrics, desired);
        Ok(json!({
            "StreamName": stream.name,
            "StreamARN": stream.arn,
            "CurrentShardLevelMetrics": names(&current),
            "DesiredShardLevelMetrics": names(&stream.shard_metrics),
        }))
    })?;
    Reply::json(&answer)
}

fn parse(names: &[String]) -> Result<Metrics, AwsError> {
    if names.iter().any(|name| name == "ALL") {
        return Ok(Metric::SHARD_LEVEL.into());
    }
    let find = |name: &String| {
        let metric = Metric::SHARD_LEVEL.into_iter().find(|metric| metric.name() == name);
        metric.ok_or_else(|| fault::constraint("shardLevelMetrics", name, "be a shard-level metric or ALL"))
    };
    names.iter().map(find).collect()
}

fn names(metrics: &Metrics) -> Vec<&'static str> {
    metrics.iter().map(|metric| metric.name()).collect()
}
