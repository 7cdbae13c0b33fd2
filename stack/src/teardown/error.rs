//! What can go wrong in a teardown, and what a person can do about it.

use std::time::Duration;

use crate::{call::CallError, clients::Identity};

/// Why a teardown did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(
        "confirmed for account {} in {}, but the credentials are for account {} in {}",
        confirmed.account, confirmed.region, actual.account, actual.region
    )]
    OtherPlace { confirmed: Identity, actual: Identity },
    #[error("stack {stack} is not this deployment: it has no tag weir:deployment={stack}")]
    Foreign { stack: String },
    #[error("stack {stack} is protected against deletion")]
    Protected { stack: String },
    #[error("stack {stack} is {status} after {rounds} attempts: {reason}")]
    Stuck { stack: String, status: String, rounds: u32, reason: String },
    #[error("not finished after {} minutes", limit.as_secs() / 60)]
    Late { limit: Duration },
    #[error("interrupted")]
    Cancelled,
}

impl TeardownError {
    /// What to do next, as one sentence.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Call(CallError::Unanswered { .. }) => Some("check the credentials, the region and the endpoint"),
            Self::Call(_) => None,
            Self::OtherPlace { .. } => Some("nothing was touched; use the credentials and region of the deployment"),
            Self::Foreign { .. } => Some("nothing was touched; check the name"),
            Self::Protected { .. } => Some("deploy with Protect=false first"),
            Self::Stuck { .. } => Some("mend the cause, then tear down again: it continues"),
            Self::Late { .. } | Self::Cancelled => Some("tear down again: it continues where it stopped"),
        }
    }

    /// Whether nothing was touched because something is not as it was confirmed.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::OtherPlace { .. } | Self::Foreign { .. } | Self::Protected { .. })
    }

    /// Whether the same call continues the teardown.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::Cancelled | Self::Late { .. })
    }
}
