//! The consumer's settings.

use std::time::Duration;

use clap::ValueEnum;

use super::process::ExecCommand;
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
