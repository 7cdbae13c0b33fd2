//! The consumer service: Kinesis records in, a processor out.

use std::process::ExitCode;

use clap::Parser;
use dataplane::{consumer, process};

/// Reads a Kinesis stream together with the other workers of its application and hands every record to a processor.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    settings: consumer::Settings,
}

fn main() -> ExitCode {
    match process::parse::<Cli>() {
        Ok(Cli { settings }) => process::run(&settings.task.log.clone(), |stopping| consumer::run(settings, stopping)),
        Err(usage) => usage,
    }
}
