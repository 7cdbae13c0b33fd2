//! The settings that both roles have.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::report::ADMIN_PORT;

/// The settings of every task.
#[derive(Debug, Clone, clap::Args)]
pub struct Task {
    /// The stream's name
    #[arg(long, env = "WEIR_STREAM")]
    pub stream: String,
    /// Address to listen on
    #[arg(long, env = "WEIR_BIND", default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED))]
    pub bind: IpAddr,
    /// Port of /report, /metrics, /healthz and /readyz
    #[arg(long, env = "WEIR_ADMIN_PORT", default_value_t = ADMIN_PORT)]
    pub admin_port: u16,
    /// Filter of the JSON log on standard error
    #[arg(long, env = "WEIR_LOG", default_value = "info")]
    pub log: String,
    /// Time between SIGTERM and exit, by when everything must be stored or checkpointed. Less than the task
    /// definition's stopTimeout, after which ECS kills
    #[arg(long, env = "WEIR_STOP_TIMEOUT", default_value = "25s", value_parser = duration)]
    pub stop_timeout: Duration,
}

impl Task {
    pub(crate) fn admin_address(&self) -> SocketAddr {
        SocketAddr::new(self.bind, self.admin_port)
    }
}

/// Reads `250ms`, `5s`, `2m` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|_| format!("`{text}` is not a duration like 250ms or 5s"))?;
    Duration::try_from(span).map_err(|_| format!("`{text}` is negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn a_duration_without_unit_or_below_zero_is_refused() {
        assert!(duration("15").is_err());
        assert!(duration("-1s").is_err());
    }
}
