//! Processors that fail, that are away, and that take their time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{Router, extract::State, http::StatusCode, routing::post};
use dataplane::consumer::{Failure, Processor, Record, ShardStart};
use futures::{FutureExt, future::BoxFuture};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::world::{RunningProducer, World, until};

/// A receiver of webhooks: away until it is told otherwise, and it does not take batches with poison in them.
#[derive(Default)]
struct Receiver {
    is_there: AtomicBool,
    seen: Mutex<Vec<String>>,
}

impl Receiver {
    async fn serve(self: &Arc<Self>) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/records", post(receive)).with_state(self.clone());
        (address, tokio::spawn(async move { axum_serve(listener, router).await }))
    }

    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for data in self.seen.lock().unwrap().iter() {
            *counts.entry(data.clone()).or_default() += 1;
        }
        counts
    }
}

async fn receive(State(receiver): State<Arc<Receiver>>, body: String) -> StatusCode {
    if !receiver.is_there.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let lines = body.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let data: Vec<_> = lines.map(|record| record["data"].as_str().unwrap().to_owned()).collect();
    if data.iter().any(|data| data.starts_with("poison")) {
        return StatusCode::UNPROCESSABLE_ENTITY;
    }
    receiver.seen.lock().unwrap().extend(data);
    StatusCode::NO_CONTENT
}

/// `axum::serve` without its feature: one connection after another is given to hyper.
async fn axum_serve(listener: TcpListener, router: Router) {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    while let Ok((stream, _)) = listener.accept().await {
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn store(world: &World, producer: &RunningProducer, names: &[String]) {
    for data in names {
        world.store(producer, data, Some("k")).await;
    }
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number:03}")).collect()
}

async fn report(world: &World, admin: SocketAddr) -> Value {
    world.get(admin, "/report").await.body["role"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_is_away_is_waited_for_and_a_record_that_it_refuses_becomes_a_dead_letter() {
    let (world, receiver) = (World::start(1).await, Arc::new(Receiver::default()));
    let (address, server) = receiver.serve().await;
    let directory = tempfile::tempdir().unwrap();
    let (url, letters) = (format!("http://{address}/records"), directory.path().join("letters"));
    let target = format!("file:{}", letters.display());
    let producer = world.producer(&[]).await;
    let (before, after) = (names("before", 20), names("after", 20));
    store(&world, &producer, &before).await;
    store(&world, &producer, &["poison".to_owned()]).await;
    store(&world, &producer, &after).await;
    let webhook = ["--processor", "webhook", "--webhook-url", &url, "--poison", "dead-letter"];
    let rest = ["--dead-letters", &target, "--poison-retries", "1"];
    let consumer = world.consumer_with(&[&webhook[..], &rest].concat()).await;
    until("the consumer has its lease", async || {
        report(&world, consumer.role.admin).await["leases"].as_array().is_some_and(|leases| leases.len() == 1)
    })
    .await;
    assert_eq!(receiver.counts(), BTreeMap::new());
    receiver.is_there.store(true, Ordering::Relaxed);
    let good: BTreeSet<_> = before.iter().chain(&after).cloned().collect();
    until("all that can be processed is", async || receiver.counts().into_keys().collect::<BTreeSet<_>>() == good)
        .await;
    let written = std::fs::read_to_string(&letters).unwrap();
    let [letter] = &written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()).collect::<Vec<_>>()[..]
    else {
        panic!("one dead letter: {written}")
    };
    assert_eq!(letter["data"], "poison");
    assert!(letter["error"].as_str().is_some_and(|error| error.contains("422")), "{letter}");
    consumer.role.stop().await;
    producer.role.stop().await;
    server.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_refused_holds_up_its_shard_and_the_report_says_which_where_that_is_the_policy() {
    let (world, receiver) = (World::start(1).await, Arc::new(Receiver::default()));
    receiver.is_there.store(true, Ordering::Relaxed);
    let (address, server) = receiver.serve().await;
    let producer = world.producer(&[]).await;
    let before = names("before", 10);
    store(&world, &producer, &before).await;
    store(&world, &producer, &["poison".to_owned(), "after".to_owned()]).await;
    let url = format!("http://{address}/records");
    let webhook = ["--processor", "webhook", "--webhook-url", &url, "--poison-retries", "1"];
    let consumer = world.consumer_with(&webhook).await;
    until("the shard is held up", async || {
        let report = report(&world, consumer.role.admin).await;
        report["leases"][0]["stopped"].as_str().is_some_and(|stopped| stopped.contains("422"))
    })
    .await;
    let seen: BTreeSet<_> = receiver.counts().into_keys().collect();
    assert_eq!(seen, before.into_iter().collect(), "what comes before the record is processed, what follows is not");
    consumer.role.stop().await;
    producer.role.stop().await;
    server.abort();
}

/// Does with each record what its data says, and notes where it began.
#[derive(Clone, Default)]
struct Obedient {
    done: Arc<Mutex<Vec<String>>>,
    begun: Arc<Mutex<Vec<ShardStart>>>,
    concurrency: usize,
    two_phase: bool,
}

impl Processor for Obedient {
    fn begin<'a>(&'a self, shard: &'a ShardStart) -> BoxFuture<'a, Result<(), Failure>> {
        self.begun.lock().unwrap().push(shard.clone());
        async { Ok(()) }.boxed()
    }

    fn process<'a>(&'a self, records: &'a [Record]) -> BoxFuture<'a, Result<(), Failure>> {
        async move {
            for record in records {
                let data = String::from_utf8_lossy(&record.data).into_owned();
                if data == "wait" {
                    std::future::pending::<()>().await;
                }
                self.done.lock().unwrap().push(data);
            }
            Ok(())
        }
        .boxed()
    }

    fn records_max(&self) -> usize {
        1
    }

    fn concurrency(&self) -> usize {
        self.concurrency
    }

    fn two_phase(&self) -> bool {
        self.two_phase
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_whose_processor_is_stuck_leaves_the_others_alone() {
    let world = World::start(2).await;
    let producer = world.producer(&[]).await;
    // One megabyte for both: the stuck shard has more than that waiting.
    let processor = Obedient::default();
    let consumer = world.consumer_of(processor.clone(), &["--prefetch-mib", "1"]).await;
    let shard = world.shard_of(&producer, "stuck").await;
    let other = world.key_elsewhere(&producer, &shard).await;
    world.store(&producer, "wait", Some("stuck")).await;
    for _ in 0..30 {
        world.store(&producer, &"x".repeat(100_000), Some("stuck")).await;
    }
    let names = names("other", 20);
    for data in &names {
        world.store(&producer, data, Some(&other)).await;
    }
    until("the other shard is read", async || {
        let done: BTreeSet<_> = processor.done.lock().unwrap().iter().cloned().collect();
        names.iter().all(|data| done.contains(data))
    })
    .await;
    consumer.task.abort();
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_may_be_done_out_of_order_and_the_checkpoint_stays_before_the_first_that_is_not() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    store(&world, &producer, &["a", "wait", "b", "c"].map(str::to_owned)).await;
    let processor = Obedient { concurrency: 4, ..Obedient::default() };
    let consumer = world.consumer_of(processor.clone(), &[]).await;
    until("the others are done", async || {
        processor.done.lock().unwrap().iter().cloned().collect::<BTreeSet<_>>()
            == ["a", "b", "c"].map(str::to_owned).into()
    })
    .await;
    until("the first is checkpointed", async || {
        report(&world, consumer.admin).await["leases"][0]["checkpoint_age_ms"].is_u64()
    })
    .await;
    consumer.task.abort();
    let second = world.consumer().await;
    let rest: BTreeSet<_> = ["wait", "b", "c"].map(str::to_owned).into();
    until("the rest is processed", async || second.counts().into_keys().collect::<BTreeSet<_>>() == rest).await;
    second.role.stop().await;
    producer.role.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_processor_that_prepares_its_checkpoints_learns_after_a_crash_how_far_it_may_have_come() {
    let world = World::start(1).await;
    let producer = world.producer(&[]).await;
    store(&world, &producer, &["a", "b"].map(str::to_owned)).await;
    let processor = Obedient { two_phase: true, ..Obedient::default() };
    let first = world.consumer_of(processor.clone(), &[]).await;
    until("both are done", async || processor.done.lock().unwrap().len() == 2).await;
    store(&world, &producer, &["wait".to_owned()]).await;
    until("the third is prepared", async || world.lease_attribute("pendingCheckpoint").await.is_some()).await;
    let third = world.lease_attribute("pendingCheckpoint").await;
    first.task.abort();
    let again = Obedient { two_phase: true, ..Obedient::default() };
    let second = world.consumer_of(again.clone(), &[]).await;
    until("it has begun", async || !again.begun.lock().unwrap().is_empty()).await;
    let start = again.begun.lock().unwrap()[0].clone();
    assert_eq!(start.pending.map(|(number, _)| number), third);
    assert_ne!(start.checkpoint, "TRIM_HORIZON", "what was done before is checkpointed");
    second.task.abort();
    producer.role.stop().await;
}
