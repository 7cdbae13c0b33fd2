//! The simulated world: a stream, two services, their clients, and what can be seen of them.

mod flow;
mod keys;
mod queue;
mod recent;
mod see;
mod service;
mod stream;

pub use keys::{Skew, UnknownSkew};
pub(super) use stream::duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    Metrics, Physics, Scene, Setup,
    chance::{Chance, Purpose},
    faults::{self, Fault, Faults},
    metrics::MetricMinute,
    timeline::{Call, Minute},
};
use crate::{
    decide::{Action, ActionResult, Service as Which},
    observe::Observation,
};
use flow::{Group, Reading};
use keys::Keys;
use recent::Recent;
use service::Service;
use stream::{Refused, Stream};

/// Everything that there is.
pub(super) struct World<'a> {
    physics: &'a Physics,
    faults: &'a Faults,
    setup: Setup,
    start: Timestamp,
    keys: Keys,
    stream: Stream,
    groups: Vec<Group>,
    /// Which group each shard is in.
    members: Vec<usize>,
    producers: Service,
    consumers: Service,
    /// What producers hold.
    buffered: f64,
    /// Consumers read nothing before this second: leases change hands.
    paused_until: u32,
    /// Records of before this second are in closed shards, of which there are so many.
    parents: Option<(u32, u32)>,
    /// The highest minutes of an on-demand stream, in full shards: the newest of [`Physics::on_demand_minutes`], and all
    /// before them.
    on_demand: OnDemand,
    totals: Totals,
    sums: Sums,
    metrics: Metrics,
    seen: Observation,
    /// Other shards, or other loads of them, than at the last look.
    redraw: bool,
    calls: Vec<Call>,
    delays: Chance,
    cloudwatch: Chance,
    answers: Chance,
    reads: Chance,
    hands: Chance,
}

#[derive(Debug, Default)]
struct OnDemand {
    newest: Vec<f64>,
    peak: f64,
}

/// What reports are made of.
#[derive(Debug, Default)]
struct Totals {
    offered: Recent,
    accepted: Recent,
    refused: Recent,
    /// Attempts of clients that producers refuse.
    turned_away: Recent,
    processed: Recent,
    busy: Recent,
}

/// Sums of the minute under way.
#[derive(Debug, Default)]
struct Sums {
    demand: f64,
    throttled: f64,
    lost: f64,
    accepted: f64,
    refused: f64,
    processed: f64,
    lag_s: f64,
    shards: f64,
    producers: f64,
    consumers: f64,
    producer_use: f64,
    consumer_use: f64,
}

impl<'a> World<'a> {
    pub(super) fn new(scene: &'a Scene, setup: Setup, start: Timestamp, minutes: usize, seed: u64) -> Self {
        let Scene { physics, faults, .. } = scene;
        let skew = if faults.have(Fault::HotKey) {
            Skew::HotKey { share: faults::HOT_SHARE, from_minute: faults::HOT_FROM_MINUTE }
        } else if faults.have(Fault::HotShard) {
            Skew::HotRange { share: faults::HOT_SHARE, from_minute: faults::HOT_FROM_MINUTE }
        } else {
            scene.skew.clone()
        };
        let on_demand = physics.in_shards(physics.on_demand_start_mib).ceil() as u32;
        let shards = if setup.on_demand { on_demand } else { setup.shards.unwrap_or(physics.shards_at_start) };
        let chance = |purpose| Chance::new(seed, purpose);
        let mut world = Self {
            physics,
            faults,
            setup,
            start,
            keys: Keys::new(skew, &mut chance(Purpose::Keys)),
            stream: Stream::new(shards),
            groups: Vec::new(),
            members: Vec::new(),
            producers: Service::new(setup.producers.unwrap_or(physics.tasks_at_start)),
            consumers: Service::new(setup.consumers.unwrap_or(physics.tasks_at_start)),
            buffered: 0.0,
            paused_until: 0,
            parents: None,
            on_demand: OnDemand::default(),
            totals: Totals::default(),
            sums: Sums::default(),
            metrics: Metrics::new(start, minutes),
            seen: Observation::default(),
            redraw: true,
            calls: Vec::new(),
            delays: chance(Purpose::Delays),
            cloudwatch: chance(Purpose::CloudWatch),
            answers: chance(Purpose::Answers),
            reads: chance(Purpose::Reads),
            hands: chance(Purpose::Hands),
        };
        world.regroup(0);
        world.seen = world.first_look();
        world
    }

    pub(super) fn at(&self, second: u32) -> Timestamp {
        self.start + SignedDuration::from_secs(i64::from(second))
    }

    /// Lets a second pass.
    pub(super) fn pass(&mut self, second: u32, demand: f64) {
        if self.stream.pass(second) {
            self.resharded(second);
        }
        self.producers.pass(second);
        if self.consumers.pass(second) {
            self.paused_until = self.paused_until.max(second + self.physics.lease_handover_s);
        }
        self.close_parents(second);
        let intake = f64::from(self.producers.running()) * self.physics.in_shards(self.physics.producer_task_mib);
        let reading = self.reading(second);
        let mut one = flow::pass(&mut self.groups, demand, intake, reading, self.physics, second);
        let (buffered, turned_away) = self.waiting();
        one.repeated = turned_away / self.physics.client_retry_s;
        // What is offered is stored, held by the producers, or refused.
        one.turned_away = (demand + one.repeated - one.accepted - (buffered - self.buffered)).max(0.0);
        self.buffered = buffered;
        if turned_away > 0.0 || !self.physics.producers_retry {
            // Producers whose buffers are full, or that have none, refuse what they have no time for.
            one.throttled += (demand - intake).max(0.0);
        }
        self.note(second, &one, intake);
    }

    /// What producers hold of what waits, and what they have no room for: clients offer that again.
    fn waiting(&self) -> (f64, f64) {
        let waiting: f64 = self.groups.iter().map(|group| group.waiting.total() * group.count).sum();
        if waiting == 0.0 {
            return (0.0, 0.0);
        }
        let buffers = f64::from(self.producers.running()) * self.physics.in_shards(self.physics.producer_buffer_mib);
        (waiting.min(buffers), (waiting - buffers).max(0.0))
    }

    fn note(&mut self, second: u32, one: &flow::Second, intake: f64) {
        let Totals { offered, accepted, refused, turned_away, processed, busy } = &mut self.totals;
        offered.push(second, one.demand + one.repeated);
        accepted.push(second, one.accepted);
        refused.push(second, one.refused);
        turned_away.push(second, one.turned_away);
        processed.push(second, one.processed);
        busy.push(second, one.busy);
        let consumers = f64::from(self.consumers.running().max(1));
        let sums = &mut self.sums;
        sums.demand += one.demand;
        sums.throttled += one.throttled;
        sums.lost += one.lost;
        sums.accepted += one.accepted;
        sums.refused += one.refused;
        sums.processed += one.processed;
        sums.lag_s = sums.lag_s.max(one.lag_s);
        sums.shards += f64::from(self.stream.count());
        sums.producers += f64::from(self.producers.billed());
        sums.consumers += f64::from(self.consumers.billed());
        sums.producer_use += (one.demand + one.repeated).min(intake) / intake.max(f64::MIN_POSITIVE);
        sums.consumer_use += one.processed / (consumers * self.physics.in_shards(self.physics.consumer_task_mib));
    }

    fn reading(&self, second: u32) -> Reading {
        if second < self.paused_until {
            return Reading { lease: 0.0, crowding: 0.0 };
        }
        let shards = self.stream.count();
        let leases = self.parents.map_or(shards, |(_, parents)| parents);
        Reading::of(self.physics, self.consumers.running(), leases, shards)
    }

    fn resharded(&mut self, second: u32) {
        let before = self.members.len() as u32;
        self.regroup(second / 60);
        self.parents = Some((second, before));
    }

    fn regroup(&mut self, minute: u32) {
        let shares: Vec<f64> = self.stream.shares(&self.keys, minute).collect();
        let burst_s = self.physics.shard_burst_s;
        let capacity =
            if self.setup.on_demand { self.on_demand_capacity() / f64::from(self.stream.count()) } else { 1.0 };
        self.redraw = true;
        (self.groups, self.members) = flow::regroup(&self.groups, &shares, capacity, burst_s);
    }

    fn rekey(&mut self, minute: u32) {
        let shares: Vec<f64> = self.stream.shares(&self.keys, minute).collect();
        self.redraw = true;
        (self.groups, self.members) = flow::rekey(&self.groups, &self.members, &shares);
    }

    /// Parents that are read to their end make way for their children, which are found a moment later.
    fn close_parents(&mut self, second: u32) {
        let Some((closed, _)) = self.parents else { return };
        let drained = self.groups.iter().all(|group| group.unread.oldest().is_none_or(|oldest| oldest >= closed));
        if drained && second > closed {
            self.parents = None;
            self.paused_until = self.paused_until.max(second + self.physics.shard_sync_s);
        }
    }

    /// Ends a minute: CloudWatch has it from some moment on, and the timeline for ever.
    pub(super) fn end_minute(&mut self, minute: u32, demand: f64) -> Minute {
        let sums = std::mem::take(&mut self.sums);
        self.publish(minute, &sums);
        if self.setup.on_demand {
            self.grow_on_demand(minute, sums.accepted / 60.0);
        }
        if self.keys.changes_at(minute + 1) {
            self.rekey(minute + 1);
        }
        let records = self.physics.user_records();
        Minute {
            minute,
            demand_shards: rounded(demand),
            shards: rounded(sums.shards / 60.0),
            records: rounded(sums.demand * records),
            throttled_records: rounded(sums.throttled * records),
            lost_records: rounded(sums.lost * records),
            lag_s: rounded(sums.lag_s + self.physics.idle_lag_s),
            tasks: rounded(sums.consumers / 60.0),
            producers: rounded(sums.producers / 60.0),
            actions: std::mem::take(&mut self.calls),
        }
    }

    fn publish(&mut self, minute: u32, sums: &Sums) {
        let records = self.physics.kinesis_records();
        let bytes = self.physics.shard_bytes();
        let polls = self.setup.polls.unwrap_or(self.physics.consumers_poll);
        let point = MetricMinute {
            incoming_bytes: sums.accepted * bytes,
            incoming_records: sums.accepted * records,
            throttled_records: sums.refused * records,
            read_bytes: polls.then_some(sums.processed * bytes),
            read_records: polls.then_some(sums.processed * records),
            iterator_age_ms: polls.then_some(sums.lag_s * 1e3),
            producer_cpu: 100.0 * sums.producer_use / 60.0,
            consumer_cpu: 100.0 * self.physics.busy_cpu * sums.consumer_use / 60.0,
        };
        let delay = self.cloudwatch.whole(self.physics.metric_delay_s);
        let dropped = if self.faults.have(Fault::MetricsDropped) { faults::DROPPED } else { self.physics.metric_loss };
        let late = if self.faults.have(Fault::MetricsDelayed) { faults::LATE_S } else { 0 };
        let lost = self.cloudwatch.happens(dropped);
        self.metrics.publish(point, (!lost).then_some((minute + 1) * 60 + delay.max(late)));
    }

    fn on_demand_capacity(&self) -> f64 {
        let start = self.physics.in_shards(self.physics.on_demand_start_mib);
        start.max(self.on_demand.peak * self.physics.on_demand_factor)
    }

    fn grow_on_demand(&mut self, minute: u32, accepted: f64) {
        let OnDemand { newest, peak } = &mut self.on_demand;
        newest.push(accepted);
        if newest.len() <= self.physics.on_demand_minutes as usize {
            return;
        }
        let aged = newest.remove(0);
        if aged > *peak {
            *peak = aged;
            let shards = self.on_demand_capacity().ceil() as u32;
            self.stream.set(shards);
            self.regroup(minute);
        }
    }

    /// AWS's answer to a call.
    pub(super) fn act(&mut self, action: &Action, second: u32) -> ActionResult {
        let result = if self.faults.have(Fault::ApiThrottled) && self.answers.happens(faults::REFUSED) {
            refused(Refused("ThrottlingException", "Rate exceeded"))
        } else if self.faults.have(Fault::LostAnswers) && self.answers.happens(faults::UNANSWERED) {
            if self.answers.happens(0.5) {
                let _unheard = self.carry_out(action, second);
            }
            ActionResult::Unknown { message: "no answer".to_owned() }
        } else {
            self.carry_out(action, second).map_or_else(refused, |()| ActionResult::Done)
        };
        self.calls.push(Call::new(second, action, &result));
        result
    }

    fn carry_out(&mut self, action: &Action, second: u32) -> Result<(), Refused> {
        let Self { stream, physics, delays, .. } = self;
        match action {
            Action::UpdateShardCount { to, .. } => stream.update(to.0, second, physics, delays),
            Action::SplitShard { shard_id, new_starting_hash_key, .. } => {
                let at = new_starting_hash_key
                    .parse()
                    .map_err(|_| Refused("InvalidArgumentException", "the hash key is no number"))?;
                stream.split(shard_id, at, second, physics)
            }
            Action::MergeShards { shard_id, adjacent_shard_id, .. } => {
                stream.merge(shard_id, adjacent_shard_id, second, physics)
            }
            Action::UpdateService { service, to, .. } => {
                let service = match service {
                    Which::Producer => &mut self.producers,
                    Which::Consumer => &mut self.consumers,
                };
                service.update(to.0, second, physics, delays);
                Ok(())
            }
            Action::UpdateStreamWarmThroughput { .. } => {
                Err(Refused("ValidationException", "the account has no on-demand Advantage"))
            }
        }
    }

    /// Somebody changes a count by a quarter, and does not say so.
    pub(super) fn drift(&mut self, second: u32) {
        let count = self.stream.count();
        let change = count.div_ceil(4);
        let to = if self.hands.happens(0.5) { count + change } else { (count - change).max(count.div_ceil(2)).max(1) };
        // AWS refuses a person as it refuses us.
        let _refused = self.stream.update(to, second, self.physics, &mut self.delays);
        let tasks = self.consumers.desired();
        let to = if self.hands.happens(0.5) { tasks + 1 } else { (tasks - 1).max(1) };
        self.consumers.update(to, second, self.physics, &mut self.delays);
    }
}

fn refused(Refused(code, message): Refused) -> ActionResult {
    ActionResult::Refused { code: code.to_owned(), message: message.to_owned() }
}

/// To a millionth, so that what is written is what was counted.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
