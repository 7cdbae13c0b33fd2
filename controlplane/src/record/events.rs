//! Events: every change of a condition, for whoever asks later what happened when.

use aws_sdk_dynamodb::{error::BuildError, types::Put};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Condition, ConditionKind, Status, Table, TableError,
    error::failed,
    item::{EVENT, number, string},
    table::first_id_of,
};
use crate::limits::DECISION_LIFE;

/// The version of the stored document.
const VERSION: u32 = 1;

/// A condition that began or ceased to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub version: u32,
    pub pipeline: String,
    pub at: Timestamp,
    pub condition: ConditionKind,
    /// Whether it holds from now on.
    pub status: bool,
    pub reason: String,
    pub message: String,
    /// Epoch of the leader that saw it.
    pub epoch: u64,
}

/// What changed since the conditions `before`. Of a pipeline that is seen for the first time, what holds.
pub(crate) fn events(before: &[Condition], status: &Status) -> Vec<Event> {
    let held = |kind| before.iter().any(|condition| condition.kind == kind && condition.status);
    let changed = status.conditions.iter().filter(|condition| condition.status != held(condition.kind));
    let event = |condition: &Condition| Event {
        version: VERSION,
        pipeline: status.pipeline.clone(),
        at: status.heartbeat_at,
        condition: condition.kind,
        status: condition.status,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        epoch: status.epoch,
    };
    changed.map(event).collect()
}

impl Table {
    /// The newest events first: at most `limit`, none older than 30 days.
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn events(&self, pipeline: &str, limit: usize) -> Result<Vec<Event>, TableError> {
        let items = self.query("read the events", pipeline, EVENT, &Uuid::nil().to_string(), limit).await?;
        items.iter().map(|item| self.reader(item).document()).collect()
    }

    /// The write of one event. Events of one moment keep the order of `place`.
    pub(super) fn put_event(&self, event: &Event, place: u128) -> Result<Result<Put, BuildError>, TableError> {
        let document = serde_json::to_string(event).map_err(failed("write the events", &self.name))?;
        let expires_at = event.at.as_second() + DECISION_LIFE.as_secs().cast_signed();
        let id = Uuid::from_u128(first_id_of(event.at).as_u128() | place);
        let attributes = [("document", string(document)), ("expires_at", number(expires_at))];
        Ok(self.put(&event.pipeline, format!("{EVENT}{id}"), attributes).build())
    }
}
