//! What the leader writes: status, decisions and the ledger of reshards, each on condition of its epoch.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{Put, TransactWriteItem},
};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Lead, Status, Table, TableError,
    error::failed,
    item::{DECISION, RESHARD, STATUS, number, pipeline, string},
    table::{first_id_of, key},
};
use crate::{
    decide::{ActionResult, Decision},
    limits::DECISION_LIFE,
    units::ShardCount,
};

/// A call of UpdateShardCount, as the ledger keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reshard {
    pub(crate) id: Uuid,
    pub(crate) at: Timestamp,
    pub(crate) from: ShardCount,
    pub(crate) to: ShardCount,
}

impl Table {
    /// Writes the status and, where there is one to keep, the decision: both or none.
    ///
    /// # Errors
    /// [`TableError::NotLeading`] when the lead is over; otherwise when the table cannot be written.
    pub(crate) async fn record(
        &self,
        lead: &Lead,
        status: &Status,
        decision: Option<&Decision>,
    ) -> Result<(), TableError> {
        let action = "write the status";
        let document = serde_json::to_string(status).map_err(failed(action, &self.name))?;
        let attributes = [("document", string(document)), ("epoch", number(status.epoch))];
        let mut puts = vec![self.put(&status.pipeline, STATUS, attributes).build()];
        if let Some(decision) = decision {
            let document = serde_json::to_string(decision).map_err(failed(action, &self.name))?;
            let expires_at = decision.at.as_second() + DECISION_LIFE.as_secs().cast_signed();
            let attributes = [("document", string(document)), ("expires_at", number(expires_at))];
            puts.push(self.put(&decision.pipeline, format!("{DECISION}{}", decision.id), attributes).build());
        }
        self.write_as(lead, action, puts).await
    }

    /// Writes a reshard into the ledger, before it is asked for.
    ///
    /// # Errors
    /// [`TableError::NotLeading`] when the lead is over; otherwise when the table cannot be written.
    pub(crate) async fn intend(&self, lead: &Lead, name: &str, reshard: &Reshard) -> Result<(), TableError> {
        let Reshard { id, at, from, to } = *reshard;
        let attributes = [
            ("at_ms", number(at.as_millisecond())),
            ("from", number(from.0)),
            ("to", number(to.0)),
            ("outcome", string("asked")),
            ("expires_at", number(at.as_second() + DECISION_LIFE.as_secs().cast_signed())),
        ];
        let put = self.put(name, format!("{RESHARD}{id}"), attributes).build();
        self.write_as(lead, "write the ledger of reshards", vec![put]).await
    }

    /// Writes what became of a reshard.
    ///
    /// # Errors
    /// When the table cannot be written. The reshard then counts as one that may have happened.
    pub(crate) async fn complete(&self, name: &str, id: Uuid, result: &ActionResult) -> Result<(), TableError> {
        let outcome = match result {
            ActionResult::Done => "done",
            ActionResult::Refused { .. } => REFUSED,
            ActionResult::Unknown { .. } => "unknown",
            ActionResult::Skipped { .. } => "skipped",
        };
        self.client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key(&pipeline(name), format!("{RESHARD}{id}"))))
            .update_expression("SET outcome = :outcome")
            .expression_attribute_values(":outcome", string(outcome))
            .send()
            .await
            .map_err(failed("complete the ledger of reshards", &self.name))?;
        Ok(())
    }

    /// When reshards were asked for since `since`, the oldest first, without those that AWS refused.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub(crate) async fn reshards(&self, name: &str, since: Timestamp) -> Result<Vec<Timestamp>, TableError> {
        let from = first_id_of(since).to_string();
        let items = self.query("read the ledger of reshards", name, RESHARD, &from, LEDGER_MAX).await?;
        let mut times = Vec::new();
        for item in items.iter().rev() {
            let reader = self.reader(item);
            let at = Timestamp::from_millisecond(reader.number("at_ms")?);
            if reader.string("outcome")? != REFUSED {
                times.push(at.map_err(failed("read the ledger of reshards", &self.name))?);
            }
        }
        Ok(times)
    }

    async fn write_as(
        &self,
        lead: &Lead,
        action: &'static str,
        puts: Vec<Result<Put, BuildError>>,
    ) -> Result<(), TableError> {
        let mut items = vec![self.fence(lead)?];
        for put in puts {
            let put = put.map_err(failed(action, &self.name))?;
            items.push(TransactWriteItem::builder().put(put).build());
        }
        if self.transact(action, items).await? { Ok(()) } else { Err(TableError::NotLeading) }
    }
}

const REFUSED: &str = "refused";

/// More entries of a day than AWS and its refusals can make.
const LEDGER_MAX: usize = 1_000;
