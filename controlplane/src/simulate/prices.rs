//! What a run costs: AWS's public prices at a date, and the sums that they make of what was used.

use serde::{Deserialize, Serialize};

/// A Kinesis payload unit (Kinesis Data Streams pricing: "25 KB payload chunks").
const PAYLOAD_UNIT: f64 = 25.0 * 1024.0;

/// On-demand streams bill each record in full units of this (same page: "rounded up to the nearest 1 KB (1,024 bytes)").
const ON_DEMAND_UNIT: f64 = 1024.0;

const GIB: f64 = 1024.0 * 1024.0 * 1024.0;

/// Prices of a region in US dollars, without taxes, free tiers and discounts.
///
/// The default is us-east-1 as AWS's pricing pages had it at [`Prices::as_of`]. Other regions are given as a file: their
/// prices differ by up to a half and are not guessed here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    pub region: String,
    /// The day for which these are the prices, as YYYY-MM-DD.
    pub as_of: String,
    /// A provisioned shard for an hour.
    pub shard_hour: f64,
    /// A million payload units of 25 KiB, written to a provisioned stream.
    pub put_million: f64,
    /// A shard that one consumer reads with enhanced fan-out, for an hour.
    pub fan_out_shard_hour: f64,
    /// A GiB read with enhanced fan-out from a provisioned stream.
    pub fan_out_gib: f64,
    /// An on-demand stream for an hour.
    pub on_demand_hour: f64,
    /// A GiB written to an on-demand stream, each record rounded up to 1 KiB.
    pub on_demand_in_gib: f64,
    /// A GiB read from an on-demand stream by polling.
    pub on_demand_out_gib: f64,
    /// The same with enhanced fan-out.
    pub on_demand_fan_out_gib: f64,
    /// Fargate, Linux on x86: a vCPU for an hour.
    pub vcpu_hour: f64,
    /// A GiB of memory for an hour.
    pub memory_gib_hour: f64,
    /// A CloudWatch alarm for an hour, of $0.10 for a month of 30 days.
    pub alarm_hour: f64,
}

impl Default for Prices {
    fn default() -> Self {
        Self {
            region: "us-east-1".to_owned(),
            as_of: "2026-11-23".to_owned(),
            shard_hour: 0.015,
            put_million: 0.014,
            fan_out_shard_hour: 0.015,
            fan_out_gib: 0.013,
            on_demand_hour: 0.04,
            on_demand_in_gib: 0.08,
            on_demand_out_gib: 0.04,
            on_demand_fan_out_gib: 0.05,
            vcpu_hour: 0.040_48,
            memory_gib_hour: 0.004_445,
            alarm_hour: 0.10 / 720.0,
        }
    }
}

/// What a stream was used for.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StreamUse {
    pub hours: f64,
    /// Open shards times hours; what an on-demand stream has of them is not billed.
    pub shard_hours: f64,
    /// Kinesis records that were written, and the size of one.
    pub records: f64,
    pub record_bytes: f64,
    /// Applications that read all of it.
    pub readers: u32,
    pub fan_out: bool,
    pub on_demand: bool,
    pub alarms: u32,
}

/// Fargate tasks of one size.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TaskUse {
    pub task_hours: f64,
    pub vcpu: f64,
    pub memory_gib: f64,
}

impl Prices {
    /// Reads prices from TOML; what is not there is as in us-east-1.
    ///
    /// # Errors
    /// An unknown name or a value of the wrong type, with its place.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }

    /// Dollars for a stream.
    #[must_use]
    pub fn stream(&self, used: &StreamUse) -> f64 {
        let alarms = self.alarm_hour * used.hours * f64::from(used.alarms);
        alarms + if used.on_demand { self.on_demand(used) } else { self.provisioned(used) }
    }

    fn provisioned(&self, used: &StreamUse) -> f64 {
        let units = used.records * (used.record_bytes / PAYLOAD_UNIT).ceil();
        let read = used.records * used.record_bytes / GIB;
        let reader =
            if used.fan_out { self.fan_out_shard_hour * used.shard_hours + self.fan_out_gib * read } else { 0.0 };
        self.shard_hour * used.shard_hours + self.put_million * units / 1e6 + f64::from(used.readers) * reader
    }

    fn on_demand(&self, used: &StreamUse) -> f64 {
        let written = used.records * (used.record_bytes / ON_DEMAND_UNIT).ceil() * ON_DEMAND_UNIT / GIB;
        let read = used.records * used.record_bytes / GIB * f64::from(used.readers);
        let out = if used.fan_out { self.on_demand_fan_out_gib } else { self.on_demand_out_gib };
        self.on_demand_hour * used.hours + self.on_demand_in_gib * written + out * read
    }

    /// Dollars for tasks.
    #[must_use]
    pub fn tasks(&self, used: &TaskUse) -> f64 {
        used.task_hours * (self.vcpu_hour * used.vcpu + self.memory_gib_hour * used.memory_gib)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The load with which the authors of an autoscaler compared the modes: 1,000 records a second of 3 KB, a month long.
    fn month_of_small_records(on_demand: bool) -> StreamUse {
        StreamUse {
            hours: 720.0,
            shard_hours: 720.0 * 3.0,
            records: 1_000.0 * 3_600.0 * 720.0,
            record_bytes: 3_000.0,
            readers: 1,
            on_demand,
            ..StreamUse::default()
        }
    }

    #[test]
    fn a_month_of_small_records_costs_what_others_computed() {
        let prices = Prices::default();
        let provisioned = prices.stream(&month_of_small_records(false));
        assert!((provisioned - (32.40 + 36.288)).abs() < 0.01, "3 shards and 2,592 million units: {provisioned}");
        let on_demand = prices.stream(&month_of_small_records(true));
        assert!((850.0..1_000.0).contains(&on_demand), "research has $918 for it: {on_demand}");
    }

    #[test]
    fn records_are_billed_in_whole_units() {
        let prices = Prices::default();
        let one = |record_bytes, on_demand| {
            prices.stream(&StreamUse { records: 1e6, record_bytes, on_demand, ..StreamUse::default() })
        };
        assert_eq!(one(100.0, false), one(25.0 * 1024.0, false));
        assert!((one(25.0 * 1024.0 + 1.0, false) - 2.0 * one(100.0, false)).abs() < 1e-12);
        assert_eq!(one(1.0, true), one(1024.0, true));
    }

    #[test]
    fn fan_out_is_paid_by_reader_and_shard() {
        let used = StreamUse { shard_hours: 10.0, readers: 2, fan_out: true, ..StreamUse::default() };
        assert!((Prices::default().stream(&used) - 0.015 * 30.0).abs() < 1e-12);
    }

    #[test]
    fn tasks_are_paid_by_cpu_and_memory() {
        let used = TaskUse { task_hours: 100.0, vcpu: 2.0, memory_gib: 4.0 };
        assert!((Prices::default().tasks(&used) - (8.096 + 1.778)).abs() < 1e-9);
    }

    #[test]
    fn prices_of_another_region_come_from_a_file() {
        let prices = Prices::parse("region = \"eu-west-1\"\nshard_hour = 0.017\n").expect("prices");
        assert_eq!((prices.region.as_str(), prices.shard_hour, prices.put_million), ("eu-west-1", 0.017, 0.014));
        assert!(Prices::parse("shard_minute = 1.0").is_err());
    }
}
