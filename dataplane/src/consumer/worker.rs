//! One worker of an application: looks at the lease table, takes its share, and sees that every lease is served.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use tokio::{
    sync::watch,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    coordination::{Coordinator, Member},
    lease::{How, Lease, Ledger, TableError, View},
    settings::InitialPosition,
    shards::{self, SyncError, Synchronised},
    sync,
    tenure::{self, Signals, Workplace},
};

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

/// The time after a lease's expiry at which it is looked at.
const MOMENT: Duration = Duration::from_millis(1);

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
    workplace: Arc<Workplace>,
    initial_position: InitialPosition,
    create_table: bool,
    ledger: Ledger,
    held: BTreeMap<String, Held>,
    tenures: JoinSet<()>,
    /// The synchronisation under way, if one is: a stream that answers slowly keeps nobody from the leases.
    syncs: JoinSet<Result<Synchronised, SyncError>>,
    synced_at: Option<Instant>,
    /// How often in a row a part of the hash range was nobody's.
    holes: u32,
    member: Member,
    /// Whether leases may be taken from this worker without a question.
    exposed: watch::Sender<bool>,
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
            workplace: self.workplace,
            initial_position: self.initial_position,
            create_table: self.create_table,
            ledger: Ledger::default(),
            held: BTreeMap::new(),
            tenures: JoinSet::new(),
            syncs: JoinSet::new(),
            synced_at: None,
            holes: 0,
            member: Member::new(self.coordinator),
            exposed: watch::Sender::new(false),
            stopping,
        };
        let mut next = Instant::now();
        loop {
            tokio::select! {
                () = work.stopping.cancelled() => break,
                Some(ended) = work.tenures.join_next_with_id() => work.forget(ended),
                Some(synchronised) = work.syncs.join_next() => {
                    if !work.has_created(synchronised) {
                        continue;
                    }
                }
                () = sleep_until(next) => {}
            }
            let looked = work.look().await;
            work.workplace.stats.set_ready(looked.is_ok());
            let pause = work.pause();
            next = Instant::now()
                + match looked {
                    Ok(Look::Introduced) => pause.min(INTRODUCTION),
                    Ok(Look::Done) => pause,
                    Err(error) => {
                        tracing::warn!(%error, "cannot work with the lease table");
                        pause
                    }
                };
        }
        while work.tenures.join_next().await.is_some() {}
        work.member.sign_off().await;
    }
}

/// What a look came to.
enum Look {
    Done,
    /// The first lease is taken. There may be more now that others know of this worker.
    Introduced,
}

impl Work {
    /// Reads the table, takes what is to be taken, and starts what can start.
    async fn look(&mut self) -> Result<Look, TableError> {
        self.read().await?;
        let now = Instant::now();
        self.tell();
        self.synchronise(now);
        let task = self.workplace.task.clone();
        self.member.attend(now, || task.resources().cpu_fraction).await;
        let had_none = self.held.is_empty();
        self.take().await?;
        for held in self.held.values().filter(|held| self.ledger.parents_are_finished(&held.lease)) {
            held.signals.go.cancel();
        }
        Ok(if had_none && !self.held.is_empty() { Look::Introduced } else { Look::Done })
    }

    async fn read(&mut self) -> Result<(), TableError> {
        let table = &self.workplace.table;
        let leases = match table.leases().await {
            Err(TableError::Missing(name)) if self.create_table => {
                tracing::info!(table = name, "creating the lease table");
                table.deploy().await?;
                Vec::new()
            }
            read => read?,
        };
        self.ledger.observe(leases, Instant::now());
        Ok(())
    }

    /// Tells the tenures whose leases the table has for others, who asked for them or took them.
    fn tell(&self) {
        let me = Some(self.workplace.worker.as_str());
        for (shard_id, held) in &self.held {
            let there = self.ledger.get(shard_id);
            if there.is_some_and(|lease| lease.owner.as_deref() != me || lease.checkpoint_owner.as_deref() == me) {
                held.signals.wanted.notify_one();
            }
        }
    }

    /// Begins to bring the leases in line with the shards, if that is due. Whether a stream can be listed has nothing
    /// to do with the leases that are there.
    fn synchronise(&mut self, now: Instant) {
        let due = self.synced_at.is_none_or(|synced| now.saturating_duration_since(synced) >= SYNC_INTERVAL);
        if due && self.syncs.is_empty() {
            let (workplace, initial) = (self.workplace.clone(), self.initial_position);
            let leases: Vec<_> = self.ledger.leases().cloned().collect();
            self.syncs.spawn(async move {
                let Workplace { kinesis, stream, table, .. } = &*workplace;
                shards::synchronise(kinesis, stream, table, &leases, initial).await
            });
        }
    }

    /// Takes note of a synchronisation. Whether it has created leases, to be looked at at once.
    fn has_created(&mut self, synchronised: Result<Result<Synchronised, SyncError>, JoinError>) -> bool {
        match synchronised {
            Ok(Ok(Synchronised::InLine)) => {
                self.synced_at = Some(Instant::now());
                self.audit();
            }
            Ok(Ok(Synchronised::Created)) => {
                self.synced_at = Some(Instant::now());
                return true;
            }
            // Tried again with the next look.
            Ok(Ok(Synchronised::OthersAreAtIt)) => {}
            Ok(Err(error)) => {
                let stream = &self.workplace.stream;
                tracing::warn!(%error, stream, "cannot bring the leases in line with the shards");
            }
            Err(error) => tracing::error!(%error, "bringing the leases in line with the shards broke"),
        }
        false
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

    async fn take(&mut self) -> Result<(), TableError> {
        let workplace = self.workplace.clone();
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

    fn view(&self) -> View<'_, impl Fn(&str) -> bool> {
        View {
            me: &self.workplace.worker,
            holds: |shard_id: &str| self.held.contains_key(shard_id),
            duration: self.workplace.lease_duration,
            now: Instant::now(),
            led: self.member.is_led(),
        }
    }

    /// The leases to get now. One whose tenure has not ended here yet is not taken a second time.
    fn plan(&self) -> Vec<(Lease, How)> {
        let view = self.view();
        let (leases, workers) = self.ledger.fleet(&view);
        self.workplace.stats.set_fleet(leases, workers);
        self.exposed.send_replace(self.ledger.is_exposed(&view));
        let plan = self.ledger.plan(&view).into_iter();
        let plan = plan.filter(|plan| !self.held.contains_key(&plan.lease.shard_id));
        plan.map(|plan| (plan.lease.clone(), plan.how)).collect()
    }

    fn serve(&mut self, lease: Lease, begun_at: Instant) {
        let signals = Signals::new(self.exposed.subscribe(), self.stopping.clone());
        let serving = tenure::serve(self.workplace.clone(), lease.clone(), begun_at, signals.clone());
        let tenure = self.tenures.spawn(serving).id();
        self.held.insert(lease.shard_id.clone(), Held { lease, tenure, signals });
    }

    /// Forgets a tenure that has ended, and all that have ended by now: one look serves them all. A lease whose tenure
    /// broke is still in our name, and is taken up again with the next look.
    fn forget(&mut self, ended: Result<(Id, ()), JoinError>) {
        let mut next = Some(ended);
        while let Some(ended) = next {
            let id = match ended {
                Ok((id, ())) => id,
                Err(error) => {
                    tracing::error!(%error, "a tenure broke");
                    error.id()
                }
            };
            self.held.retain(|_, held| held.tenure != id);
            next = self.tenures.try_join_next_with_id();
        }
    }

    /// Until the next look: sooner where a lease expires before, unless it is renewed.
    fn pause(&self) -> Duration {
        let (duration, view) = (self.workplace.lease_duration, self.view());
        let units = (self.ledger.leases().count() as f64 / LEASES_PER_READ_UNIT).ceil();
        let regular =
            Duration::from_secs_f64(units / READ_UNITS_PER_SECOND).clamp(duration / LOOKS.0, duration / LOOKS.1);
        let expiry = self.ledger.next_expiry(&view).map(|expiry| expiry.saturating_duration_since(view.now) + MOMENT);
        expiry.map_or(regular, |expiry| regular.min(expiry))
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
