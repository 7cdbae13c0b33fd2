//! A control plane in this process.

use std::time::Duration;

use aws_config::SdkConfig;
use controlplane::{Settings, record::Lease};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::common::CONTROL_TABLE;

pub(crate) struct Controlplane {
    stopping: CancellationToken,
    running: JoinHandle<Result<(), controlplane::Error>>,
}

impl Controlplane {
    /// Starts the control plane of deployment `weir`.
    pub(crate) fn start(config: SdkConfig, tick: Duration) -> Self {
        Self::at(config, tick, 0)
    }

    /// The same with an admin port, which is that of the tasks too.
    pub(crate) fn at(config: SdkConfig, tick: Duration, admin_port: u16) -> Self {
        let settings = Settings {
            deployment: "weir".into(),
            stream: "weir".into(),
            application: "weir-consumer".into(),
            control_table: CONTROL_TABLE.into(),
            cluster: "weir".into(),
            producer_service: "weir-producer".into(),
            consumer_service: "weir-consumer".into(),
            tick,
            lease: Lease::default(),
            bind: [127, 0, 0, 1].into(),
            admin_port,
            log: "info".into(),
        };
        let stopping = CancellationToken::new();
        let stop = stopping.clone();
        let running = tokio::spawn(async move { controlplane::run_with(&config, settings, stop).await });
        Self { stopping, running }
    }

    pub(crate) async fn stop(self) {
        self.stopping.cancel();
        self.running.await.unwrap().unwrap();
    }
}
