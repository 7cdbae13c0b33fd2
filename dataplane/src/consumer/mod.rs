//! The consumer service: sync shards ▸ lease ▸ fetch ▸ unpack ▸ process ▸ checkpoint.
//!
//! A [`worker`] shares the shards of a stream with the other workers of its application through the KCL's lease table.
//! Each lease it holds is a [`tenure`]: one side renews the lease and writes checkpoints, the other reads the shard.
//! A checkpoint never passes a record that the processor has not finished, and a shard is not read before its parents
//! are: records are delivered at least once, and in order within a partition key.

mod checkpoint;
mod coordination;
mod counts;
mod dead_letter;
mod fetch;
mod kcl;
mod lease;
mod metrics;
mod process;
mod progress;
mod settings;
mod shards;
mod stats;
mod sync;
mod tenure;
mod unpack;
mod worker;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_config::{
    SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig,
};
use tokio::{
    io::AsyncWrite,
    net::TcpListener,
    sync::Mutex,
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use self::{
    coordination::Coordinator,
    dead_letter::DeadLetters,
    fetch::Prefetch,
    lease::{OURS, Table},
    metrics::Status,
    process::{Exec, Log, Processing, Webhook},
    stats::Stats,
    tenure::{Poison, Workplace},
    worker::Worker,
};
use crate::{admin, aws, cloudwatch, http, task::Task};

pub use crate::Error;
pub use dead_letter::DeadLetterTarget;
pub use process::{ExecCommand, Failure, Processor, ShardStart, lines};
pub use settings::{InitialPosition, MetricsLevel, PoisonPolicy, ProcessorKind, RetrievalMode, Settings};
pub use unpack::{OutOfRange, Record, user_records};

/// The namespace of Weir's own metrics.
const NAMESPACE: &str = "Weir";

/// How long the background tasks may take to end. None of them has anything to finish.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// The least time for one attempt of a call to the lease table, with a new TLS connection on a small task.
const LEASE_CALL_MIN: Duration = Duration::from_secs(1);

/// Attempts of a call to the lease table, and about the pause before the second: a busy partition recovers in
/// milliseconds.
const LEASE_ATTEMPTS: (u32, Duration) = (4, Duration::from_millis(50));

/// Runs the consumer until `stopping`, then checkpoints, releases its leases and returns.
///
/// # Errors
/// When it cannot listen, or the processor lacks a setting.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let config = aws::load().await;
    Consumer::bind(settings, config, tokio::io::stdout()).await?.run(stopping).await;
    Ok(())
}

/// A consumer that listens and does not read yet.
pub struct Consumer {
    settings: Settings,
    config: SdkConfig,
    admin: TcpListener,
    processing: Processing,
}

impl Consumer {
    /// Listens on the admin port. The timeouts and retries of `config` are replaced by the consumer's own. `output`
    /// belongs to the processor.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the processor lacks a setting.
    pub async fn bind(
        settings: Settings,
        config: SdkConfig,
        output: impl AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, Error> {
        let processing = processing(&settings, output)?;
        Self::listen(settings, config, processing).await
    }

    /// The same with a processor of its own instead of the one that the settings name.
    ///
    /// # Errors
    /// When the address cannot be listened on, or the settings contradict each other.
    pub async fn with_processor(
        settings: Settings,
        config: SdkConfig,
        processor: impl Processor,
    ) -> Result<Self, Error> {
        Self::listen(settings, config, Processing::Direct(Arc::new(processor))).await
    }

    async fn listen(settings: Settings, config: SdkConfig, processing: Processing) -> Result<Self, Error> {
        fetch::check(&settings)?;
        if settings.poison == PoisonPolicy::DeadLetter && settings.dead_letters.is_none() {
            return Err(missing("WEIR_DEAD_LETTERS", "WEIR_POISON=dead-letter needs a place for dead letters"));
        }
        let admin = http::listen(settings.task.admin_address()).await?;
        Ok(Self { settings, config: aws::bounded(config), admin, processing })
    }

    /// Where the admin port is, with the port that the system chose if none was set.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> Result<SocketAddr, Error> {
        http::address(&self.admin, self.settings.task.admin_address())
    }

    /// Runs until `stopping`; then, within the stop timeout, finishes what the processor has begun, writes the last
    /// checkpoints and releases the leases.
    pub async fn run(self, stopping: CancellationToken) {
        let Self { settings, config, admin, processing } = self;
        let (stream, application) = (settings.task.stream.clone(), settings.application.clone());
        let stats = Arc::new(Stats::new(Instant::now()));
        let (background, ended) = (TaskTracker::new(), CancellationToken::new());

        let task = Arc::new(Task::discover().await);
        background.spawn({
            let (task, ended) = (task.clone(), ended.clone());
            async move { ended.run_until_cancelled(task.sample()).await }
        });
        let id = worker_id(&task);
        let status = Status { stream: stream.clone(), application, stats: stats.clone(), stopping: stopping.clone() };
        let page = admin::router(task.clone(), Arc::new(status));
        background.spawn(http::serve(admin, page, admin::BOUNDS, ended.clone()));
        publish(&background, &config, &settings, &stats, &ended);

        let kinesis = aws_sdk_kinesis::Client::new(&config);
        let (retrieval, reason) = fetch::choose(&kinesis, &settings).await;
        tracing::info!(retrieval = retrieval.name(), reason, "how shards are read");
        stats.set_retrieval(retrieval.name(), reason);
        let dynamodb = leasing(&config, settings.lease_duration);
        let coordinator =
            Coordinator { client: dynamodb.clone(), application: settings.application.clone(), worker: id.clone() };
        let table = Table::new(dynamodb, settings.application.clone(), stats.counts().clone());
        let worker = Worker {
            workplace: Arc::new(Workplace {
                worker: id,
                reading: reading(&config),
                retrieval,
                stream,
                table,
                poison: poison(&settings, &kinesis),
                processing,
                out_of_range: settings.out_of_range,
                prefetch: Prefetch::new((settings.prefetch_mib as usize) << 20),
                lease_duration: settings.lease_duration,
                kinesis,
                stats,
                task,
            }),
            coordinator,
            initial_position: settings.initial_position,
            create_table: settings.create_lease_table,
        };
        work(worker, settings.task.stop_timeout, stopping).await;
        ended.cancel();
        background.close();
        let _ = timeout(BACKGROUND_TIMEOUT, background.wait()).await;
    }
}

fn processing(settings: &Settings, output: impl AsyncWrite + Send + Unpin + 'static) -> Result<Processing, Error> {
    match settings.processor {
        ProcessorKind::Log => Ok(Processing::Direct(Arc::new(Log::new(output)))),
        ProcessorKind::Exec => {
            let command = settings.exec_command.clone();
            let command = command
                .ok_or_else(|| missing("WEIR_EXEC_COMMAND", "the `exec` processor needs the command of its program"))?;
            Ok(Processing::Exec(Exec { command, timeout: settings.exec_timeout }))
        }
        ProcessorKind::Webhook => {
            let url = settings.webhook_url.as_deref();
            let url = url.ok_or_else(|| missing("WEIR_WEBHOOK_URL", "the `webhook` processor needs a URL"))?;
            let (records, concurrency) = (settings.webhook_records.into(), settings.webhook_concurrency.into());
            let ca = settings.webhook_ca.as_deref();
            let webhook = Webhook::new(url, ca, settings.webhook_timeout, records, concurrency);
            Ok(Processing::Direct(Arc::new(webhook.map_err(|(setting, problem)| missing(setting, &problem))?)))
        }
    }
}

fn missing(setting: &'static str, problem: &str) -> Error {
    Error::Settings { setting, problem: problem.to_owned() }
}

fn poison(settings: &Settings, kinesis: &aws_sdk_kinesis::Client) -> Poison {
    let target = settings.dead_letters.clone().filter(|_| settings.poison == PoisonPolicy::DeadLetter);
    let dead_letters = target.map(|target| DeadLetters {
        kinesis: kinesis.clone(),
        application: settings.application.clone(),
        target,
        writing: Mutex::default(),
    });
    Poison { retries: settings.poison_retries, dead_letters }
}

/// A client for GetRecords and SubscribeToShard. Their loops know better than the SDK when to call again, and a
/// subscription that nobody takes from for a while is not stalled.
fn reading(config: &SdkConfig) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    aws_sdk_kinesis::Client::from_conf(config.build())
}

/// A client for the lease table. A call that is lost is made again while the lease that it is about still lasts.
fn leasing(config: &SdkConfig, lease_duration: Duration) -> aws_sdk_dynamodb::Client {
    let attempt = (lease_duration / 3).max(LEASE_CALL_MIN);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(attempt)
        .read_timeout(attempt)
        .operation_attempt_timeout(attempt)
        .operation_timeout(attempt * 3)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(LEASE_ATTEMPTS.0).with_initial_backoff(LEASE_ATTEMPTS.1);
    let config = aws_sdk_dynamodb::config::Builder::from(config).timeout_config(timeouts).retry_config(retries);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// Publishes the KCL's metrics and Weir's own until `ended`.
fn publish(
    background: &TaskTracker,
    config: &SdkConfig,
    settings: &Settings,
    stats: &Arc<Stats>,
    ended: &CancellationToken,
) {
    let cloudwatch = aws_sdk_cloudwatch::Client::new(config);
    let (stream, application) = (settings.task.stream.clone(), settings.application.clone());
    background.spawn({
        let (stats, stream, ended) = (stats.clone(), stream.clone(), ended.clone());
        let (cloudwatch, application) = (cloudwatch.clone(), application.clone());
        let (level, mut published) = (settings.metrics_level, kcl::Published::default());
        let namespace = application.clone();
        let data = move || {
            let report = stats.report(&stream, &application, Instant::now());
            kcl::data(&stats, &report, level, &mut published)
        };
        async move { ended.run_until_cancelled(cloudwatch::publish(cloudwatch, namespace, data)).await }
    });
    background.spawn({
        let (stats, ended) = (stats.clone(), ended.clone());
        let data = move || metrics::cloudwatch_data(&stats, &stream, &application);
        async move { ended.run_until_cancelled(cloudwatch::publish(cloudwatch, NAMESPACE, data)).await }
    });
}

async fn work(worker: Worker, stop_timeout: Duration, stopping: CancellationToken) {
    let out_of_time = async {
        stopping.cancelled().await;
        sleep(stop_timeout).await;
    };
    tokio::select! {
        () = worker.run(stopping.clone()) => tracing::info!("released all leases"),
        () = out_of_time => tracing::error!("stopped before every lease was released; their records will be read again"),
    }
}

/// The task's id with something random: a process that is started again in its task is another worker.
fn worker_id(task: &Task) -> String {
    format!("{OURS}{}/{}", task.id, Uuid::new_v4().simple())
}
