//! AWS and the tasks' reports, read into one [`Observation`]. Reads only.

mod observation;

pub use observation::{
    LoadObservation, Observation, Reading, SHARDS_SHOWN, ServiceObservation, ShardLoad, Source, StreamObservation,
};
