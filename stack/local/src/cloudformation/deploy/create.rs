//! Creates a stack.

use std::{sync::Arc, time::Duration};

use super::{Operation, converge::Unfinished, list};
use crate::cloudformation::{
    status::{Action, StackStatus},
    template::Bound,
};

/// What becomes of a stack whose creation fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnFailure {
    DoNothing,
    Rollback,
    Delete,
}

/// Runs a creation to its end.
pub(crate) async fn create(
    mut operation: Operation,
    bound: Arc<Bound>,
    on_failure: OnFailure,
    limit: Option<Duration>,
) {
    let turn = operation.turn.clone();
    let _turn = turn.lock().await;
    let (created, expired) = converge_within(&operation, &bound, limit).await;
    if operation.is_superseded() {
        return;
    }
    if created.is_ok() {
        return operation.complete(&bound, StackStatus::CreateComplete);
    }
    let failed = operation.stack(|stack| stack.failed(Action::Create)).unwrap_or_default();
    let mut reason = if expired {
        "Stack creation time exceeded the specified timeout.".to_owned()
    } else {
        format!("The following resource(s) failed to create: {}.", list(&failed))
    };
    match on_failure {
        OnFailure::DoNothing => operation.enter(StackStatus::CreateFailed, Some(reason)),
        OnFailure::Rollback => {
            reason.push_str(" Rollback requested by user.");
            operation.resume();
            operation.enter(StackStatus::RollbackInProgress, Some(reason));
            operation.remove_resources(true, &[]).await;
            operation.end_removal(StackStatus::RollbackComplete, StackStatus::RollbackFailed);
        }
        OnFailure::Delete => {
            reason.push_str(" Delete requested by user.");
            operation.resume();
            operation.enter(StackStatus::DeleteInProgress, Some(reason));
            operation.remove_resources(true, &[]).await;
            operation.end_removal(StackStatus::DeleteComplete, StackStatus::DeleteFailed);
        }
    }
}

impl Operation {
    /// Ends a successful creation or update: the outputs can be read now.
    pub(super) fn complete(&self, bound: &Bound, status: StackStatus) {
        self.stack(|stack| match bound.outputs(&stack.known()) {
            Ok(outputs) => stack.outputs = outputs,
            Err(error) => tracing::warn!(stack = %self.stack_name, %error, "cannot evaluate the outputs"),
        });
        self.enter(status, None);
    }
}

/// Converges; also tells whether the limit ended it.
async fn converge_within(
    operation: &Operation,
    bound: &Bound,
    limit: Option<Duration>,
) -> (Result<(), Unfinished>, bool) {
    let converging = operation.converge(bound);
    tokio::pin!(converging);
    let expiry = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        converged = &mut converging => (converged, false),
        () = expiry => {
            operation.cancel.cancel();
            (converging.await, true)
        }
    }
}
