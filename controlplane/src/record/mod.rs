//! The control table: policy, status, decisions, leader.

mod error;
mod item;
mod policies;
mod status;
mod table;

pub use error::{ApplyError, TableError};
pub use policies::StoredPolicy;
pub use status::{Condition, ConditionKind, Status, VERSION};
pub use table::Table;
