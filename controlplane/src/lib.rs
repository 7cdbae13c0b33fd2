//! The control plane of Weir: observe ▸ decide ▸ record ▸ act, for as long as it leads.
//!
//! [`run`] is the shell: it reads clocks, talks to AWS and keeps the memory between ticks. Everything that is decided is
//! decided in [`decide`], which is pure.

pub mod decide;
pub mod limits;
pub mod observe;
pub mod policy;
pub mod record;
pub mod simulate;
pub mod units;

mod act;
mod admin;
mod aws;
mod chain;
mod clock;
mod pipeline;
mod pipelines;
mod policy_in_force;
mod reconcile;
mod settings;
mod telemetry;

pub use settings::Settings;

use std::{net::SocketAddr, sync::Arc};

use aws_config::SdkConfig;
use tokio::{net::TcpListener, sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use admin::Admin;
use aws::Clients;
use clock::Clock;
use observe::Account;
use pipelines::Pipelines;
use record::{Candidate, Table};
use telemetry::Telemetry;

/// Why the control plane ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// Runs the control plane until `stopping` is cancelled, then gives the lead to whoever waits for it. Credentials, region
/// and endpoint come from the environment.
///
/// # Errors
/// When it cannot listen. Trouble with AWS is not an error: it shows in the status and is tried again.
pub async fn run(settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let config = aws::environment().await;
    run_with(&config, settings, stopping).await
}

/// As [`run`], with a configuration of the caller's.
///
/// # Errors
/// When it cannot listen.
pub async fn run_with(config: &SdkConfig, settings: Settings, stopping: CancellationToken) -> Result<(), Error> {
    let address = SocketAddr::new(settings.bind, settings.admin_port);
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let telemetry = Arc::new(Telemetry::new());
    let clients = Clients::new(config, &telemetry.calls);
    let table = Table::new(clients.dynamodb.clone(), &settings.control_table);
    let (announce, leads) = watch::channel(None);
    let admin =
        Admin { telemetry: telemetry.clone(), leads: leads.clone(), tick: settings.tick, started: Instant::now() };
    let cloudwatch = clients.cloudwatch.clone();
    let pipelines = Pipelines {
        account: Account::new(&clients),
        table: table.clone(),
        telemetry: telemetry.clone(),
        clock: Clock::start(),
        settings: settings.clone(),
        clients,
        leads,
    };
    let holder = format!("{}-{}", settings.deployment, Uuid::new_v4());
    let candidate = Candidate::new(table, holder, settings.lease);
    tracing::info!(deployment = settings.deployment, stream = settings.stream, tick = ?settings.tick, "started");

    // The lead is released only after every turn has ended: until then nobody else may act.
    let resigning = CancellationToken::new();
    let campaign = candidate.campaign(announce, resigning.clone());
    let driving = pipelines.drive(stopping.clone());
    let publishing = telemetry::publish(telemetry, cloudwatch, settings.deployment, stopping.clone());
    let serving = admin::serve(listener, admin, stopping.clone());
    tokio::join!(
        Box::pin(serving),
        Box::pin(async move {
            driving.await;
            resigning.cancel();
        }),
        Box::pin(campaign),
        Box::pin(publishing),
    );
    tracing::info!("stopped");
    Ok(())
}
