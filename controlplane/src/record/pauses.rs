//! A pause: a person's wish that nothing be changed for a while.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Table, TableError,
    error::failed,
    item::{PAUSE, pipeline, string},
    table::key,
};

/// Which changes are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PauseScope {
    /// Going down.
    In,
    /// Going up.
    Out,
    All,
}

/// A pause as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pause {
    pub scope: PauseScope,
    /// When it ends by itself; never when absent.
    pub until: Option<Timestamp>,
    pub reason: String,
    pub by: String,
    pub at: Timestamp,
}

impl Pause {
    /// Whether the pause stands against going from one count to another at `now`.
    #[must_use]
    pub fn forbids(&self, from: u32, to: u32, now: Timestamp) -> bool {
        let direction = match self.scope {
            PauseScope::In => to < from,
            PauseScope::Out => to > from,
            PauseScope::All => true,
        };
        direction && self.is_in_force(now)
    }

    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.scope {
            PauseScope::In => "going down is paused",
            PauseScope::Out => "going up is paused",
            PauseScope::All => "scaling is paused",
        };
        write!(f, "{what} by {}: {}", self.by, self.reason)
    }
}

impl Table {
    /// The pause, if one is stored. It may be over: see [`Pause::is_in_force`].
    ///
    /// # Errors
    /// When the table cannot be read or holds something else.
    pub async fn pause(&self, pipeline: &str) -> Result<Option<Pause>, TableError> {
        let item = self.get("read the pause", pipeline, PAUSE).await?;
        item.map(|item| self.reader(&item).document()).transpose()
    }

    /// Pauses a pipeline; a pause that stands is replaced.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn set_pause(&self, name: &str, pause: &Pause) -> Result<(), TableError> {
        let action = "pause the pipeline";
        let document = serde_json::to_string(pause).map_err(failed(action, &self.name))?;
        let mut item = key(&pipeline(name), PAUSE);
        item.insert("document".to_owned(), string(document));
        let write = self.client.put_item().table_name(&self.name).set_item(Some(item));
        write.send().await.map_err(failed(action, &self.name))?;
        Ok(())
    }

    /// Ends a pause; it is no error when there is none.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn resume(&self, name: &str) -> Result<(), TableError> {
        let delete = self.client.delete_item().table_name(&self.name).set_key(Some(key(&pipeline(name), PAUSE)));
        delete.send().await.map_err(failed("resume the pipeline", &self.name))?;
        Ok(())
    }
}
