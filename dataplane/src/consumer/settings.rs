//! The consumer's settings.

use std::{path::PathBuf, time::Duration};

use clap::ValueEnum;

use super::{dead_letter::DeadLetterTarget, process::ExecCommand, unpack::OutOfRange};
use crate::settings::{Task, duration};

/// The consumer's settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub task: Task,
    /// KCL application name, which is the lease table's name
    #[arg(long, env = "WEIR_APPLICATION")]
    pub application: String,
    /// What is done with each record
    #[arg(long, env = "WEIR_PROCESSOR", default_value = "log")]
    pub processor: ProcessorKind,
    /// The program of the `exec` processor: words between spaces, or a JSON array of strings. No shell is involved
    #[arg(long, env = "WEIR_EXEC_COMMAND")]
    pub exec_command: Option<ExecCommand>,
    /// Time for each answer of that program, after which it is started anew
    #[arg(long, env = "WEIR_EXEC_TIMEOUT", default_value = "5m", value_parser = duration)]
    pub exec_timeout: Duration,
    /// URL that the `webhook` processor POSTs batches of records to, as lines of JSON
    #[arg(long, env = "WEIR_WEBHOOK_URL")]
    pub webhook_url: Option<String>,
    /// PEM file of authorities to trust for https beside the system's. Read once, at the start
    #[arg(long, env = "WEIR_WEBHOOK_CA")]
    pub webhook_ca: Option<PathBuf>,
    /// Time for each answer of the webhook, after which the batch is sent again
    #[arg(long, env = "WEIR_WEBHOOK_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub webhook_timeout: Duration,
    /// Most records of one POST
    #[arg(long, env = "WEIR_WEBHOOK_RECORDS", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=2000))]
    pub webhook_records: u16,
    /// POSTs under way for one shard. More than one gives up the order of its records
    #[arg(long, env = "WEIR_WEBHOOK_CONCURRENCY", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub webhook_concurrency: u16,
    /// What becomes of a record that is rejected whatever is tried
    #[arg(long, env = "WEIR_POISON", default_value = "stop")]
    pub poison: PoisonPolicy,
    /// How often records that were rejected are tried again, before they are halved until the one to blame is found
    #[arg(long, env = "WEIR_POISON_RETRIES", default_value_t = 5, value_parser = clap::value_parser!(u32).range(0..=1000))]
    pub poison_retries: u32,
    /// Where dead letters go: stream:NAME or file:PATH
    #[arg(long, env = "WEIR_DEAD_LETTERS")]
    pub dead_letters: Option<DeadLetterTarget>,
    /// Which of the KCL's metrics go to CloudWatch, in the namespace of the application
    #[arg(long, env = "WEIR_METRICS_LEVEL", default_value = "summary")]
    pub metrics_level: MetricsLevel,
    /// What becomes of a record of an aggregate whose key belongs to another shard
    #[arg(long, env = "WEIR_OUT_OF_RANGE", default_value = "deliver")]
    pub out_of_range: OutOfRange,
    /// Where to start in a shard that nobody has read yet and whose parents nobody has read
    #[arg(long, env = "WEIR_INITIAL_POSITION", default_value = "trim-horizon")]
    pub initial_position: InitialPosition,
    /// Time without a sign of life after which a worker's leases are taken by others
    #[arg(long, env = "WEIR_LEASE_DURATION", default_value = "5s", value_parser = lease_duration)]
    pub lease_duration: Duration,
    /// How shards are read
    #[arg(long, env = "WEIR_RETRIEVAL", default_value = "auto")]
    pub retrieval: RetrievalMode,
    /// ARN of the registered stream consumer to read through with enhanced fan-out
    #[arg(long, env = "WEIR_CONSUMER_ARN")]
    pub consumer_arn: Option<String>,
    /// Create the lease table when it is missing, instead of waiting for whoever deploys it
    #[arg(long, env = "WEIR_CREATE_LEASE_TABLE")]
    pub create_lease_table: bool,
    /// Most bytes of records fetched and not yet processed, in MiB. Divided among the leases held, 512 KiB each at least
    #[arg(long, env = "WEIR_PREFETCH_MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=16384))]
    pub prefetch_mib: u32,
}

/// A duration that leaves time for three renewals, each with the SDK's first retry.
fn lease_duration(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_secs(1);
    let read = duration(text)?;
    if read < LEAST {
        Err("a lease lasts 1s at least: it is renewed three times in that time".to_owned())
    } else {
        Ok(read)
    }
}

/// What is done with each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProcessorKind {
    /// A JSON object a line on standard output
    Log,
    /// A program for each shard that speaks the KCL's MultiLangDaemon protocol
    Exec,
    /// A POST to a URL for each batch
    Webhook,
}

/// What becomes of a record that is rejected whatever is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PoisonPolicy {
    /// It holds up its shard, which the report says, and is tried once a minute
    Stop,
    /// It is stored elsewhere, and the shard goes on
    DeadLetter,
}

/// Which of the KCL's metrics go to CloudWatch, where each costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricsLevel {
    None,
    /// Those of the application
    Summary,
    /// Those of each shard as well
    Detailed,
}

/// How shards are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RetrievalMode {
    /// With fan-out where a registered consumer is set and active, else by polling
    Auto,
    /// By GetRecords, whose five calls a second for each shard all readers share
    Polling,
    /// By SubscribeToShard, with a throughput of its own for each shard
    Fanout,
}

/// Where to start in a shard that nobody has read yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InitialPosition {
    /// With the oldest record
    #[value(alias = "TRIM_HORIZON")]
    TrimHorizon,
    /// With what arrives from now on
    #[value(alias = "LATEST")]
    Latest,
}
