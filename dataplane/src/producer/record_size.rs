//! Keeps the largest record that the stream takes up to date.

use std::{sync::Arc, time::Duration};

use aws_sdk_kinesis::{Client, types::StreamDescriptionSummary};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::pipeline::Pipeline;
use crate::aws;

/// `MaxRecordSizeInKiB` of a stream that does not say (`UpdateMaxRecordSize` allows 1,024 to 10,240).
pub(crate) const DEFAULT_BYTES: usize = 1 << 20;

/// It is changed by hand, seldom.
const INTERVAL: Duration = Duration::from_secs(60);

/// Asks until `stopping`: at once, and every minute.
pub(crate) async fn follow(kinesis: Client, stream: String, pipeline: Arc<Pipeline>, stopping: CancellationToken) {
    let asking = async {
        loop {
            let answer = kinesis.describe_stream_summary().stream_name(&stream).send().await;
            match &answer {
                Ok(answer) => {
                    let summary = answer.stream_description_summary();
                    let kib = summary.and_then(StreamDescriptionSummary::max_record_size_in_kib);
                    let bytes = kib.and_then(|kib| usize::try_from(kib).ok()).map_or(DEFAULT_BYTES, |kib| kib << 10);
                    if pipeline.set_record_bytes_max(bytes) != bytes {
                        tracing::info!(bytes, "the stream takes records of this size");
                    }
                }
                Err(error) => tracing::warn!(error = aws::describe(error), "cannot ask for the largest record"),
            }
            sleep(INTERVAL).await;
        }
    };
    stopping.run_until_cancelled(asking).await;
}
