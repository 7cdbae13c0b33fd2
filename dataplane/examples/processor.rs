//! A consumer with a processor of its own: counts the records of each partition key and prints the counts.
//!
//!     ctl up --detach
//!     WEIR_STREAM=weir WEIR_APPLICATION=counter WEIR_CREATE_LEASE_TABLE=true WEIR_ADMIN_PORT=0 \
//!         AWS_ENDPOINT_URL=http://127.0.0.1:4566 cargo run --example processor

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

use aws_config::BehaviorVersion;
use clap::Parser;
use dataplane::{
    consumer::{self, Consumer, Failure, Processor, Record},
    process,
};
use futures::{FutureExt, future::BoxFuture};

/// Counts records.
#[derive(Default)]
struct Counter(Mutex<BTreeMap<String, u64>>);

impl Processor for Counter {
    fn process<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            for record in records {
                let key = std::str::from_utf8(record.partition_key.as_bytes()).map_err(Failure::rejected)?;
                let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(key.to_owned()).or_default();
                *count += 1;
                println!("{key}: {count}");
            }
            Ok(())
        }
        .boxed()
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    settings: consumer::Settings,
}

fn main() -> ExitCode {
    let settings = match process::parse::<Cli>() {
        Ok(Cli { settings }) => settings,
        Err(usage) => return usage,
    };
    process::run(&settings.task.log.clone(), |stopping| async {
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12()).load().await;
        Consumer::with_processor(settings, config, Counter::default()).await?.run(stopping).await;
        Ok(())
    })
}
