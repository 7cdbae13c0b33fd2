//! The pure core: streams, shards and records as values. Nothing here waits, logs or reads a clock; every function that
//! depends on time takes `now`.

pub(crate) mod bucket;
pub(crate) mod consumer;
pub(crate) mod hash;
pub(crate) mod metering;
pub(crate) mod plan;
pub(crate) mod sequence;
pub(crate) mod shard;
pub(crate) mod stream;

mod reshard;
pub(crate) mod subscription;
pub(crate) mod traffic;

#[cfg(test)]
mod tests;
