//! One worker of an application: looks at the lease table, takes its share, and sees that every lease is served.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    task::{Id, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{
    lease::{Lease, Ledger, TableError},
    settings::InitialPosition,
    shards,
    tenure::{self, Workplace},
};

/// How often the shards are looked up when no shard has ended. The children of a shard are created at its end anyway.
const SYNC_INTERVAL: Duration = Duration::from_secs(30);

/// The table is read so many times in a lease's duration: how fast a release or a death is noticed. A read costs half
/// a unit for each 4 KiB, which hold about 20 leases.
const LOOKS: u32 = 6;

pub(crate) struct Worker {
    /// Unique among all workers, past ones included.
    pub(crate) id: String,
    pub(crate) workplace: Arc<Workplace>,
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
    stopping: CancellationToken,
}

/// A lease whose tenure runs.
struct Held {
    lease: Lease,
    tenure: Id,
    /// Cancelled to let the reading begin.
    go: CancellationToken,
}

impl Worker {
    /// Works until `stopping`, then until every lease is released.
    pub(crate) async fn run(self, stopping: CancellationToken) {
        let mut looks = interval(self.workplace.lease_duration / LOOKS);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = Work {
            worker: self,
            ledger: Ledger::default(),
            held: BTreeMap::new(),
            tenures: JoinSet::new(),
            synced_at: None,
            stopping,
        };
        loop {
            tokio::select! {
                () = work.stopping.cancelled() => break,
                Some(ended) = work.tenures.join_next_with_id() => work.forget(ended),
                _ = looks.tick() => {}
            }
            let looked = work.look().await;
            work.worker.workplace.stats.set_ready(looked.is_ok());
            if let Err(error) = looked {
                tracing::warn!(%error, "cannot work with the lease table");
            }
        }
        while work.tenures.join_next().await.is_some() {}
    }
}

impl Work {
    /// Reads the table, creates and takes what is to be created and taken, and starts what can start.
    async fn look(&mut self) -> Result<(), TableError> {
        self.read().await?;
        let now = Instant::now();
        if self.synced_at.is_none_or(|synced| now.saturating_duration_since(synced) >= SYNC_INTERVAL) {
            self.synchronise(now).await?;
        }
        self.take().await?;
        for held in self.held.values() {
            if self.ledger.parents_are_finished(&held.lease) {
                held.go.cancel();
            }
        }
        Ok(())
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
            Ok(created) => {
                self.synced_at = Some(now);
                if created > 0 { self.read().await } else { Ok(()) }
            }
            Err(error) => {
                tracing::warn!(%error, stream, "cannot bring the leases in line with the shards");
                Ok(())
            }
        }
    }

    async fn take(&mut self) -> Result<(), TableError> {
        let workplace = &self.worker.workplace;
        let (id, held) = (&self.worker.id, &self.held);
        let now = Instant::now();
        let wanted = self.ledger.plan(id, |shard_id| held.contains_key(shard_id), workplace.lease_duration, now);
        // A lease whose tenure has not ended here yet is not taken a second time.
        let wanted = wanted.into_iter().filter(|lease| !held.contains_key(&lease.shard_id));
        for lease in wanted.cloned().collect::<Vec<_>>() {
            if self.stopping.is_cancelled() {
                break;
            }
            let begun_at = Instant::now();
            match workplace.table.take(&lease, id).await {
                Ok(taken) => {
                    let from = lease.owner.as_deref().unwrap_or("nobody");
                    tracing::info!(shard = lease.shard_id, from, "took a lease");
                    let go = CancellationToken::new();
                    let serving =
                        tenure::serve(workplace.clone(), taken.clone(), begun_at, go.clone(), self.stopping.clone());
                    let tenure = self.tenures.spawn(serving).id();
                    self.held.insert(taken.shard_id.clone(), Held { lease: taken, tenure, go });
                }
                Err(TableError::Lost) => tracing::debug!(shard = lease.shard_id, "another worker was faster"),
                Err(error) => return Err(error),
            }
        }
        Ok(())
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
}
