//! What the control plane is started with.

use std::{net::IpAddr, time::Duration};

use dataplane::report::ADMIN_PORT;
use jiff::SignedDuration;

use crate::{
    limits::{LEASE_EXPIRY_MAX, LEASE_EXPIRY_MIN},
    record::Lease,
};

/// Settings of a control plane. Each flag has an environment variable, which is how ECS sets it.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The deployment's name, which is its pipeline's name.
    #[arg(long, env = "WEIR_DEPLOYMENT")]
    pub deployment: String,
    /// The stream to size.
    #[arg(long, env = "WEIR_STREAM")]
    pub stream: String,
    /// The KCL application's name, which is its lease table's name.
    #[arg(long, env = "WEIR_APPLICATION")]
    pub application: String,
    /// The table that holds the policy, the status, the decisions and the leader.
    #[arg(long, env = "WEIR_CONTROL_TABLE")]
    pub control_table: String,
    /// The ECS cluster of the two services.
    #[arg(long, env = "WEIR_CLUSTER")]
    pub cluster: String,
    /// The producer service to size.
    #[arg(long, env = "WEIR_PRODUCER_SERVICE")]
    pub producer_service: String,
    /// The consumer service to size.
    #[arg(long, env = "WEIR_CONSUMER_SERVICE")]
    pub consumer_service: String,
    /// Time between two looks at the world.
    #[arg(long, env = "WEIR_TICK", default_value = "15s", value_parser = tick)]
    pub tick: Duration,
    /// Time without a sign of life after which another control plane takes over.
    #[arg(long, env = "WEIR_LEASE_EXPIRY", default_value = "12s", value_parser = lease)]
    pub lease: Lease,
    /// Address to listen on.
    #[arg(long, env = "WEIR_BIND", default_value = "0.0.0.0")]
    pub bind: IpAddr,
    /// Port of /metrics, /healthz and /readyz.
    #[arg(long, env = "WEIR_ADMIN_PORT", default_value_t = ADMIN_PORT)]
    pub admin_port: u16,
    /// Filter of the JSON log on standard error.
    #[arg(long, env = "WEIR_LOG", default_value = "info")]
    pub log: String,
}

/// The shortest tick: DescribeStreamSummary is limited to 20 calls a second for a whole account.
const TICK_MIN: Duration = Duration::from_millis(100);

fn tick(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a duration such as \"15s\" or \"500ms\", at least {TICK_MIN:?}");
    let parsed: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).ok().filter(|tick| *tick >= TICK_MIN).ok_or_else(wrong)
}

fn lease(text: &str) -> Result<Lease, String> {
    let wrong = || format!("expected a duration from {LEASE_EXPIRY_MIN:?} to {LEASE_EXPIRY_MAX:?}, such as \"12s\"");
    let parsed: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).ok().and_then(Lease::new).ok_or_else(wrong)
}
