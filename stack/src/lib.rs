//! A deployment of Weir as one CloudFormation stack: its template, its images, what it owns, and its end.
//!
//! Everything here talks to AWS through [`Clients`] and to a person through [`Progress`]. Each operation can be
//! cancelled at any await and run again: what it needs to know it reads from AWS, so a second run converges.

pub mod deploy;
pub mod image;
pub mod inventory;
pub mod limits;
pub mod name;
pub mod progress;
pub mod teardown;
pub mod template;

mod call;
mod clients;
mod pace;
mod stack;
mod tasks;
mod watch;

pub use call::CallError;
pub use clients::{Clients, Identity};
pub use name::{DeploymentName, PerRole, Role};
pub use progress::{Event, Progress};
