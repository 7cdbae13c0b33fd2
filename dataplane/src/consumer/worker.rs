//! One worker of an application: looks at the lease table, takes its share, and sees that every lease is served.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream};
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    coordination::{Coordination, Coordinator, Watch},
    lease::{How, Lease, Ledger, TableError, View},
    settings::InitialPosition,
    shards::{self, Synchronised},
    sync,
    tenure::{self, Signals, Workplace},
};
use crate::ambient;

/// How often the shards are looked up when no shard has ended. The children of a shard are created at its end anyway.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);

/// The table is read between ten and three times in a lease's duration: how fast a release or a death is noticed.
const LOOKS: (u32, u32) = (10, 3);

/// A small table is read more often than a large one: looks that come to so many read units a second. A consistent
/// read costs one for each 4 KiB, which hold about 16 leases.
const READ_UNITS_PER_SECOND: f64 = 40.0;
const LEASES_PER_READ_UNIT: f64 = 16.0;

/// The pause after a look that has introduced this worker to the others with its first lease.
const INTRODUCTION: Duration = Duration::from_millis(250);

/// How often the state of a KCL 3 is read: where there is one, and where there is none yet. It looks itself once a
/// minute, and its leader assigns every 20 s.
const COORDINATION: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// How often its leader is told of this worker, as its own workers do: it forgets one after twice that time.
const STATS_INTERVAL: Duration = Duration::from_secs(30);

/// The figures that it is told at once.
const STATS_KEPT: usize = 10;

/// A hole in the hash range is believed when it was seen so often, as by the KCL's auditor.
const HOLES_BELIEVED: u32 = 3;

/// Leases that are taken at the same time.
const TAKES: usize = 32;

pub(crate) struct Worker {
    pub(crate) workplace: Arc<Workplace>,
    pub(crate) coordinator: Coordinator,
    pub(crate) initial_position: InitialPosition,
    pub(crate) create_table: bool,
}

/// A worker at work.
struct Work {
    worker: Worker,
    ledger: Ledger,
    held: BTreeMap<String, Held>,
    tenures: JoinSet<()>,
    synced_at: Option<Instant>,
    /// How often in a row a part of the hash range was nobody's.
    holes: u32,
    /// What a KCL 3 beside this worker has come to, and when that was read.
    coordination: Coordination,
    coordinated_at: Option<Instant>,
    reported_at: Option<Instant>,
    leader: Watch,
    led: bool,
    cpu: VecDeque<f64>,
    stopping: CancellationToken,
}

/// A lease whose tenure runs.
struct Held {
    lease: Lease,
    tenure: Id,
    signals: Signals,
}

impl Worker {
    /// Works until `stopping`, then until every lease is released.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut work = Work {
            worker: self,
            ledger: Ledger::default(),
            held: BTreeMap::new(),
            tenures: JoinSet::new(),
            synced_at: None,
            holes: 0,
            coordination: Coordination::default(),
            coordinated_at: None,
            reported_at: None,
            leader: Watch::default(),
            led: false,
            cpu: VecDeque::new(),
            stopping,
        };
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = work.stopping.cancelled() => break,
                Some(ended) = work.tenures.join_next_with_id() => work.forget(ended),
                () = sleep(pause) => {}
            }
            let looked = work.look().await;
            work.worker.workplace.stats.set_ready(looked.is_ok());
            pause = work.pause();
            match looked {
                Ok(Look::Introduced) => pause = pause.min(INTRODUCTION),
                Ok(Look::Done) => {}
                Err(error) => tracing::warn!(%error, "cannot work with the lease table"),
            }
        }
        while work.tenures.join_next().await.is_some() {}
        work.sign_off().await;
    }
}

/// What a look came to.
enum Look {
    Done,
    /// The first lease is taken. There may be more now that others know of this worker.
    Introduced,
}

impl Work {
    /// Looks whether a KCL 3 assigns the leases, and tells its leader of this worker.
    async fn coordinate(&mut self, now: Instant) {
        let due =
            |then: Option<Instant>, interval| then.is_none_or(|then| now.saturating_duration_since(then) >= interval);
        let known = self.coordination.version.is_some();
        if due(self.coordinated_at, if known { COORDINATION.0 } else { COORDINATION.1 }) {
            match self.worker.coordinator.read().await {
                Ok(state) => self.coordination = state,
                Err(error) => tracing::warn!(error, "cannot read what a KCL 3 has come to"),
            }
            self.coordinated_at = Some(now);
        }
        let led = self.leader.is_led(&self.coordination, now);
        if led != self.led {
            let leader = self.coordination.leader.as_ref().map_or("nobody", |leader| &leader.owner);
            tracing::info!(led, leader, "whether the leader of a KCL 3 assigns the leases");
            self.led = led;
        }
        if known && due(self.reported_at, STATS_INTERVAL) {
            self.reported_at = Some(now);
            self.report_cpu().await;
        }
    }

    async fn report_cpu(&mut self) {
        if let Some(fraction) = self.worker.workplace.task.resources().cpu_fraction {
            self.cpu.push_back((fraction * 100.0).min(100.0));
        }
        while self.cpu.len() > STATS_KEPT {
            self.cpu.pop_front();
        }
        let now_seconds = ambient::now_ms() / 1000;
        let single = self.coordination.single_table;
        let written = self.worker.coordinator.write_stats(single, self.cpu.make_contiguous(), now_seconds).await;
        if let Err(error) = written {
            tracing::warn!(
                error,
                "cannot tell the leader of a KCL 3 about this worker: it will assign no leases to it"
            );
        }
    }

    /// Takes this worker off the list of the leader of a KCL 3, if it is on it.
    async fn sign_off(&mut self) {
        if self.reported_at.is_some()
            && let Err(error) = self.worker.coordinator.delete_stats(self.coordination.single_table).await
        {
            tracing::warn!(error, "cannot take this worker off the list of a KCL 3");
        }
    }

    /// Whether every hash key is somebody's: a part that is nobody's for long means that records are not read.
    fn audit(&mut self) {
        let Some((first, last)) = sync::hole(self.ledger.leases()) else {
            self.holes = 0;
            return;
        };
        self.holes += 1;
        // Between the end of a shard and its successors' leases it may look so for a moment.
        if self.holes < HOLES_BELIEVED {
            self.synced_at = None;
        } else {
            tracing::error!(first, last, "hash keys that no lease covers: their records are not read");
        }
    }

    /// Reads the table, creates and takes what is to be created and taken, and starts what can start.
    async fn look(&mut self) -> Result<Look, TableError> {
        self.read().await?;
        let now = Instant::now();
        if self.synced_at.is_none_or(|synced| now.saturating_duration_since(synced) >= SYNC_INTERVAL) {
            self.synchronise(now).await?;
        }
        self.coordinate(now).await;
        let had_none = self.held.is_empty();
        self.take().await?;
        for (shard_id, held) in &self.held {
            if self.ledger.parents_are_finished(&held.lease) {
                held.signals.go.cancel();
            }
            let wanted = self.ledger.get(shard_id).and_then(|lease| lease.checkpoint_owner.as_deref());
            if wanted == Some(&self.worker.workplace.worker) {
                held.signals.wanted.notify_one();
            }
        }
        Ok(if had_none && !self.held.is_empty() { Look::Introduced } else { Look::Done })
    }

    async fn read(&mut self) -> Result<(), TableError> {
        let table = &self.worker.workplace.table;
        let leases = match table.leases().await {
            Err(TableError::Missing(name)) if self.worker.create_table => {
                tracing::info!(table = name, "creating the lease table");
                table.deploy().await?;
                Vec::new()
            }
            read => read?,
        };
        self.ledger.observe(leases, Instant::now());
        Ok(())
    }

    /// A stream that cannot be listed now does not keep the worker from the leases that are there.
    async fn synchronise(&mut self, now: Instant) -> Result<(), TableError> {
        let workplace = &self.worker.workplace;
        let (stream, initial) = (&workplace.stream, self.worker.initial_position);
        match shards::synchronise(&workplace.kinesis, stream, &workplace.table, &self.ledger, initial).await {
            Ok(Synchronised::InLine) => {
                self.synced_at = Some(now);
                self.audit();
                Ok(())
            }
            Ok(Synchronised::Created) => {
                self.synced_at = Some(now);
                self.read().await
            }
            // Looked at again with the next look.
            Ok(Synchronised::OthersAreAtIt) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, stream, "cannot bring the leases in line with the shards");
                Ok(())
            }
        }
    }

    async fn take(&mut self) -> Result<(), TableError> {
        let workplace = self.worker.workplace.clone();
        let takes = stream::iter(self.plan()).map(move |(lease, how)| take(workplace.clone(), lease, how));
        // To their end even when the worker is to stop: what is taken is served, and given up again at once.
        let taken: Vec<_> = takes.buffer_unordered(TAKES).collect().await;
        for taken in taken {
            match taken {
                Ok((lease, begun_at)) => self.serve(lease, begun_at),
                Err(TableError::Lost) => tracing::debug!("another worker was faster"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The leases to get now. One whose tenure has not ended here yet is not taken a second time.
    fn plan(&self) -> Vec<(Lease, How)> {
        let view = View {
            me: &self.worker.workplace.worker,
            holds: |shard_id: &str| self.held.contains_key(shard_id),
            duration: self.worker.workplace.lease_duration,
            now: Instant::now(),
            led: self.led,
        };
        let (leases, workers) = self.ledger.fleet(&view);
        self.worker.workplace.stats.set_fleet(leases, workers);
        let plan = self.ledger.plan(&view).into_iter();
        let plan = plan.filter(|plan| !self.held.contains_key(&plan.lease.shard_id));
        plan.map(|plan| (plan.lease.clone(), plan.how)).collect()
    }

    fn serve(&mut self, lease: Lease, begun_at: Instant) {
        let signals = Signals { stopping: self.stopping.clone(), ..Signals::default() };
        let serving = tenure::serve(self.worker.workplace.clone(), lease.clone(), begun_at, signals.clone());
        let tenure = self.tenures.spawn(serving).id();
        self.held.insert(lease.shard_id.clone(), Held { lease, tenure, signals });
    }

    /// A lease whose tenure broke is still in our name, and is taken up again with the next look.
    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a tenure broke");
                error.id()
            }
        };
        self.held.retain(|_, held| held.tenure != id);
    }

    /// Until the next look.
    fn pause(&self) -> Duration {
        let duration = self.worker.workplace.lease_duration;
        let units = (self.ledger.leases().count() as f64 / LEASES_PER_READ_UNIT).ceil();
        Duration::from_secs_f64(units / READ_UNITS_PER_SECOND).clamp(duration / LOOKS.0, duration / LOOKS.1)
    }
}

/// Gets a lease, or asks for it.
async fn take(workplace: Arc<Workplace>, lease: Lease, how: How) -> Result<(Lease, Instant), TableError> {
    let begun_at = Instant::now();
    let taken = match how {
        How::Take => workplace.table.take(&lease, &workplace.worker).await?,
        How::Ask => workplace.table.request(&lease, &workplace.worker).await?,
    };
    let from = lease.owner.as_deref().unwrap_or("nobody");
    tracing::info!(shard = lease.shard_id, from, asked = how == How::Ask, "took a lease");
    Ok((taken, begun_at))
}
