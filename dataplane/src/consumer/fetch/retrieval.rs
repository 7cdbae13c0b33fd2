//! Whether shards are polled or subscribed to, and why.

use aws_sdk_kinesis::{
    Client,
    operation::describe_stream_consumer::DescribeStreamConsumerError,
    types::{ConsumerDescription, ConsumerStatus},
};
use tokio::time::{Duration, Instant, sleep};

use crate::{
    aws,
    consumer::settings::{RetrievalMode, Settings},
    error::Error,
};

/// How long a registered consumer that is being created is waited for, and how often it is looked at. Creation takes
/// some seconds; `DescribeStreamConsumer` may be called 20 times a second for each stream.
const CREATION: (Duration, Duration) = (Duration::from_secs(30), Duration::from_millis(500));

/// How shards are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Retrieval {
    Polling,
    FanOut { consumer_arn: String },
}

impl Retrieval {
    /// As the setting calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::FanOut { .. } => "fanout",
        }
    }
}

/// Chooses by the settings and by what Kinesis says of the registered consumer. Returns why, too.
pub(crate) async fn choose(kinesis: &Client, settings: &Settings) -> (Retrieval, String) {
    let arn = settings.consumer_arn.as_deref();
    match (settings.retrieval, arn) {
        (RetrievalMode::Polling, _) => (Retrieval::Polling, "WEIR_RETRIEVAL is polling".to_owned()),
        (_, None) => (Retrieval::Polling, "there is no WEIR_CONSUMER_ARN to read through".to_owned()),
        (RetrievalMode::Fanout, Some(arn)) => (fan_out(arn), "WEIR_RETRIEVAL is fanout".to_owned()),
        (RetrievalMode::Auto, Some(arn)) => match usable(kinesis, arn).await {
            Ok(()) => (fan_out(arn), "WEIR_CONSUMER_ARN is set and its consumer is active".to_owned()),
            Err(problem) => (Retrieval::Polling, format!("the consumer of WEIR_CONSUMER_ARN is of no use: {problem}")),
        },
    }
}

/// Refuses settings that contradict each other.
pub(crate) fn check(settings: &Settings) -> Result<(), Error> {
    if settings.retrieval == RetrievalMode::Fanout && settings.consumer_arn.is_none() {
        let problem = "WEIR_RETRIEVAL=fanout needs the ARN of a registered stream consumer".to_owned();
        return Err(Error::Settings { setting: "WEIR_CONSUMER_ARN", problem });
    }
    Ok(())
}

fn fan_out(arn: &str) -> Retrieval {
    Retrieval::FanOut { consumer_arn: arn.to_owned() }
}

/// Whether a registered consumer is active, or becomes so soon. Somebody else's trouble, like a call that may not be
/// made, does not speak against it: the subscription will tell.
async fn usable(kinesis: &Client, arn: &str) -> Result<(), String> {
    let until = Instant::now() + CREATION.0;
    loop {
        let described = kinesis.describe_stream_consumer().consumer_arn(arn).send().await;
        let status = match &described {
            Ok(answer) => answer.consumer_description().map(ConsumerDescription::consumer_status),
            Err(error) => {
                let missing =
                    error.as_service_error().is_some_and(DescribeStreamConsumerError::is_resource_not_found_exception);
                return if missing { Err(aws::describe(error)) } else { Ok(()) };
            }
        };
        match status {
            Some(ConsumerStatus::Creating) if Instant::now() < until => sleep(CREATION.1).await,
            Some(ConsumerStatus::Deleting) => return Err("it is being deleted".to_owned()),
            Some(ConsumerStatus::Creating) => return Err("it is still being created".to_owned()),
            _ => return Ok(()),
        }
    }
}
