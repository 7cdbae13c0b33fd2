//! The producer service: accept (HTTP) ▸ pack ▸ route ▸ send (PutRecords).
//!
//! A request leaves its records in the [`pipeline`] and waits. One sender takes them out, in aggregates, and settles
//! each record when Kinesis has confirmed it or its time is up. Everything that is held in between, from the first
//! byte of a body on, is paid for from one budget of bytes: when that is used up, clients are told so.

mod accept;
mod backlog;
mod bucket;
mod budget;
mod gate;
mod idempotency;
mod kpl;
mod metrics;
mod pack;
mod pipeline;
mod receipt;
mod record_size;
#[cfg(test)]
mod resharding;
mod route;
mod send;
mod settings;
mod shards;
#[doc(hidden)]
pub mod sink;
mod spread;
mod stats;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_config::{SdkConfig, retry::RetryConfig};
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    accept::{Clients, Front},
    backlog::Backlog,
    bucket::Buckets,
    idempotency::Idempotency,
    metrics::Status,
    pack::Packer,
    pipeline::Pipeline,
    route::ShardMap,
    send::Sender,
};
use crate::{
    admin, ambient, aws, cloudwatch,
    http::{self, Bounds},
    task::Task,
};

pub use crate::Error;
pub use accept::Ack;
pub use settings::{Settings, Token};

/// The KPL's namespace, so that what was built for the KPL keeps working.
const NAMESPACE: &str = "KinesisProducerLibrary";

/// How long the background tasks may take to end. None of them has anything to finish.
const BACKGROUND_TIMEOUT: Duration = Duration::from_secs(1);

/// How much longer than its records may be tried a request may hold its idempotency key: its outcome has to be noted.
const CLAIM_MARGIN: Duration = Duration::from_secs(5);

/// Runs the producer until `stopping`, then drains and returns.
///
/// # Errors
/// When the settings contradict each other or it cannot listen.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let config = aws::load().await;
    Producer::bind(settings, config).await?.run(stopping).await;
    Ok(())
}

/// A producer that listens and does not accept yet.
pub struct Producer {
    settings: Settings,
    config: SdkConfig,
    ingest: TcpListener,
    admin: TcpListener,
}

impl Producer {
    /// Checks the settings and listens. The timeouts and retries of `config` are replaced by the producer's own.
    ///
    /// # Errors
    /// When the settings contradict each other or an address cannot be listened on.
    pub async fn bind(settings: Settings, config: SdkConfig) -> Result<Self, Error> {
        if settings.drain_delay >= settings.task.stop_timeout {
            let problem = format!("must be shorter than WEIR_STOP_TIMEOUT, which is {:?}", settings.task.stop_timeout);
            return Err(Error::Settings { setting: "WEIR_DRAIN_DELAY", problem });
        }
        let ingest = http::listen(settings.ingest_address()).await?;
        let admin = http::listen(settings.task.admin_address()).await?;
        Ok(Self { settings, config: aws::bounded(config), ingest, admin })
    }

    /// Where records are taken, with the port that the system chose if none was set.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn ingest_address(&self) -> Result<SocketAddr, Error> {
        http::address(&self.ingest, self.settings.ingest_address())
    }

    /// Where the admin port is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn admin_address(&self) -> Result<SocketAddr, Error> {
        http::address(&self.admin, self.settings.task.admin_address())
    }

    /// Runs until `stopping`; then, within the stop timeout, turns unhealthy, goes on accepting for the drain delay,
    /// stops accepting, and sends what it has.
    pub async fn run(self, stopping: CancellationToken) {
        let Self { settings, config, ingest, admin } = self;
        let stream = settings.task.stream.clone();
        let packer = Packer::new(ambient::generator());
        let (buffer_bytes, buckets) = ((settings.buffer_mib as usize) << 20, Buckets::new(settings.hash_buckets));
        let pipeline = Arc::new(Pipeline::new(buffer_bytes, buckets, packer, Instant::now()));
        let (map_writer, map) = watch::channel(ShardMap::unknown());
        let map_is_stale = Arc::new(Notify::new());
        let (background, ended) = (TaskTracker::new(), CancellationToken::new());

        let kinesis = aws_sdk_kinesis::Client::new(&config);
        background.spawn(record_size::follow(kinesis.clone(), stream.clone(), pipeline.clone(), ended.clone()));
        background.spawn(shards::follow(kinesis, stream.clone(), map_writer, map_is_stale.clone(), ended.clone()));
        let task = Arc::new(Task::discover().await);
        background.spawn({
            let (task, ended) = (task.clone(), ended.clone());
            async move { ended.run_until_cancelled(task.sample()).await }
        });
        let status = Status { stream, pipeline: pipeline.clone(), map: map.clone(), draining: stopping.clone() };
        let page = admin::router(task, Arc::new(status));
        background.spawn(http::serve(admin, page, admin::BOUNDS, ended.clone()));
        background.spawn(publish(&config, pipeline.clone(), settings.task.stream.clone(), ended.clone()));

        let sender = Sender {
            kinesis: put_client(&config),
            stream: settings.task.stream.clone(),
            pipeline: pipeline.clone(),
            linger: settings.linger,
            record_ttl: settings.record_ttl,
            map,
            map_is_stale,
        };
        let front = front(&settings, &config, &pipeline, &stopping);
        work(&settings, ingest, front, sender, stopping).await;
        ended.cancel();
        background.close();
        let _ = timeout(BACKGROUND_TIMEOUT, background.wait()).await;
    }
}

/// What requests are answered with.
fn front(settings: &Settings, config: &SdkConfig, pipeline: &Arc<Pipeline>, stopping: &CancellationToken) -> Front {
    let time = settings.idempotency_time;
    let table = settings.idempotency_table.clone();
    let table = table.map(|name| idempotency::Table::new(aws_sdk_dynamodb::Client::new(config), name, time));
    Front {
        pipeline: pipeline.clone(),
        clients: Arc::new(Clients::new(settings.tokens.clone(), settings.client_rate, settings.behind_balancer)),
        idempotency: Arc::new(Idempotency::new(time, settings.record_ttl + CLAIM_MARGIN, table)),
        notes: TaskTracker::new(),
        ack: settings.ack,
        body_time: settings.body_timeout,
        draining: stopping.clone(),
    }
}

/// Accepts and sends until everything is drained or the stop timeout is over.
async fn work(settings: &Settings, ingest: TcpListener, front: Front, sender: Sender, stopping: CancellationToken) {
    let (closing, draining) = (CancellationToken::new(), CancellationToken::new());
    let (pipeline, notes) = (front.pipeline.clone(), front.notes.clone());
    let router = accept::router(front);
    let bounds = Bounds { connections: settings.connections, header_time: settings.header_timeout };
    let accepting = async {
        let until = async {
            stopping.cancelled().await;
            sleep(settings.drain_delay).await;
            closing.cancel();
        };
        tokio::join!(http::serve(ingest, router, bounds, closing.clone()), until);
        draining.cancel();
    };
    let sending = async {
        sender.run(Backlog::new(ambient::generator()), draining.clone()).await;
        notes.close();
        notes.wait().await;
    };
    let out_of_time = async {
        stopping.cancelled().await;
        sleep(settings.task.stop_timeout).await;
    };
    tokio::select! {
        _ = async { tokio::join!(accepting, sending) } => tracing::info!("drained"),
        () = out_of_time => {
            let unsettled = pipeline.stats.figures().pending();
            tracing::error!(records = unsettled, "stopped before Kinesis took all records; none of them was answered with 200");
        }
    }
}

/// The client of PutRecords. The sender repeats single records at the pace of their shard; a client that repeated
/// whole requests behind its back would store records twice and hit shards that are to be left alone.
fn put_client(config: &SdkConfig) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::config::Builder::from(config).retry_config(RetryConfig::disabled()).build();
    aws_sdk_kinesis::Client::from_conf(config)
}

fn publish(
    config: &SdkConfig,
    pipeline: Arc<Pipeline>,
    stream: String,
    ended: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    let client = aws_sdk_cloudwatch::Client::new(config);
    let publishing = cloudwatch::publish(client, NAMESPACE, move || kpl::data(&pipeline, &stream));
    async move {
        ended.run_until_cancelled(publishing).await;
    }
}
