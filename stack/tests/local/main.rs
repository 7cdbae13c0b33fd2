//! Deployments against localcloud, through the SDK alone.

mod endpoint;
mod guards;
mod lifecycle;
mod push;
mod stand_in;
mod trouble;
