//! What `ctl simulate` writes as JSON: every score, and the timelines they are made of.

use controlplane::simulate::{Fault, Outcome, Physics, optimum::Point, prices::Prices};
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
    pub(super) lag_objective_s: f64,
    pub(super) policies: Vec<Outcome>,
    /// What simple policies reach that know no more than Weir: where one of these is better, `decide` can be.
    pub(super) frontier: Vec<Point>,
    prices: Prices,
    physics: Physics,
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
            lag_objective_s: request.terms.lag_objective_s,
            policies,
            frontier,
            prices: request.terms.prices.clone(),
            physics: request.terms.physics.clone(),
        }
    }
}
