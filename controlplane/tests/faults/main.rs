//! What must not happen while things break: real control planes as processes of their own, with a proxy of the test's
//! between each of them and localcloud. The proxy sees every call, so a crash "between two calls" is exact: nothing that
//! a process does is visible to anybody else at any other point.

#[path = "../common/mod.rs"]
mod common;
mod controllers;
mod crashes;
#[path = "../common/ledger.rs"]
mod ledger;
mod lost_answers;
mod outages;
mod pauses;
mod policies;
mod process;
mod proxy;
mod simulated;
#[path = "../common/within.rs"]
mod within;
