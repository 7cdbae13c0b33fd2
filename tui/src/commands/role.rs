//! `ctl role`: the program of a task on this machine, which on AWS is an image of its own.

use std::io;

use anyhow::Result;
use clap::{Args as ClapArgs, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::localcloud::end_of_input;
use crate::failure::{Exit, Failure};

/// Run one task of the system; localcloud starts these
#[derive(Debug, ClapArgs)]
#[command(hide = true)]
pub(super) struct Args {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Takes records over HTTP and stores them in the stream
    Producer(dataplane::producer::Settings),
    /// Reads the stream and hands every record to a processor
    Consumer(dataplane::consumer::Settings),
    /// Keeps the stream and the services the right size
    Controlplane(controlplane::Settings),
}

impl Role {
    fn log(&self) -> &str {
        match self {
            Self::Producer(settings) => &settings.task.log,
            Self::Consumer(settings) => &settings.task.log,
            Self::Controlplane(settings) => &settings.log,
        }
    }

    async fn run(self, stopping: CancellationToken) -> Result<()> {
        match self {
            Self::Producer(settings) => dataplane::producer::run(settings, stopping).await?,
            Self::Consumer(settings) => dataplane::consumer::run(settings, stopping).await?,
            Self::Controlplane(settings) => controlplane::run(settings, stopping).await?,
        }
        Ok(())
    }
}

/// Runs the role until it ends or SIGTERM asks it to. When standard input ends, the localcloud that started it is gone
/// with everything that could be drained to, and the role ends at once.
pub(super) async fn run(args: Args) -> Result<Exit> {
    log(args.role.log())?;
    let stopping = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let asked = stopping.clone();
    tokio::spawn(async move {
        terminate.recv().await;
        asked.cancel();
    });
    tokio::select! {
        ended = args.role.run(stopping) => ended.map(|()| Exit::Done),
        () = end_of_input() => Err(Failure::failed("localcloud is gone").into()),
    }
}

/// JSON lines on standard error: standard output belongs to the processor.
fn log(filter: &str) -> Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| Failure::usage(format!("WEIR_LOG: {error}")))?;
    let log = tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::stderr).with_env_filter(filter);
    log.try_init().map_err(|error| Failure::failed(format!("cannot log: {error}")))?;
    Ok(())
}
