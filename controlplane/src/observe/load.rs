//! What flows through the pipeline, put together from reports and, where they are missing, from CloudWatch. Pure.

use std::collections::BTreeSet;

use dataplane::report::{ConsumerReport, LeaseReport, ProducerReport, Rate, Report, Role};
use jiff::Timestamp;

use super::{
    LoadObservation, Observation, Reading, ServiceObservation, Source,
    leases::Work,
    metrics::Minute,
    services::Fleet,
    shards,
    stream::{OpenShard, count},
};
use crate::units::{ByteCount, BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond};

/// What the tasks say. A sum in which one task is missing is not known.
pub(super) fn from_reports(
    producer: &Fleet,
    consumer: &Fleet,
    open: Option<&[OpenShard]>,
    work: Option<&Work>,
    now: Timestamp,
) -> LoadObservation {
    let mut load = LoadObservation {
        processable_leases: work.map(|work| Reading {
            value: count(work.processable.len()),
            at: now,
            source: Source::LeaseTable,
        }),
        ..LoadObservation::default()
    };
    let producers: Vec<_> = producer.reports.iter().filter_map(as_producer).collect();
    if producer.is_complete() && producers.len() == producer.reports.len() {
        offered(&mut load, &producers, open, now);
    }
    let consumers: Vec<_> = consumer.reports.iter().filter_map(as_consumer).collect();
    if consumer.is_complete() && consumers.len() == consumer.reports.len() {
        processed(&mut load, &consumers, work, now);
    }
    load
}

fn as_producer(report: &Report) -> Option<&ProducerReport> {
    match &report.role {
        Role::Producer(producer) => Some(producer),
        Role::Consumer(_) => None,
    }
}

fn as_consumer(report: &Report) -> Option<&ConsumerReport> {
    match &report.role {
        Role::Consumer(consumer) => Some(consumer),
        Role::Producer(_) => None,
    }
}

fn offered(load: &mut LoadObservation, producers: &[&ProducerReport], open: Option<&[OpenShard]>, now: Timestamp) {
    let offered = total(producers.iter().map(|producer| producer.offered));
    let shards = producers.iter().flat_map(|producer| &producer.shards);
    // A producer's own total counts every attempt, refused ones too: what the shards took is what counts against them.
    let taken = total(shards.clone().map(|shard| shard.sent));
    let throttled = shards.clone().map(|shard| shard.throttled_per_second).sum();
    let loads = shards::reported(shards);
    load.shards = open.map(|open| shards::of_open(open, loads)).unwrap_or_default();
    load.offered_records = reported(RecordsPerSecond(offered.records_per_second), now);
    load.offered_bytes = reported(BytesPerSecond(offered.bytes_per_second), now);
    let refused = total(producers.iter().map(|producer| producer.refused));
    load.refused_bytes = reported(BytesPerSecond(refused.bytes_per_second), now);
    let buffered: u64 = producers.iter().map(|producer| producer.buffered_bytes).sum();
    load.buffered_bytes = reported(ByteCount(buffered as f64), now);
    load.incoming_records = reported(RecordsPerSecond(taken.records_per_second), now);
    load.incoming_bytes = reported(BytesPerSecond(taken.bytes_per_second), now);
    load.throttled_records = reported(RecordsPerSecond(throttled), now);
}

fn processed(load: &mut LoadObservation, consumers: &[&ConsumerReport], work: Option<&Work>, now: Timestamp) {
    let processed = total(consumers.iter().map(|consumer| consumer.processed));
    load.processed_records = reported(RecordsPerSecond(processed.records_per_second), now);
    let leases: Vec<_> = consumers.iter().flat_map(|consumer| &consumer.leases).collect();
    let busiest = leases.iter().map(|lease| lease.busy_fraction).reduce(f64::max);
    load.consumer_busy = busiest.and_then(|busy| reported(Fraction(busy), now));
    load.lag = behind(&leases, work).and_then(|lag| reported(lag, now));
    let share = load.offered_records.map_or(0.0, |rate| rate.value.0) / leases.len().max(1) as f64;
    let waiting: Option<f64> = leases.iter().map(|lease| backlog(lease, share)).sum();
    load.backlog = waiting.and_then(|waiting| reported(RecordCount(waiting), now));
}

/// The lag of the slowest lease. A shard that waits for a reader falls behind without telling anybody, so where one is
/// not reported, the lag is not known.
fn behind(leases: &[&LeaseReport], work: Option<&Work>) -> Option<Millis> {
    let held: BTreeSet<_> = leases.iter().map(|lease| &lease.shard_id).collect();
    let unread = work?.processable.iter().any(|shard| !held.contains(shard));
    let lags: Option<Vec<u64>> = leases.iter().map(|lease| lease.behind_ms).collect();
    lags?.into_iter().max().filter(|_| !unread).map(Millis)
}

/// Records that wait for a lease's reader: its lag times its rate, which is at least a fair share of what is offered.
fn backlog(lease: &LeaseReport, share: f64) -> Option<f64> {
    Some(lease.processed.records_per_second.max(share) * lease.behind_ms? as f64 / 1e3)
}

fn total(rates: impl Iterator<Item = Rate>) -> Rate {
    rates.fold(Rate::default(), |sum, rate| Rate {
        records_per_second: sum.records_per_second + rate.records_per_second,
        bytes_per_second: sum.bytes_per_second + rate.bytes_per_second,
    })
}

/// A reading from reports, unless a task reports what no measurement can be.
fn reported<T: Copy + Into<f64>>(value: T, now: Timestamp) -> Option<Reading<T>> {
    let sane = value.into();
    (sane.is_finite() && sane >= 0.0).then_some(Reading { value, at: now, source: Source::TaskReports })
}

/// Whether CloudWatch could add something. Services that are not named have nothing to be known.
pub(super) fn is_incomplete(seen: &Observation) -> bool {
    let load = &seen.load;
    let cpu_is_unknown = |service: &ServiceObservation| !service.name.is_empty() && service.cpu.is_none();
    load.incoming_records.is_none()
        || load.incoming_bytes.is_none()
        || load.throttled_records.is_none()
        || load.lag.is_none()
        || cpu_is_unknown(&seen.producer)
        || cpu_is_unknown(&seen.consumer)
}

/// Adds what only CloudWatch knows. Its lag is that of foreign consumers: where ours leave a shard unread, no metric says
/// how far behind it is.
pub(super) fn fill(seen: &mut Observation, minute: &Minute, consumers_are_foreign: bool) {
    let load = &mut seen.load;
    load.incoming_records = load.incoming_records.or(minute.incoming_records);
    load.incoming_bytes = load.incoming_bytes.or(minute.incoming_bytes);
    load.throttled_records = load.throttled_records.or(minute.throttled_records);
    load.lag = load.lag.or(minute.lag.filter(|_| consumers_are_foreign));
    seen.producer.cpu = seen.producer.cpu.or(minute.producer_cpu);
    seen.consumer.cpu = seen.consumer.cpu.or(minute.consumer_cpu);
}

#[cfg(test)]
mod tests {
    use dataplane::report::{ProducerShard, Resources, VERSION};

    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn report(role: Role) -> Report {
        Report { version: VERSION, at_ms: 0, task_id: "task".to_owned(), resources: Resources::default(), role }
    }

    fn rate(records_per_second: f64) -> Rate {
        Rate { records_per_second, bytes_per_second: records_per_second * 100.0 }
    }

    fn producer(offered: f64, shards: &[(&str, f64, f64)]) -> Report {
        let shards = shards.iter().map(|(id, sent, throttled)| ProducerShard {
            shard_id: (*id).to_owned(),
            sent: rate(*sent),
            throttled_per_second: *throttled,
            retried_per_second: 0.0,
            ..ProducerShard::default()
        });
        let shards = shards.collect();
        report(Role::Producer(ProducerReport { offered: rate(offered), shards, ..ProducerReport::default() }))
    }

    fn consumer(leases: &[(&str, Option<u64>)]) -> Report {
        let leases = leases.iter().map(|(id, behind_ms)| LeaseReport {
            shard_id: (*id).to_owned(),
            behind_ms: *behind_ms,
            processed: rate(10.0),
            ..LeaseReport::default()
        });
        report(Role::Consumer(ConsumerReport { leases: leases.collect(), ..ConsumerReport::default() }))
    }

    fn work(processable: &[&str]) -> Work {
        let processable = processable.iter().map(|id| (*id).to_owned()).collect();
        Work { processable, ..Work::default() }
    }

    fn lag(reports: Vec<Report>, processable: &[&str]) -> Option<Millis> {
        let consumers = Fleet::of(reports, Vec::new());
        let load = from_reports(&Fleet::default(), &consumers, None, Some(&work(processable)), NOW);
        load.lag.map(|lag| lag.value)
    }

    #[test]
    fn producers_add_up_and_shards_are_ordered_by_what_is_asked_of_them() {
        let reports =
            vec![producer(300.0, &[("a", 100.0, 0.0), ("b", 50.0, 200.0)]), producer(100.0, &[("a", 100.0, 0.0)])];
        let open = ["a", "b"].map(|id| OpenShard { id: id.to_owned(), ..OpenShard::default() });
        let load = from_reports(&Fleet::of(reports, Vec::new()), &Fleet::default(), Some(&open), None, NOW);
        assert_eq!(load.offered_records.unwrap().value, RecordsPerSecond(400.0));
        assert_eq!(load.incoming_records.unwrap().value, RecordsPerSecond(250.0));
        assert_eq!(load.throttled_records.unwrap().value, RecordsPerSecond(200.0));
        let shards: Vec<_> = load.shards.iter().map(|shard| (&*shard.shard_id, shard.records.0)).collect();
        assert_eq!(shards, [("b", 50.0), ("a", 200.0)]);
    }

    #[test]
    fn a_sum_in_which_one_task_is_missing_is_not_known() {
        let fleet = Fleet::of(vec![producer(300.0, &[])], vec!["task 2: no report".to_owned()]);
        assert_eq!(from_reports(&fleet, &Fleet::default(), None, None, NOW), LoadObservation::default());
    }

    #[test]
    fn a_service_without_tasks_offers_nothing_known_rather_than_zero() {
        let load = from_reports(&Fleet::default(), &Fleet::default(), None, None, NOW);
        assert_eq!((load.offered_records, load.lag), (None, None));
    }

    #[test]
    fn the_slowest_lease_is_the_lag() {
        assert_eq!(lag(vec![consumer(&[("a", Some(5))]), consumer(&[("b", Some(70))])], &["a", "b"]), Some(Millis(70)));
    }

    #[test]
    fn a_shard_that_nobody_reads_makes_the_lag_unknown() {
        assert_eq!(lag(vec![consumer(&[("a", Some(5))])], &["a", "b"]), None);
    }

    #[test]
    fn a_lease_that_was_not_read_yet_makes_the_lag_unknown() {
        assert_eq!(lag(vec![consumer(&[("a", Some(5)), ("b", None)])], &["a", "b"]), None);
    }

    #[test]
    fn what_no_measurement_can_be_is_not_known() {
        let load =
            from_reports(&Fleet::of(vec![producer(f64::NAN, &[])], Vec::new()), &Fleet::default(), None, None, NOW);
        assert_eq!(load.offered_records, None);
    }
}
