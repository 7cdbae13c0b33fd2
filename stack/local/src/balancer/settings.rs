//! What can be set about balancing.

use std::{net::SocketAddr, time::Duration};

/// Where the balancer listens, and its delays and bounds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the first load balancer listens, whatever port its listener names: 80 is not for everyone. Port 0 takes any
    /// free one; so do further load balancers.
    pub listen: SocketAddr,
    /// The longest pause between two health checks, so that a new task gets requests soon. AWS's least is 5 s.
    pub health_check_interval_max: Duration,
    /// The longest that a deregistered target may finish open requests. AWS's default is 300 s, too long for a restart
    /// on a laptop.
    pub deregistration_delay_max: Duration,
    /// How long a connection may be silent, towards the client as towards the target (`idle_timeout.timeout_seconds` of
    /// an Application Load Balancer).
    pub idle_timeout: Duration,
    /// How long connecting to a target may take (an Application Load Balancer waits 10 s; this is loopback).
    pub connect_timeout: Duration,
    /// How many client connections are open at once; more wait to be accepted. Each may need one to a target, and 1,024
    /// open files are what a process usually may have.
    pub connections_max: usize,
    /// How often metrics are published.
    pub publish_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            health_check_interval_max: Duration::from_secs(1),
            deregistration_delay_max: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(2),
            connections_max: 480,
            publish_interval: Duration::from_secs(5),
        }
    }
}
