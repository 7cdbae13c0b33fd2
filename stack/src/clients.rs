//! The SDK clients, made once from one configuration, with timeouts and retries of ours.

use aws_config::{SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use serde::Serialize;

use crate::{
    call::{CallError, call, required},
    limits::{CALL, CALL_ATTEMPT, CALL_ATTEMPTS, CONNECT, UPLOAD, UPLOAD_ATTEMPT},
};

/// Clients of every service that a deployment touches.
#[derive(Debug, Clone)]
pub struct Clients {
    pub(crate) cloudformation: aws_sdk_cloudformation::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) ecr: aws_sdk_ecr::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    pub(crate) tagging: aws_sdk_resourcegroupstagging::Client,
    region: String,
}

/// Whose account, and where: what a teardown is confirmed against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    pub account: String,
    pub region: String,
}

impl Clients {
    /// Makes all clients from `config`, whose credentials, region and endpoint they keep.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let ordinary = config
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(CALL_ATTEMPTS))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(CALL_ATTEMPT)
                    .operation_timeout(CALL)
                    .build(),
            )
            .build();
        let uploading = ordinary
            .to_builder()
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT)
                    .operation_attempt_timeout(UPLOAD_ATTEMPT)
                    .operation_timeout(UPLOAD)
                    .build(),
            )
            .build();
        Self {
            cloudformation: aws_sdk_cloudformation::Client::new(&ordinary),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&ordinary),
            dynamodb: aws_sdk_dynamodb::Client::new(&ordinary),
            ecr: aws_sdk_ecr::Client::new(&uploading),
            ecs: aws_sdk_ecs::Client::new(&ordinary),
            kinesis: aws_sdk_kinesis::Client::new(&ordinary),
            logs: aws_sdk_cloudwatchlogs::Client::new(&ordinary),
            sts: aws_sdk_sts::Client::new(&ordinary),
            tagging: aws_sdk_resourcegroupstagging::Client::new(&ordinary),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// The account and region that these clients act in.
    ///
    /// # Errors
    /// When STS does not answer, which is how missing or expired credentials show first.
    pub async fn identity(&self) -> Result<Identity, CallError> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let caller = call(OPERATION, self.sts.get_caller_identity().send()).await?;
        Ok(Identity { account: required(caller.account, OPERATION, "Account")?, region: self.region.clone() })
    }
}
