//! The producer's settings.

use std::{net::SocketAddr, time::Duration};

use super::bucket;
use crate::settings::{Task, duration};

/// The producer's settings.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    #[command(flatten)]
    pub task: Task,
    /// Port of HTTP ingestion
    #[arg(long, env = "WEIR_PORT", default_value_t = 8080)]
    pub port: u16,
    /// Longest time a record waits for others to share its Kinesis record; nothing waits while the producer is idle
    #[arg(long, env = "WEIR_LINGER", default_value = "100ms", value_parser = duration)]
    pub linger: Duration,
    /// Longest time a record is tried before its client gets 503
    #[arg(long, env = "WEIR_RECORD_TTL", default_value = "30s", value_parser = duration)]
    pub record_ttl: Duration,
    /// Parts of the hash range whose keys share aggregates, a power of two: at least eight for each shard of the largest
    /// size of the stream, and the same in all tasks
    #[arg(long, env = "WEIR_HASH_BUCKETS", default_value_t = bucket::DEFAULT, value_parser = bucket::parse)]
    pub hash_buckets: u32,
    /// Most bytes of requests and records held at once, in MiB; beyond it clients get 503 with Retry-After
    #[arg(long, env = "WEIR_BUFFER_MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(4..=16384))]
    pub buffer_mib: u32,
    /// Most client connections at once; further ones wait in the listen queue
    #[arg(long, env = "WEIR_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Time between SIGTERM and the end of accepting, in which the load balancer notices /healthcheck
    #[arg(long, env = "WEIR_DRAIN_DELAY", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,
}

impl Settings {
    pub(crate) fn ingest_address(&self) -> SocketAddr {
        SocketAddr::new(self.task.bind, self.port)
    }
}
