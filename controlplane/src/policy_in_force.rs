//! The policy that a leader follows: the stored one, or the last good one while the stored one has an error.

use crate::{
    policy::{GuardPolicy, Policy, PolicyFile},
    record::{StoredPolicy, Table, TableError},
};

/// How many old policies are tried when the stored one has an error and no good one is remembered.
const FALLBACKS: usize = 10;

/// The policy in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct PolicyInForce {
    pub(crate) file: PolicyFile,
    /// Its generation; 0 for the defaults.
    pub(crate) generation: u64,
    /// Why the stored policy is not in force.
    pub(crate) error: Option<String>,
    /// The stored generation that was last looked at.
    looked_at: Option<u64>,
}

impl PolicyInForce {
    /// The stored policy; failing that the newest good one before it; failing that the defaults, which then only watch.
    pub(crate) async fn recall(table: &Table, pipeline: &str) -> Result<Self, TableError> {
        let mut current = Self::default();
        current.refresh(table, pipeline).await?;
        if current.error.is_some() {
            let history = table.policy_history(pipeline, FALLBACKS).await?;
            let good =
                history.iter().find_map(|stored| Some((PolicyFile::parse(&stored.text).ok()?, stored.generation)));
            (current.file, current.generation) = good.unwrap_or_else(|| (watching(), 0));
        }
        Ok(current)
    }

    /// Takes a changed policy over.
    pub(crate) async fn refresh(&mut self, table: &Table, pipeline: &str) -> Result<(), TableError> {
        match table.policy(pipeline).await? {
            Some(stored) if self.looked_at != Some(stored.generation) => self.take(&stored),
            Some(_) => {}
            None => *self = Self::default(),
        }
        Ok(())
    }

    fn take(&mut self, stored: &StoredPolicy) {
        self.looked_at = Some(stored.generation);
        match PolicyFile::parse(&stored.text) {
            Ok(file) => {
                tracing::info!(generation = stored.generation, by = stored.applied_by, "policy in force");
                *self = Self { file, generation: stored.generation, error: None, ..*self };
            }
            Err(error) => {
                tracing::warn!(generation = stored.generation, %error, "the stored policy has an error");
                self.error = Some(format!("generation {}: {error}", stored.generation));
            }
        }
    }
}

/// Without any good policy, changing something would be guessing.
fn watching() -> PolicyFile {
    let guard = GuardPolicy { dry_run: true, ..GuardPolicy::default() };
    PolicyFile { policy: Policy { guard, ..Policy::default() }, ..PolicyFile::default() }
}
