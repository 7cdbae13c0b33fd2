//! What a change of the policy would have meant for a stream's last day.

use std::{sync::atomic::AtomicBool, time::Duration};

use anyhow::Result;
use controlplane::{
    policy::Policy,
    simulate::{Score, WEIR},
};
use serde::Serialize;

use super::{
    history,
    runs::{Request, WorldArgs, compare, interruptible},
    shown,
};
use crate::{failure::Failure, target::Global};

/// How far back.
const SINCE: Duration = Duration::from_secs(24 * 3_600);

/// Seeds of each policy: enough for a median, few enough to wait for.
const SEEDS: u32 = 3;

/// Less than this says nothing about a policy.
const MINUTES_MIN: usize = 30;

/// The scores of both policies on the same load.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Effect {
    /// How many minutes of the stream's past that is.
    minutes: usize,
    before: Score,
    after: Score,
}

/// Simulates both policies; nothing when the person interrupts it. Too little of the stream's past is an error.
pub(in crate::commands) async fn effect(
    global: &Global,
    stream: &str,
    before: Policy,
    after: Policy,
) -> Result<Option<Effect>> {
    let load = history::read(global, stream, SINCE).await?;
    let minutes = load.minutes();
    if minutes < MINUTES_MIN {
        let short = format!("CloudWatch has {minutes} minutes of the stream's last day, less than {MINUTES_MIN}");
        return Err(Failure::failed(short).into());
    }
    let world = WorldArgs { seeds: SEEDS, faults: Vec::new(), keys: None, clients: None, physics: None, prices: None };
    let mut request = Request::new(&world, load, before, Vec::new())?;
    request.optimum = false;
    request.policies.push((format!("{WEIR} after"), after));
    let document = interruptible(move |stopped: &AtomicBool| compare(&request, stopped)).await?;
    let mut scores = document.into_iter().flat_map(|document| document.policies).map(|outcome| outcome.score);
    let (before, after) = (scores.next(), scores.next());
    Ok(before.zip(after).map(|(before, after)| Effect { minutes, before, after }))
}

impl Effect {
    /// The numbers that a person decides by, before and after.
    pub(in crate::commands) fn text(&self) -> String {
        let hours = self.minutes as f64 / 60.0;
        let both = rows(&self.before).into_iter().zip(rows(&self.after));
        let lines: Vec<_> = both
            .map(|((name, before), (_, after))| {
                let change = if before == after { String::new() } else { format!(" -> {after}") };
                format!("  {name}: {before}{change}")
            })
            .collect();
        format!("Simulated on the stream's last {hours:.0} hours:\n{}", lines.join("\n"))
    }
}

fn rows(score: &Score) -> [(&'static str, String); 6] {
    [
        ("throttled", format!("{} %", shown::short(score.throttled_pct))),
        ("lost", format!("{} %", shown::short(score.lost_pct))),
        ("lag, 99 % of the time up to", format!("{:.1} s", score.lag_p99_s)),
        ("shard-hours", format!("{:.1}", score.shard_hours)),
        ("consumer task-hours", format!("{:.1}", score.task_hours)),
        ("dollars", format!("{:.2}", score.dollars)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_with_both_numbers() {
        let before = Score { throttled_pct: 0.2, dollars: 3.0, ..Score::default() };
        let effect = Effect { minutes: 1440, before, after: Score { throttled_pct: 0.1, ..before } };
        let text = effect.text();
        assert!(text.contains("last 24 hours") && text.contains("throttled: 0.20 % -> 0.10 %"), "{text}");
        assert!(text.ends_with("dollars: 3.00"), "{text}");
    }
}
