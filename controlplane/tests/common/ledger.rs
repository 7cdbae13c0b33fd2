//! The ledger as it stands in the table.

use crate::common::{CONTROL_TABLE, World};

/// The outcomes in the ledger of reshards.
pub(crate) async fn ledger(world: &World) -> Vec<String> {
    let scan = aws_sdk_dynamodb::Client::new(&world.config).scan().table_name(CONTROL_TABLE).send().await.unwrap();
    let outcomes = scan.items().iter().filter_map(|item| item.get("outcome")?.as_s().ok().cloned());
    outcomes.collect()
}
