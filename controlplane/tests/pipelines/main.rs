//! One control plane and many pipelines, on localcloud.

mod calls;
#[expect(dead_code, reason = "these clouds have settings of their own")]
#[path = "../common/mod.rs"]
mod common;
mod foreign;
mod membership;
#[expect(dead_code, reason = "these tests watch calls and break none")]
#[path = "../faults/proxy.rs"]
mod proxy;
mod world;
