//! The producer's settings.

use std::{net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

use super::{accept::Ack, bucket};
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
    /// Most client connections at once; further ones get 503
    #[arg(long, env = "WEIR_CONNECTIONS", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..))]
    pub connections: u32,
    /// Longest time that the head of a request may take
    #[arg(long, env = "WEIR_HEADER_TIMEOUT", default_value = "10s", value_parser = duration)]
    pub header_timeout: Duration,
    /// Longest time that the body of a request may take
    #[arg(long, env = "WEIR_BODY_TIMEOUT", default_value = "30s", value_parser = duration)]
    pub body_timeout: Duration,
    /// When requests are answered that do not say when: with 200 once their records are stored, or with 202 once they are
    /// in memory
    #[arg(long, env = "WEIR_ACK", value_enum, default_value = "stored")]
    pub ack: Ack,
    /// Bearer tokens of which a request must have one, as NAME=SHA256 with the token's digest in hexadecimal. None: all
    /// requests are taken
    #[arg(
        long = "token",
        env = "WEIR_TOKENS",
        value_name = "NAME=SHA256",
        value_delimiter = ',',
        hide_env_values = true
    )]
    pub tokens: Vec<Token>,
    /// Records a second that each client may send, a client being a token or an address. None: as many as fit
    #[arg(long, env = "WEIR_CLIENT_RATE", value_parser = clap::value_parser!(u32).range(1..))]
    pub client_rate: Option<u32>,
    /// Go by the last hop of X-Forwarded-For for a client's address: only where a load balancer always appends it
    #[arg(long, env = "WEIR_BEHIND_BALANCER")]
    pub behind_balancer: bool,
    /// How long an Idempotency-Key is remembered
    #[arg(long, env = "WEIR_IDEMPOTENCY_TIME", default_value = "10m", value_parser = duration)]
    pub idempotency_time: Duration,
    /// DynamoDB table in which all tasks remember Idempotency-Keys: partition key `id` (S), time to live on `expires_at`.
    /// The role needs dynamodb:PutItem and dynamodb:UpdateItem on it. None: each task remembers its own
    #[arg(long, env = "WEIR_IDEMPOTENCY_TABLE")]
    pub idempotency_table: Option<String>,
    /// Time between SIGTERM and the end of accepting, in which the load balancer notices /healthcheck
    #[arg(long, env = "WEIR_DRAIN_DELAY", default_value = "5s", value_parser = duration)]
    pub drain_delay: Duration,
}

impl Settings {
    pub(crate) fn ingest_address(&self) -> SocketAddr {
        SocketAddr::new(self.task.bind, self.port)
    }
}

/// A client that may send: its name, and the digest of its secret, which the settings do not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub name: Arc<str>,
    pub sha256: [u8; 32],
}

impl FromStr for Token {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = || "a token is NAME=SHA256, with the 64 hexadecimal digits of the token's SHA-256".to_owned();
        let (name, digest) = text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(problem)?;
        if digest.len() != 64 || !digest.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(problem());
        }
        let mut sha256 = [0; 32];
        for (index, byte) in sha256.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&digest[2 * index..2 * index + 2], 16).map_err(|_| problem())?;
        }
        Ok(Self { name: name.into(), sha256 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_name_and_a_digest() {
        let token: Token = format!("alice={}0A", "00".repeat(31)).parse().expect("a token");
        assert_eq!((&*token.name, token.sha256[31], token.sha256[0]), ("alice", 10, 0));
        for wrong in
            ["alice", "=00", "alice=00", &format!("alice={}", "é".repeat(32)), &format!("alice={}", "0g".repeat(32))]
        {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }
}
