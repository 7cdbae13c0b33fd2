//! What the `main` of both services shares: arguments, logging, signals and exit codes.

use std::{future::Future, io, process::ExitCode};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::Error;

/// `EX_USAGE` of sysexits.h: the settings are wrong, so a restart with the same ones is useless.
pub const USAGE: u8 = 64;

/// Parses arguments and environment. `--help` and `--version` print and succeed; a mistake prints and is [`USAGE`].
///
/// # Errors
/// The exit code to end with, when there is nothing to run.
pub fn parse<C: clap::Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|stop| {
        // A closed terminal leaves nobody to tell.
        let _ = stop.print();
        if stop.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
    })
}

/// Runs a role on its own runtime until it ends by itself or after SIGTERM or SIGINT, and says how it ended.
pub fn run<F>(log: &str, role: impl FnOnce(CancellationToken) -> F) -> ExitCode
where
    F: Future<Output = Result<(), Error>>,
{
    let started = start_logging(log).and_then(|()| {
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| error.to_string())
    });
    let runtime = match started {
        Ok(runtime) => runtime,
        Err(problem) => {
            tracing::error!(%problem, "cannot start");
            return ExitCode::from(USAGE);
        }
    };
    let stopping = CancellationToken::new();
    let ended = runtime.block_on(async {
        tokio::spawn(cancel_on_signal(stopping.clone()));
        role(stopping).await
    });
    // Standard output may be a pipe that nobody reads: do not wait for a blocked write.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = chain(&error), "ended");
            ExitCode::from(error.exit_code())
        }
    }
}

/// JSON lines on standard error, where no processor writes.
fn start_logging(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("WEIR_LOG: {error}"));
    let (filter, problem) = match filter {
        Ok(filter) => (filter, None),
        Err(problem) => (EnvFilter::new("info"), Some(problem)),
    };
    let subscriber =
        tracing_subscriber::fmt().json().flatten_event(true).with_writer(io::stderr).with_env_filter(filter);
    // A process that embeds several roles has set its subscriber before.
    let _ = subscriber.try_init();
    problem.map_or(Ok(()), Err)
}

async fn cancel_on_signal(stopping: CancellationToken) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("cannot listen for signals: the task can only be killed");
        return;
    };
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal = name, "stopping");
    stopping.cancel();
}

/// An error with its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
