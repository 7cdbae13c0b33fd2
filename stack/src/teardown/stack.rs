//! The stack's deletion, in rounds: what made one fail is shown and cleared before the next.

use aws_sdk_cloudformation::types::StackStatus;

use super::{TeardownError, Work, contents};
use crate::{
    call::call,
    inventory::Inventory,
    limits::DELETE_ROUNDS,
    progress::{Event, Phase},
    stack::FoundStack,
    watch::Watch,
};

/// Returns when CloudFormation has deleted the stack. By its ARN: deleting a name that does not exist succeeds too.
pub(super) async fn delete(work: Work<'_>, stack: &FoundStack, inventory: &Inventory) -> Result<(), TeardownError> {
    if is_updating(&stack.status) {
        Watch::from_now(work.clients, work.progress, &stack.id).await?.until_settled().await?;
    }
    let mut round = 1;
    loop {
        work.progress.enter(Phase::Emptying).await;
        contents::empty(work, inventory).await?;
        work.progress.enter(Phase::DeletingStack).await;
        let mut watch = Watch::from_now(work.clients, work.progress, &stack.id).await?;
        call("cloudformation:DeleteStack", work.clients.cloudformation.delete_stack().stack_name(&stack.id).send())
            .await?;
        let Some(ended) = watch.until_settled().await? else { return Ok(()) };
        if ended.status == StackStatus::DeleteComplete {
            return Ok(());
        }
        let reason = watch.first_failure().unwrap_or(ended.reason()).to_owned();
        if round == DELETE_ROUNDS {
            let (stack, status) = (work.name.to_string(), ended.status.to_string());
            return Err(TeardownError::Stuck { stack, status, rounds: round, reason });
        }
        work.progress.report(Event::Retrying { what: format!("deleting stack {}", work.name), reason }).await;
        round += 1;
    }
}

/// Whether CloudFormation would refuse to delete the stack now: an update, its roll-back or its clean-up is under way.
fn is_updating(status: &StackStatus) -> bool {
    let status = status.as_str();
    status.starts_with("UPDATE_") && status.ends_with("_IN_PROGRESS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_waits_for_updates_only() {
        let waits = ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"];
        assert!(waits.iter().all(|status| is_updating(&StackStatus::from(*status))));
        let goes_on = ["CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_FAILED"];
        assert!(!goes_on.iter().any(|status| is_updating(&StackStatus::from(*status))));
    }
}
