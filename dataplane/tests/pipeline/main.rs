//! Producer and consumer on a real wire: HTTP in, localcloud between, the `log` processor out.

mod delivery;
mod ingest;
mod world;
