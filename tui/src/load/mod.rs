//! Sending records: what, when, and what became of it.

pub(crate) mod client;
pub(crate) mod records;
pub(crate) mod schedule;
pub(crate) mod sender;
pub(crate) mod trace;

pub(crate) use client::Client;
pub(crate) use records::Records;
pub(crate) use schedule::Schedule;
pub(crate) use sender::{Plan, Tally, send};
