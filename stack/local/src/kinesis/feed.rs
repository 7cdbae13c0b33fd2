//! Takes what was measured to CloudWatch, minute by minute.

use std::{sync::Arc, time::Duration};

use super::{
    account::Account,
    engine::{
        metering::{Meter, Metric},
        stream::Stream,
    },
    moment::Moment,
};
use crate::{cloud::Peers, cloudwatch::Datum};

const NAMESPACE: &str = "AWS/Kinesis";
const MINUTE: Duration = Duration::from_secs(60);

/// Publishes every complete minute until the endpoint stops.
pub(crate) async fn run(account: Arc<Account>, peers: Peers) {
    loop {
        let now = account.now();
        let minute_ends = now.minute().plus(MINUTE).since(now);
        if account.stopping.run_until_cancelled(tokio::time::sleep(minute_ends)).await.is_none() {
            return;
        }
        let Ok(services) = peers.services() else { return };
        for datum in collect(&account) {
            services.cloudwatch.put(datum);
        }
    }
}

/// The complete minutes of every stream, each once.
fn collect(account: &Account) -> Vec<Datum> {
    let now = account.now();
    let cells = account.cells();
    cells.iter().flat_map(|(_, cell)| cell.look(now, |stream| of_stream(stream, now))).collect()
}

fn of_stream(stream: &mut Stream, now: Moment) -> Vec<Datum> {
    let mut data = Vec::new();
    let name = ("StreamName", stream.name.clone());
    drain(&mut stream.meter, std::slice::from_ref(&name), now, &mut data);
    for shard in &mut stream.shards {
        drain(&mut shard.meter, &[name.clone(), ("ShardId", shard.id.to_string())], now, &mut data);
    }
    for consumer in &mut stream.consumers {
        drain(&mut consumer.meter, &[name.clone(), ("ConsumerName", consumer.name.clone())], now, &mut data);
    }
    data
}

fn drain(meter: &mut Meter, dimensions: &[(&'static str, String)], now: Moment, data: &mut Vec<Datum>) {
    for (minute, metrics) in meter.take_complete(now) {
        data.extend(metrics.into_iter().map(|(metric, statistics): (Metric, _)| Datum {
            namespace: NAMESPACE,
            name: metric.name(),
            dimensions: dimensions.to_vec(),
            unit: metric.unit(),
            at_ms: minute.millis(),
            sum: statistics.sum,
            count: statistics.count,
            minimum: statistics.minimum,
            maximum: statistics.maximum,
        }));
    }
}
