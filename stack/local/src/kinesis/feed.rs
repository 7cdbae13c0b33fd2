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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;

    use super::*;
    use crate::kinesis::{
        engine::stream::{Mode, NewStream},
        settings::Settings,
    };

    const MINUTE_BEGAN: Moment = Moment::from_millis(1_763_865_600_000);

    fn stream() -> Stream {
        let new = NewStream {
            name: "s".to_owned(),
            account: "000000000000".to_owned(),
            arn: "arn:aws:kinesis:eu-central-1:000000000000:stream/s".to_owned(),
            mode: Mode::Provisioned,
            shards: 1,
            record_kib_max: 1024,
            tags: BTreeMap::new(),
        };
        Stream::new(new, MINUTE_BEGAN, MINUTE_BEGAN)
    }

    #[test]
    fn a_shard_has_metrics_of_its_own_only_where_they_are_enabled_and_had_traffic() {
        let mut stream = stream();
        let put = |stream: &mut Stream, millis: u64| {
            let at = Moment::from_millis(MINUTE_BEGAN.millis() + millis);
            stream.put(0, Bytes::from_static(b"k"), Bytes::from_static(b"data"), &Settings::default(), at).unwrap();
        };
        put(&mut stream, 0);
        stream.shard_metrics = BTreeSet::from([Metric::IncomingBytes, Metric::OutgoingBytes]);
        put(&mut stream, 10_000);
        put(&mut stream, 20_000);
        assert!(of_stream(&mut stream, Moment::from_millis(MINUTE_BEGAN.millis() + 59_999)).is_empty());
        let published = of_stream(&mut stream, MINUTE_BEGAN.plus(MINUTE));
        let expected = Datum {
            namespace: "AWS/Kinesis",
            name: "IncomingBytes",
            dimensions: vec![("StreamName", "s".to_owned()), ("ShardId", "shardId-000000000000".to_owned())],
            unit: "Bytes",
            at_ms: MINUTE_BEGAN.millis(),
            sum: 10.0,
            count: 2.0,
            minimum: 5.0,
            maximum: 5.0,
        };
        assert_eq!(published, [expected]);
        assert!(of_stream(&mut stream, MINUTE_BEGAN.plus(2 * MINUTE)).is_empty(), "a minute is published once");
    }
}
