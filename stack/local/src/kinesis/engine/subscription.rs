//! Enhanced fan-out: who may read a shard, and how fast.

use super::{
    consumer::Subscription,
    metering::{Metric, sample},
    shard::{Batch, ShardId},
    stream::Stream,
};
use crate::{
    kinesis::{fault, moment::Moment, settings::Settings},
    service::AwsError,
};

/// What a subscription has to do next.
pub(crate) enum Delivery {
    /// Push these records.
    Records(Batch),
    /// Nothing is new: look again at a change of the stream, or at this time if there is one.
    Idle(Option<Moment>),
    /// Another call has taken the subscription over.
    TakenOver,
    /// The shard, the consumer or the stream does not exist any more.
    Gone,
}

impl Stream {
    /// Gives the subscription of a consumer to a shard to the call numbered `call`.
    ///
    /// # Errors
    /// `ResourceInUseException` while another call holds it for less than [`Settings::subscription_hold`], or the
    /// consumer is not active.
    pub(crate) fn subscribe(
        &mut self,
        consumer_arn: &str,
        shard: ShardId,
        call: u64,
        settings: &Settings,
        now: Moment,
    ) -> Result<(), AwsError> {
        let (name, account) = (self.name.clone(), self.account.clone());
        let consumer = self.consumers.iter_mut().find(|consumer| consumer.arn == consumer_arn);
        let consumer = consumer.ok_or_else(|| fault::no_consumer(&name, consumer_arn))?;
        if consumer.becoming.is_some() {
            return Err(fault::consumer_not_active(&name, &account, consumer));
        }
        let held = consumer.subscriptions.get(&shard);
        if held.is_some_and(|held| now.since(held.began) < settings.subscription_hold) {
            consumer.meter.add(Metric::SubscribeRateExceeded, 1.0, now);
            return Err(fault::subscribed(&name, &account, shard, &consumer.name));
        }
        consumer.meter.add(Metric::SubscribeSuccess, 1.0, now);
        consumer.subscriptions.insert(shard, Subscription { call, began: now, ..Subscription::default() });
        Ok(())
    }

    /// Reads for a subscription, from `index` on.
    pub(crate) fn deliver(
        &mut self,
        consumer_arn: &str,
        id: ShardId,
        call: u64,
        index: u64,
        settings: &Settings,
        now: Moment,
    ) -> Delivery {
        let next_change = self.next_change();
        let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.arn == consumer_arn) else {
            return Delivery::Gone;
        };
        let (Some(subscription), Some(shard)) =
            (consumer.subscriptions.get_mut(&id), self.shards.iter().find(|shard| shard.id == id))
        else {
            return Delivery::Gone;
        };
        if subscription.call != call {
            return Delivery::TakenOver;
        }
        if !subscription.read_bytes.allows(1, settings.fan_out_bytes_per_second, now) {
            return Delivery::Idle(Some(now.plus(settings.subscription_pace)));
        }
        let batch = shard.read(index, settings.get_records_max, settings.event_bytes_max, now);
        if batch.records.is_empty() && !batch.ended {
            return Delivery::Idle(next_change);
        }
        subscription.read_bytes.take(batch.bytes);
        Delivery::Records(batch)
    }

    /// Counts one event that was pushed.
    pub(crate) fn count_event(&mut self, consumer_arn: &str, batch: &Batch, now: Moment) {
        if let Some(consumer) = self.consumers.iter_mut().find(|consumer| consumer.arn == consumer_arn) {
            let behind = batch.behind.as_secs_f64() * 1000.0;
            consumer.meter.add(Metric::EventBytes, sample(batch.bytes), now);
            consumer.meter.add(Metric::EventRecords, sample(batch.records.len() as u64), now);
            consumer.meter.add(Metric::EventSuccess, 1.0, now);
            consumer.meter.add(Metric::EventBehind, behind, now);
        }
    }
}
