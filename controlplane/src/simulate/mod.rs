//! The simulator: what a policy, a rival or the best possible would have done with a load.
//!
//! A [`Scene`] is a load in a world: shards with their limits, keys, producers that retry, consumers with leases, and AWS
//! with its delays and quotas, all of them in [`Physics`]. A [`Contender`] looks at it as the control plane would and
//! answers with calls. What comes of it is a [`Timeline`]. Weir takes part with the real `decide`.
//!
//! Pure but for chance, which a seed repeats exactly.

mod chance;
mod clairvoyant;
mod compare;
mod contender;
mod faults;
mod metrics;
pub mod optimum;
mod physics;
pub mod prices;
mod recommend;
pub mod rivals;
mod run;
pub mod score;
mod timeline;
pub mod trace;
mod weir;
mod world;

pub use clairvoyant::{Clairvoyant, NAME as OPTIMUM, same_information};
pub use compare::{Comparison, Maker, Outcome};
pub use contender::{Contender, Setup};
pub use faults::{Fault, Faults, UnknownFault};
pub use metrics::{MetricMinute, Metrics};
pub use physics::{Physics, PhysicsError};
pub use recommend::{Preference, Recommendation, Search};
pub use run::Scene;
pub use score::{Score, Summary, Terms};
pub use timeline::{Call, CallKind, Minute, Timeline};
pub use trace::Demand;
pub use weir::{NAME as WEIR, Weir};
pub use world::{Skew, UnknownSkew};
