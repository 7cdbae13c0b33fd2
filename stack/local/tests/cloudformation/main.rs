//! CloudFormation through the SDK: stacks whose resources are seen through their own services' clients.

#[path = "../endpoint/mod.rs"]
mod endpoint;
mod fixture;
// What a task runs, so that a load balancer finds it healthy.
#[path = "../../../tests/local/stand_in.rs"]
mod stand_in;

mod change_sets;
mod failures;
mod images;
mod lifecycle;
mod prototype;
mod services;
mod signals;
mod templates;
