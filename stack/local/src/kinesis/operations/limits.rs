//! Limits and settings of the account.

use serde_json::json;

use crate::{
    kinesis::{account::Account, engine::stream::Mode},
    service::{AwsError, Reply},
};

pub(super) fn describe(account: &Account) -> Result<Reply, AwsError> {
    let now = account.now();
    let cells = account.cells();
    let on_demand = |cell: &crate::kinesis::cell::Cell| cell.look(now, |stream| stream.mode == Mode::OnDemand);
    Reply::json(&json!({
        "ShardLimit": account.settings.shard_limit,
        "OpenShardCount": account.open_shards(),
        "OnDemandStreamCount": cells.iter().filter(|(_, cell)| on_demand(cell)).count(),
        "OnDemandStreamCountLimit": account.settings.on_demand_streams_max,
    }))
}

/// Nobody can commit to a throughput here.
pub(super) fn describe_account_settings() -> Result<Reply, AwsError> {
    Reply::json(&json!({ "MinimumThroughputBillingCommitment": { "Status": "DISABLED" } }))
}
