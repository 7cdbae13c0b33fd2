//! All streams of the endpoint.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::{
    cell::Cell,
    engine::stream::{Becoming, Mode, NewStream, Stream},
    fault,
    journal::Journal,
    moment::Moment,
    settings::Settings,
};
use crate::{clock::Clock, cloud::Context, service::AwsError, settings::Identity};

/// Where the files of durable streams are, below the endpoint's directory.
const DIRECTORY: &str = "kinesis";

/// Reclaiming frees this part of the bound at once, so that it stays rare under a steady load.
const RECLAIM_DIVISOR: u64 = 16;

/// How a call names a stream: by name, by ARN, or both.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StreamRef {
    #[serde(rename = "StreamName")]
    pub(crate) name: Option<String>,
    #[serde(rename = "StreamARN")]
    pub(crate) arn: Option<String>,
}

impl StreamRef {
    /// The stream's name.
    pub(crate) fn resolve(&self) -> Result<&str, AwsError> {
        let from_arn = self.arn.as_deref().map(|arn| {
            name_in_arn(arn).ok_or_else(|| fault::constraint("streamARN", arn, "be the ARN of a Kinesis stream"))
        });
        match (self.name.as_deref(), from_arn.transpose()?) {
            (Some(name), Some(other)) if name != other => {
                Err(fault::invalid(format!("StreamName {name} and StreamARN name different streams.")))
            }
            (Some(name), _) | (None, Some(name)) => Ok(name),
            (None, None) => Err(fault::invalid("Either StreamName or StreamARN must be provided.")),
        }
    }
}

/// The stream's name in the ARN of a stream or of a consumer.
pub(crate) fn name_in_arn(arn: &str) -> Option<&str> {
    let resource = arn.strip_prefix("arn:")?.splitn(5, ':').nth(4)?.strip_prefix("stream/")?;
    resource.split('/').next().filter(|name| !name.is_empty())
}

/// The streams, by name, and what they share.
pub(crate) struct Account {
    pub(crate) identity: Identity,
    pub(crate) settings: Settings,
    pub(crate) stopping: CancellationToken,
    clock: Clock,
    directory: Option<PathBuf>,
    streams: RwLock<BTreeMap<String, Arc<Cell>>>,
    retained: Arc<AtomicU64>,
    subscriptions: AtomicU64,
    /// Whether the account pays for a minimum of throughput, and so may keep on-demand streams warm.
    committed: AtomicBool,
}

impl Account {
    /// Starts with the streams that are on disk, when they are to be durable.
    pub(crate) fn open(context: &Context, settings: Settings) -> Self {
        let account = Self {
            identity: context.identity.clone(),
            stopping: context.stopping.clone(),
            clock: context.clock,
            directory: settings.durable.then(|| context.directory.join(DIRECTORY)),
            settings,
            streams: RwLock::default(),
            retained: Arc::default(),
            subscriptions: AtomicU64::new(0),
            committed: AtomicBool::new(false),
        };
        account.restore();
        account
    }

    fn restore(&self) {
        let Some(directory) = &self.directory else { return };
        match Journal::open_all(directory) {
            Ok(opened) => {
                let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
                for (journal, stream) in opened {
                    let name = stream.name.clone();
                    streams.insert(name, Arc::new(Cell::new(stream, Some(journal), self.retained.clone())));
                }
            }
            Err(error) => {
                tracing::error!(directory = %directory.display(), %error, "the streams on disk cannot be read");
            }
        }
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now().into()
    }

    /// Numbers the calls of `SubscribeToShard`.
    pub(crate) fn next_subscription(&self) -> u64 {
        self.subscriptions.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed.load(Ordering::Relaxed)
    }

    pub(crate) fn commit(&self, committed: bool) {
        self.committed.store(committed, Ordering::Relaxed);
    }

    pub(crate) fn find(&self, stream: &StreamRef) -> Result<Arc<Cell>, AwsError> {
        self.find_named(stream.resolve()?)
    }

    pub(crate) fn find_named(&self, name: &str) -> Result<Arc<Cell>, AwsError> {
        let now = self.now();
        let cell = self.streams.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let cell = cell.ok_or_else(|| fault::no_stream(name, &self.identity.account))?;
        if cell.look(now, |stream| stream.is_gone(now)) {
            self.forget(name, &cell);
            return Err(fault::no_stream(name, &self.identity.account));
        }
        Ok(cell)
    }

    /// Every stream by name, those that are gone left out.
    pub(crate) fn cells(&self) -> Vec<(String, Arc<Cell>)> {
        let now = self.now();
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        let mut cells: Vec<_> = streams.iter().map(|(name, cell)| (name.clone(), cell.clone())).collect();
        drop(streams);
        cells.retain(|(name, cell)| {
            let gone = cell.look(now, |stream| stream.is_gone(now));
            if gone {
                self.forget(name, cell);
            }
            !gone
        });
        cells
    }

    fn forget(&self, name: &str, gone: &Arc<Cell>) {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        // Another caller may have forgotten it already, and a third created its namesake.
        if streams.get(name).is_some_and(|cell| Arc::ptr_eq(cell, gone)) {
            streams.remove(name);
            if let Err(error) = gone.remove() {
                tracing::warn!(stream = name, %error, "the file of a deleted stream cannot be removed");
            }
        }
    }

    /// Creates a stream, within the quotas of the account.
    pub(crate) fn create(&self, new: NewStream) -> Result<(), AwsError> {
        let now = self.now();
        let existing: Vec<_> = self.cells().into_iter().map(|(_, cell)| cell).collect();
        let count = |is: &dyn Fn(&Stream) -> bool| existing.iter().filter(|cell| cell.look(now, |s| is(s))).count();
        let creating = count(&|stream| matches!(stream.becoming, Some(Becoming::Active(_))));
        if creating >= self.settings.creating_streams_max {
            return Err(fault::limit(format!(
                "At most {} streams of account {} may be CREATING at once.",
                self.settings.creating_streams_max, self.identity.account
            )));
        }
        let on_demand = count(&|stream| stream.mode == Mode::OnDemand);
        if new.mode == Mode::OnDemand && on_demand >= self.settings.on_demand_streams_max as usize {
            return Err(fault::limit(format!(
                "Account {} may have at most {} on-demand streams.",
                self.identity.account, self.settings.on_demand_streams_max
            )));
        }
        self.room()(new.shards as usize)?;
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        if streams.contains_key(&new.name) {
            return Err(fault::stream_exists(&new.name, &self.identity.account));
        }
        let name = new.name.clone();
        let stream = Stream::new(new, now, now.plus(self.settings.create_delay));
        let cell = Cell::create(stream, self.directory.as_deref(), self.retained.clone())
            .map_err(|error| AwsError::internal(format!("the stream's file cannot be made: {error}")))?;
        streams.insert(name, Arc::new(cell));
        Ok(())
    }

    pub(crate) fn open_shards(&self) -> usize {
        let now = self.now();
        self.cells().iter().map(|(_, cell)| cell.look(now, |stream| stream.open_shards().len())).sum()
    }

    /// Counts the open shards now, for a later check whether the account may have `more`. The check itself takes no
    /// lock, so it may be made under that of a stream.
    pub(crate) fn room(&self) -> impl FnOnce(usize) -> Result<(), AwsError> {
        let (open, limit) = (self.open_shards(), self.settings.shard_limit);
        let Identity { account, region } = self.identity.clone();
        move |more| {
            if open + more > limit as usize {
                return Err(fault::shard_limit(&account, &region, open, limit, more));
            }
            Ok(())
        }
    }

    /// Drops the oldest records of all streams when they are over [`Settings::retained_bytes_max`].
    pub(crate) fn reclaim(&self) {
        let retained = self.retained.load(Ordering::Relaxed);
        let bound = self.settings.retained_bytes_max;
        if retained <= bound {
            return;
        }
        let now = self.now();
        let excess = retained - bound + bound / RECLAIM_DIVISOR;
        let mut freed = 0;
        while freed < excess {
            let cells = self.cells();
            let mut oldest: Vec<_> = cells
                .iter()
                .filter_map(|(_, cell)| Some((cell.look(now, |stream| stream.oldest_arrival())?, cell)))
                .collect();
            oldest.sort_unstable_by_key(|&(arrived, _)| arrived);
            let Some(&(_, cell)) = oldest.first() else { break };
            let until = oldest.get(1).map_or(now, |&(arrived, _)| arrived);
            freed += cell.look(now, |stream| stream.drop_oldest(excess - freed, until));
        }
        tracing::warn!(
            freed_bytes = freed,
            bound_bytes = bound,
            "the streams hold more than their bound: the oldest records were dropped before their retention ended"
        );
    }
}
