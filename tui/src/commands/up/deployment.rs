//! What a start has in common wherever it goes: deploy the stack, put a policy in force, wait until it is steered.

use std::time::Duration;

use anyhow::{Context, Result};
use stack::{
    Progress as Reports,
    deploy::{self, DeployError, Outputs, Request},
};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::policy::{self, WrittenPolicy};
use crate::{
    failure::{Exit, Failure},
    load::Client,
    output::{self, Progress},
    target::Target,
    wording::operation,
};

/// How long a deployed system may take until it accepts records, and until it is steered.
const READY: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// Brings the stack to what is asked for and puts the policy in force.
pub(super) async fn deploy(
    target: &Target,
    request: &Request,
    policy: Option<&WrittenPolicy>,
    progress: &Progress,
    cancel: &CancellationToken,
) -> Result<Outputs> {
    let (reports, mut events) = Reports::channel();
    let clients = target.clients();
    let deploying = async {
        let outputs = deploy::deploy(&clients, request, &reports, cancel).await;
        drop(reports);
        outputs
    };
    let showing = async {
        while let Some(event) = events.recv().await {
            progress.figure(operation::line(&event).text);
        }
    };
    let (outputs, ()) = tokio::join!(deploying, showing);
    let outputs = outputs.map_err(|error| failure(&error))?;
    if let Some(policy) = policy {
        policy::put(target, policy).await.context("cannot put the policy in force")?;
    }
    Ok(outputs)
}

fn failure(error: &DeployError) -> Failure {
    let exit = if error.is_resumable() { Exit::Interrupted } else { Exit::Failed };
    let failure = Failure::new(exit, output::chain(error));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Waits until the control plane steers and, as everything is on this machine, records are taken.
pub(super) async fn ready(target: &Target, outputs: &Outputs) -> Result<()> {
    let client = Client::new(&outputs.ingest_url)?;
    until("no producer takes records", "producer", async || Ok(client.is_healthy().await)).await?;
    steered(target).await
}

/// Waits for the control plane's first status.
pub(super) async fn steered(target: &Target) -> Result<()> {
    let table = target.control_table();
    until("no control plane steers", "controlplane", async || Ok(table.status(target.name.as_str()).await?.is_some()))
        .await
}

async fn until(missing: &str, service: &str, is_there: impl AsyncFn() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + READY;
    while !is_there().await? {
        if Instant::now() >= deadline {
            let late = Failure::failed(format!("not ready after {} s: {missing}", READY.as_secs()));
            return Err(late.hint(format!("`ctl logs {service}` says why")).into());
        }
        sleep(LOOK).await;
    }
    Ok(())
}
