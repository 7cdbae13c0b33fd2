//! The control table: policy, status, decisions, leader.

mod conditions;
mod error;
mod events;
mod item;
mod journal;
mod leader;
mod ledger;
mod pauses;
mod policies;
mod status;
mod table;

pub(crate) use conditions::{Facts, conditions};
pub use error::{ApplyError, TableError};
pub use events::Event;
pub(crate) use events::events;
pub use leader::{Candidate, Lead, Lease};
pub(crate) use ledger::{Entry, Settled};
pub use pauses::{Pause, PauseScope};
pub use policies::StoredPolicy;
pub use status::{Condition, ConditionKind, Status, VERSION};
pub use table::Table;
