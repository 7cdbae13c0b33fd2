//! What runs on this machine: where it keeps its state, how it is started, found and stopped.

mod launch;
mod ports;
mod state;
mod stop;

pub(crate) use launch::Launch;
pub(crate) use state::{Lock, Record, StateDirectory};
pub(crate) use stop::{Stopped, stop};
