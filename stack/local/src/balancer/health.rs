//! Health of targets: what counts as healthy, and the checks that find out.

use std::{net::SocketAddr, ops::RangeInclusive, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::future::{self, Either};
use http_body_util::Empty;
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use super::group::{Group, Target};

/// How a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TargetHealth {
    /// Registered, and not checked often enough to judge.
    Initial,
    Healthy,
    Unhealthy,
    /// Deregistered, with requests still open.
    Draining,
    /// Not a target of the group.
    Unused,
}

impl TargetHealth {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }
}

/// How a group checks its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Checks {
    pub(super) path: String,
    /// Where the check goes, if not to the target's own port.
    pub(super) port: Option<u16>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) healthy_threshold: u32,
    pub(super) unhealthy_threshold: u32,
    /// Statuses that pass.
    pub(super) matcher: Vec<RangeInclusive<u16>>,
}

/// Reads a matcher such as `200`, `200,204` or `200-299`.
pub(super) fn matcher(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse().ok()?..=to.trim().parse().ok()?)
    };
    text.split(',').map(range).collect()
}

/// A target's health, followed check by check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tracker {
    pub(super) health: TargetHealth,
    /// Checks in a row that speak against the present health.
    against: u32,
    /// What the last failed check met.
    pub(super) reason: String,
}

impl Tracker {
    pub(super) fn new() -> Self {
        Self { health: TargetHealth::Initial, against: 0, reason: "Target registration is in progress".to_owned() }
    }

    /// Takes in a check. A new target is healthy with its first success, as on AWS.
    pub(super) fn note(&mut self, outcome: Result<(), String>, checks: &Checks) {
        let passed = outcome.is_ok();
        if let Err(reason) = outcome {
            self.reason = reason;
        }
        let (turns, threshold) = match self.health {
            TargetHealth::Initial if passed => (TargetHealth::Healthy, 1),
            TargetHealth::Unhealthy if passed => (TargetHealth::Healthy, checks.healthy_threshold),
            TargetHealth::Initial | TargetHealth::Healthy if !passed => {
                (TargetHealth::Unhealthy, checks.unhealthy_threshold)
            }
            _ => {
                self.against = 0;
                return;
            }
        };
        self.against += 1;
        if self.against >= threshold {
            self.health = turns;
            self.against = 0;
        }
    }
}

/// Checks a target until it is deregistered.
pub(super) async fn watch(group: Arc<Group>, target: Arc<Target>, interval_max: Duration) {
    loop {
        let checks = group.checks();
        let outcome = match timeout(checks.timeout, check(target.address, &checks)).await {
            Ok(outcome) => outcome,
            Err(_) => Err("Request timed out".to_owned()),
        };
        target.note(outcome, &checks);
        let pause = tokio::time::sleep(checks.interval.min(interval_max));
        if target.gone.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

async fn check(target: SocketAddr, checks: &Checks) -> Result<(), String> {
    let address = SocketAddr::new(target.ip(), checks.port.unwrap_or(target.port()));
    let failed = |error: &dyn std::fmt::Display| format!("Health checks failed: {error}");
    let stream = TcpStream::connect(address).await.map_err(|error| failed(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let request = Request::get(checks.path.as_str())
        .header(header::HOST, address.to_string())
        .header(header::USER_AGENT, "ELB-HealthChecker/2.0")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(&error))?;
    let exchange = sender.send_request(request);
    // The connection may end with the answer; then the answer is there all the same.
    let answer = match future::select(pin!(exchange), pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((_, exchange)) => exchange.await,
    };
    let response = answer.map_err(|error| failed(&error))?;
    let status = response.status().as_u16();
    if checks.matcher.iter().any(|range| range.contains(&status)) {
        Ok(())
    } else {
        Err(format!("Health checks failed with these codes: [{status}]"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Checks {
        Checks {
            path: "/".to_owned(),
            port: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            matcher: vec![],
        }
    }

    fn after(outcomes: &[bool]) -> TargetHealth {
        let mut tracker = Tracker::new();
        for passed in outcomes {
            tracker.note(if *passed { Ok(()) } else { Err("no".to_owned()) }, &checks());
        }
        tracker.health
    }

    #[test]
    fn a_new_target_is_healthy_with_its_first_success() {
        assert_eq!(after(&[]), TargetHealth::Initial);
        assert_eq!(after(&[false, false]), TargetHealth::Initial);
        assert_eq!(after(&[false, false, true]), TargetHealth::Healthy);
    }

    #[test]
    fn thresholds_count_checks_in_a_row() {
        assert_eq!(after(&[true, false, false, true, false, false]), TargetHealth::Healthy);
        assert_eq!(after(&[true, false, false, false]), TargetHealth::Unhealthy);
        assert_eq!(after(&[false, false, false, true]), TargetHealth::Unhealthy);
        assert_eq!(after(&[false, false, false, true, false, true]), TargetHealth::Unhealthy);
        assert_eq!(after(&[false, false, false, true, true]), TargetHealth::Healthy);
    }

    #[test]
    fn matchers_name_statuses_and_ranges() {
        assert_eq!(matcher("200"), Some(vec![200..=200]));
        assert_eq!(matcher("200,300-399"), Some(vec![200..=200, 300..=399]));
        assert_eq!(matcher("ok"), None);
    }
}
