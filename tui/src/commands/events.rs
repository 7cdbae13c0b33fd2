//! `ctl events`: what happened to a pipeline, and when.

use anyhow::Result;
use clap::Args as ClapArgs;
use controlplane::{
    decide::{Action, ActionResult, Decision},
    record::Event,
};
use jiff::Timestamp;
use serde::Serialize;

use super::arguments::PipelineArg;
use crate::{
    failure::Exit,
    output::{FormatArgs, Table, Writer},
    target::{Global, Target},
};

/// Show what happened: conditions that began or ended, and the calls that were made to AWS
///
/// Events are kept for 30 days. `ctl explain` says why a call was made.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  ctl events
  ctl events --last 100 --pipeline orders
  ctl events --output jsonl | jq -c 'select(.condition == \"Degraded\")'")]
pub(super) struct Args {
    /// How many events, counted from the newest
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    last: u16,
    #[command(flatten)]
    pipeline: PipelineArg,
    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Document<'a> {
    version: u32,
    /// The newest last, as it happened.
    events: &'a [Entry],
}

/// One event of either kind.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Entry {
    Condition(Event),
    Action {
        at: Timestamp,
        decision: String,
        epoch: u64,
        #[serde(flatten)]
        action: Action,
        #[serde(flatten)]
        result: ActionResult,
    },
}

impl Entry {
    fn at(&self) -> Timestamp {
        match self {
            Self::Condition(event) => event.at,
            Self::Action { at, .. } => *at,
        }
    }

    fn row(&self) -> [String; 3] {
        let (what, message) = match self {
            Self::Condition(event) => {
                let begins = if event.status { "begins" } else { "ends" };
                (format!("{:?} {begins}", event.condition), format!("{}: {}", event.reason, event.message))
            }
            Self::Action { action, result, .. } => {
                let what = match result {
                    ActionResult::Done => "done".to_owned(),
                    ActionResult::Refused { code, message } => format!("refused with {code}: {message}"),
                    ActionResult::Unknown { message } => format!("no answer: {message}"),
                    ActionResult::Skipped { reason } => format!("not called: {reason}"),
                };
                ("Call".to_owned(), format!("{action}, {what}"))
            }
        };
        [format!("{:.0}", self.at()), what, message]
    }
}

pub(super) async fn run(args: Args, global: &Global) -> Result<Exit> {
    let target = Target::resolve(global).await?;
    let pipeline = args.pipeline.resolve(&target).await?;
    let (table, last) = (target.control_table(), usize::from(args.last));
    let (events, decisions) = tokio::try_join!(table.events(&pipeline, last), table.decisions(&pipeline, None, last))?;
    let entries = newest(events, &decisions, last);
    let document = Document { version: 1, events: &entries };
    Writer::from(args.format).list(&document, &entries, || text(&entries))?;
    Ok(Exit::Done)
}

/// The newest of both kinds, the newest last.
fn newest(events: Vec<Event>, decisions: &[Decision], last: usize) -> Vec<Entry> {
    let actions = decisions.iter().flat_map(|decision| {
        decision.outcomes.iter().map(|outcome| Entry::Action {
            at: outcome.at,
            decision: decision.id.clone(),
            epoch: decision.epoch,
            action: outcome.action.clone(),
            result: outcome.result.clone(),
        })
    });
    // They come newest first: reversed, those of one moment keep their order.
    let mut entries: Vec<_> = events.into_iter().map(Entry::Condition).chain(actions).collect();
    entries.reverse();
    entries.sort_by_key(Entry::at);
    entries.split_off(entries.len().saturating_sub(last))
}

fn text(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "no events yet".to_owned();
    }
    let mut table = Table::new(&["at", "event", "message"]);
    for entry in entries {
        let [at, what, message] = entry.row();
        table.row([&at, &what, &message]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests {
    use controlplane::record::ConditionKind;

    use super::*;

    fn event(second: i64, condition: ConditionKind, status: bool) -> Event {
        let at = Timestamp::from_second(second).unwrap();
        let (reason, message) = ("Because".to_owned(), "it is so".to_owned());
        Event { version: 1, pipeline: "weir".to_owned(), at, condition, status, reason, message, epoch: 1 }
    }

    #[test]
    fn the_newest_come_last_and_only_so_many() {
        let events = vec![
            event(9, ConditionKind::Scaling, false),
            event(5, ConditionKind::Scaling, true),
            event(1, ConditionKind::Ready, true),
        ];
        let shown: Vec<_> = newest(events, &[], 2).iter().map(|entry| entry.row()[..2].join(" ")).collect();
        assert_eq!(shown, ["1970-01-01T00:00:05Z Scaling begins", "1970-01-01T00:00:09Z Scaling ends"]);
    }
}
