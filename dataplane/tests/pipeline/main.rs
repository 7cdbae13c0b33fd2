//! Producer and consumer on a real wire: HTTP in, localcloud between, the `log` or `exec` processor out.

mod acknowledged;
mod delivery;
mod exec;
mod fan_out;
mod faults;
mod handover;
mod hostile;
mod ingest;
mod kcl;
mod process;
mod processors;
mod proxy;
mod terms;
mod unreliable;
mod world;
