//! Several control planes at once, and one that sleeps (F2, F3).

use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::time::Instant;

use crate::{
    process::{LEASE, Process, at_least, settled, status, world},
    proxy::Call,
};

#[tokio::test]
async fn of_five_control_planes_one_acts_and_the_next_takes_over_when_it_dies() {
    let (world, table, kinesis) = world(&at_least(2)).await;
    let mut processes = Vec::new();
    for _ in 0..5 {
        processes.push(Process::start(&world).await);
    }
    settled(&kinesis, 2).await;
    let writers = |processes: &[Process]| {
        processes.iter().map(|process| process.proxy.writes().len()).filter(|writes| *writes > 0).collect::<Vec<_>>()
    };
    assert_eq!(writers(&processes), [1], "one process, one call");
    let leader = processes.iter().position(|process| !process.proxy.writes().is_empty()).unwrap();
    drop(processes.remove(leader));
    let died = Instant::now();
    status(&table, "a takeover", |status| status.epoch == 2).await;
    let took = Instant::now() - died;
    assert!(took <= LEASE + Duration::from_secs(9), "{took:?}");
    table.apply_policy("weir", &at_least(4), 1, "ann", jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    settled(&kinesis, 4).await;
    assert_eq!(writers(&processes), [1], "one of the others, one call");

    let leader = processes.iter().position(|process| !process.proxy.writes().is_empty()).unwrap();
    processes[leader].signal(Signal::SIGTERM);
    let released = Instant::now();
    status(&table, "a second takeover", |status| status.epoch == 3).await;
    let took = Instant::now() - released;
    assert!(took <= Duration::from_secs(4), "a lead that is released is taken: {took:?}");
    drop(processes);
    world.stop().await;
}

#[tokio::test]
async fn a_leader_that_was_stopped_and_wakes_writes_nothing() {
    let (world, table, kinesis) = world(&at_least(1)).await;
    let sleeper = Process::start(&world).await;
    status(&table, "a first status", |status| status.epoch == 1).await;
    let second = Process::start(&world).await;
    sleeper.signal(Signal::SIGSTOP);
    // Something to do for whoever leads: the sleeper would do it, too, if it believed that it does.
    table.apply_policy("weir", &at_least(2), 1, "ann", jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    let taken = status(&table, "a takeover", |status| status.epoch == 2).await;
    settled(&kinesis, 2).await;
    table.apply_policy("weir", &at_least(4), 2, "ann", jiff::Timestamp::UNIX_EPOCH).await.unwrap();
    sleeper.signal(Signal::SIGCONT);
    settled(&kinesis, 4).await;
    let last = status(&table, "ticks after the sleeper woke", |status| {
        status.heartbeat_at > taken.heartbeat_at + Duration::from_secs(10)
    })
    .await;
    assert_eq!((last.epoch, &last.leader), (2, &taken.leader));
    assert_eq!(sleeper.proxy.writes().len(), 0, "{:?}", sleeper.proxy.writes());
    assert_eq!(second.proxy.writes().len(), 2);
    assert!(sleeper.proxy.calls().iter().any(Call::is_status), "it led before");
    drop((sleeper, second));
    world.stop().await;
}
