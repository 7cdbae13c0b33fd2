//! What `ctl simulate` writes as JSON: every score, and the timelines they are made of.

use controlplane::simulate::{Fault, Outcome, Physics, Skew, optimum::Point, prices::Prices};
use jiff::Timestamp;
use serde::Serialize;

use super::runs::Request;

/// The document. A score is the median over the seeds; `timeline` is the run of `timeline_seed`, and the score of that
/// seed follows from it alone.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Document {
    version: u32,
    pub(super) load: String,
    pub(super) scale: String,
    pub(super) start: Timestamp,
    pub(super) minutes: usize,
    pub(super) seeds: u32,
    pub(super) faults: Vec<&'static str>,
    /// How the load spreads over the hash keys.
    keys: String,
    pub(super) lag_objective_s: f64,
    pub(super) policies: Vec<Outcome>,
    /// What simple policies reach that know no more than Weir: where one of these is better, `decide` can be.
    pub(super) frontier: Vec<Point>,
    pub(super) prices: Prices,
    pub(super) physics: Physics,
}

impl Document {
    pub(super) fn new(request: &Request, policies: Vec<Outcome>, frontier: Vec<Point>) -> Self {
        let faults = Fault::ALL.into_iter().filter(|fault| request.scene.faults.have(*fault)).map(Fault::name);
        Self {
            version: 1,
            load: request.load.clone(),
            scale: request.scale.clone(),
            start: request.scene.demand.start,
            minutes: request.scene.demand.shards.len(),
            seeds: request.seeds,
            faults: faults.collect(),
            keys: request.scene.skew.to_string(),
            lag_objective_s: request.terms.lag_objective_s,
            policies,
            frontier,
            prices: request.terms.prices.clone(),
            physics: request.terms.physics.clone(),
        }
    }

    /// What differs from the usual world, for people.
    pub(super) fn world(&self) -> Vec<String> {
        let faults = (!self.faults.is_empty()).then(|| format!("faults: {}", self.faults.join(", ")));
        let keys = (self.keys != Skew::default().to_string()).then(|| format!("keys: {}", self.keys));
        let clients = (!self.physics.producers_retry).then(|| "clients drop what is refused".to_owned());
        [keys, clients, faults].into_iter().flatten().collect()
    }
}
