//! Updates a stack.

use std::sync::{Arc, PoisonError};

use super::{Operation, list, rollback::Undo};
use crate::cloudformation::{
    stacks::{Resource, Source},
    status::{Action, ResourceStatus, StackStatus},
    template::{Bound, DeletionPolicy},
};

/// Runs an update to its end. `before` is what the stack was made from until now.
pub(crate) async fn update(mut operation: Operation, bound: Arc<Bound>, before: Source, disable_rollback: bool) {
    let turn = operation.turn.clone();
    let _turn = turn.lock().await;
    let converged = operation.converge(&bound).await;
    if operation.is_superseded() {
        return;
    }
    if converged.is_ok() {
        operation.enter(StackStatus::UpdateCompleteCleanupInProgress, None);
        operation.remove_abandoned(bound.dependencies()).await;
        operation.remove_replaced().await;
        return operation.complete(&bound, StackStatus::UpdateComplete);
    }
    let failed = operation.stack(|stack| [stack.failed(Action::Create), stack.failed(Action::Update)].concat());
    let failed = failed.unwrap_or_default();
    let reason = match failed.as_slice() {
        [] => "User Initiated".to_owned(),
        failed => format!("The following resource(s) failed to update: {}.", list(failed)),
    };
    if disable_rollback {
        return operation.enter(StackStatus::UpdateFailed, Some(reason));
    }
    operation.resume();
    operation.stack(|stack| stack.source = before);
    operation.enter(StackStatus::UpdateRollbackInProgress, Some(reason));
    match operation.take_back().await {
        Ok(()) => {
            operation.enter(StackStatus::UpdateRollbackCompleteCleanupInProgress, None);
            operation.enter(StackStatus::UpdateRollbackComplete, None);
        }
        Err(failed) => {
            let reason = format!("The following resource(s) failed to update: {}.", list(&failed));
            operation.enter(StackStatus::UpdateRollbackFailed, Some(reason));
        }
    }
}

impl Operation {
    /// Removes the old things behind resources that were replaced. Their failures do not fail the update.
    async fn remove_replaced(&self) {
        let done = std::mem::take(&mut *self.undo.lock().unwrap_or_else(PoisonError::into_inner));
        for undo in done.into_iter().rev() {
            let Undo::Replaced(name, old) = undo else { continue };
            if old.update_replace_policy == DeletionPolicy::Retain {
                self.note(&name, &old, ResourceStatus::DeleteSkipped, None);
                continue;
            }
            self.note(&name, &old, ResourceStatus::InProgress(Action::Delete), None);
            let removed = self.remove(&name, &old).await;
            let (status, reason) = match removed {
                Ok(()) => (ResourceStatus::Complete(Action::Delete), None),
                Err(failure) => (ResourceStatus::Failed(Action::Delete), Some(failure.to_string())),
            };
            self.note(&name, &old, status, reason);
        }
    }

    /// Records an event of a thing that is no longer the resource's.
    fn note(&self, name: &str, old: &Resource, status: ResourceStatus, reason: Option<String>) {
        let now_ms = self.now_ms();
        self.stack(|stack| stack.note(name, old, status, reason, now_ms, self.token.as_deref()));
    }
}
