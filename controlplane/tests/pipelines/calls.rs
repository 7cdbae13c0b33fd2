//! What a pipeline costs in calls does not depend on how many there are.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use jiff::Timestamp;

use crate::{
    in_process::Controlplane,
    proxy::Proxy,
    world::{services, status, stream, until, world},
};

const TICK: Duration = Duration::from_secs(5);

/// Turns of each pipeline that are counted.
const TURNS: usize = 2;

/// Calls of each operation in a turn of a pipeline, where there are `count` pipelines with services of their own.
async fn calls_of_a_turn(count: usize) -> BTreeMap<String, f64> {
    let world = world().await;
    // Services that want no tasks stay as they are: what is counted is the watching.
    let mut policy = "version = 1\n[guard]\ndry_run = true\n".to_owned();
    let mut names = vec!["weir-producer".to_owned(), "weir-consumer".to_owned()];
    for number in 1..count {
        let name = format!("p{number:02}");
        stream(&world, &name).await;
        names.extend([format!("{name}-in"), format!("{name}-out")]);
        writeln!(
            policy,
            "[[pipeline]]\nname = \"{name}\"\nstream_name = \"{name}\"\ncluster = \"weir\"\n\
             producer_service = \"{name}-in\"\nconsumer_service = \"{name}-out\"\napplication = \"weir-consumer\""
        )
        .unwrap();
    }
    services(&world, &names).await;
    let table = world.table();
    table.apply_policy("weir", &policy, 0, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    let proxy = Proxy::start(world.cloud.endpoint_url()).await;
    let config = world.config.to_builder().endpoint_url(&proxy.url).build();
    let controlplane = Controlplane::start(config, TICK);
    // The first turns read what only changes now and then.
    status(&table, &format!("p{:02}", count - 1), |_| true).await;
    let before = proxy.calls().len();
    let turns = || proxy.calls()[before..].iter().filter(|call| call.is_status()).count();
    until("enough turns", async || (turns() >= TURNS * count).then_some(())).await;
    let mut calls: BTreeMap<String, f64> = BTreeMap::new();
    for call in &proxy.calls()[before..] {
        *calls.entry(call.operation.clone()).or_default() += 1.0 / (TURNS * count) as f64;
    }
    controlplane.stop().await;
    world.stop().await;
    calls
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_pipelines_make_no_more_calls_each_than_five_and_share_those_that_answer_for_many() {
    let (few, many) = tokio::join!(calls_of_a_turn(5), calls_of_a_turn(50));
    let of = |calls: &BTreeMap<String, f64>, operation: &str| calls.get(operation).copied().unwrap_or_default();
    for operation in few.keys().chain(many.keys()).filter(|operation| *operation != "DescribeServices") {
        let (few, many) = (of(&few, operation), of(&many, operation));
        assert!(many <= few * 1.2 + 0.05, "{operation}: {few:.2} calls a turn with 5 pipelines, {many:.2} with 50");
    }
    // One for the ten services of five turns, where the machine is fast enough for these to begin together.
    assert!(of(&few, "DescribeServices").max(of(&many, "DescribeServices")) <= 1.0, "{few:?} {many:?}");
    assert!(of(&many, "DescribeLimits") + of(&many, "DescribeScalableTargets") <= 0.05, "once for all: {many:?}");
    assert!(of(&many, "GetMetricData") <= 0.05, "500 series a call, once a minute: {many:?}");
    assert!(of(&many, "ListTasks") <= 0.05, "tasks are listed when they change: {many:?}");
    let total: f64 = many.values().sum();
    assert!(total <= 7.0, "{total:.1} calls a turn: {many:?}");
}
