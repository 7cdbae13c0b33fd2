//! `ctl status`: the deployment as the control plane last saw it.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::record::{Pause, Status};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::arguments::PipelineArg;
use crate::{
    clock,
    failure::{Exit, Failure},
    output::{FormatArgs, Table, Writer, text::clean},
    target::{Global, Target},
    wording::{decision, figures, pause},
};

/// Show conditions, counts, rates and lag as the control plane last saw them
///
/// A value that nobody could read is `?`, and absent in JSON.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl status
  ctl status --pipeline orders
  ctl status --output json | jq '.conditions[] | select(.status)'")]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArg,
    #[command(flatten)]
    format: FormatArgs,
}

/// The stored status, how old it is, and the pause that stands now: the status knows of one only after a tick.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Document<'a> {
    /// How long ago the control plane last finished a tick, by the clock of this machine.
    pub(super) heartbeat_age_ms: i64,
    #[serde(flatten)]
    pub(super) status: &'a Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pause: Option<&'a Pause>,
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let (table, pipeline) = (target.control_table(), args.pipeline.resolve(&target).await?);
    let (status, pause) = tokio::try_join!(table.status(&pipeline), table.pause(&pipeline))?;
    let status = status.ok_or_else(|| {
        Failure::failed(format!("the control plane of {} has not written a status of {pipeline} yet", target.name))
            .hint("`ctl logs controlplane` shows what it does")
    })?;
    let now = clock::now();
    let pause = pause.filter(|pause| pause.is_in_force(now));
    let heartbeat_age_ms = now.as_millisecond() - status.heartbeat_at.as_millisecond();
    let document = Document { heartbeat_age_ms, status: &status, pause: pause.as_ref() };
    Writer::from(args.format).document(&document, || text(&status, pause.as_ref(), now))?;
    Ok(Exit::Done)
}

fn text(status: &Status, pause: Option<&Pause>, now: Timestamp) -> String {
    let seen = &status.observation;
    let load = &seen.load;
    let mut text = format!(
        "{}: heartbeat {} ago by {}, epoch {}, policy {}\n",
        clean(&status.pipeline),
        figures::age(now.duration_since(status.heartbeat_at)),
        clean(&status.leader),
        status.epoch,
        status.observed_generation
    );
    if let Some(pause) = pause {
        let _ = writeln!(text, "{}", clean(&pause::line(pause)));
    }
    text.push('\n');
    let state = seen.stream.status.as_ref().map_or("?", |reading| reading.value.as_str());
    let service = |service: &controlplane::observe::ServiceObservation| {
        let count = |reading: &Option<_>| figures::count(reading.as_ref());
        format!(
            "{} of {} running, {} pending, CPU {}",
            count(&service.running),
            count(&service.desired),
            count(&service.pending),
            figures::reading(service.cpu.as_ref(), now)
        )
    };
    let rows = [
        ("shards", format!("{}, {}", figures::reading(seen.stream.open_shards.as_ref(), now), clean(state))),
        ("producers", service(&seen.producer)),
        ("consumers", service(&seen.consumer)),
        ("offered", figures::flow(load.offered_records.as_ref(), load.offered_bytes.as_ref(), now)),
        ("stored", figures::flow(load.incoming_records.as_ref(), load.incoming_bytes.as_ref(), now)),
        ("throttled", figures::reading(load.throttled_records.as_ref(), now)),
        ("processed", figures::reading(load.processed_records.as_ref(), now)),
        ("lag", figures::reading(load.lag.as_ref(), now)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<10} {value}");
    }
    let mut conditions = Table::new(&["condition", "status", "since", "reason", "message"]);
    for condition in &status.conditions {
        conditions.row([
            &format!("{:?}", condition.kind),
            if condition.status { "yes" } else { "no" },
            &figures::age(now.duration_since(condition.last_transition_at)),
            &condition.reason,
            &condition.message,
        ]);
    }
    let _ = write!(text, "\n{conditions}");
    if let Some(last) = &status.last_decision {
        let age = figures::age(now.duration_since(last.at));
        let _ = write!(text, "\nlast decision, {age} ago: {}\n`ctl explain` says why", decision::headline(last));
    }
    text
}
