//! `policy.toml` → [`Policy`]. Pure.
//!
//! The keys, their defaults, ranges and descriptions stand once, in [`sections`]; reading, printing and the allowed
//! values of error messages are made from that table.

mod document;
mod error;
mod schema;
mod section;
mod sections;
mod value;

pub use error::PolicyError;
pub use sections::{ConsumerPolicy, GuardPolicy, ProducerPolicy, StreamPolicy};

use section::Section as _;

/// The version of the policy language.
pub const VERSION: u32 = 1;

/// What a person asks of a pipeline. `version = 1` alone is a whole policy: every key has a default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub stream: StreamPolicy,
    pub producer: ProducerPolicy,
    pub consumer: ConsumerPolicy,
    pub guard: GuardPolicy,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// The first error in the text, with its line, a caret and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        document::parse(text)
    }

    /// The JSON Schema of a policy as TOML.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema::schema()
    }

    /// The policy in force as TOML, with every key, each under its description.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let tables =
            [self.stream.to_toml(), self.producer.to_toml(), self.consumer.to_toml(), self.guard.to_toml()].join("\n");
        format!("version = {VERSION}\n\n{tables}")
    }
}
