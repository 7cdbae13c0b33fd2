//! What a stack's status asks for next.

use aws_sdk_cloudformation::types::StackStatus;

/// The next step of a deployment whose stack exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It is being created, by this run or an interrupted one: deliver the images and see it finished.
    Follow,
    /// It stands: change it.
    Update,
    /// Something else is in progress: look again when that is over.
    Wait,
    /// Its creation was rolled back: delete it and begin anew.
    Clear,
    /// A person has to decide.
    GiveUp,
}

impl Step {
    pub(super) fn after(status: &StackStatus) -> Self {
        match status {
            StackStatus::CreateInProgress => Self::Follow,
            StackStatus::CreateComplete | StackStatus::UpdateComplete | StackStatus::UpdateRollbackComplete => {
                Self::Update
            }
            StackStatus::RollbackComplete | StackStatus::CreateFailed => Self::Clear,
            StackStatus::ReviewInProgress => Self::GiveUp,
            other if other.as_str().ends_with("_IN_PROGRESS") => Self::Wait,
            _ => Self::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_step() {
        let steps = [
            ("CREATE_IN_PROGRESS", Step::Follow),
            ("CREATE_COMPLETE", Step::Update),
            ("UPDATE_COMPLETE", Step::Update),
            ("UPDATE_ROLLBACK_COMPLETE", Step::Update),
            ("ROLLBACK_COMPLETE", Step::Clear),
            ("CREATE_FAILED", Step::Clear),
            ("ROLLBACK_IN_PROGRESS", Step::Wait),
            ("DELETE_IN_PROGRESS", Step::Wait),
            ("UPDATE_IN_PROGRESS", Step::Wait),
            ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", Step::Wait),
            ("REVIEW_IN_PROGRESS", Step::GiveUp),
            ("ROLLBACK_FAILED", Step::GiveUp),
            ("DELETE_FAILED", Step::GiveUp),
            ("UPDATE_ROLLBACK_FAILED", Step::GiveUp),
            ("A_STATUS_OF_TOMORROW", Step::GiveUp),
        ];
        for (status, step) in steps {
            assert_eq!(Step::after(&StackStatus::from(status)), step, "{status}");
        }
    }
}
