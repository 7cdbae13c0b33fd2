//! The items of a KCL 3.x in DynamoDB.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::{Client, error::ProvideErrorMetadata, operation::get_item::GetItemError, types::AttributeValue};

use super::{Coordination, Leader};

const MIGRATION: &str = "Migration3.0";
const TABLE_MIGRATION: &str = "TableMigration3.5";
const LEADER: &str = "Leader";

/// Once the tables of 3.0 to 3.4 are given up.
const MIGRATED: &str = "TABLE_MIGRATION_STATUS_COMPLETE";

type Item = HashMap<String, AttributeValue>;

/// Reads what a KCL 3.x writes, and writes what it must read.
#[derive(Debug, Clone)]
pub(crate) struct Coordinator {
    pub(crate) client: Client,
    /// The lease table's name.
    pub(crate) application: String,
    pub(crate) worker: String,
}

impl Coordinator {
    /// Reads the state, from the lease table where it is `single_table`.
    pub(crate) async fn read(&self) -> Result<Coordination, String> {
        let legacy = format!("{}-CoordinatorState", self.application);
        let migration = self.get(&legacy, "key", MIGRATION).await?;
        let moved = self.get(&legacy, "key", TABLE_MIGRATION).await?;
        let moved = moved.is_some_and(|item| text(&item, "tm") == Some(MIGRATED));
        let (table, key, migration) = match migration.filter(|_| !moved) {
            Some(migration) => (legacy.as_str(), "key", Some(migration)),
            None => {
                let table = self.application.as_str();
                (table, "leaseKey", self.get(table, "leaseKey", MIGRATION).await?)
            }
        };
        let Some(migration) = migration else { return Ok(Coordination::default()) };
        Ok(Coordination {
            version: text(&migration, "cv").map(str::to_owned),
            leader: self.get(table, key, LEADER).await?.and_then(|item| leader(&item)),
            single_table: key == "leaseKey",
        })
    }

    /// Tells the leader that this worker lives, and how busy its CPU is. Without it no lease would be assigned.
    /// `cpu` is in percent of what the task may use, the latest last; empty where that is not known, upon which leases
    /// are assigned by their throughput.
    pub(crate) async fn write_stats(&self, single_table: bool, cpu: &[f64], now_seconds: u64) -> Result<(), String> {
        let (table, key) = self.stats_table(single_table);
        let number = |value: f64| AttributeValue::N(format!("{value:.2}"));
        let list =
            |values: Vec<AttributeValue>| AttributeValue::M([("C".to_owned(), AttributeValue::L(values))].into());
        let range = if cpu.is_empty() { Vec::new() } else { vec![AttributeValue::L(vec![number(100.0)])] };
        let operating = range.into_iter().map(|range| ("C".to_owned(), range)).collect();
        let seconds = AttributeValue::N(now_seconds.to_string());
        let mut put = self
            .client
            .put_item()
            .table_name(table)
            .item(key, AttributeValue::S(self.worker.clone()))
            .item("lut", seconds.clone())
            .item(
                "sts",
                if cpu.is_empty() {
                    AttributeValue::M(HashMap::new())
                } else {
                    list(cpu.iter().map(|value| number(*value)).collect())
                },
            )
            .item("opr", AttributeValue::M(operating))
            .item("sup", AttributeValue::N("1".to_owned()))
            .item("slu", seconds);
        if single_table {
            put = put.item("entityType", AttributeValue::S("WORKER_METRIC_STATS".to_owned()));
        }
        put.send().await.map(|_| ()).map_err(|error| crate::process::chain(&error))
    }

    /// Takes this worker off the leader's list.
    pub(crate) async fn delete_stats(&self, single_table: bool) -> Result<(), String> {
        let (table, key) = self.stats_table(single_table);
        let delete = self.client.delete_item().table_name(table).key(key, AttributeValue::S(self.worker.clone()));
        delete.send().await.map(|_| ()).map_err(|error| crate::process::chain(&error))
    }

    fn stats_table(&self, single_table: bool) -> (String, &'static str) {
        if single_table {
            (self.application.clone(), "leaseKey")
        } else {
            (format!("{}-WorkerMetricStats", self.application), "wid")
        }
    }

    /// An item. `None` also where there is no such table, or it is none of this worker's business.
    async fn get(&self, table: &str, key: &str, value: &str) -> Result<Option<Item>, String> {
        let get = self.client.get_item().table_name(table).key(key, AttributeValue::S(value.to_owned()));
        match get.consistent_read(true).send().await {
            Ok(answer) => Ok(answer.item),
            Err(error) if error.as_service_error().is_some_and(GetItemError::is_resource_not_found_exception) => {
                Ok(None)
            }
            Err(error) if error.code() == Some("AccessDeniedException") => {
                tracing::debug!(table, "the state of a KCL 3 may not be read");
                Ok(None)
            }
            Err(error) => Err(crate::process::chain(&error)),
        }
    }
}

/// The lock as the DynamoDB lock client writes it.
fn leader(item: &Item) -> Option<Leader> {
    Some(Leader {
        owner: text(item, "ownerName")?.to_owned(),
        version: text(item, "recordVersionNumber")?.to_owned(),
        duration: Duration::from_millis(text(item, "leaseDuration")?.parse().ok()?),
        released: text(item, "isReleased") == Some("1"),
    })
}

fn text<'a>(item: &'a Item, attribute: &str) -> Option<&'a str> {
    item.get(attribute)?.as_s().ok().map(String::as_str)
}
