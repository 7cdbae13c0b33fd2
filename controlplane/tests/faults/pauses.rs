//! A pause that is flipped on and off at odd moments of a busy control plane (F32).

use std::time::Duration;

use controlplane::record::{Pause, PauseScope};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::process::{AT_ONCE, Process, until, world};

/// A call that had begun when the pause was set may still arrive.
const GRACE: Duration = Duration::from_secs(2);

/// Flips of the pause. Each is at another moment of the ticks, whose length it shares no factor with.
const FLIPS: u64 = 12;

#[tokio::test]
async fn no_write_reaches_aws_later_than_two_seconds_after_a_pause() {
    let (world, table, _) = world("version = 1").await;
    let process = Process::start(&world).await;
    let mut pauses = Vec::new();
    for flip in 0..FLIPS {
        // The wish changes all the time, so that there is always something to do.
        let shards = 2 + flip % 2 * 2;
        let policy = format!("version = 1\n[stream]\nmin_shards = {shards}\nmax_shards = {shards}\n{AT_ONCE}");
        table.apply_policy("weir", &policy, flip + 1, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
        wait(Duration::from_millis(100 + flip * 137 % 700)).await;
        let pause = Pause {
            scope: PauseScope::All,
            until: None,
            reason: "test".into(),
            by: "ann".into(),
            at: Timestamp::UNIX_EPOCH,
        };
        table.set_pause("weir", &pause).await.unwrap();
        let from = Instant::now();
        wait(GRACE + Duration::from_millis(400)).await;
        pauses.push((from + GRACE, Instant::now()));
        table.resume("weir").await.unwrap();
    }
    let writes = process.proxy.writes();
    let late: Vec<_> =
        writes.iter().filter(|call| pauses.iter().any(|(from, to)| (*from..*to).contains(&call.at))).collect();
    assert!(late.is_empty(), "{late:?}");
    assert!(!writes.is_empty(), "nothing was held back if nothing was ever done");
    drop(process);
    world.stop().await;
}

async fn wait(time: Duration) {
    let end = Instant::now() + time;
    until("the time", async || (Instant::now() >= end).then_some(())).await;
}
