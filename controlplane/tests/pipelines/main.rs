//! One control plane and many pipelines, on localcloud.

mod calls;
#[expect(dead_code, reason = "these clouds have settings of their own")]
#[path = "../common/mod.rs"]
mod common;
mod foreign;
#[path = "../common/in_process.rs"]
mod in_process;
mod membership;
#[expect(dead_code, reason = "these tests watch calls and break none")]
#[path = "../faults/proxy.rs"]
mod proxy;
#[path = "../common/within.rs"]
mod within;
mod world;
