//! What is said to a program and what it says, in order.

use std::sync::Arc;

use super::{
    ExecError,
    child::Child,
    message::{Answer, CheckpointRequest, Message, Refusal},
    phase::{Delivered, Phase},
};
use crate::consumer::{
    checkpoint::Checkpoint,
    progress::{LeaseLost, Progress},
    unpack::Record,
};

/// A program that is initialised and has answered all that it was asked, unless a method says otherwise.
pub(super) struct Conversation<'a> {
    child: Child,
    progress: &'a Progress,
    delivered: Delivered,
    /// Whether it has checkpointed the end of the shard.
    ended: bool,
    shard_id: Arc<str>,
}

impl<'a> Conversation<'a> {
    /// Initialises a program at what `progress` has reached.
    pub(super) async fn open(child: Child, progress: &'a Progress, shard_id: Arc<str>) -> Result<Self, ExecError> {
        let from = progress.reached();
        let initialize = Message::Initialize {
            shard_id: &shard_id.clone(),
            sequence_number: &from.to_string(),
            sub_sequence_number: from.sub_sequence_number(),
        };
        let mut conversation = Self { child, progress, delivered: Delivered::default(), ended: false, shard_id };
        match conversation.ask(Phase::Initialize, &initialize).await {
            Ok(()) => Ok(conversation),
            Err(error) => {
                conversation.child.end().await;
                Err(error)
            }
        }
    }

    /// Gives the program records, of which `message` tells, and does not wait for its answer.
    pub(super) async fn give(&mut self, records: &[Record], message: &[u8]) -> Result<(), ExecError> {
        let position =
            |record: &Record| record.sequence_number.parse().ok().map(|number| (number, record.sub_sequence_number));
        if let Some((first, last)) = records.first().and_then(position).zip(records.last().and_then(position)) {
            self.delivered.extend(first, last);
        }
        self.child.write(message).await
    }

    /// Waits until the program is done with the records that it was given.
    pub(super) async fn hear_of_records(&mut self) -> Result<(), ExecError> {
        self.hear(Phase::ProcessRecords).await
    }

    /// Moves on behind what the program does not get, if it has checkpointed all that it got.
    pub(super) fn pass(&self, checkpoint: Option<Checkpoint>) {
        let current = self.progress.reached();
        if let Some(checkpoint) = checkpoint.filter(|_| self.delivered.all(&current) == current) {
            self.progress.reach(checkpoint, 0);
        }
    }

    /// Tells the program that its shard has ended. Whether it has checkpointed that.
    pub(super) async fn end(mut self) -> Result<bool, ExecError> {
        let told = self.ask(Phase::ShardEnded, &Message::ShardEnded).await;
        self.child.end().await;
        told.map(|()| self.ended)
    }

    /// Lets the program checkpoint if the lease is still there, and takes the shard away from it.
    pub(super) async fn stop(mut self) {
        let told = async {
            if !self.progress.is_lost() {
                self.ask(Phase::ShutdownRequested, &Message::ShutdownRequested).await?;
            }
            self.ask(Phase::LeaseLost, &Message::LeaseLost).await
        };
        if let Err(error) = told.await {
            let error = crate::process::chain(&error);
            tracing::warn!(shard = &*self.shard_id, error, "the program failed when it was to stop");
        }
        self.child.end().await;
    }

    pub(super) async fn abandon(self) {
        self.child.end().await;
    }

    /// Sends a message and waits for the answer.
    async fn ask(&mut self, phase: Phase, message: &Message<'_>) -> Result<(), ExecError> {
        self.child.send(message).await?;
        self.hear(phase).await
    }

    /// Grants checkpoints until the program answers what it was asked.
    async fn hear(&mut self, phase: Phase) -> Result<(), ExecError> {
        loop {
            match self.child.answer().await? {
                Answer::Status { response_for } if response_for == phase.name() => return Ok(()),
                Answer::Status { response_for } => {
                    return Err(ExecError::Mixed { asked: phase.name(), answered: response_for });
                }
                Answer::Checkpoint(request) => {
                    let error = self.checkpoint(phase, &request).await.err();
                    let reply = Message::Checkpoint {
                        sequence_number: request.sequence_number.as_deref(),
                        sub_sequence_number: request.sub_sequence_number,
                        error,
                    };
                    self.child.send(&reply).await?;
                }
            }
        }
    }

    async fn checkpoint(&mut self, phase: Phase, request: &CheckpointRequest) -> Result<(), Refusal> {
        let current = self.progress.reached();
        let asked = self.delivered.judge(phase, &current, request)?;
        let ended = asked == Checkpoint::ShardEnd;
        // The end itself is written with the leases of the shards that follow.
        let asked = if ended { self.delivered.all(&current) } else { asked };
        if self.progress.is_lost() {
            return Err(Refusal::Shutdown);
        }
        if asked != current {
            self.progress.store(asked).await.map_err(|LeaseLost| Refusal::Shutdown)?;
        }
        self.ended |= ended;
        Ok(())
    }
}
