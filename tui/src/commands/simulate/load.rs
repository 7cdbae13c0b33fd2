//! The load of a simulation: a file, a stream's past, or a pure form.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::simulate::{
    Demand, Skew,
    trace::{Added, Gaps, Scale, Shape, Trace, add},
};

use jiff::{Span, SpanRelativeTo};

use super::history;
use crate::{failure::Failure, target::Global};

/// A length of time that may have days, of 24 hours.
fn past(text: &str) -> Result<Duration, String> {
    let span: Option<Span> = text.parse().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let length = length.and_then(|length| Duration::try_from(length).ok()).filter(|length| !length.is_zero());
    length.ok_or_else(|| "expected a duration above zero, such as 12h or 14d".to_owned())
}

/// Minutes of a day.
const DAY: usize = 24 * 60;

/// Where the load comes from.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::commands) struct LoadArgs {
    #[command(flatten)]
    source: Source,
    /// How far back a stream's past is read; CloudWatch keeps minutes for 15 days and longer periods for longer
    #[arg(long, value_name = "TIME", value_parser = past, default_value = "14d", requires = "from_stream")]
    since: Duration,
    /// How a trace's records become shards: peak=12shards says that its 99.95th percentile minute fills 12
    #[arg(long, value_name = "SCALE", default_value = "peak=12shards", conflicts_with = "from_stream")]
    scale: Scale,
    /// Only so many days from the beginning
    #[arg(long, value_name = "N")]
    days: Option<u32>,
}

#[derive(Debug, Clone, ClapArgs)]
#[group(required = true, multiple = false)]
struct Source {
    /// A trace as CSV; given several times, their sum, in which each has a part of the hash keys for itself
    #[arg(long, value_name = "FILE")]
    trace: Vec<PathBuf>,
    /// A synthetic load: square, step, sine, flash-crowd, ramp, noise
    #[arg(long, value_name = "NAME")]
    shape: Option<Shape>,
    /// The past of a stream in CloudWatch
    #[arg(long, value_name = "STREAM")]
    from_stream: Option<String>,
}

/// A load with what it is called.
#[derive(Debug, Clone)]
pub(in crate::commands) struct Load {
    pub(in crate::commands) name: String,
    pub(super) demand: Demand,
    /// How it spreads over the hash keys, where that follows from the load.
    pub(super) skew: Skew,
    /// How the load was scaled, for people.
    pub(super) scale: String,
    /// Size of a Kinesis record in bytes, where it is known.
    pub(super) record_bytes: Option<f64>,
    /// Shards that the stream has, where it is a real one.
    pub(super) shards: Option<u32>,
}

impl Load {
    pub(in crate::commands) fn minutes(&self) -> usize {
        self.demand.shards.len()
    }
}

pub(in crate::commands) async fn read(args: &LoadArgs, global: &Global) -> Result<Load> {
    let Source { trace, shape, from_stream } = &args.source;
    let mut load = match (trace.as_slice(), shape, from_stream) {
        ([file], _, _) => {
            let (name, trace) = from_file(file)?;
            scaled(name, &trace, args.scale)
        }
        ([_, ..], _, _) => sum(trace, args.scale)?,
        ([], Some(shape), _) => {
            let minutes = args.days.unwrap_or(2).max(1) as usize * DAY;
            scaled(shape.to_string(), &shape.trace(minutes, 1), args.scale)
        }
        ([], None, Some(stream)) => history::read(global, stream, args.since).await?,
        ([], None, None) => {
            return Err(Failure::usage("there is no load: use --trace, --shape or --from-stream").into());
        }
    };
    if let Some(days) = args.days {
        load.demand.shards.truncate(days as usize * DAY);
        load.demand.known.truncate(days as usize * DAY);
    }
    if load.demand.shards.is_empty() {
        return Err(Failure::usage(format!("{} has no minute of load", load.name)).into());
    }
    Ok(load)
}

/// The sum of several traces.
fn sum(files: &[PathBuf], scale: Scale) -> Result<Load> {
    let traces: Vec<_> = files.iter().map(|file| from_file(file)).collect::<Result<_>>()?;
    let (names, traces): (Vec<_>, Vec<_>) = traces.into_iter().unzip();
    let Added { trace, shares } = add(&traces)
        .ok_or_else(|| Failure::usage("there is no time that all of the traces tell of, so there is no sum"))?;
    Ok(Load { skew: Skew::Parts(shares.into()), ..scaled(names.join(" + "), &trace, scale) })
}

/// A trace and what it is called.
fn from_file(file: &Path) -> Result<(String, Trace)> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    let trace = Trace::parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let name = file.file_stem().map_or_else(|| file.display().to_string(), |stem| stem.to_string_lossy().into_owned());
    Ok((name, trace))
}

fn scaled(name: String, trace: &Trace, scale: Scale) -> Load {
    let shown = match scale {
        Scale::Peak(shards) => format!("its 99.95th percentile minute fills {shards}"),
        Scale::Records { bytes_per_record } => format!("records of {bytes_per_record} bytes"),
    };
    let demand = trace.demand(scale, Gaps::default());
    Load { name, demand, skew: Skew::default(), scale: shown, record_bytes: None, shards: None }
}
