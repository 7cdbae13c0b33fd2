//! The producer service: HTTP in, Kinesis records out.

use std::process::ExitCode;

use clap::Parser;
use dataplane::{process, producer};

/// Takes records over HTTP and stores them in a Kinesis stream.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: producer::Settings,
}

fn main() -> ExitCode {
    match process::parse::<Cli>() {
        Ok(Cli { settings }) => process::run(&settings.task.log.clone(), |stopping| producer::run(settings, stopping)),
        Err(usage) => usage,
    }
}
