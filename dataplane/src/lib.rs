//! The data plane of Weir: the producer, which turns HTTP requests into records of a Kinesis stream, and the consumer,
//! which turns records into calls of a processor.

pub mod aggregation;
pub mod consumer;
pub mod process;
pub mod producer;
pub mod report;

mod admin;
mod ambient;
mod aws;
mod cloudwatch;
mod error;
mod http;
mod rate;
mod settings;
mod task;

pub use error::Error;
