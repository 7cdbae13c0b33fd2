//! `ctl logs`: what the tasks of a service print.

use std::{
    collections::{BTreeMap, HashSet},
    io::{self, Write},
    time::Duration,
};

use anyhow::Result;
use aws_sdk_cloudwatchlogs::{Client, types::FilteredLogEvent};
use clap::{Args as ClapArgs, ValueEnum};
use stack::Role;

use super::tail::From;
use crate::{
    clock,
    failure::{Exit, Failure},
    target::{Global, Target},
};

/// How often new lines are asked for. FilterLogEvents has a quota of 5 calls a second and account.
const PERIOD: Duration = Duration::from_secs(1);
/// How far back is read again: lines come in out of order, and late.
const OVERLAP_MS: i64 = 10_000;

/// Print the lines of a service's tasks as they are
///
/// `consumer` prints what the processor writes to standard output; --all adds the tasks' own log lines.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl logs consumer --no-follow | wc -l
  ctl logs controlplane --from now")]
pub(super) struct Args {
    /// Whose lines
    service: Service,
    /// Where to begin
    #[arg(long, value_enum, default_value = "start", value_name = "WHERE")]
    from: From,
    /// Stop at the end instead of waiting for more
    #[arg(long)]
    no_follow: bool,
    /// Print the consumers' own log lines too
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Service {
    Producer,
    Consumer,
    Controlplane,
}

impl Service {
    fn role(self) -> Role {
        match self {
            Self::Producer => Role::Producer,
            Self::Consumer => Role::Consumer,
            Self::Controlplane => Role::ControlPlane,
        }
    }
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let group = format!("{}{}", target.name.log_group_prefix(), args.service.role());
    let processor_only = args.service == Service::Consumer && !args.all;
    let begin = match args.from {
        From::Start => 0,
        From::Now => clock::now().as_millisecond(),
    };
    let mut reader = Reader {
        client: Client::new(&target.sdk),
        group,
        floor_ms: begin,
        since_ms: begin,
        printed: Printed::default(),
    };
    loop {
        reader.print_new(|line| !processor_only || !is_own_log(line)).await?;
        if args.no_follow {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// A line of Weir's own log, as its tasks write it to standard error: CloudWatch keeps both outputs in one stream.
fn is_own_log(line: &str) -> bool {
    line.starts_with(r#"{"timestamp":""#) && line.contains(r#","level":""#)
}

struct Reader {
    client: Client,
    group: String,
    /// Nothing older is read.
    floor_ms: i64,
    /// The newest line that was seen.
    since_ms: i64,
    printed: Printed,
}

impl Reader {
    /// Prints what has come since the last time.
    async fn print_new(&mut self, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let start = (self.since_ms - OVERLAP_MS).max(self.floor_ms);
        let request = self.client.filter_log_events().log_group_name(&self.group).start_time(start);
        let mut pages = request.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.explain(error))?;
            let mut out = io::stdout().lock();
            for event in page.events() {
                let line = event.message().unwrap_or_default();
                if self.printed.is_new(event) && wanted(line) {
                    out.write_all(line.as_bytes())?;
                    out.write_all(b"\n")?;
                }
                self.since_ms = self.since_ms.max(event.timestamp().unwrap_or_default());
            }
            out.flush()?;
            self.printed.forget_before(self.since_ms - OVERLAP_MS);
        }
        Ok(())
    }

    fn explain<E>(&self, error: E) -> anyhow::Error
    where
        E: Into<aws_sdk_cloudwatchlogs::Error>,
    {
        match error.into() {
            aws_sdk_cloudwatchlogs::Error::ResourceNotFoundException(_) => {
                Failure::failed(format!("there is no log group {}", self.group))
                    .hint("`ctl up` starts a deployment; --name says which one")
                    .into()
            }
            error => anyhow::Error::new(error).context("cannot read the log"),
        }
    }
}

/// Which lines were printed, as far back as they may be read again.
#[derive(Default)]
struct Printed {
    ids: HashSet<String>,
    by_time: BTreeMap<i64, Vec<String>>,
}

impl Printed {
    fn is_new(&mut self, event: &FilteredLogEvent) -> bool {
        let id = event.event_id().unwrap_or_default().to_owned();
        let new = self.ids.insert(id.clone());
        if new {
            self.by_time.entry(event.timestamp().unwrap_or_default()).or_default().push(id);
        }
        new
    }

    fn forget_before(&mut self, floor_ms: i64) {
        let kept = self.by_time.split_off(&floor_ms);
        for id in std::mem::replace(&mut self.by_time, kept).into_values().flatten() {
            self.ids.remove(&id);
        }
    }
}
