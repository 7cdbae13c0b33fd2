//! API calls: one error type for all services, which keeps AWS's code and message.

use std::error::Error;

use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};

/// Why a call to AWS did not succeed. The SDK has already retried what can be retried.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// AWS answered with an error.
    #[error("{operation} was refused: {message} ({code})")]
    Refused { operation: &'static str, code: String, message: String },
    /// No answer came: no credentials, no connection, or too late.
    #[error("{operation} got no answer")]
    Unanswered { operation: &'static str, source: Box<dyn Error + Send + Sync> },
    /// The answer lacks what it must have.
    #[error("the answer to {operation} has no {member}")]
    Incomplete { operation: &'static str, member: &'static str },
}

impl CallError {
    /// AWS's error code, where it answered.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Unanswered { .. } | Self::Incomplete { .. } => None,
        }
    }

    /// Whether AWS refused the call with one of `codes`.
    pub(crate) fn is(&self, codes: &[&str]) -> bool {
        self.code().is_some_and(|code| codes.contains(&code))
    }

    /// Whether AWS refused the call with `code` and a message that contains `part`.
    pub(crate) fn says(&self, code: &str, part: &str) -> bool {
        matches!(self, Self::Refused { code: actual, message, .. } if actual == code && message.contains(part))
    }
}

/// Sends a request and names it in its error.
pub(crate) fn call<T, E, R>(
    operation: &'static str,
    send: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> impl Future<Output = Result<T, CallError>>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    // The SDK's futures take kilobytes each, and every caller up the stack would hold room for all of its own.
    let sending = Box::pin(send);
    async move {
        sending.await.map_err(|error| match error.as_service_error() {
            Some(refusal) => CallError::Refused {
                operation,
                code: refusal.code().unwrap_or("no code").to_owned(),
                message: refusal.message().unwrap_or("no message").to_owned(),
            },
            None => CallError::Unanswered { operation, source: error.into() },
        })
    }
}

/// Turns "this does not exist" into `None`.
pub(crate) fn found<T>(outcome: Result<T, CallError>, absent: &[&str]) -> Result<Option<T>, CallError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A member that the API always sends.
pub(crate) fn required<T>(value: Option<T>, operation: &'static str, member: &'static str) -> Result<T, CallError> {
    value.ok_or(CallError::Incomplete { operation, member })
}
