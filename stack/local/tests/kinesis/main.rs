//! Kinesis as its callers see it: through the unmodified SDK, and, where time matters, in process on a paused clock.

mod clock;
mod durability;
mod fan_out;
mod lifecycle;
mod quotas;
mod reading;
mod reshard;
mod shards;
mod world;
