//! What the leader writes: status and decisions, each on condition of its epoch.

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{Put, TransactWriteItem},
};

use super::{
    Event, Lead, Status, Table, TableError,
    error::failed,
    item::{DECISION, STATUS, number, string},
};
use crate::{decide::Decision, limits::DECISION_LIFE};

impl Table {
    /// Writes the status, the events and, where there is one to keep, the decision: all or nothing.
    ///
    /// # Errors
    /// [`TableError::NotLeading`] when the lead is over; otherwise when the table cannot be written.
    pub(crate) async fn record(
        &self,
        lead: &Lead,
        status: &Status,
        decision: Option<&Decision>,
        events: &[Event],
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
        for (place, event) in (0..).zip(events) {
            puts.push(self.put_event(event, place)?);
        }
        self.write_as(lead, action, puts).await
    }

    pub(super) async fn write_as(
        &self,
        lead: &Lead,
        action: &'static str,
        puts: Vec<Result<Put, BuildError>>,
    ) -> Result<(), TableError> {
        let puts = puts.into_iter().map(|put| Ok(TransactWriteItem::builder().put(put?).build()));
        let puts: Result<_, BuildError> = puts.collect();
        self.transact_as(lead, action, puts.map_err(failed(action, &self.name))?).await
    }

    /// Writes all or, when the lead is over, nothing.
    pub(super) async fn transact_as(
        &self,
        lead: &Lead,
        action: &'static str,
        writes: Vec<TransactWriteItem>,
    ) -> Result<(), TableError> {
        let items = std::iter::once(self.fence(lead)?).chain(writes).collect();
        if self.transact(action, items).await? { Ok(()) } else { Err(TableError::NotLeading) }
    }
}
