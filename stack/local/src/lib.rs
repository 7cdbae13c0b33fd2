//! An AWS endpoint for one machine.
//!
//! One process answers the wire protocols of the services Weir uses, on one loopback port, to the unmodified AWS SDK
//! and AWS CLI. ECS tasks are real processes of this machine; Kinesis is an engine of our own that reshards as AWS
//! does; DynamoDB is `dynoxide`. What a call does not support is refused by name, never answered with an empty success.
//!
//! Data flows one way: [`gateway`] turns an HTTP request into a [`service::Call`], a service answers with a
//! [`service::Reply`] or an [`service::AwsError`], and the gateway writes it back in the caller's protocol.

pub mod autoscaling;
pub mod balancer;
pub mod clock;
pub mod cloudformation;
pub mod cloudwatch;
pub mod dynamodb;
pub mod ecr;
pub mod ecs;
pub mod gateway;
pub mod kinesis;
pub mod logs;
pub mod protocol;
pub mod service;
pub mod settings;
pub mod sts;
pub mod tagging;

mod cloud;
mod connections;
mod page;

pub use cloud::{Context, LocalCloud, Peers, Services, StartError};
pub use settings::Settings;
