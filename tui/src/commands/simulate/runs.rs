//! Runs a comparison on all cores and shows how far it is.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, Result};
use clap::{Args as ClapArgs, ValueEnum};
use controlplane::{
    policy::Policy,
    simulate::{
        Clairvoyant, Comparison, Fault, Faults, Maker, Physics, Scene, Skew, Terms, Weir, optimum::Point,
        prices::Prices, rivals::Kind, same_information,
    },
};

use super::{document::Document, fault, load::Load};
use crate::{commands::policy, failure::Failure, output::Progress};

/// The world of a simulation.
#[derive(Debug, Clone, ClapArgs)]
pub(in crate::commands) struct WorldArgs {
    /// How often each is run, with other bursts, delays and accidents; scores are medians
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) seeds: u32,
    /// What goes wrong, between commas: metrics-delayed, metrics-dropped, metrics-absent, reports-absent, api-throttled,
    /// controller-restart, hot-key, hot-shard, lost-answers, drift
    #[arg(long, value_name = "FAULTS", value_delimiter = ',', value_parser = fault)]
    pub(super) faults: Vec<Fault>,
    /// How the load spreads over the hash keys: uniform, zipf=1.1 (the exponent), hot=0.2 or hot-range=0.2 (the share of
    /// one key, or of a hundredth of the range); uniform without it, but for several traces
    #[arg(long, value_name = "KEYS")]
    pub(super) keys: Option<Skew>,
    /// What clients do with records that are refused: ours hold and repeat them, naive ones drop them
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) clients: Option<Clients>,
    /// Constants of the simulated world that differ, as TOML
    #[arg(long, value_name = "FILE")]
    pub(super) physics: Option<PathBuf>,
    /// Prices of another region, as TOML
    #[arg(long, value_name = "FILE")]
    pub(super) prices: Option<PathBuf>,
}

/// What clients do with records that are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::commands) enum Clients {
    Ours,
    Naive,
}

/// All that a comparison needs.
pub(in crate::commands) struct Request {
    pub(in crate::commands) load: String,
    pub(super) scale: String,
    pub(in crate::commands) scene: Scene,
    pub(in crate::commands) terms: Terms,
    pub(super) policies: Vec<(String, Policy)>,
    rivals: Vec<Kind>,
    pub(in crate::commands) seeds: u32,
    /// Whether the best plan takes part.
    pub(super) optimum: bool,
}

/// The policy of a file, or the defaults.
pub(in crate::commands) fn policy(file: Option<&Path>) -> Result<Policy> {
    file.map_or_else(|| Ok(Policy::default()), |file| Ok(policy::read(file)?.file.policy))
}

fn constants<T: Default, E: std::error::Error>(
    file: Option<&Path>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T> {
    let Some(file) = file else { return Ok(T::default()) };
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))?;
    parse(&text).map_err(|error| Failure::usage(format!("{}: {error}", file.display())).into())
}

impl Request {
    pub(in crate::commands) fn new(args: &WorldArgs, load: Load, policy: Policy, rivals: Vec<Kind>) -> Result<Self> {
        let mut physics = constants(args.physics.as_deref(), Physics::parse)?;
        let prices = constants(args.prices.as_deref(), Prices::parse)?;
        if let Some(bytes) = load.record_bytes {
            physics.kinesis_record_bytes = bytes;
            physics.user_record_bytes = physics.user_record_bytes.min(bytes);
        }
        if let Some(shards) = load.shards {
            physics.shards_at_start = shards.max(1);
        }
        if let Some(clients) = args.clients {
            physics.producers_retry = clients == Clients::Ours;
        }
        let skew = args.keys.clone().unwrap_or(load.skew);
        let lag_objective_s = policy.consumer.lag_objective.0 as f64 / 1e3;
        Ok(Self {
            load: load.name,
            scale: load.scale,
            terms: Terms { lag_objective_s, prices, physics: physics.clone() },
            scene: Scene { demand: load.demand, physics, faults: Faults::new(&args.faults), skew },
            policies: vec![(controlplane::simulate::WEIR.to_owned(), policy)],
            rivals,
            seeds: args.seeds,
            optimum: true,
        })
    }

    /// Weir under each policy, the best plan, and the rivals.
    fn contenders<'a>(&'a self, optimum: Option<&'a Clairvoyant>) -> Vec<Maker<'a>> {
        let weir = self
            .policies
            .iter()
            .map(|(name, policy)| -> Maker<'a> { Box::new(|| Box::new(Weir::named(name, policy.clone()))) });
        let optimum = optimum.map(|plan| -> Maker<'a> { Box::new(|| Box::new(plan.clone())) });
        let rivals = self.rivals.iter().map(|kind| -> Maker<'a> { Box::new(|| kind.contender(&self.scene.demand)) });
        weir.chain(optimum).chain(rivals).collect()
    }

    /// The best plan within the bounds of the first policy.
    fn plan(&self) -> Option<Clairvoyant> {
        let (_, policy) = self.policies.first().filter(|_| self.optimum)?;
        Some(Clairvoyant::plan(&self.scene, policy, 1))
    }

    /// What is possible within the same bounds without knowing the load beforehand, where all keys are used alike.
    fn frontier(&self) -> Vec<Point> {
        let is_even = self.scene.skew == Skew::Uniform;
        let policy = self.policies.first().filter(|_| self.optimum && is_even);
        policy.map_or_else(Vec::new, |(_, policy)| same_information(&self.scene, policy, 1))
    }
}

/// Does work that takes all cores away from the runtime's threads, and answers nothing as soon as the person interrupts it.
/// The work hears of it and ends by itself; nobody waits for that.
pub(in crate::commands) async fn interruptible<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Option<T> + Send + 'static,
) -> Result<Option<T>> {
    let stopped = Arc::new(AtomicBool::new(false));
    let heard = stopped.clone();
    let mut working = tokio::task::spawn_blocking(move || work(&heard));
    tokio::select! {
        done = &mut working => done.context("the simulation failed"),
        Ok(()) = tokio::signal::ctrl_c() => {
            stopped.store(true, Ordering::Relaxed);
            Ok(None)
        }
    }
}

/// Runs a comparison, or nothing when the person interrupts it.
pub(in crate::commands) async fn run(request: Request) -> Result<Option<Document>> {
    interruptible(move |stopped| compare(&request, stopped)).await
}

pub(super) fn compare(request: &Request, stopped: &AtomicBool) -> Option<Document> {
    let plan = request.plan();
    let contenders = request.contenders(plan.as_ref());
    let runs = contenders.len() as u64 * u64::from(request.seeds);
    let progress = Progress::counting(runs, "runs");
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let comparison = Comparison {
        scene: &request.scene,
        terms: &request.terms,
        contenders,
        seeds: request.seeds.into(),
        threads,
        optimum: plan.as_ref(),
    };
    let outcomes = comparison.run(&|done| {
        progress.reached(done as u64);
        !stopped.load(Ordering::Relaxed)
    })?;
    Some(Document::new(request, outcomes, request.frontier()))
}
