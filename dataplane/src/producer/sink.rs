//! The producer up to the packed aggregate, without Kinesis: what the benches measure.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{net::TcpListener, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Ack,
    accept::{self, Clients, Front},
    bucket::{self, Buckets},
    idempotency::Idempotency,
    pack::{Packer, Parcel, Place},
    pipeline::{Occupation, Pipeline},
    receipt::Stored,
};
use crate::{
    Error,
    aggregation::{Aggregate, HashKey},
    ambient,
    http::{self, Bounds},
};

/// The defaults of the settings, as far as they matter here.
const BUFFER_BYTES: usize = 64 << 20;
const BOUNDS: Bounds = Bounds { connections: 4096, header_time: Duration::from_secs(10) };

/// Accepts, parses, packs and seals, and answers as if Kinesis had stored everything at once. Runs until dropped.
///
/// # Errors
/// When it cannot listen.
pub async fn serve(listening: impl FnOnce(SocketAddr)) -> Result<(), Error> {
    let asked = ([127, 0, 0, 1], 0).into();
    let listener = TcpListener::bind(asked).await.map_err(|source| Error::Listen { address: asked, source })?;
    listening(http::address(&listener, asked)?);
    let packer = Packer::new(ambient::generator());
    let pipeline = Arc::new(Pipeline::new(BUFFER_BYTES, Buckets::new(bucket::DEFAULT), packer, Instant::now()));
    let front = Front {
        pipeline: pipeline.clone(),
        clients: Arc::new(Clients::new(Vec::new(), None, false)),
        idempotency: Arc::new(Idempotency::new(Duration::ZERO, Duration::ZERO, None)),
        notes: TaskTracker::new(),
        ack: Ack::Stored,
        body_time: Duration::from_secs(30),
        draining: CancellationToken::new(),
    };
    tokio::join!(http::serve(listener, accept::router(front), BOUNDS, CancellationToken::new()), sink(&pipeline));
    Ok(())
}

async fn sink(pipeline: &Pipeline) {
    let idle = Occupation { requests: 0, held_up: false, last_sent: None };
    loop {
        pipeline.arrived.notified().await;
        settle(pipeline.take_due(idle, Duration::ZERO, Instant::now(), |_| true));
    }
}

fn settle(parcels: Vec<Parcel>) {
    let hash = |place| match place {
        Place::At(hash) => hash,
        Place::Anywhere => HashKey(0),
    };
    let aggregates: Vec<_> = parcels.iter().map(|parcel| (&parcel.aggregate, hash(parcel.place))).collect();
    std::hint::black_box(Aggregate::finish_all(&aggregates));
    let stored = Stored {
        sequence_number: "49590338271490256608559692538361571095921575989136588898".into(),
        shard_id: "shardId-000000000000".into(),
    };
    for ticket in parcels.into_iter().flat_map(|parcel| parcel.tickets) {
        ticket.settle(Ok(stored.clone()));
    }
}
