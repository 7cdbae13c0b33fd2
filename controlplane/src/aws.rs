//! The AWS clients, with the timeouts and retries that hold for all of them.

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextRef},
        orchestrator::Metadata,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

use crate::{
    limits::{ATTEMPT_TIMEOUT, ATTEMPTS, CALL_TIMEOUT, CONNECT_TIMEOUT, FIRST_BACKOFF},
    telemetry::Calls,
};

/// One client for each service that the control plane uses.
#[derive(Debug, Clone)]
pub(crate) struct Clients {
    pub(crate) kinesis: aws_sdk_kinesis::Client,
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    pub(crate) autoscaling: aws_sdk_applicationautoscaling::Client,
}

/// A client of an SDK crate that counts its calls.
macro_rules! counted {
    ($sdk:ident, $config:expr, $calls:expr) => {
        $sdk::Client::from_conf($sdk::config::Builder::from($config).interceptor($calls.clone()).build())
    };
}

impl Clients {
    pub(crate) fn new(config: &SdkConfig, calls: &Calls) -> Self {
        let config = config
            .to_builder()
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS).with_initial_backoff(FIRST_BACKOFF))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(CONNECT_TIMEOUT)
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(CALL_TIMEOUT)
                    .build(),
            )
            .build();
        Self {
            kinesis: counted!(aws_sdk_kinesis, &config, calls),
            ecs: counted!(aws_sdk_ecs, &config, calls),
            cloudwatch: counted!(aws_sdk_cloudwatch, &config, calls),
            dynamodb: counted!(aws_sdk_dynamodb, &config, calls),
            autoscaling: counted!(aws_sdk_applicationautoscaling, &config, calls),
        }
    }
}

/// Every attempt counts, as it does towards AWS's rates.
impl Intercept for Calls {
    fn name(&self) -> &'static str {
        "Calls"
    }

    fn read_before_attempt(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        bag: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(operation) = bag.load::<Metadata>() {
            self.count(operation.service(), operation.name());
        }
        Ok(())
    }
}

/// Credentials, region and endpoint as the environment has them.
pub(crate) async fn environment() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).load().await
}
