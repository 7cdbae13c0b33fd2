//! Producers, consumers and scalers that are not ours.

use std::time::Duration;

use aws_sdk_applicationautoscaling::types::{ScalableDimension, ServiceNamespace};
use aws_sdk_dynamodb::types::AttributeValue;
use controlplane::{
    observe::Source,
    units::{Millis, RecordsPerSecond},
};
use jiff::Timestamp;
use localcloud::cloudwatch::Datum;

use crate::{
    common::{World, create_table},
    in_process::Controlplane,
    world::{services, shards, status, stream, until, world},
};

const TICK: Duration = Duration::from_millis(200);
const MINUTE: u64 = 60_000;

/// The same value in each of the last and the next minutes of a metric of a stream.
#[expect(clippy::disallowed_methods, reason = "the control plane reads the minutes that have just passed")]
fn minutes(world: &World, dimensions: &[(&'static str, &str)], name: &'static str, value: f64) {
    let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
    for minute in now / MINUTE - 6..now / MINUTE + 2 {
        let dimensions = dimensions.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let (namespace, unit, at_ms) = ("AWS/Kinesis", "None", minute * MINUTE);
        let (sum, count, minimum, maximum) = (value, 1.0, value, value);
        let datum = Datum { namespace, name, dimensions, unit, at_ms, sum, count, minimum, maximum };
        world.cloud.services().cloudwatch.put(datum);
    }
}

/// A lease as a KCL writes it.
async fn lease(world: &World, table: &str, shard: &str) {
    let s = |value: &str| AttributeValue::S(value.to_owned());
    let put = aws_sdk_dynamodb::Client::new(&world.config).put_item().table_name(table);
    put.item("leaseKey", s(shard)).item("checkpoint", s("LATEST")).send().await.unwrap();
}

#[tokio::test]
async fn a_stream_of_kpl_and_kcl_alone_is_scaled_by_its_metrics_and_its_lease_table() {
    let world = world().await;
    let table = world.table();
    stream(&world, "kpl").await;
    create_table(&world.config, "kcl", &["leaseKey"]).await;
    lease(&world, "kcl", "shardId-000000000000").await;
    let of_stream = [("StreamName", "kpl")];
    // 90 % of what one shard takes.
    minutes(&world, &of_stream, "IncomingRecords", 0.9 * 60_000.0);
    minutes(&world, &of_stream, "IncomingBytes", 0.2 * 60.0 * 1024.0 * 1024.0);
    minutes(&world, &of_stream, "WriteProvisionedThroughputExceeded", 0.0);
    minutes(&world, &of_stream, "GetRecords.IteratorAgeMilliseconds", 1_500.0);
    minutes(
        &world,
        &[("StreamName", "kpl"), ("ConsumerName", "kcl")],
        "SubscribeToShardEvent.MillisBehindLatest",
        2_500.0,
    );
    let policy = "version = 1\n[guard]\nconfirm_up = \"0s\"\nshards_up_cooldown = \"0s\"\n\
                  [[pipeline]]\nname = \"kpl\"\nstream_name = \"kpl\"\napplication = \"kcl\"";
    table.apply_policy("weir", policy, 0, "ann", Timestamp::UNIX_EPOCH).await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let seen = status(&table, "kpl", |_| true).await.observation;
    let incoming = seen.load.incoming_records.unwrap();
    assert_eq!((incoming.value, incoming.source), (RecordsPerSecond(900.0), Source::CloudWatch));
    assert_eq!(seen.load.lag.unwrap().value, Millis(2_500), "the slower of the polling and the fan-out consumers");
    assert_eq!(seen.load.processable_leases.unwrap().value.0, 1);
    assert!(seen.blind_spots.is_empty(), "a part that is not named is no blind spot: {:?}", seen.blind_spots);
    until("a second shard", async || (shards(&world, "kpl").await >= 2).then_some(())).await;
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn single_shards_are_seen_through_enhanced_monitoring_where_somebody_pays_for_it() {
    let world = world().await;
    let table = world.table();
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    let enable = kinesis.enable_enhanced_monitoring().stream_name("weir");
    enable.shard_level_metrics(aws_sdk_kinesis::types::MetricsName::All).send().await.unwrap();
    let of_shard = [("StreamName", "weir"), ("ShardId", "shardId-000000000000")];
    minutes(&world, &of_shard, "IncomingRecords", 600.0);
    minutes(&world, &of_shard, "IncomingBytes", 6_000.0);
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let seen = status(&table, "weir", |status| !status.observation.load.busiest_shards.is_empty()).await.observation;
    let shard = &seen.load.busiest_shards[0];
    assert_eq!((shard.records.0, shard.bytes.0, shard.throttled.0), (10.0, 100.0, 0.0));
    assert_eq!((shard.starting_hash_key, shard.ending_hash_key), (Some(0), Some(u128::MAX)));
    controlplane.stop().await;
    world.stop().await;
}

#[tokio::test]
async fn whoever_else_scales_a_service_or_owns_a_stream_is_named() {
    let world = world().await;
    let table = world.table();
    services(&world, &["weir-producer".to_owned(), "weir-consumer".to_owned()]).await;
    let autoscaling = aws_sdk_applicationautoscaling::Client::new(&world.config);
    let register = autoscaling.register_scalable_target().service_namespace(ServiceNamespace::Ecs);
    let register = register.scalable_dimension(ScalableDimension::EcsServiceDesiredCount);
    register.resource_id("service/weir/weir-producer").min_capacity(1).max_capacity(4).send().await.unwrap();
    let kinesis = aws_sdk_kinesis::Client::new(&world.config);
    kinesis.add_tags_to_stream().stream_name("weir").tags("weir:deployment", "second").send().await.unwrap();
    let controlplane = Controlplane::start(world.config.clone(), TICK);
    let seen = status(&table, "weir", |_| true).await.observation;
    let found: Vec<_> = seen.foreign.iter().map(|it| (it.target.as_str(), it.kind.as_str())).collect();
    assert_eq!(found, [("weir", "the deployment second of Weir"), ("weir-producer", "Application Auto Scaling")]);
    controlplane.stop().await;
    world.stop().await;
}
