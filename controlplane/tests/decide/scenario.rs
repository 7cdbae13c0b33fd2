//! A small world for `decide`, written down in TOML.
//!
//! A scenario has a policy, a world, changes of that world at later times, and runs tick by tick. What is decided is
//! done at once: counts follow their targets, and uses follow the counts.

use std::collections::BTreeMap;

use controlplane::{
    decide::{Action, ActionResult, Conclusion, History, Outcome, RuleReport, Service, Verdict, decide},
    observe::{ForeignScaler, LoadObservation, Observation, Reading, ServiceObservation, Source, StreamObservation},
    policy::Policy,
    units::{ByteCount, BytesPerSecond, Fraction, Millis, RecordCount, RecordsPerSecond, ShardCount, TaskCount},
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::ranges::{Keys, Ranges};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The tables of the policy, as a person would write them.
    #[serde(default)]
    policy: String,
    #[serde(default = "quarter_minute")]
    tick: String,
    /// How long the scenario runs.
    lasts: String,
    /// Calls of UpdateShardCount before the start, as durations before it.
    #[serde(default)]
    reshards: Vec<String>,
    #[serde(default)]
    world: toml::Table,
    /// Changes of the world; `at` is when.
    #[serde(default)]
    then: Vec<toml::Table>,
}

fn quarter_minute() -> String {
    "15s".to_owned()
}

/// What is true. The defaults are a calm pipeline; `unknown` lists what cannot be read.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct World {
    pub(crate) status: String,
    pub(crate) on_demand: bool,
    pub(crate) shards: u32,
    pub(crate) undrained_parents: u32,
    /// Leases that can be processed; as many as there are shards when absent.
    pub(crate) leases: Option<u32>,
    pub(crate) offered_records: f64,
    pub(crate) offered_mib: f64,
    /// What the shards take; what is offered when absent.
    pub(crate) incoming_records: Option<f64>,
    pub(crate) incoming_mib: Option<f64>,
    pub(crate) throttled: f64,
    /// What producers refuse their clients and what they hold; not known when absent.
    pub(crate) refused_mib: Option<f64>,
    pub(crate) buffered_mib: Option<f64>,
    pub(crate) processed: Option<f64>,
    pub(crate) lag_s: f64,
    pub(crate) backlog: f64,
    pub(crate) producers: u32,
    /// Running tasks where they are not as many as desired.
    pub(crate) producers_running: Option<u32>,
    /// CPU that the producers need together, in whole tasks.
    pub(crate) producer_work: f64,
    pub(crate) consumers: u32,
    pub(crate) consumers_running: Option<u32>,
    /// Busy time and CPU that the consumers need together, in whole tasks.
    pub(crate) consumer_work: f64,
    /// What lies on equal parts of all hash keys, each as a share of one shard's limit. Without it the load of single
    /// shards is not known.
    pub(crate) hot_shards: Vec<f64>,
    /// A single key: where among all hash keys it lies, from 0 to 1, and its load.
    pub(crate) hot_key: Option<(f64, f64)>,
    #[serde(skip)]
    pub(crate) ranges: Ranges,
    /// The warm throughput of an on-demand stream, in MiB/s.
    pub(crate) warm: Option<u32>,
    /// How many more shards the account may have.
    pub(crate) account_left: Option<u32>,
    /// Names of what somebody else scales.
    pub(crate) foreign: Vec<String>,
    /// Parts that are not ours: "producer", "consumer".
    pub(crate) without: Vec<String>,
    /// What AWS answers to calls, instead of doing them.
    pub(crate) refuses: Option<String>,
    pub(crate) unknown: Vec<String>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            status: "ACTIVE".to_owned(),
            on_demand: false,
            shards: 1,
            undrained_parents: 0,
            leases: None,
            offered_records: 500.0,
            offered_mib: 0.5,
            incoming_records: None,
            incoming_mib: None,
            throttled: 0.0,
            refused_mib: None,
            buffered_mib: None,
            processed: None,
            lag_s: 0.5,
            backlog: 0.0,
            producers: 1,
            producers_running: None,
            producer_work: 0.6,
            consumers: 1,
            consumers_running: None,
            consumer_work: 0.6,
            hot_shards: Vec::new(),
            hot_key: None,
            ranges: Ranges::default(),
            warm: None,
            account_left: None,
            foreign: Vec::new(),
            without: Vec::new(),
            refuses: None,
            unknown: Vec::new(),
        }
    }
}

impl World {
    pub(crate) fn observation(&self, at: Timestamp) -> Observation {
        let known = |name: &str| !self.unknown.iter().any(|unknown| unknown == name || unknown == "everything");
        Observation {
            at,
            stream: StreamObservation {
                name: "weir".to_owned(),
                status: known("status").then(|| reading(self.status.clone(), at)),
                on_demand: self.on_demand,
                open_shards: known("shards").then(|| reading(ShardCount(self.shards), at)),
                undrained_parents: known("parents").then(|| reading(ShardCount(self.undrained_parents), at)),
                warm_throughput_mib: self.warm.map(|warm| reading(warm, at)),
                account_shards_left: self.account_left.map(|left| reading(left, at)),
            },
            producer: self.service("producer", self.producers, self.producers_running, self.producer_work, at, &known),
            consumer: self.service("consumer", self.consumers, self.consumers_running, self.consumer_work, at, &known),
            load: self.load(at, &known),
            foreign: self.foreign.iter().map(|target| foreign(target)).collect(),
            ..Observation::default()
        }
    }

    fn load(&self, at: Timestamp, known: &dyn Fn(&str) -> bool) -> LoadObservation {
        let running = f64::from(self.consumers_running.unwrap_or(self.consumers).max(1));
        let incoming = self.incoming_records.unwrap_or(self.offered_records);
        let incoming_bytes = self.incoming_mib.unwrap_or(self.offered_mib) * MIB;
        let keys = Keys { parts: &self.hot_shards, heavy: self.hot_key };
        let shards = self.ranges.or_equal(self.shards).loads(&keys, known);
        LoadObservation {
            offered_records: known("offered").then(|| reading(RecordsPerSecond(self.offered_records), at)),
            offered_bytes: known("offered").then(|| reading(BytesPerSecond(self.offered_mib * MIB), at)),
            refused_bytes: self.refused_mib.map(|refused| reading(BytesPerSecond(refused * MIB), at)),
            buffered_bytes: self.buffered_mib.map(|buffered| reading(ByteCount(buffered * MIB), at)),
            incoming_records: known("incoming").then(|| reading(RecordsPerSecond(incoming), at)),
            incoming_bytes: known("incoming").then(|| reading(BytesPerSecond(incoming_bytes), at)),
            throttled_records: known("throttled").then(|| reading(RecordsPerSecond(self.throttled), at)),
            processed_records: known("processed")
                .then(|| reading(RecordsPerSecond(self.processed.unwrap_or(self.offered_records)), at)),
            lag: known("lag").then(|| reading(Millis((self.lag_s * 1e3) as u64), at)),
            consumer_busy: known("busy").then(|| reading(Fraction((self.consumer_work / running).min(1.0)), at)),
            backlog: known("backlog").then(|| reading(RecordCount(self.backlog), at)),
            processable_leases: known("leases").then(|| reading(ShardCount(self.leases.unwrap_or(self.shards)), at)),
            busiest_shards: shards.iter().take(8).cloned().collect(),
            shards,
        }
    }

    fn service(
        &self,
        part: &str,
        desired: u32,
        running: Option<u32>,
        work: f64,
        at: Timestamp,
        known: &dyn Fn(&str) -> bool,
    ) -> ServiceObservation {
        if self.without.iter().any(|without| without == part) {
            return ServiceObservation::default();
        }
        let running = running.unwrap_or(desired);
        ServiceObservation {
            name: format!("weir-{part}"),
            desired: known("tasks").then(|| reading(TaskCount(desired), at)),
            running: known("tasks").then(|| reading(TaskCount(running), at)),
            pending: known("tasks").then(|| reading(TaskCount(0), at)),
            cpu: known("cpu").then(|| reading(Fraction((work / f64::from(running.max(1))).min(1.0)), at)),
        }
    }

    pub(crate) fn apply(&mut self, action: &Action) -> ActionResult {
        if let Some(code) = self.refuses.as_ref().filter(|code| !code.is_empty()) {
            return ActionResult::Refused { code: code.clone(), message: "said the world".to_owned() };
        }
        self.ranges = self.ranges.or_equal(self.shards);
        match action {
            Action::UpdateShardCount { to, .. } => {
                self.shards = to.0;
                self.ranges.make_equal(to.0);
            }
            Action::UpdateService { service: Service::Producer, to, .. } => self.producers = to.0,
            Action::UpdateService { service: Service::Consumer, to, .. } => self.consumers = to.0,
            Action::SplitShard { shard_id, new_starting_hash_key, .. } => {
                self.shards += 1;
                self.ranges.split(shard_id, new_starting_hash_key.parse().unwrap());
            }
            Action::MergeShards { shard_id, adjacent_shard_id, .. } => {
                self.shards -= 1;
                self.ranges.merge(shard_id, adjacent_shard_id);
            }
            Action::UpdateStreamWarmThroughput { to_mib, .. } => self.warm = Some(*to_mib),
        }
        ActionResult::Done
    }
}

const MIB: f64 = 1024.0 * 1024.0;

fn reading<T>(value: T, at: Timestamp) -> Reading<T> {
    Reading { value, at, source: Source::TaskReports }
}

fn foreign(target: &str) -> ForeignScaler {
    ForeignScaler { target: target.to_owned(), kind: "Application Auto Scaling".to_owned() }
}

impl Scenario {
    pub(crate) fn read(text: &str) -> Self {
        toml::from_str(text).unwrap()
    }

    /// Runs the scenario and tells what was decided, whenever something else is decided than before.
    pub(crate) fn run(&self) -> String {
        let policy = Policy::parse(&format!("version = 1\n{}", self.policy)).unwrap();
        let start = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365);
        let mut history =
            History { reshards: self.reshards.iter().map(|ago| start - duration(ago)).collect(), ..History::default() };
        let mut table = self.world.clone();
        let mut world = World::deserialize(table.clone()).unwrap();
        let mut story = Story { start, said: BTreeMap::new(), lines: String::new() };
        let mut changes = self.then.iter().peekable();
        let (mut passed, tick, lasts) = (SignedDuration::ZERO, duration(&self.tick), duration(&self.lasts));
        while passed <= lasts {
            while let Some(change) = changes.next_if(|change| duration(change["at"].as_str().unwrap()) <= passed) {
                let counts = [("shards", world.shards), ("producers", world.producers), ("consumers", world.consumers)];
                table.extend(counts.map(|(name, count)| (name.to_owned(), i64::from(count).into())));
                table.extend(world.warm.map(|warm| ("warm".to_owned(), i64::from(warm).into())));
                table.extend(change.clone());
                table.remove("at");
                world = World { ranges: world.ranges, ..World::deserialize(table.clone()).unwrap() };
            }
            let now = start + passed;
            let seen = world.observation(now);
            let conclusion = decide(&policy, &seen, &history, now);
            story.tell(now, &conclusion);
            history = conclusion.history;
            for action in conclusion.plan.actions {
                let result = world.apply(&action);
                history.note(&Outcome { action, at: now, result });
            }
            passed += tick;
        }
        story.lines
    }
}

struct Story {
    start: Timestamp,
    said: BTreeMap<&'static str, String>,
    lines: String,
}

impl Story {
    fn tell(&mut self, now: Timestamp, conclusion: &Conclusion) {
        for (name, rule) in conclusion.report.rules() {
            let silent = name == "cold merge" && matches!(rule.verdict, Verdict::NotApplicable { .. });
            let said = self.sentence(rule);
            let before = self.said.get(name);
            if before != Some(&said) && !(silent && before.is_none()) {
                self.lines.push_str(&format!("{:>8}  {name}: {said}\n", self.clock(now)));
                self.said.insert(name, said);
            }
        }
        for action in &conclusion.plan.actions {
            if let Action::SplitShard { .. } | Action::MergeShards { .. } = action {
                self.lines.push_str(&format!("{:>8}  {}\n", self.clock(now), call(action)));
            }
        }
    }

    fn sentence(&self, rule: &RuleReport) -> String {
        let verdict = match &rule.verdict {
            Verdict::Fired { from, to, reason } => format!("{from} -> {to}, {reason}"),
            Verdict::Held { reason, until: Some(until) } => format!("held until {}, {reason}", self.clock(*until)),
            Verdict::Held { reason, until: None } => format!("held, {reason}"),
            Verdict::NotApplicable { reason } => format!("nothing, {reason}"),
        };
        let inputs: Vec<_> = rule.inputs.iter().map(|input| format!("{}: {}", input.name, input.value)).collect();
        let counterfactual = rule.counterfactual.iter().map(|text| format!("\n          ({text})")).collect::<String>();
        format!("{verdict}{counterfactual}\n          [{}]", inputs.join(", "))
    }

    fn clock(&self, at: Timestamp) -> String {
        let seconds = at.duration_since(self.start).as_secs();
        format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

/// A call for one shard. Its hash key as a share of all.
fn call(action: &Action) -> String {
    match action {
        Action::SplitShard { shard_id, new_starting_hash_key: key, .. } => {
            let position = key.parse::<u128>().unwrap() as f64 / u128::MAX as f64;
            format!("SplitShard {shard_id} at {:.2} % of all hash keys", position * 100.0)
        }
        Action::MergeShards { shard_id, adjacent_shard_id, .. } => {
            format!("MergeShards {shard_id} {adjacent_shard_id}")
        }
        action => format!("{action:?}"),
    }
}

pub(crate) fn duration(text: &str) -> SignedDuration {
    text.parse().unwrap()
}
