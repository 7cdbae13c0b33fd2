//! The only ways in which the terminal UI touches the world.

use super::teardown::Confirmed;

/// What the session has to do after an update.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Leave.
    Quit,
    /// Give the terminal back to the shell until it continues us.
    Suspend,
    /// Read what a teardown would remove.
    LoadInventory,
    /// Remove the deployment. Only the confirm screen can make the value that this needs.
    Teardown(Confirmed),
}
