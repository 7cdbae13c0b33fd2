//! What can happen to the terminal UI.

use jiff::Timestamp;

use stack::{inventory::Inventory, teardown::Report};

use super::{keymap::Key, model::Snapshot};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Event {
    Key(Key),
    /// The terminal has another size; the next drawing sees it.
    Resize,
    /// Time went on.
    Tick(Timestamp),
    /// The pollers read the deployment, or could not.
    Data(Result<Box<Snapshot>, String>),
    /// What a teardown would remove.
    Inventory(Result<Inventory, String>),
    /// A running teardown went on.
    Progress(stack::Event),
    /// The teardown ended.
    Finished(Result<Report, String>),
}
