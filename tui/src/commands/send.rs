//! `ctl send`: posts records, at a rate, from a file, or as a trace says.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{ArgGroup, Args as ClapArgs};
use serde::Serialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::arguments::duration;
use crate::{
    failure::{Exit, Failure},
    interrupt::interrupted,
    load::{self, Client, Plan, Records, Schedule, Tally, trace},
    output::{FormatArgs, Progress, Writer},
    target::{Global, Target},
};

/// How often the progress line changes.
const SHOW: Duration = Duration::from_millis(250);

/// Post records to the deployment and count what was stored
///
/// A record counts as stored when it was answered with 200, which means that Kinesis has it. What cannot be taken now
/// (429, 502, 503, 504, no connection) is tried again for a minute. The exit code is 1 if anything was not stored.
#[derive(Debug, ClapArgs)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["file", "rate", "trace"]), after_help = "Examples:
  ctl send --file /var/log/syslog
  ctl send --rate 6000 --size 500 --for 180s
  ctl send --trace requests.csv --speed 60
  journalctl -o cat | ctl send --file -")]
pub(super) struct Args {
    /// Send each line of a file (- for standard input) as a record, without its line break (\n or \r\n)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Records per second; a file without it is sent as fast as it is taken
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Bytes of each generated record
    #[arg(long, default_value_t = 100, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(1..=1_000_000), conflicts_with = "file")]
    size: u32,
    /// How long to send, for example 180s or 5m; without it until interrupted
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, requires = "rate")]
    length: Option<Duration>,
    /// Follow a CSV file: a time and the number of records of the period that begins then
    #[arg(long, value_name = "FILE", conflicts_with = "rate")]
    trace: Option<PathBuf>,
    /// Replay the trace this many times as fast
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = positive, requires = "trace")]
    speed: f64,
    /// Where to post [default: the deployment's own URL]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Bearer token to send with, where producers take records from known senders only
    #[arg(long, env = "WEIR_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// The most requests in flight
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    concurrency: u16,
    /// The most records in one request; 1 posts each alone
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=500))]
    batch: u16,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Summary {
    version: u32,
    #[serde(flatten)]
    tally: Tally,
    seconds: f64,
    records_per_second: f64,
    url: String,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let plan = Plan { schedule: schedule(&args)?, concurrency: args.concurrency.into(), batch: args.batch.into() };
    let records = match &args.file {
        Some(file) => Records::of_file(file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?,
        None => Records::generated(args.size as usize),
    };
    let mut client = Client::new(&url(&args, global).await?)?;
    if let Some(token) = &args.token {
        client = client.with_token(token)?;
    }
    let stopping = CancellationToken::new();
    let asked = stopping.clone();
    tokio::spawn(async move {
        interrupted().await;
        asked.cancel();
    });
    let started = Instant::now();
    let tally = send(&client, records, &plan, &stopping, started).await?;
    let seconds = Instant::now().duration_since(started).as_secs_f64();
    let summary = Summary {
        version: 1,
        seconds,
        records_per_second: tally.stored as f64 / seconds.max(f64::EPSILON),
        url: client.url().to_owned(),
        tally,
    };
    Writer::from(args.format).document(&summary, || text(&summary))?;
    Ok(if summary.tally.failed == 0 { Exit::Done } else { Exit::Failed })
}

async fn send(
    client: &Client,
    records: Records,
    plan: &Plan,
    stopping: &CancellationToken,
    started: Instant,
) -> Result<Tally> {
    let progress = Progress::start();
    let mut shown = started;
    load::send(client, records, plan, stopping, |tally| {
        let now = Instant::now();
        if now.duration_since(shown) >= SHOW {
            shown = now;
            let rate = tally.stored as f64 / now.duration_since(started).as_secs_f64();
            let Tally { sent, stored, failed, retried, .. } = tally;
            progress.figure(format!("{sent} sent, {stored} stored ({rate:.0}/s), {failed} failed, {retried} retried"));
        }
    })
    .await
}

fn schedule(args: &Args) -> Result<Schedule> {
    if let Some(file) = &args.trace {
        let text = std::fs::read_to_string(file)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
        return trace::parse(&text, args.speed).map_err(|error| {
            let hint = "a trace is CSV: a header, then `2026-01-31 12:00:00,42` a line";
            Failure::usage(format!("{}: {error}", file.display())).hint(hint).into()
        });
    }
    Ok(args.rate.map_or(Schedule::Immediate, |per_second| Schedule::Constant { per_second, length: args.length }))
}

/// Where to post: as asked, as recorded on this machine, else as the stack says.
async fn url(args: &Args, global: &Global) -> Result<String> {
    if let Some(url) = &args.url {
        return Ok(url.clone());
    }
    let target = Target::resolve(global).await?;
    if let Some(url) = target.ingest_url() {
        return Ok(url);
    }
    let outputs = stack::deploy::describe(&target.clients(), &target.name).await?;
    outputs.map(|outputs| outputs.ingest_url).ok_or_else(|| {
        Failure::failed(format!("there is no deployment {}", target.name))
            .hint("`ctl up` starts one; --url posts anywhere")
            .into()
    })
}

fn text(summary: &Summary) -> String {
    let Tally { sent, stored, failed, retried, bytes, last_error } = &summary.tally;
    let error = last_error.as_ref().map(|error| format!("\nlast error: {error}")).unwrap_or_default();
    format!(
        "{sent} sent, {stored} stored, {failed} failed, {retried} requests retried\n{:.1} s, {:.0} records/s, {:.2} \
         MiB/s{error}",
        summary.seconds,
        summary.records_per_second,
        *bytes as f64 / 1_048_576.0 / summary.seconds.max(f64::EPSILON),
    )
}

fn positive(text: &str) -> Result<f64, String> {
    let value: Option<f64> = text.parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    value.ok_or_else(|| "expected a number above zero".to_owned())
}
