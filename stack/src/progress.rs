//! What happens during a long operation, as typed events over a bounded channel.

use serde::Serialize;
use tokio::sync::mpsc;

use crate::{inventory::Resource, name::Role};

/// Events that may wait for a slow reader before the operation waits with them.
const BACKLOG: usize = 256;

/// One step of a deployment or a teardown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A new part of the operation began.
    Phase { phase: Phase },
    /// CloudFormation reported a resource, or the stack itself (`kind` is then `AWS::CloudFormation::Stack`).
    /// `status` is CloudFormation's, for example `CREATE_IN_PROGRESS`.
    Stack {
        logical_id: String,
        kind: String,
        status: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// A role's image is in its repository. `uploaded` counts bytes that had to be sent.
    ImagePushed { role: Role, digest: String, uploaded: u64 },
    /// The counts of a service changed.
    Service { service: String, desired: u32, running: u32, rollout: String },
    /// A task ended; on the way up this is usually why the stack will not finish.
    TaskStopped { service: String, task: String, reason: String },
    /// A resource is gone.
    Deleted { resource: Resource },
    /// A resource stays.
    Kept { resource: Resource, reason: String },
    /// A step failed and will be tried again.
    Retrying { what: String, reason: String },
}

/// The parts of the two long operations, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    CreatingStack,
    UpdatingStack,
    PushingImages,
    WaitingForServices,
    TakingInventory,
    StoppingServices,
    Emptying,
    DeletingStack,
    SweepingLeftovers,
    Verifying,
}

/// Where an operation reports its events. Clones report to the same reader.
#[derive(Debug, Clone)]
pub struct Progress(Option<mpsc::Sender<Event>>);

impl Progress {
    /// A reporter and the reader of its events.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (events, reader) = mpsc::channel(BACKLOG);
        (Self(Some(events)), reader)
    }

    /// A reporter that nobody reads.
    #[must_use]
    pub fn silent() -> Self {
        Self(None)
    }

    /// Reports an event. Waits while the reader is behind; a reader that went away is no reason to stop.
    pub(crate) async fn report(&self, event: Event) {
        tracing::debug!(?event, "progress");
        if let Some(events) = &self.0 {
            let _ = events.send(event).await;
        }
    }

    pub(crate) async fn enter(&self, phase: Phase) {
        self.report(Event::Phase { phase }).await;
    }
}
