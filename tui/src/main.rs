//! `ctl`: everything a person does with Weir, from one machine's whole system to a teardown that leaves nothing behind.

mod app;
mod clock;
mod commands;
mod failure;
mod interrupt;
mod load;
mod local;
mod output;
mod person;
mod stream;
mod target;
mod wording;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

/// How long blocking reads of standard input may hold up the end of the process.
const RUNTIME_SHUTDOWN: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::failed(&anyhow::Error::new(error).context("cannot start the runtime")).into(),
    };
    let exit = match runtime.block_on(cli.run()) {
        Ok(exit) => exit,
        Err(error) => output::failed(&error),
    };
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN);
    exit.into()
}
