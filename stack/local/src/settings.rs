//! Everything that can be set: where to listen, who to be, and each service's quotas and delays.

use std::{net::SocketAddr, path::PathBuf};

/// Settings of the whole endpoint. The defaults are AWS's quotas with delays short enough to watch.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the endpoint listens. Must be a loopback address.
    pub listen: SocketAddr,
    /// The region that ARNs and answers carry.
    pub region: String,
    /// The twelve-digit account that ARNs and answers carry.
    pub account: String,
    /// Where logs of tasks and durable state are kept.
    pub directory: PathBuf,
    pub kinesis: crate::kinesis::Settings,
    pub cloudwatch: crate::cloudwatch::Settings,
    pub ecs: crate::ecs::Settings,
    pub balancer: crate::balancer::Settings,
    pub logs: crate::logs::Settings,
}

impl Settings {
    /// The defaults, keeping state below `directory`.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 4566)),
            region: "eu-central-1".to_owned(),
            account: "000000000000".to_owned(),
            directory,
            kinesis: Default::default(),
            cloudwatch: Default::default(),
            ecs: Default::default(),
            balancer: Default::default(),
            logs: Default::default(),
        }
    }
}

/// Who the endpoint says it is: what every ARN is made from.
#[derive(Debug, Clone)]
pub struct Identity {
    pub region: String,
    pub account: String,
}

impl Identity {
    /// `arn:aws:<service>:<region>:<account>:<resource>`.
    #[must_use]
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }
}
