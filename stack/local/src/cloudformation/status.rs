//! The states of stacks and resources.

/// The state of a stack, as CloudFormation names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackStatus {
    ReviewInProgress,
    CreateInProgress,
    CreateFailed,
    CreateComplete,
    RollbackInProgress,
    RollbackFailed,
    RollbackComplete,
    UpdateInProgress,
    UpdateCompleteCleanupInProgress,
    UpdateComplete,
    UpdateFailed,
    UpdateRollbackInProgress,
    UpdateRollbackFailed,
    UpdateRollbackCompleteCleanupInProgress,
    UpdateRollbackComplete,
    DeleteInProgress,
    DeleteFailed,
    DeleteComplete,
}

impl StackStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::ReviewInProgress => "REVIEW_IN_PROGRESS",
            Self::CreateInProgress => "CREATE_IN_PROGRESS",
            Self::CreateFailed => "CREATE_FAILED",
            Self::CreateComplete => "CREATE_COMPLETE",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackFailed => "ROLLBACK_FAILED",
            Self::RollbackComplete => "ROLLBACK_COMPLETE",
            Self::UpdateInProgress => "UPDATE_IN_PROGRESS",
            Self::UpdateCompleteCleanupInProgress => "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateComplete => "UPDATE_COMPLETE",
            Self::UpdateFailed => "UPDATE_FAILED",
            Self::UpdateRollbackInProgress => "UPDATE_ROLLBACK_IN_PROGRESS",
            Self::UpdateRollbackFailed => "UPDATE_ROLLBACK_FAILED",
            Self::UpdateRollbackCompleteCleanupInProgress => "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS",
            Self::UpdateRollbackComplete => "UPDATE_ROLLBACK_COMPLETE",
            Self::DeleteInProgress => "DELETE_IN_PROGRESS",
            Self::DeleteFailed => "DELETE_FAILED",
            Self::DeleteComplete => "DELETE_COMPLETE",
        }
    }

    /// Whether an operation is running.
    pub(crate) fn is_busy(self) -> bool {
        self.as_str().ends_with("_IN_PROGRESS") && self != Self::ReviewInProgress
    }

    /// Whether an update may start.
    pub(crate) fn is_updatable(self) -> bool {
        matches!(self, Self::CreateComplete | Self::UpdateComplete | Self::UpdateRollbackComplete)
    }
}

/// What is being done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Update,
    Delete,
}

/// The state of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResourceStatus {
    InProgress(Action),
    Failed(Action),
    Complete(Action),
    /// Left as it is by its deletion policy, or at the caller's wish.
    DeleteSkipped,
}

impl ResourceStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InProgress(Action::Create) => "CREATE_IN_PROGRESS",
            Self::InProgress(Action::Update) => "UPDATE_IN_PROGRESS",
            Self::InProgress(Action::Delete) => "DELETE_IN_PROGRESS",
            Self::Failed(Action::Create) => "CREATE_FAILED",
            Self::Failed(Action::Update) => "UPDATE_FAILED",
            Self::Failed(Action::Delete) => "DELETE_FAILED",
            Self::Complete(Action::Create) => "CREATE_COMPLETE",
            Self::Complete(Action::Update) => "UPDATE_COMPLETE",
            Self::Complete(Action::Delete) => "DELETE_COMPLETE",
            Self::DeleteSkipped => "DELETE_SKIPPED",
        }
    }

    /// Whether nothing is left of the resource as far as its stack is concerned.
    pub(crate) fn is_gone(self) -> bool {
        matches!(self, Self::Complete(Action::Delete) | Self::DeleteSkipped)
    }
}
