//! The simulator: what a policy, a rival or the best possible would have done with a load.

pub mod trace;
