//! The control table: policy, status, decisions, leader.

mod status;

pub use status::{Condition, ConditionKind, Status, VERSION};
