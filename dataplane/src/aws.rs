//! How the data plane calls AWS.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};

/// A connection within a region takes milliseconds; three SYN retransmissions fit.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One attempt, with its answer: the KPL's request timeout.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(6);

/// All attempts of one call.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

/// The configuration of every client: `AWS_*` as the SDK reads them, with bounded calls.
pub(crate) async fn load() -> SdkConfig {
    bounded(aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await)
}

/// Adds this crate's timeouts and retries to a configuration.
pub(crate) fn bounded(config: SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(ATTEMPT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    config.into_builder().timeout_config(timeouts).retry_config(RetryConfig::standard()).build()
}

/// What an error of the SDK is, in a few words: the service's code and message, or why there was no answer.
pub(crate) fn describe<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match error {
        SdkError::ServiceError(refused) => {
            let refused = refused.err();
            format!("{}: {}", refused.code().unwrap_or("unknown error"), refused.message().unwrap_or_default())
        }
        SdkError::TimeoutError(_) => "no answer in time".to_owned(),
        other => crate::process::chain(other),
    }
}
