//! Limits and settings of the account.

use serde::Deserialize;
use serde_json::json;

use crate::{
    kinesis::{account::Account, engine::stream::Mode, fault},
    service::{AwsError, Call, Reply},
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

pub(super) fn describe_account_settings(account: &Account) -> Result<Reply, AwsError> {
    let status = if account.is_committed() { "ENABLED" } else { "DISABLED" };
    Reply::json(&json!({ "MinimumThroughputBillingCommitment": { "Status": status } }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SettingsInput {
    minimum_throughput_billing_commitment: Commitment,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Commitment {
    status: String,
}

/// A commitment here can be ended at once; on AWS it stays for a while.
pub(super) fn update_account_settings(account: &Account, call: &Call) -> Result<Reply, AwsError> {
    let input: SettingsInput = call.input()?;
    let commit = match input.minimum_throughput_billing_commitment.status.as_str() {
        "ENABLED" => true,
        "DISABLED" => false,
        other => return Err(fault::constraint("status", other, "satisfy enum value set: [ENABLED, DISABLED]")),
    };
    account.commit(commit);
    describe_account_settings(account)
}
