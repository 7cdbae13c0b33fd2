//! What can go wrong with the control table.

use std::error::Error;

use crate::policy::PolicyError;

/// The control table could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("cannot {action} in table `{table}`")]
    Call {
        /// What was tried, as a verb and its object.
        action: &'static str,
        table: String,
        source: Box<dyn Error + Send + Sync>,
    },
    #[error("item `{sk}` in table `{table}` is not readable")]
    Malformed { table: String, sk: String, source: Box<dyn Error + Send + Sync> },
    #[error("another control plane leads: nothing was written")]
    NotLeading,
}

/// A policy could not be applied. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the policy has an error")]
    Invalid(#[from] PolicyError),
    #[error("the policy was changed meanwhile: expected generation {expected}, found {found}")]
    Conflict { expected: u64, found: u64 },
    #[error(transparent)]
    Table(#[from] TableError),
}

/// For `map_err`: an error of `action` in `table`.
pub(super) fn failed<'a, E>(action: &'static str, table: &'a str) -> impl FnOnce(E) -> TableError + 'a
where
    E: Error + Send + Sync + 'static,
{
    move |source| TableError::Call { action, table: table.to_owned(), source: Box::new(source) }
}
