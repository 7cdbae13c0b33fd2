//! Stopping the localcloud of a deployment, and with it everything that it started.

use std::time::Duration;

use anyhow::Result;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::{Instant, sleep};

use super::StateDirectory;
use crate::failure::Failure;

/// How long localcloud may take to stop its tasks, which drain for at most 25 s (`WEIR_STOP_TIMEOUT`).
const TERM_PATIENCE: Duration = Duration::from_secs(35);
/// How long the kernel may take to end a killed process.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

/// What stopping found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It ran and is gone.
    Now,
    /// Nothing ran.
    Before,
}

/// Stops what runs: SIGTERM, patience, then SIGKILL. Only the process that holds the lock is signalled.
pub(crate) async fn stop(state: &StateDirectory) -> Result<Stopped> {
    let Some(record) = state.running()? else {
        if state.is_locked()? {
            return Err(Failure::failed("it is just starting").hint("try again in a few seconds").into());
        }
        state.forget();
        return Ok(Stopped::Before);
    };
    for (signal, patience) in [(Signal::SIGTERM, TERM_PATIENCE), (Signal::SIGKILL, KILL_PATIENCE)] {
        match kill(Pid::from_raw(record.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(Failure::failed(format!("cannot stop process {}: {error}", record.pid)).into()),
        }
        if released(state, patience).await? {
            state.forget();
            return Ok(Stopped::Now);
        }
    }
    Err(Failure::failed(format!("process {} does not end", record.pid)).into())
}

/// Waits until nobody holds the lock.
async fn released(state: &StateDirectory, patience: Duration) -> Result<bool> {
    let deadline = Instant::now() + patience;
    while state.is_locked()? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(LOOK).await;
    }
    Ok(true)
}
