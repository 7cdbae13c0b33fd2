//! `policy.toml` → [`PolicyFile`]. Pure.
//!
//! The keys, their defaults, ranges and descriptions stand once, in [`sections`], [`schedule`] and [`pipelines`]; reading,
//! printing and the allowed values of error messages are made from those tables.

mod calendar;
mod checks;
mod document;
mod error;
mod measure;
mod pipelines;
mod places;
mod print;
mod scaling_utils;
mod schedule;
mod schema;
mod section;
mod sections;
mod text;
mod value;

pub use calendar::{Cron, Zone};
pub use error::PolicyError;
pub use pipelines::{PipelineNames, PipelineSpec};
pub use scaling_utils::{ImportError, Imported, LeftOut};
pub use schedule::{Freeze, Schedule};
pub use sections::{ConsumerPolicy, GuardPolicy, ProducerPolicy, StreamPolicy};
pub use text::Direction;

/// The version of the policy language.
pub const VERSION: u32 = 1;

/// What a person asks of a pipeline. `version = 1` alone is a whole policy: every key has a default.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    pub stream: StreamPolicy,
    pub producer: ProducerPolicy,
    pub consumer: ConsumerPolicy,
    pub guard: GuardPolicy,
    pub freezes: Vec<Freeze>,
    pub schedules: Vec<Schedule>,
}

/// A whole file: the policy of the deployment's own pipeline, which is also the default of the others.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PolicyFile {
    pub policy: Policy,
    pub pipelines: Vec<PipelineSpec>,
}

impl Policy {
    /// Reads the policy of the deployment's own pipeline. The whole file must be right.
    ///
    /// # Errors
    /// The first error in the text, with its line, a caret and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        PolicyFile::parse(text).map(|file| file.policy)
    }

    /// The JSON Schema of a policy as TOML.
    #[must_use]
    pub fn json_schema() -> serde_json::Value {
        schema::schema()
    }

    /// The policy in force as TOML, with every key, each under its description.
    #[must_use]
    pub fn to_toml(&self) -> String {
        PolicyFile { policy: self.clone(), pipelines: Vec::new() }.to_toml()
    }
}

impl PolicyFile {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first error in the text, with its line, a caret and what is allowed there.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        document::parse(text)
    }

    /// The file as TOML, with every key, each under its description.
    #[must_use]
    pub fn to_toml(&self) -> String {
        print::to_toml(self)
    }

    /// Every key with its value as TOML, in the order in which they are printed: `stream.max_shards`, `8`. Entries of
    /// lists go by their names: `schedule.office.cron`.
    #[must_use]
    pub fn settings(&self) -> Vec<(String, String)> {
        print::settings(self)
    }
}
