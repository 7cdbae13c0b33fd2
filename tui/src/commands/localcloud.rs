//! `ctl localcloud`: the AWS endpoint for this machine, in the foreground.

use std::{
    io::{self, IsTerminal},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result};
use clap::Args as ClapArgs;
use localcloud::{LocalCloud, Settings};
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};
use tracing_subscriber::EnvFilter;

use crate::{
    failure::{Exit, Failure},
    local::{Lock, Record, StateDirectory},
    output::{FormatArgs, Writer},
    target::{Global, LOCAL_REGION},
};

/// Whoever looks whether something runs holds the lock for a moment: try again for this long.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How long tasks may take to end. What they could still drain is in this process's memory and ends with it.
const TASKS_STOP: Duration = Duration::from_secs(2);
const LOCK_LOOK: Duration = Duration::from_millis(20);

/// Run only the AWS endpoint of this machine, in the foreground
///
/// It answers Kinesis, DynamoDB, ECS, CloudWatch, CloudWatch Logs, ECR, CloudFormation, Elastic Load Balancing, STS and
/// tagging calls of the AWS SDKs and CLI on a loopback address, and runs ECS tasks as processes.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl localcloud
  AWS_ENDPOINT_URL=http://127.0.0.1:4566 aws kinesis list-streams")]
pub(super) struct Args {
    /// Loopback address of the endpoint
    #[arg(long, default_value = "127.0.0.1:4566", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Loopback address of the load balancer that takes records
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    ingest: SocketAddr,
    /// Where state and logs are kept [default: the user's state directory]
    #[arg(long, value_name = "DIRECTORY")]
    state_dir: Option<PathBuf>,
    /// Stop when standard input ends: whoever started it is gone
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    /// Leave the session of whoever started it
    #[arg(long, hide = true)]
    own_session: bool,
    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    log()?;
    if args.own_session {
        nix::unistd::setsid().context("cannot leave the session")?;
    }
    let state = match &args.state_dir {
        Some(path) => StateDirectory::at(path.clone()),
        None => StateDirectory::of(&global.name)?,
    };
    let _lock = lock(&state, global).await?;
    let cloud = LocalCloud::start(settings(&args, global, &state)).await?;
    let record = Record::new(global.name.clone(), cloud.endpoint_url().to_owned(), region(global));
    state.write(&record)?;
    Writer::from(args.format).document(&record, || text(&record, &state))?;
    let stopped = stopped(args.until_stdin_closes).await;
    tracing::info!(reason = stopped, "stopping");
    state.forget();
    cloud.stop().await;
    Ok(Exit::Done)
}

fn settings(args: &Args, global: &Global, state: &StateDirectory) -> Settings {
    let mut settings = Settings::new(state.path().to_owned());
    settings.listen = args.listen;
    settings.region = region(global);
    settings.balancer.listen = args.ingest;
    settings.ecs.shutdown_time_max = TASKS_STOP;
    settings
}

fn region(global: &Global) -> String {
    global.region.clone().unwrap_or_else(|| LOCAL_REGION.to_owned())
}

fn text(record: &Record, state: &StateDirectory) -> String {
    let Record { endpoint_url, region, .. } = record;
    format!(
        "localcloud answers at {endpoint_url} as {region}\nstate and logs are in {}\nuse it with:\n  export \
         AWS_ENDPOINT_URL={endpoint_url} AWS_REGION={region} AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local",
        state.path().display()
    )
}

async fn lock(state: &StateDirectory, global: &Global) -> Result<Lock> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        if let Some(lock) = state.lock()? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            return Err(Failure::failed(format!("{} is already running", global.name))
                .hint("`ctl down` stops it, --name starts another one beside it")
                .into());
        }
        sleep(LOCK_LOOK).await;
    }
}

/// Waits for a reason to stop and names it.
async fn stopped(until_stdin_closes: bool) -> &'static str {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return "cannot listen for signals";
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = end_of_input(), if until_stdin_closes => "standard input closed",
    }
}

/// Waits until standard input ends.
pub(super) async fn end_of_input() {
    let mut input = tokio::io::stdin();
    let mut ignored = [0; 64];
    while input.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

/// Logs to standard error: `WEIR_LOG` filters.
fn log() -> Result<()> {
    let filter = EnvFilter::try_new(std::env::var("WEIR_LOG").as_deref().unwrap_or("info"))
        .map_err(|error| Failure::usage(format!("WEIR_LOG: {error}")))?;
    let log = tracing_subscriber::fmt().with_writer(io::stderr).with_ansi(io::stderr().is_terminal());
    log.with_env_filter(filter).try_init().map_err(|error| Failure::failed(format!("cannot log: {error}")))?;
    Ok(())
}
