//! Why a role could not start or had to end.

use std::{io, net::SocketAddr};

/// Why a role could not start or had to end. What can pass by itself (Kinesis or DynamoDB being away) is waited for
/// and logged instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings contradict each other.
    #[error("{setting}: {problem}")]
    Settings { setting: &'static str, problem: String },
    #[error("cannot listen on {address}")]
    Listen { address: SocketAddr, source: io::Error },
}

impl Error {
    /// `EX_USAGE` for what only another configuration can cure, 1 for everything else.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Settings { .. } => crate::process::USAGE,
            Self::Listen { .. } => 1,
        }
    }
}
