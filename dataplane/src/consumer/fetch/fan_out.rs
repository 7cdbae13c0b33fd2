//! Enhanced fan-out: SubscribeToShard, over and over.
//!
//! A subscription lasts five minutes and pushes two megabytes a second, however many others read the shard. What is
//! not taken from it waits in the connection, whose window is the back-pressure.

use aws_sdk_kinesis::{
    error::ProvideErrorMetadata,
    operation::subscribe_to_shard::{SubscribeToShardError, SubscribeToShardOutput},
    types::{StartingPosition, SubscribeToShardEvent, SubscribeToShardEventStream},
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, sleep, timeout_at},
};

use super::{Fetched, Fetcher, Unwanted, bytes, position};
use crate::{
    aws,
    consumer::{counts::Count, shards},
};

/// A subscription is renewed at this age. Kinesis ends it at five minutes, without a word to a reader that is slow to
/// notice.
const LIFETIME: Duration = Duration::from_secs(270);

/// Kinesis shows every few seconds that a subscription lives; the KCL gives one up after as long a silence.
const SILENCE_MAX: Duration = Duration::from_secs(35);

/// The first and the longest pause after a subscription could not be had. A consumer may subscribe to a shard once a
/// second, and for the first five seconds nobody can take its subscription over (`ResourceInUseException`).
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Why a subscription ended.
enum Ended {
    /// It is time for another one.
    Renewal,
    /// Everything in the shard was fetched.
    Shard(Fetched),
}

/// Subscribes until the shard ends.
pub(super) async fn run(
    mut fetcher: Fetcher,
    consumer_arn: &str,
    output: mpsc::Sender<Fetched>,
) -> Result<(), Unwanted> {
    let mut pause = PAUSES.0;
    loop {
        let begun_at = Instant::now();
        let problem = match subscribe(&fetcher, consumer_arn).await {
            Ok(Some(subscription)) => match follow(&mut fetcher, subscription, begun_at + LIFETIME, &output).await? {
                Ok(Ended::Renewal) => {
                    pause = PAUSES.0;
                    continue;
                }
                Ok(Ended::Shard(end)) => return output.send(end).await.map_err(|_| Unwanted),
                Err(problem) => problem,
            },
            Ok(None) => return output.send(Fetched::Gone).await.map_err(|_| Unwanted),
            Err(problem) => problem,
        };
        tracing::warn!(problem, shard = &*fetcher.shard_id, "a subscription was cut");
        fetcher.stats.count(Count::Refused);
        let worked = Instant::now().saturating_duration_since(begun_at) > PAUSES.1;
        pause = if worked { PAUSES.0 } else { pause };
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A subscription at the fetcher's position. `None` when the shard is no more.
async fn subscribe(fetcher: &Fetcher, consumer_arn: &str) -> Result<Option<SubscribeToShardOutput>, String> {
    let (kind, number) = position::start(&fetcher.position);
    let start = StartingPosition::builder().r#type(kind).set_sequence_number(number.map(str::to_owned)).build();
    let start = start.map_err(|error| error.to_string())?;
    let request = fetcher.kinesis.subscribe_to_shard().consumer_arn(consumer_arn).shard_id(&*fetcher.shard_id);
    match request.starting_position(start).send().await {
        Ok(subscription) => Ok(Some(subscription)),
        Err(error) => {
            let missing = error.as_service_error().is_some_and(SubscribeToShardError::is_resource_not_found_exception);
            // It may be the consumer that is missing, which says nothing about the shard.
            let (kinesis, stream) = (&fetcher.kinesis, &fetcher.stream);
            let forgotten = missing && shards::is_forgotten(kinesis, stream, &fetcher.shard_id).await?;
            if forgotten { Ok(None) } else { Err(aws::describe(&error)) }
        }
    }
}

/// Passes on what a subscription brings until it ends, at `renewal` at the latest. The inner error is why it was cut.
async fn follow(
    fetcher: &mut Fetcher,
    mut subscription: SubscribeToShardOutput,
    renewal: Instant,
    output: &mpsc::Sender<Fetched>,
) -> Result<Result<Ended, String>, Unwanted> {
    // The next event is expected to be like the largest so far.
    let mut expected = 0;
    loop {
        fetcher.allotment.room(expected).await;
        let silence = Instant::now() + SILENCE_MAX;
        let received = match timeout_at(silence.min(renewal), subscription.event_stream.recv()).await {
            Ok(received) => received,
            Err(_) if Instant::now() >= renewal => return Ok(Ok(Ended::Renewal)),
            Err(_) => return Ok(Err(format!("no event for {} s", SILENCE_MAX.as_secs()))),
        };
        let event = match received {
            Ok(Some(SubscribeToShardEventStream::SubscribeToShardEvent(event))) => event,
            Ok(Some(_)) => continue,
            // At the end of its time.
            Ok(None) => return Ok(Ok(Ended::Renewal)),
            Err(error) => {
                let code = error.code().map(str::to_owned);
                return Ok(Err(code.unwrap_or_else(|| crate::process::chain(&error))));
            }
        };
        expected = expected.max(bytes(&event.records));
        if let Some(end) = pass(fetcher, event, output).await? {
            return Ok(Ok(Ended::Shard(end)));
        }
    }
}

/// Passes an event on. The last one of a shard names no place to go on at, but the shards that follow.
async fn pass(
    fetcher: &mut Fetcher,
    event: SubscribeToShardEvent,
    output: &mpsc::Sender<Fetched>,
) -> Result<Option<Fetched>, Unwanted> {
    let next = Some(event.continuation_sequence_number.as_str()).filter(|next| !next.is_empty());
    fetcher.pass(event.records, Some(event.millis_behind_latest), next, output).await?;
    Ok(next.is_none().then(|| Fetched::End(event.child_shards.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};
    use aws_sdk_kinesis::{
        Client,
        config::Credentials,
        primitives::Blob,
        types::{ConsumerStatus, StreamStatus},
    };
    use localcloud::LocalCloud;
    use tempfile::TempDir;

    use super::*;
    use crate::consumer::{checkpoint::Checkpoint, fetch::Prefetch, stats::Stats};

    const SHARD: &str = "shardId-000000000000";
    const PATIENCE: Duration = Duration::from_secs(60);

    /// A stream of one shard on an endpoint that lets a subscription be taken over at once.
    struct World {
        kinesis: Client,
        consumer_arn: String,
        _cloud: LocalCloud,
        _directory: TempDir,
    }

    impl World {
        async fn start() -> Self {
            let directory = tempfile::tempdir().expect("a directory");
            let mut settings = localcloud::Settings::new(directory.path().to_owned());
            settings.listen = ([127, 0, 0, 1], 0).into();
            settings.kinesis.subscription_hold = Duration::ZERO;
            let cloud = LocalCloud::start(settings).await.expect("an endpoint");
            let sdk = aws_config::defaults(BehaviorVersion::v2026_01_12())
                .region(Region::new("eu-central-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .endpoint_url(cloud.endpoint_url())
                .load()
                .await;
            let kinesis = Client::new(&sdk);
            let consumer_arn = registered(&kinesis).await;
            Self { kinesis, consumer_arn, _cloud: cloud, _directory: directory }
        }

        async fn put(&self, data: &str) {
            let put = self.kinesis.put_record().stream_name("stream").partition_key("k").data(Blob::new(data));
            put.send().await.expect("stored");
        }

        fn fetcher(&self) -> Fetcher {
            Fetcher {
                kinesis: self.kinesis.clone(),
                stream: "stream".to_owned(),
                shard_id: SHARD.into(),
                position: Checkpoint::TrimHorizon,
                allotment: Prefetch::new(1 << 20).join(),
                stats: Stats::new(Instant::now()).add(SHARD),
            }
        }
    }

    /// A registered consumer of a new stream.
    async fn registered(kinesis: &Client) -> String {
        kinesis.create_stream().stream_name("stream").shard_count(1).send().await.expect("a stream");
        let stream_arn = loop {
            let described = kinesis.describe_stream_summary().stream_name("stream").send().await.expect("a summary");
            let summary = described.stream_description_summary.expect("a summary");
            if summary.stream_status == StreamStatus::Active {
                break summary.stream_arn;
            }
            sleep(Duration::from_millis(10)).await;
        };
        let registering = kinesis.register_stream_consumer().stream_arn(stream_arn).consumer_name("reader");
        let consumer_arn = registering.send().await.expect("registered").consumer.expect("a consumer").consumer_arn;
        loop {
            let described = kinesis.describe_stream_consumer().consumer_arn(&consumer_arn).send().await;
            let description = described.expect("an answer").consumer_description.expect("a description");
            if description.consumer_status == ConsumerStatus::Active {
                return consumer_arn;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn next(fetched: &mut mpsc::Receiver<Fetched>) -> Vec<String> {
        let next = tokio::time::timeout(PATIENCE, fetched.recv()).await.expect("in time");
        let Some(Fetched::Batch(batch)) = next else { panic!("no batch") };
        let text =
            |record: &aws_sdk_kinesis::types::Record| String::from_utf8_lossy(record.data().as_ref()).into_owned();
        batch.records.iter().map(text).collect()
    }

    #[tokio::test]
    async fn a_subscription_whose_time_has_come_is_renewed_behind_the_last_record_it_brought() {
        let (world, (output, mut fetched)) = (World::start().await, Fetcher::channel());
        let mut fetcher = world.fetcher();
        for round in 0..2 {
            world.put(&round.to_string()).await;
            let subscription = subscribe(&fetcher, &world.consumer_arn).await.expect("subscribed").expect("a shard");
            // Its time comes when it has long brought the record.
            let following = follow(&mut fetcher, subscription, Instant::now() + Duration::from_secs(3), &output);
            let (ended, brought) = tokio::join!(following, next(&mut fetched));
            assert!(matches!(ended, Ok(Ok(Ended::Renewal))), "round {round}");
            assert_eq!(brought, [round.to_string()], "each record comes once");
        }
        assert!(fetched.try_recv().is_err(), "nothing comes twice");
    }

    #[tokio::test]
    async fn a_shard_whose_memory_is_full_is_not_read_on_until_there_is_room() {
        let (world, (output, mut fetched)) = (World::start().await, Fetcher::channel());
        let fetcher = world.fetcher();
        let allotment = fetcher.allotment.clone();
        let reading = tokio::spawn({
            let consumer_arn = world.consumer_arn.clone();
            async move { run(fetcher, &consumer_arn, output).await.is_ok() }
        });
        let unprocessed = allotment.hold(allotment.share() + 1);
        world.put("first").await;
        assert!(timeout_at(Instant::now() + Duration::from_millis(500), fetched.recv()).await.is_err());
        drop(unprocessed);
        assert_eq!(next(&mut fetched).await, ["first"]);
        reading.abort();
    }
}
